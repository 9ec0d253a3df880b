"""The notes on upgrading: what they say about imports, commands, runs and baselines of earlier versions holds."""

import importlib.util
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from harness.cli import _parser, main
from harness.results.store import SCHEMA_VERSION, read_run, write_json, write_run
from harness.version import version
from tests.harness.gates import result, run

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "upgrade.md").read_text(encoding="utf-8")
Refused = Callable[[Sequence[str], str], None]


def rows(heading: str) -> list[list[str]]:
    """Return the code in each cell of the table below a heading."""
    (section,) = re.findall(rf"^### {heading}\n(.*?)(?=^#)", PAGE, flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[" ".join(re.findall(r"`([^`]+)`", cell)[:1]) for cell in line.strip("| ").split(" | ")] for line in lines]


IMPORTS, COMMANDS = rows("Imports"), rows("Commands and settings")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty folder, outside this repository."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return tmp_path


@pytest.mark.parametrize(("old", "new"), IMPORTS)
def test_modules_are_where_the_notes_say(old: str, new: str) -> None:
    """The new name is a module of the package, and the old one is not; neither is imported, as some modules patch the process."""
    assert new.startswith("harness.")
    assert importlib.util.find_spec(new) is not None
    assert not old.startswith("harness.") or importlib.util.find_spec(old) is None


def test_the_notes_have_every_kind_of_change() -> None:
    """The tables are found, so that the tests of their rows are not empty."""
    assert len(IMPORTS) > 5
    assert len(COMMANDS) == 4


@pytest.mark.parametrize(("old", "new"), COMMANDS)
def test_commands_changed_as_the_notes_say(old: str, new: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The old command line is refused as a usage error; the new one parses."""
    with pytest.raises(SystemExit) as ended:
        _parser().parse_args(shlex.split(old))
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    if new:
        _parser().parse_args(shlex.split(new))


def test_runs_of_schema_1_are_refused_with_what_to_do(
    elsewhere: Path, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report exits with 2 and a gate with 4, both with the schema, for runs and for baselines that were kept."""
    old = {"schema_version": 1, "kind": "pairs", "scenarios": []}
    (elsewhere / "main.json").write_bytes(msgspec.json.encode(old))
    write_run(run(result()), elsewhere / "candidate")
    refused(["report", "main.json"], "before its first release (schema 1)")
    assert main(["gate", "main.json", "candidate"]) == 4
    assert "main.json has schema 1" in " ".join(capsys.readouterr().out.split())


def test_runs_of_checkouts_are_read_and_gated(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that was called 0.2.0 has the present schema; a gate passes with a warning that names both versions."""
    old = replace(run(result()), harness_version="0.2.0")
    write_json(old, elsewhere / "main.json")
    write_run(run(result()), elsewhere / "candidate")
    assert read_run(elsewhere / "main.json") == old
    assert old.schema_version == SCHEMA_VERSION
    assert main(["report", "main.json", "--format", "markdown"]) == 0
    capsys.readouterr()
    assert main(["gate", "main.json", "candidate", "--all"]) == 0
    assert f"harness 0.2.0 and {version()}" in " ".join(capsys.readouterr().out.split())
    assert main(["history", "main.json", "candidate", "--out", "page"]) == 0


def test_an_earlier_scenario_is_refused_with_the_line_to_change(elsewhere: Path, refused: Refused) -> None:
    """And with what to write in its place."""
    text = 'from harness import Scenario\n\n\nclass Old(Scenario):\n    """Old."""\n\n    groups = {"page": "a page of a list"}\n'
    (elsewhere / "old.py").write_text(text)
    refused(["run", "old.py"], "old.py, line 7: `groups` is a mapping; write a list: [Group('page', 'a page of a list'), …]")


def test_the_notes_show_the_upgrade_of_a_project() -> None:
    """Each line of it is a command of this version."""
    (section,) = re.findall(r"^## The upgrade of a project\n(.*?)(?=^## )", PAGE, flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in section.splitlines() if line.startswith("harness ")]
    assert [line.split()[1] for line in lines] == ["run", "gate", "baseline"]
    for line in lines:
        _parser().parse_args(shlex.split(line)[1:])
