"""Finding questions, trying them, and writing the page."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.errors import NotMeasurableError, ScenarioFailedError
from tools.chaos import __main__ as chaos
from tools.questions import Questions
from tools.section import Requirement, Section, parts_of
from tools.validation import __main__ as validation

QUESTIONS = validation.QUESTIONS


@dataclass
class Fake:
    """A question whose outcome is known."""

    met: bool = True
    error: Exception | None = None
    TITLE: str = "Right?"
    __name__: str = "fake"
    effort: float = 0.0

    def run(self, effort: float) -> Section:
        """Return what was prepared."""
        self.effort = effort
        if self.error is not None:
            raise self.error
        return Section(self.TITLE, requirements=[Requirement("it holds", self.met)])


def ask(monkeypatch: pytest.MonkeyPatch, question: Fake, *words: str) -> int:
    """Run the command with one question."""
    monkeypatch.setattr(Questions, "modules", lambda _: {"fake": question})
    return QUESTIONS.main(words)


def test_the_folder_is_the_registry() -> None:
    """Modules with a title are questions, by name; what they stand on is none."""
    found = QUESTIONS.modules()
    assert "load_times" in found
    assert not {"load", "workload", "__main__"} & set(found)
    assert list(found) == sorted(found)
    assert all(question.TITLE for question in found.values())


@pytest.mark.parametrize("questions", [QUESTIONS, chaos.QUESTIONS], ids=["validation", "chaos"])
def test_help_names_the_command_and_its_page(questions: Questions, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of each folder's command has its own name, description and page."""
    with pytest.raises(SystemExit, match="0"):
        questions.main(["--help"])
    text = capsys.readouterr().out
    assert f"python -m {questions.package.__name__}" in text
    assert str(questions.page) in " ".join(text.split())


@pytest.mark.parametrize(("met", "code"), [(True, 0), (False, 1)])
def test_a_missed_requirement_is_an_exit_code(
    met: bool, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page is written either way, and the command ends with 1 where something that was required is missing."""
    out = tmp_path / "new" / "page.md"
    question = Fake(met)
    assert ask(monkeypatch, question, "--out", str(out), "--effort", "0.5") == code
    assert ("**met**" if met else "**MISSED**") in out.read_text(encoding="utf-8")
    assert ("met     it holds" if met else "missed  it holds") in capsys.readouterr().out
    assert question.effort == 0.5


def test_what_cannot_be_measured_here_stands_on_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A question that cannot be measured is on the page with its reason, and is not a failure."""
    out = tmp_path / "page.md"
    assert ask(monkeypatch, Fake(error=NotMeasurableError("one core only")), "--out", str(out)) == 0
    assert "**Not measured here:** one core only" in out.read_text(encoding="utf-8")


def test_a_failed_question_writes_no_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a question fails, one line says so, the exit code is the error's, and no page pretends otherwise."""
    out = tmp_path / "page.md"
    assert ask(monkeypatch, Fake(error=ScenarioFailedError("wrk failed")), "--out", str(out)) == 1
    assert capsys.readouterr().err == "wrk failed\n"
    assert not out.exists()


def test_a_page_that_cannot_be_written_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path that is a folder is refused with one line and the next step."""
    assert ask(monkeypatch, Fake(), "--out", str(tmp_path)) == 2
    assert "name another file with --out" in capsys.readouterr().err


def test_one_question_replaces_its_section(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One question alone leaves the other sections of the page as they are; a question that is gone has no section left."""
    monkeypatch.chdir(tmp_path)
    first, second = Fake(TITLE="First?"), Fake(TITLE="Second?")
    monkeypatch.setattr(Questions, "modules", lambda _: {"first": first, "second": second})
    assert QUESTIONS.main([]) == 0
    whole = parts_of(QUESTIONS.page.read_text(encoding="utf-8"))
    first.met, second.TITLE = False, "Third?"
    assert QUESTIONS.main(["--only", "first"]) == 1
    parts = parts_of(QUESTIONS.page.read_text(encoding="utf-8"))
    assert list(whole) == ["First?", "Second?"]
    assert list(parts) == ["First?"]
    assert "**MISSED**" in parts["First?"]
    second.TITLE = "Second?"
    assert QUESTIONS.main(["--only", "second"]) == 0
    assert list(parts_of(QUESTIONS.page.read_text(encoding="utf-8"))) == ["First?", "Second?"]


@pytest.mark.parametrize("effort", ["0", "-1", "2", "nan", "much"])
def test_an_effort_is_a_share(effort: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No effort, or more than all of it, is a typing error."""
    with pytest.raises(SystemExit, match="2"):
        ask(monkeypatch, Fake(), "--effort", effort)
