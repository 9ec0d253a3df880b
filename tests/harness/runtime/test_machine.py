"""Tests of the machine's description: it has the facts for comparing runs, and identifies neither a user nor a host."""

import getpass
import json
import os
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from harness.runtime.child import child_environment
from harness.runtime.cores import Cores
from harness.runtime.machine import INTERPRETER_FACTS, REMOVED, describe, interpreter_facts, removed_settings, worker_environment

ROOT = Path(__file__).parents[3]


def test_versions_and_pinning_are_described() -> None:
    """The interpreter, the libraries and the cores are in it."""
    facts = describe(Cores(0, 1, (0, 1)))
    assert facts["sqlalchemy"] == version("sqlalchemy")
    assert facts["python"].startswith("CPython 3.")
    assert facts["workers pinned to"] == "core 1"
    assert describe(Cores(None, None))["workers pinned to"] == "no core"


def test_neither_user_nor_host_is_identified() -> None:
    """Neither the host's name nor the user's nor the home folder is in it."""
    text = " ".join(f"{k} {v}" for k, v in describe(Cores(None, None)).items()).split()
    assert socket.gethostname() not in text
    assert not any(str(Path.home()) in word for word in text if len(str(Path.home())) > 1)
    assert getpass.getuser() not in text


def started(program: str, *options: str, **variables: str) -> Any:
    """Run a program in a fresh interpreter with these options and variables; return the JSON that it prints."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    command = [sys.executable, *options, "-c", program]
    done = subprocess.run(command, env={**kept, "PYTHONPATH": str(ROOT), **variables}, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PYTHONDEVMODE", "1"),
        ("PYTHONASYNCIODEBUG", "1"),
        ("PYTHONTRACEMALLOC", "5"),
        ("PYTHONMALLOC", "debug"),
        ("PYTHONMALLOC", "pymalloc_debug"),
        ("PYTHONPROFILEIMPORTTIME", "1"),
        ("PYTHONVERBOSE", "1"),
        ("PYTHONPERFSUPPORT", "1"),
        ("COVERAGE_PROCESS_START", "setup.cfg"),
        ("COV_CORE_SOURCE", "app"),
        ("PYDEVD_USE_CYTHON", "NO"),
        ("MALLOC_PERTURB_", "7"),
    ],
)
def test_workers_start_without_what_distorts(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks, traces and profiles are left out, named, and recorded; facts that decide whether runs are comparable stay."""
    monkeypatch.delenv(variable, raising=False)
    before, facts = removed_settings(), interpreter_facts(worker_environment())
    monkeypatch.setenv(variable, value)
    assert variable not in worker_environment()
    assert variable not in child_environment()
    assert set(removed_settings()) - set(before) == {variable}
    now = interpreter_facts(worker_environment())
    assert variable in now[REMOVED]
    assert {key: now.get(key) for key in INTERPRETER_FACTS} == {key: facts.get(key) for key in INTERPRETER_FACTS}


@pytest.mark.parametrize(
    ("variable", "value", "fact", "recorded"),
    [
        ("PYTHONMALLOC", "malloc", "memory allocator", "PYTHONMALLOC=malloc"),
        ("MALLOC_ARENA_MAX", "2", "memory allocator", "MALLOC_ARENA_MAX=2"),
        ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", "memory allocator", "GLIBC_TUNABLES=glibc.malloc.tcache_count=0"),
        ("LD_PRELOAD", "/opt/libs/libjemalloc.so.2:/b/x.so", "preloaded libraries", "LD_PRELOAD=libjemalloc.so.2:x.so"),
        ("PYTHONOPTIMIZE", "1", "optimised bytecode", "yes"),
        ("PYTHONOPTIMIZE", "2", "optimised bytecode", "yes, without docstrings"),
        ("PYTHON_GIL", "0", "GIL", "PYTHON_GIL=0"),
        ("PYTHON_JIT", "1", "JIT compiler", "PYTHON_JIT=1"),
        ("DISABLE_SQLALCHEMY_CEXT_RUNTIME", "1", "extension modules", "DISABLE_SQLALCHEMY_CEXT_RUNTIME=1"),
        ("OMP_NUM_THREADS", "1", "thread limits", "OMP_NUM_THREADS=1"),
    ],
)
def test_what_may_be_on_trial_is_kept_and_recorded(
    variable: str, value: str, fact: str, recorded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A choice that changes times stays in the workers' environment and is a fact of the run, without folders."""
    monkeypatch.setenv(variable, value)
    assert worker_environment()[variable] == value
    assert recorded in interpreter_facts(worker_environment())[fact]
    assert variable not in removed_settings()
    assert (fact in INTERPRETER_FACTS) == (fact != "thread limits")


def test_nothing_is_recorded_of_a_usual_interpreter() -> None:
    """Without any such setting there is one fact, and an empty variable counts as none."""
    program = "import json; from harness.runtime.machine import *; print(json.dumps(interpreter_facts(worker_environment())))"
    assert started(program, PYTHONDEVMODE="", LD_PRELOAD="", PYTHONTRACEMALLOC="0") == {"optimised bytecode": "no"}


def test_the_options_of_the_command_line_count_as_well() -> None:
    """`-O` reaches the workers and is recorded; `-X dev` is named as left out."""
    program = (
        "import json, subprocess, sys; from harness.runtime.child import *; from harness.runtime.machine import *\n"
        "show = [sys.executable, '-c', 'import sys; print(sys.flags.optimize, sys.flags.dev_mode)']\n"
        "flags = subprocess.check_output(show, env=child_environment(), text=True)\n"
        "print(json.dumps([flags, interpreter_facts(worker_environment()), distortions()]))"
    )
    flags, facts, active = started(program, "-OO", "-X", "dev", "-X", "tracemalloc", PYTHONASYNCIODEBUG="1")
    assert flags == "2 False\n"
    assert facts == {
        "optimised bytecode": "yes, without docstrings",
        "removed from the workers' environment": "-X dev, PYTHONASYNCIODEBUG, -X tracemalloc",
    }
    assert active == ["development mode", "tracemalloc"]


def test_tools_that_are_active_in_this_process_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile function counts by its package, asyncio's debug mode and a debugging allocator by their variables."""
    program = (
        "import json, sys; from harness.runtime.machine import distortions\n"
        "import profile; sys.setprofile(profile.Profile().dispatcher); found = distortions(); sys.setprofile(None)\n"
        "print(json.dumps(found))"
    )
    found = started(program, PYTHONASYNCIODEBUG="1", PYTHONMALLOC="debug")
    assert found == ["asyncio debug mode", "debugging memory allocator", "profiling by profile"]
