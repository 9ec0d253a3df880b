"""`harness list`: scenarios and promises in every width."""

import json
import re
from pathlib import Path

import pytest

from harness.cli import main

ROOT = Path(__file__).parents[3]
TOYS = ROOT / "tests" / "toys"


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use 80 columns, unless a test sets others."""
    monkeypatch.setenv("COLUMNS", "80")


def test_promises_without_a_scenario_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a review, promises are in its order, including those without a scenario."""
    (tmp_path / "adding.py").write_text((TOYS / "adding.py").read_text(encoding="utf-8"), encoding="utf-8")
    promises = 'X9 = "never tried"\nX1 = "tried"'
    (tmp_path / "review.toml").write_text(f'title = "a review"\n[areas]\n[promises]\n{promises}\n', encoding="utf-8")
    assert main(["list", "--promises", "--scenarios", str(tmp_path)]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "none yet"
    assert re.fullmatch(r"X9 +never tried", lines[1])
    assert lines[2] == "adding"
    assert lines[3].startswith("X1 ")
    monkeypatch.setenv("COLUMNS", "140")
    assert main(["list", "--promises", "--scenarios", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:3] == ["X9", "none", "yet"]
    assert lines[2].startswith("X1")


def test_the_list_shows_every_scenario_and_promise(capsys: pytest.CaptureFixture[str]) -> None:
    """There is a table, a list of promises, and JSON."""
    assert main(["list", "--scenarios", str(TOYS)]) == 0
    assert "adding" in capsys.readouterr().out
    assert main(["list", "--promises", "--scenarios", str(TOYS)]) == 0
    assert "twice as fast" in capsys.readouterr().out
    assert main(["list", "--json", "--scenarios", str(TOYS)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["promises"] == ["X1", "X2", "X3"]


def test_brackets_in_a_title_or_promise_are_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The list shows them as they are."""
    text = (TOYS / "adding.py").read_text(encoding="utf-8")
    text = text.replace("Add the numbers up", "Add [bold] [/x] up").replace("twice as fast", "twice [bold] [/x]")
    (tmp_path / "adding.py").write_text(text, encoding="utf-8")
    assert main(["list", "--scenarios", str(tmp_path)]) == 0
    assert "Add [bold] [/x] up" in capsys.readouterr().out
    assert main(["list", "--promises", "--scenarios", str(tmp_path)]) == 0
    assert "twice [bold] [/x]" in capsys.readouterr().out


@pytest.mark.parametrize("columns", [80, 110, 200])
@pytest.mark.parametrize("form", [[], ["--promises"]])
def test_every_scenario_of_the_trial_fits(
    form: list[str], columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line is longer than the terminal or ends in blanks, and no name is broken; a narrow one shows every promise, too."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main(["list", *form]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert lines == [line.rstrip() for line in lines]
    words = {word for line in lines for word in line.split()}
    assert {scenario["name"] for scenario in found} <= words
    assert {promise for scenario in found for promise in scenario["promises"]} <= words


def test_a_long_part_is_cut_in_its_middle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Promises stay aligned, and their ends differ; control characters are not obeyed."""
    text = (TOYS / "adding.py").read_text(encoding="utf-8")
    text = text.replace('"X1"', f'"X{"1" * 60} \\x1b[31m"')
    (tmp_path / "adding.py").write_text(text, encoding="utf-8")
    assert main(["list", "--promises", "--scenarios", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "…" in printed
    assert max(map(len, printed.splitlines())) <= 80
