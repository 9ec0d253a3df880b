"""The files of `harness init`: new ones and added lines; what exists is never overwritten."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.configuration import read
from harness.errors import UsageError
from harness.init.files import FileStatus, PlannedFile, existing_scenarios, planned, scenario_folder, write
from harness.init.templating import FOLDER as TEMPLATES
from harness.init.templating import ScenarioText

SCENARIO = ScenarioText("first", '"""A scenario."""\nfrom harness import Scenario\n')


def plan(root: Path, workflow: str = "") -> dict[str, PlannedFile]:
    """Return the planned files by name."""
    return {str(file.path.relative_to(root)): file for file in planned(root, "bench", SCENARIO, workflow)}


def contents(root: Path) -> dict[str, bytes]:
    """Return the content of every file."""
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def test_an_empty_folder_gets_every_file(tmp_path: Path) -> None:
    """The settings can be read, and writing again changes nothing."""
    files = plan(tmp_path)
    assert list(files) == ["bench/first.py", "bench/locustfile.py", "pyproject.toml", ".gitignore"]
    write(list(files.values()))
    settings = read(tmp_path / "pyproject.toml")
    assert (settings.scenarios, settings.budget) == ("bench", 40.0)
    before = contents(tmp_path)
    again = plan(tmp_path)
    assert {file.status for file in again.values()} == {FileStatus.DONE}
    write(list(again.values()))
    assert contents(tmp_path) == before


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    """Other content stays byte for byte; lines are added to the end of two files."""
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "first.py").write_bytes(b"mine")
    (tmp_path / "bench" / "locustfile.py").write_bytes(b"mine, too")
    (tmp_path / "pyproject.toml").write_bytes(b"[project]\r\nname = 'x'\r\n")
    (tmp_path / ".gitignore").write_bytes(b"*.pyc")
    files = plan(tmp_path)
    assert [file.status for file in files.values()] == ["exists", "exists", "add to", "add to"]
    write(list(files.values()))
    found = contents(tmp_path)
    assert (found["bench/first.py"], found["bench/locustfile.py"]) == (b"mine", b"mine, too")
    added = b'\r\n[tool.harness]\r\nscenarios = "bench"\r\nbudget = "40s"\r\n'
    assert found["pyproject.toml"] == b"[project]\r\nname = 'x'\r\n" + added
    assert found[".gitignore"] == b"*.pyc\n/runs/\n"


def test_settings_that_cannot_be_added_are_shown(tmp_path: Path) -> None:
    """An inline table stays, and the user is told the lines."""
    text = "[tool]\nharness = {}\n"
    (tmp_path / "pyproject.toml").write_text(text)
    file = plan(tmp_path)["pyproject.toml"]
    assert (file.status, file.hint) == (FileStatus.EXISTS, 'add by hand: [tool.harness]; scenarios = "bench"; budget = "40s"')
    write([file])
    assert (tmp_path / "pyproject.toml").read_text() == text


@pytest.mark.parametrize("line", ["runs", "runs/", "/runs", "/runs/", "/runs/*", "runs/**"])
def test_runs_that_are_ignored_already(tmp_path: Path, line: str) -> None:
    """Any form of the line counts."""
    (tmp_path / ".gitignore").write_text(f"x\n{line}\n")
    assert plan(tmp_path)[".gitignore"].status == FileStatus.DONE


def test_a_link_is_written_through_and_a_broken_one_refused(tmp_path: Path) -> None:
    """The link stays a link; one to nowhere is named."""
    (tmp_path / "shared.txt").write_text("x\n")
    (tmp_path / ".gitignore").symlink_to("shared.txt")
    write([plan(tmp_path)[".gitignore"]])
    assert (tmp_path / ".gitignore").is_symlink()
    assert (tmp_path / "shared.txt").read_text() == "x\n/runs/\n"
    (tmp_path / "pyproject.toml").symlink_to("nowhere")
    with pytest.raises(UsageError, match=r"cannot read .*pyproject\.toml: No such file"):
        plan(tmp_path)


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    """A file to be extended has to be UTF-8."""
    (tmp_path / ".gitignore").write_bytes(b"\xff\n")
    with pytest.raises(UsageError, match=r"\.gitignore is not UTF-8"):
        plan(tmp_path)


def test_a_file_in_the_way_is_named_with_what_was_written(tmp_path: Path) -> None:
    """A file where a folder has to be is one line; what was written before is known."""
    files = list(plan(tmp_path, "github").values())
    (tmp_path / ".github").write_text("")
    with pytest.raises(UsageError, match=r"cannot write .*performance\.yml: .*; written before: first\.py, .*\.gitignore; allow"):
        write(files)


def test_a_folder_without_permission_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is named, with the reason and the next step."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    files = list(plan(tmp_path).values())
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(
        UsageError, match=r"^cannot write .*/bench/first\.py: Permission denied; allow writing there, then run this"
    ):
        write(files)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_scenarios(tmp_path: Path) -> None:
    """It is the configured one, or the first without a file that may be taken for a scenario."""
    assert scenario_folder(tmp_path) == "bench"
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "first.py").write_text(SCENARIO.text)
    assert scenario_folder(tmp_path) == "bench"
    assert existing_scenarios(tmp_path, "bench") == ["first"]
    (tmp_path / "bench" / "test_speed.py").write_text("def test_x(benchmark): ...\n")
    assert scenario_folder(tmp_path) == "bench"
    (tmp_path / "bench" / "models.py").write_text("from shop import Base\n\n\nclass Order(Base): ...\n")
    (tmp_path / "scenarios").write_text("")
    assert scenario_folder(tmp_path) == "performance"
    (tmp_path / "pyproject.toml").write_text('[tool.harness]\nscenarios = "mine"\n')
    assert scenario_folder(tmp_path) == "mine"
    assert existing_scenarios(tmp_path, "mine") == []


@pytest.mark.parametrize(("suite", "command"), [("", ""), ("my benchmarks", "pytest 'my benchmarks'"), ("${{ x }}", "")])
@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_workflows_are_valid_and_time_the_suite(tmp_path: Path, kind: str, suite: str, command: str) -> None:
    """Each is valid by the schema of its system; without a suite, or with a name that is an expression, it times scenarios."""
    files = planned(tmp_path, "bench", SCENARIO, kind, suite)
    (file,) = [file for file in files if file.path.suffix == ".yml"]
    write([file])
    content = yaml.safe_load(file.text)
    if kind == "github":
        (step,) = [step for step in content["jobs"]["performance"]["steps"] if "advice-on-trial" in step["uses"]]
        assert step.get("with", {}).get("command", "") == command
    else:
        assert content["performance"]["variables"]["HARNESS_COMMAND"] == command
        extras = "pytest,report" if command else "all"
        assert content["performance"]["variables"]["HARNESS_PACKAGE"].startswith(f"advice-on-trial[{extras}]")
        whole = (TEMPLATES / "gitlab.yml").read_text().splitlines()
        changed = [line for line, own in zip(whole, file.text.splitlines(), strict=True) if line != own]
        assert all("HARNESS_COMMAND: " in line or "HARNESS_PACKAGE: " in line for line in changed), "the rest is the file's"
    schema = {"github": "vendor.github-workflows", "gitlab": "vendor.gitlab-ci"}[kind]
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, "--output-format", "json", str(file.path)]
    transform = ["--data-transform", "gitlab-ci"] if kind == "gitlab" else []
    done = subprocess.run([*check, *transform], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["status"] == "ok", done.stdout
