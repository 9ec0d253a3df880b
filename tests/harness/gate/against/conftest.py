"""Toy projects, each in a git repository."""

import os
import subprocess
from pathlib import Path

import pytest

APP = "def total(n):\n    return sum(i * i for i in range(n))\n"
BENCHMARKS = """\
import pytest
from app import total


@pytest.mark.benchmark(group="sums")
def test_total(benchmark):
    assert benchmark(total, 3_000) > 0


def test_no_benchmark():
    raise AssertionError("this test is not a benchmark")
"""


class Toy:
    """A repository with a module, a pytest-benchmark suite and a scenario."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def git(self, *arguments: str) -> str:
        """Run git in the repository."""
        who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
        alone = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(["git", *who, *arguments], cwd=self.folder, env=alone, capture_output=True, text=True, check=True)
        return done.stdout

    def commit(self) -> None:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "as it is")

    @property
    def worktrees(self) -> int:
        """The number of worktrees: 1 if none is left behind."""
        return len(self.git("worktree", "list").splitlines())


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """Return a committed toy project."""
    made = Toy(tmp_path / "toy")
    made.folder.mkdir()
    made.git("init", "--quiet", "--initial-branch", "main")
    made.write("app.py", APP)
    made.write("benchmarks/test_total.py", BENCHMARKS)
    made.write("scenarios/adding.py", (Path(__file__).parents[3] / "toys" / "adding.py").read_text())
    made.write(".gitignore", "__pycache__\n.pytest_cache\n")
    made.commit()
    return made
