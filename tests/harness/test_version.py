"""The version: pyproject.toml has it, and whatever repeats it agrees."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from harness import version as module

ROOT = Path(module.__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
REPEATED = re.compile(rf"\b{module.DISTRIBUTION}(?::|==| )(\d+\.\d+\.\d+)")
"""An image's tag, a requirement, or a sentence."""
EARLIER = ("CHANGELOG.md", "docs/upgrade.md", "reports/")
"""What has other versions by right: the history, and records of runs."""


def test_files_that_repeat_the_version_agree() -> None:
    """The images of `deploy` have its number as their tag; no other file has another number."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is not a clone")
    files = [ROOT / name for name in listed.stdout.split("\0") if name and not name.startswith((*EARLIER, "tests/"))]
    found = {
        str(file.relative_to(ROOT)): set(versions)
        for file in files
        if file.suffix in {"", ".md", ".py", ".toml", ".txt", ".yaml"}
        and file.is_file()
        and (versions := REPEATED.findall(file.read_text(encoding="utf-8")))
    }
    assert {"deploy/compose.yaml", "deploy/Dockerfile"} <= found.keys()
    assert {name for name, versions in found.items() if versions != {VERSION}} == set()


def test_the_version_is_that_of_the_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source tree that is not installed has none."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", module.version())
    monkeypatch.setattr(module, "DISTRIBUTION", "not-installed-anywhere")
    assert module.version() == "unknown"
