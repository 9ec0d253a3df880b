"""Git's hooks: what `make check` runs, before each commit, and the form of the message."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CONFIGURATION = ".pre-commit-config.yaml"
(REPOSITORY,) = yaml.safe_load((ROOT / CONFIGURATION).read_text(encoding="utf-8"))["repos"]
HOOKS: list[dict[str, Any]] = REPOSITORY["hooks"]
HANG_S = 300.0


def test_hooks_need_no_network() -> None:
    """Every hook is a program of the project's environment, so that none has to be fetched."""
    assert REPOSITORY["repo"] == "local"
    assert {hook["language"] for hook in HOOKS} == {"system"}
    assert {hook["entry"].split("/bin/")[0] for hook in HOOKS} == {".venv"}


def test_hooks_run_what_make_check_runs() -> None:
    """The programs are the same ones; those that take file names get the changed files in place of the whole folder."""
    (recipe,) = re.findall(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    checks = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()]
    hooks = [hook for hook in HOOKS if "stages" not in hook]
    assert [hook["entry"] + (" ." if hook.get("pass_filenames", True) else "") for hook in hooks] == checks


@pytest.mark.slow
def test_a_commit_is_refused_until_it_passes(tmp_path: Path) -> None:
    """Git refuses unformatted code, then a message of another form, and accepts the commit with both fixed."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"SKIP": "types,imports", "PRE_COMMIT_HOME": str(tmp_path / "home"), "GIT_CONFIG_GLOBAL": os.devnull}

    def run(*command: object) -> subprocess.CompletedProcess[str]:
        line = [*map(str, command)]
        return subprocess.run(line, cwd=clone, env=environment, capture_output=True, text=True, timeout=HANG_S, check=False)

    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("pyproject.toml", CONFIGURATION):
        shutil.copy(ROOT / name, clone)
    for folder in ("harness", "tools"):
        shutil.copytree(ROOT / folder, clone / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (clone / ".venv").symlink_to(sys.prefix)
    for key, text in (("user.name", "A"), ("user.email", "a@localhost")):
        assert run("git", "init", "-q").returncode == 0
        assert run("git", "config", key, text).returncode == 0
    assert run(sys.executable, "-m", "pre_commit", "install").returncode == 0
    code = clone / "harness" / "new.py"
    code.write_text('"""A new module."""\nX   =  1\n')
    assert run("git", "add", CONFIGURATION, code).returncode == 0
    unformatted = run("git", "commit", "-m", "harness: add a module")
    assert unformatted.returncode == 1
    assert "harness/new.py" in unformatted.stderr
    code.write_text('"""A new module."""\n\nX = 1\n')
    assert run("git", "add", code).returncode == 0
    misnamed = run("git", "commit", "-m", "Added a module.")
    assert misnamed.returncode == 1
    assert "'Added a module.' has no area; write `area: verb object`" in misnamed.stderr
    accepted = run("git", "commit", "-m", "harness: add a module")
    assert accepted.returncode == 0, accepted.stderr
    assert run("git", "log", "--format=%s").stdout == "harness: add a module\n"
