"""The files that `harness init` writes: new ones, and lines at the end of two that may exist. None is overwritten."""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.configuration import PROJECT_FILE, read
from harness.discovery import scenario_candidates
from harness.errors import UsageError
from harness.init.address import installed_from
from harness.init.settings_text import with_settings
from harness.init.templating import FOLDER as TEMPLATES
from harness.init.templating import ScenarioText, template

FOLDERS = ("bench", "scenarios", "performance", "harness_bench")
"""Names of a new folder of scenarios, the preferred one first."""
BUDGET = "40s"
"""The budget of a project's runs to begin with: enough for a first scenario."""
GITLAB = "gitlab.yml"
"""The job for GitLab, which a project may include as well."""
RUNS = re.compile(r"/?runs(/\*{0,2})?")
"""A line of .gitignore that covers the folder of runs."""


class FileStatus(StrEnum):
    """The outcome for one file."""

    NEW = "write"
    EXTENDED = "add to"
    EXISTS = "exists"
    """It has other content, and stays as it is."""
    DONE = "done"
    """It has the content already."""


@dataclass(frozen=True)
class PlannedFile:
    """A file to write, or the reason why it is not written."""

    path: Path
    text: str
    """The new content, whole; of a file that stays as it is, what would have been written."""
    status: FileStatus
    added: str = ""
    """The lines that are added to a file that exists."""
    hint: str = ""
    """The next step where nothing is written."""

    @property
    def is_written(self) -> bool:
        """Whether the file is new, or has new lines."""
        return self.status in {FileStatus.NEW, FileStatus.EXTENDED}


def scenario_folder(root: Path) -> str:
    """Return the folder of a project's scenarios, relative to it: the configured one, or a new one with a free name."""
    file = root / PROJECT_FILE
    configured = read(file).scenarios if file.is_file() else None
    return configured or next((name for name in FOLDERS if _is_usable(root / name)), FOLDERS[0])


def existing_scenarios(root: Path, folder: str) -> list[str]:
    """Return the names of the scenarios that a folder has."""
    return [file.stem for file in scenario_candidates(root / folder)] if (root / folder).is_dir() else []


def _is_usable(folder: Path) -> bool:
    """Return whether a folder is free, or has scenarios only: every other file in it would be refused as one."""
    if not folder.is_dir():
        return not (folder.exists() or folder.is_symlink())
    files = scenario_candidates(folder)
    return all(re.search(rb"^\s*(from|import) harness\b", file.read_bytes(), re.MULTILINE) for file in files)


def planned(root: Path, folder: str, scenario: ScenarioText | None, workflow: str = "", suite: str = "") -> list[PlannedFile]:
    """Return the files for a project; without a scenario it has some.

    `workflow` is github, gitlab or empty; it times the pytest-benchmark suite in the folder or file `suite`, or else the scenarios.
    """
    files = [_new(root / folder / f"{scenario.name}.py", scenario.text)] if scenario else []
    files += [
        _new(root / folder / "locustfile.py", template("locustfile", folder=folder)),
        _settings(root / PROJECT_FILE, {"scenarios": folder, "budget": BUDGET}),
        _ignored(root / ".gitignore"),
    ]
    if workflow == "github":
        files.append(_new(root / ".github" / "workflows" / "performance.yml", _github(suite)))
    elif workflow:
        files.append(_new(root / ".gitlab-ci.yml", _gitlab(suite)))
    return files


def _new(path: Path, text: str) -> PlannedFile:
    content = _content(path)
    status = FileStatus.NEW if content is None else FileStatus.DONE if content == text else FileStatus.EXISTS
    return PlannedFile(path, text, status)


def _content(path: Path) -> str | None:
    """Return the content of a file, line ends unchanged; None if there is none, UsageError if it cannot be read as text."""
    if not path.exists() and not path.is_symlink():
        return None
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 ({error}); convert it") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}; fix that first") from error


def _settings(path: Path, settings: dict[str, str]) -> PlannedFile:
    before = _content(path)
    text = with_settings(before or "", settings)
    table = with_settings("", settings) or ""
    if text is None:
        return PlannedFile(path, table, FileStatus.EXISTS, hint=f"add by hand: {'; '.join(table.splitlines())}")
    if before is None:
        return PlannedFile(path, text, FileStatus.NEW)
    added = "\n".join(line for line in text.splitlines() if line not in before.splitlines())
    return PlannedFile(path, text, FileStatus.DONE if text == before else FileStatus.EXTENDED, added)


def _ignored(path: Path) -> PlannedFile:
    before = _content(path)
    if before is None:
        return PlannedFile(path, "/runs/\n", FileStatus.NEW)
    if any(RUNS.fullmatch(line.strip()) for line in before.splitlines()):
        return PlannedFile(path, before, FileStatus.DONE)
    newline = "\r\n" if "\r\n" in before else "\n"
    gap = "" if not before or before.endswith("\n") else newline
    return PlannedFile(path, f"{before}{gap}/runs/{newline}", FileStatus.EXTENDED, "/runs/")


def _github(suite: str) -> str:
    """Return a workflow that uses the action of this package."""
    inputs = ["        with:", f"          command: {json.dumps(_command(suite))}"] if _command(suite) else []
    return template("github", action=installed_from().action, inputs="\n".join(inputs)).rstrip() + "\n"


def _gitlab(suite: str) -> str:
    """Return the job for GitLab with the values of two of its variables."""
    text = (TEMPLATES / GITLAB).read_text(encoding="utf-8")
    extras = "pytest,report" if _command(suite) else "all"
    for name, value in (("HARNESS_COMMAND", _command(suite)), ("HARNESS_PACKAGE", installed_from().requirement(extras))):
        before, key, after = text.partition(f"\n    {name}: ")
        text = f"{before}{key}{json.dumps(value)} #{after.partition(' #')[2]}"
    return text


def _command(suite: str) -> str:
    """Return the command of pytest for a suite, empty without one; names that a workflow might read in another way are left out."""
    return f"pytest {shlex.quote(suite)}" if re.fullmatch(r"[\w./ -]+", suite) else ""


def write(files: Sequence[PlannedFile]) -> None:
    """Write the files that are new or extended; UsageError names the one that cannot be written, and those that were."""
    done: list[str] = []
    for file in files:
        if not file.is_written:
            continue
        try:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            with file.path.open("xb" if file.status == FileStatus.NEW else "r+b") as target:
                target.write(file.text.encode())
        except OSError as error:
            before = f"; written before: {', '.join(done)}" if done else ""
            raise UsageError(
                f"cannot write {file.path}: {error.strerror or error}{before}; allow writing there, then run this again"
            ) from error
        done.append(file.path.name)
