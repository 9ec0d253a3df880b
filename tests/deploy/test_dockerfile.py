"""The Dockerfile: its sources exist, it is pinned, and it runs unprivileged."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "Dockerfile"
LINES = FILE.read_text().replace("\\\n", " ").splitlines()


def sources() -> list[str]:
    """Return the paths that the Dockerfile copies from the checkout."""
    copies = [line.split()[1:] for line in LINES if line.startswith("COPY ") and "--from=" not in line]
    return [source for words in copies for source in words[:-1]]


def test_its_sources_exist_and_are_not_ignored() -> None:
    """Each source exists, and the ignore file lets exactly those through."""
    assert [source for source in sources() if not (ROOT / source).exists()] == []
    let_through = [line[1:] for line in (FILE.parent / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(let_through) == sorted(sources())


def test_every_package_that_a_scenario_imports_is_in_the_image() -> None:
    """The image holds each package of the project except `tools`, which neither a scenario nor the harness imports."""
    packages = {folder.parent.name for folder in ROOT.glob("*/__init__.py")} - {"tools"}
    assert packages | {"scenarios"} <= set(sources())


def test_both_stages_have_the_same_pinned_base() -> None:
    """Both stages use one full Python version, since the environment is copied from one to the other."""
    first, second = (line.split()[1] for line in LINES if line.startswith("FROM "))
    assert first == second
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", first)


def test_packages_are_installed_by_hash() -> None:
    """Nothing is installed that the lock does not name with its hash."""
    installs = [part for line in LINES for part in line.split("&&") if "pip install" in part]
    assert installs
    assert all("--require-hashes" in each or "--no-deps --no-build-isolation" in each for each in installs)


def test_it_runs_as_a_numeric_user_that_is_not_root() -> None:
    """The last user is a number, which Kubernetes can check."""
    last = [line for line in LINES if line.startswith("USER ")][-1]
    assert re.fullmatch(r"USER [1-9]\d+:[1-9]\d+", last)
