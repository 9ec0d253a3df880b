"""The Dockerfile: its sources exist, it is pinned, and what it starts is nobody's root."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "Dockerfile"
LINES = FILE.read_text().replace("\\\n", " ").splitlines()


def sources() -> list[str]:
    """Return what the Dockerfile copies from the checkout."""
    copies = [line.split()[1:] for line in LINES if line.startswith("COPY ") and "--from=" not in line]
    return [source for words in copies for source in words[:-1]]


def test_it_copies_what_is_there_and_the_builder_is_given() -> None:
    """Each source exists, and the list of what goes to the builder names those and nothing else."""
    assert [source for source in sources() if not (ROOT / source).exists()] == []
    let_through = [line[1:] for line in (FILE.parent / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(let_through) == sorted(sources())


def test_every_package_that_a_scenario_imports_is_in_the_image() -> None:
    """The image holds each package of the project except `tools`, which neither a scenario nor the harness imports."""
    packages = {folder.parent.name for folder in ROOT.glob("*/__init__.py")} - {"tools"}
    assert packages | {"scenarios"} <= set(sources())


def test_the_base_is_pinned_and_the_same_twice() -> None:
    """Both stages start from one Python, by its full version, for the environment is moved from one to the other."""
    first, second = (line.split()[1] for line in LINES if line.startswith("FROM "))
    assert first == second
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", first)


def test_packages_come_by_the_locks_hashes() -> None:
    """Nothing is installed that the lock does not name with its hash."""
    installs = [part for line in LINES for part in line.split("&&") if "pip install" in part]
    assert installs
    assert all("--require-hashes" in each or "--no-deps --no-build-isolation" in each for each in installs)


def test_it_runs_as_a_number_that_is_not_root() -> None:
    """The last user is a number, which Kubernetes can tell from root."""
    last = [line for line in LINES if line.startswith("USER ")][-1]
    assert re.fullmatch(r"USER [1-9]\d+:[1-9]\d+", last)
