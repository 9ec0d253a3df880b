"""The recipes of CONTRIBUTING.md: followed word for word in a copy of the repository, they work."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.importers import importers
from tests.docs.blocks import transcript
from tools.words import read, written

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
COPIED = (
    "commands",
    "datasets",
    "deploy",
    "docs",
    "examples",
    "fixtures",
    "harness",
    "reports",
    "scenarios",
    "service",
    "tests",
    "tools",
)
"""The folders that recipes change or run."""
FILES = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "SECURITY.md", "pyproject.toml", "zensical.toml")
BLOCK = re.compile(
    r"(?:<!-- test: exit (?P<code>\d+) -->\n)?(?:<!--[^\n]*-->\n)*"
    r'^```(?P<kind>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)
NEW_FOLDERS = {
    "A scenario": "scenarios",
    "A database engine": "harness/databases/engines",
    "A probe": "harness/probes",
    "An importer": "harness/importers",
    "A figure of the report": "harness/report/figures",
    "A command": "harness/cli",
}
"""Recipe → the folder in which it adds a file."""
HANG_S = 600.0


@dataclass(frozen=True)
class RecipeBlock:
    """One block of a recipe."""

    kind: str
    title: str
    """The file that it is for."""
    text: str
    code: int
    """The exit code of its last command."""


def recipes() -> dict[str, list[RecipeBlock]]:
    """Return the blocks of each recipe by its heading."""
    (section,) = re.findall(r"^## Recipes\n(.*?)(?=^## )", PAGE, flags=re.MULTILINE | re.DOTALL)
    _, *parts = re.split(r"^### (.*)\n", section, flags=re.MULTILINE)
    return {
        heading: [
            RecipeBlock(found["kind"], found["title"] or "", found["text"], int(found["code"] or 0))
            for found in BLOCK.finditer(text)
        ]
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
    }


RECIPES = recipes()


@dataclass(frozen=True)
class Repository:
    """A copy of the repository, in which a recipe is followed."""

    folder: Path
    bin: Path
    """The folder with the programs that a recipe may call."""

    def follow(self, block: RecipeBlock) -> None:
        """Write a block's file, change the file that it is about, or run its commands; AssertionError if that fails."""
        file = self.folder / block.title
        if block.kind == "console":
            self._run(block)
        elif block.kind == "diff":
            self._change(file, block.text)
        elif block.kind == "po" and file.exists():
            self._translate(file, block.text)
        else:
            assert not file.exists(), f"{block.title} exists already; the recipe is out of date"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")

    def _change(self, file: Path, diff: str) -> None:
        lines = diff.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if not line.startswith("+"))
        new = "".join(line[1:] for line in lines if not line.startswith("-"))
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, (
            f"{file.name} has these lines {text.count(old)} times, not once; the recipe is out of date:\n{old}"
        )
        file.write_text(text.replace(old, new), encoding="utf-8")

    def _translate(self, file: Path, entries: str) -> None:
        catalogue = read(file)
        for text, translation in re.findall(r'^msgid "(.*)"\nmsgstr "(.*)"$', entries, flags=re.MULTILINE):
            message = catalogue.get(text)
            assert message is not None, f"{file.name} does not have {text!r}; the recipe is out of date"
            message.string = translation
        file.write_bytes(written(catalogue))

    def _run(self, block: RecipeBlock) -> None:
        environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith(("PYTEST_", "HARNESS_TRACEBACK"))},
            "PATH": os.pathsep.join([str(self.bin), os.environ["PATH"]]),
            "PYTHONPATH": str(self.folder),
            "COLUMNS": "80",
            "NO_COLOR": "1",
        }
        commands = transcript(block.text)
        for place, (command, lines) in enumerate(commands):
            line = ["bash", "-euo", "pipefail", "-c", command]
            done = subprocess.run(
                line, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=HANG_S, check=False
            )
            rest = " ".join((done.stdout + done.stderr).split())
            code = block.code if place == len(commands) - 1 else 0
            assert done.returncode == code, f"`{command}` ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            for shown in lines:
                _, found, rest = rest.partition(" ".join(shown.split()))
                assert found, f"`{command}` did not print {shown!r}, or not in this order, but:\n{done.stdout}{done.stderr}"

    def check(self, blocks: list[RecipeBlock]) -> None:
        """Check the form of the Python files that a recipe adds."""
        files = [block.title for block in blocks if block.kind == "python"]
        for command in (["format", "--check"], ["check"]):
            line = [sys.executable, "-m", "ruff", *command, *files]
            done = subprocess.run(line, cwd=self.folder, capture_output=True, text=True, timeout=HANG_S, check=False)
            assert done.returncode == 0 or not files, done.stdout + done.stderr


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    """Yield a copy of the repository, with the programs that its commands name."""
    folder = tmp_path / "repository"
    folder.mkdir()
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "runs"))
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    programs = {
        "python": '"$@"',
        "harness": '-m harness "$@"',
        "pytest": '-m pytest -p no:randomly -p no:cacheprovider "$@"',
    }
    here = tmp_path / "bin"
    here.mkdir()
    for name, words in programs.items():
        (here / name).write_text(f"#!/bin/sh\nexec {sys.executable} {words}\n")
    # the environment is the one of this test, and not to be made again
    (here / "make").write_text(f'#!/bin/sh\nexec {shutil.which("make")} --silent READY= BIN={here} "$@"\n')
    for program in here.iterdir():
        program.chmod(0o755)
    yield Repository(folder, here)
    shutil.rmtree(folder)  # pytest would keep it


@pytest.mark.slow
@pytest.mark.parametrize("heading", [heading for heading, blocks in RECIPES.items() if blocks])
def test_a_recipe_works(heading: str, repository: Repository) -> None:
    """Its files, its changes and its commands, in their order, in a copy of the repository; the code has the project's form."""
    for block in RECIPES[heading]:
        repository.follow(block)
    repository.check(RECIPES[heading])


def test_every_kind_of_addition_has_a_recipe() -> None:
    """And each ends with a command that shows that it works."""
    assert list(RECIPES) == [
        "A scenario",
        "A database engine",
        "A probe",
        "A warning",
        "An importer",
        "A figure of the report",
        "A translation",
        "A language",
        "A command",
        "A page",
        "A module of the harness",
        "A dependency",
        "A release",
    ]
    assert {heading for heading, blocks in RECIPES.items() if not blocks or blocks[-1].kind != "console"} == {"A release"}


@pytest.mark.parametrize(("heading", "folder"), NEW_FOLDERS.items())
def test_a_recipe_adds_a_file_to_the_folder_it_is_about(heading: str, folder: str) -> None:
    """What is found by its file is in the folder that is searched."""
    added = [block.title for block in RECIPES[heading] if block.kind == "python" and not block.title.startswith("tests/")]
    assert [str(Path(title).parent) for title in added] == [folder]
    assert (ROOT / folder).is_dir()


def test_no_recipe_is_left_in_the_repository() -> None:
    """The files of the recipes are imagined ones."""
    added = [block.title for blocks in RECIPES.values() for block in blocks if block.kind in {"json", "md", "python"}]
    assert [title for title in added if (ROOT / title).exists()] == []
    assert "stopwatch" not in {module.__name__.rpartition(".")[2] for module in importers()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("block", "message"),
    [
        (RecipeBlock("diff", "pyproject.toml", "-no such line\n+another\n", 0), "0 times, not once"),
        (RecipeBlock("python", "harness/sql.py", "", 0), "exists already"),
        (RecipeBlock("po", "harness/locale/ja/LC_MESSAGES/harness.po", 'msgid "No."\nmsgstr "?"\n', 0), "does not have 'No.'"),
        (RecipeBlock("console", "", "$ python -c 'raise SystemExit(3)'\n", 0), "ended with 3"),
        (RecipeBlock("console", "", "$ python -c 'print(1)'\n2\n", 0), "did not print '2'"),
        (RecipeBlock("console", "", "$ python -c 'print(1, 2)'\n2\n1\n", 0), "did not print '1', or not in this order"),
    ],
)
def test_a_recipe_that_is_out_of_date_fails(block: RecipeBlock, message: str, repository: Repository) -> None:
    """A line that is no longer there, a file that exists, a text that is not used, another exit code, or another output."""
    with pytest.raises(AssertionError, match=message):
        repository.follow(block)
