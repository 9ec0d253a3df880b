"""The parts of the documentation that the code decides are those that are committed, and the schema is that of stored runs."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from harness import configuration
from harness.cli import main as harness
from harness.results.run import Run
from harness.results.store import SCHEMA_VERSION
from tests.harness import gates
from tools import reference
from tools.review_page import PUBLISHED


@dataclass(frozen=True)
class FieldOfBase:
    """A record."""

    arm: str
    """Name of the arm."""


@dataclass(frozen=True)
class WithField(FieldOfBase):
    """A record that inherits a field."""

    group: str
    """Name of
    the group."""


ROOT = Path(reference.__file__).parents[1]


@pytest.fixture(scope="module")
def documents() -> dict[Path, str]:
    """Return what would be written."""
    return reference.documents()


def test_the_reference_is_up_to_date(documents: dict[Path, str]) -> None:
    """What is committed is what the code gives; else `make reference` writes it."""
    stale = [str(path.relative_to(ROOT)) for path, text in documents.items() if path.read_text(encoding="utf-8") != text]
    assert stale == []


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    """Return the committed schema of a run."""
    found = json.loads((ROOT / "docs" / "reference" / "run.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def as_json(run: Run) -> Any:
    """Return a run as it is stored."""
    return json.loads(msgspec.json.encode(run))


def test_published_and_new_runs_are_valid(schema: jsonschema.Draft202012Validator) -> None:
    """The published run and one of the tests are records of the schema."""
    published = json.loads(gzip.decompress((PUBLISHED / "run.json.gz").read_bytes()))
    assert published["schema_version"] == SCHEMA_VERSION
    assert [error.message for error in schema.iter_errors(published)] == []
    assert [error.message for error in schema.iter_errors(as_json(gates.run()))] == []


def test_what_is_not_a_run_is_invalid(schema: jsonschema.Draft202012Validator) -> None:
    """A missing field, another version and a text in place of a number are errors."""
    run = as_json(gates.run())
    for changed in ({**run, "schema_version": 1}, {**run, "scenarios": None}, {key: run[key] for key in run if key != "kind"}):
        assert not schema.is_valid(changed)
    result = {**run["scenarios"][0], "rtt_ms": "fast"}
    assert not schema.is_valid({**run, "scenarios": [result]})


def test_fields_have_their_documentation() -> None:
    """That of the source, of inherited fields too."""
    definitions = reference.schema()["$defs"]
    assert definitions["Drift"]["properties"]["ratio"]["description"].startswith("Second half of a process")
    assert reference._field_docs(WithField) == {"arm": "Name of the arm.", "group": "Name of the group."}


def test_every_command_and_option_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command that `harness --help` lists, and no command of this project."""
    page = reference.commands_page()
    with pytest.raises(SystemExit):
        harness(["--help"])
    printed = capsys.readouterr().out.partition("commands of this project")[0]
    listed = {line.split()[0] for line in printed.splitlines() if line.startswith("    ") and line[4] != " " and line[4] != "-"}
    assert {line.split()[2] for line in page.splitlines() if line.startswith("## harness ")} == listed - {"COMMAND"}
    assert "harness serve" not in page
    assert "| `--harness-budget DURATION` |" in page
    assert "### harness baseline accept" in page


def test_every_setting_is_listed() -> None:
    """Each key with its meaning, and the options that override it."""
    table = reference.settings_table()
    for key in configuration.CONVERTERS:
        assert f"| `{key}` |" in table
    assert "`--harness-size` of pytest; `--size` of Locust" in table


def test_only_what_changed_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A second time nothing is, and the names of written files are printed."""
    monkeypatch.setattr(reference, "documents", lambda: {tmp_path / "a.md": "a\n"})
    monkeypatch.chdir(tmp_path)
    assert [reference.main(), capsys.readouterr().out, reference.main(), capsys.readouterr().out] == [0, "a.md\n", 0, ""]
    assert (tmp_path / "a.md").read_text() == "a\n"
