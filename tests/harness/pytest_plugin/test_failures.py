"""Scenarios that fail, through real pytest processes: their items fail with the reason and have no times; the others go on."""

import json
import signal
import time
from typing import Any

import pytest

QUICK = ("--harness-budget", "0.5", "--harness-processes", "2")
LATE = """
import os

from harness import Case, Group, Promise, Scenario, speedup, times


class Late(Scenario):
    '''One arm fails in a timed pair.'''

    arms = {"baseline": "works", "optimised": "fails after some operations"}
    groups = [Group("g", "does it work?")]
    promises = [Promise("L1", "faster", times(1.1), speedup("g"))]

    def cases(self, setting):
        return [Case("g", "the case", 1)]

    def open(self, arm, setting):
        return {"arm": arm, "operations": 0}

    def run(self, instance, case):
        instance["operations"] += 1
        if instance["arm"] == "optimised" and instance["operations"] > 20:
            raise ValueError("pool exhausted")
        return case.args
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        ('raise ValueError("pool exhausted")', "ValueError: pool exhausted"),
        ("os._exit(0)", "optimised raised in case 'the case', repetition"),
        ("os.kill(os.getpid(), 9)", "worker exited unexpectedly (SIGKILL) while"),
        ("raise SystemExit(0)", "SystemExit: 0; remove that"),
    ],
    ids=["raises", "exits", "killed", "SystemExit"],
)
def test_a_failure_in_a_timed_pair_fails_the_items_and_no_others(project: Any, failure: str, reason: str) -> None:
    """Nothing of the scenario is recorded, each item states the reason once, and the other scenario is measured."""
    project.write("trials/late.py", LATE.replace('raise ValueError("pool exhausted")', failure))
    done = project.pytest("trials", "--benchmark-json=it.json", *QUICK)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 failed, 3 passed" in done.stdout, done.stdout
    assert "error" not in done.stdout.splitlines()[-1]  # of a teardown
    for arm in ("baseline", "optimised"):
        assert f"FAILED trials/late.py::g[{arm}] - Failed: late: " in done.stdout
    assert reason in done.stdout
    saved = json.loads((project.path / "it.json").read_text())
    assert {benchmark["fullname"].partition("::")[0] for benchmark in saved["benchmarks"]} == {"trials/adding.py"}
    assert saved["harness"] == {"failed": "2 tests failed"}


@pytest.mark.parametrize(
    "text",
    [
        f"import sys, pytest; from harness import Scenario\n{end}\n"
        for end in ("sys.exit(0)", "raise SystemExit", "pytest.skip('no')")
    ],
)
def test_a_scenario_file_that_leaves_while_it_is_imported_is_an_error(project: Any, text: str) -> None:
    """It neither ends pytest nor passes for a skipped file."""
    project.write("trials/zz.py", text)
    done = project.pytest("trials", "--collect-only", "-q")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "zz.py, line 2, cannot be imported: S" in done.stdout
    assert "INTERNALERROR" not in done.stdout


SLOW = """
import pathlib, time

from harness import Case, Group, Promise, Scenario, speedup, times


class Slow(Scenario):
    '''It takes minutes.'''

    arms = {"baseline": "slow", "optimised": "slow"}
    groups = [Group("g", "how slow?")]
    promises = [Promise("S1", "faster", times(1.1), speedup("g"))]

    def cases(self, setting):
        return [Case("g", "the case", 1)]

    def open(self, arm, setting):
        return arm

    def run(self, instance, case):
        pathlib.Path("started").touch()
        time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_session_as_ctrl_c_does(project: Any, number: signal.Signals) -> None:
    """The exit code is pytest's for an interruption, and no folder is left in the temporary directory."""
    project.write("trials/slow.py", SLOW)
    (project.path / "tmp").mkdir()
    process = project.start("trials/slow.py", TMPDIR=str(project.path / "tmp"))
    try:
        deadline = time.monotonic() + 60
        while not (project.path / "started").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 3, output
    assert list((project.path / "tmp").iterdir()) == []


AT_END = """
import atexit, os, signal
atexit.register(os.kill, os.getpid(), signal.SIGHUP)
"""
WITHIN = """
import os, signal

def test_it():
    eval("os.kill(os.getpid(), signal.SIGHUP)", globals())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "text", "code"), [("conftest.py", AT_END, 0), ("test_it.py", WITHIN, 3)], ids=["at the end", "within eval"]
)
def test_a_signal_never_kills_the_process(project: Any, name: str, text: str, code: int) -> None:
    """Nor does Python kill itself after an interrupt of a text that is evaluated."""
    project.write("trials/slow.py", SLOW)
    project.write(name, text)
    process = project.start("test_it.py" if name == "test_it.py" else "--collect-only")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output


BUG = """
import harness.bench.session

def run(self):
    raise KeyError("a bug")

harness.bench.session.RunSession.run = run
"""


@pytest.mark.slow
def test_a_bug_of_the_plugin_is_named_as_one(project: Any) -> None:
    """Every item fails with one line that names the file of the bug report."""
    project.write("conftest.py", BUG)
    done = project.pytest("trials", TMPDIR=str(project.path))
    assert done.returncode == 1
    (report,) = project.path.glob("harness-error-*.txt")
    assert f"harness: internal error (KeyError: 'a bug'); report it with {report}" in done.stdout
    assert "KeyError: 'a bug'" in report.read_text()
    assert "3 failed" in done.stdout


@pytest.mark.parametrize("place", ["saved.runs", "saved.another_machine", "Trials.report"])
def test_an_internal_error_that_the_plugin_causes_names_a_bug_report(project: Any, place: str) -> None:
    """Pytest's exit code is that of an internal error, never that of a failed test."""
    project.write(
        "conftest.py",
        f"from harness.pytest_plugin import saved\nfrom harness.pytest_plugin.items import Trials\n\n{place} = None\n",
    )
    project.write(".benchmarks/saved.json", '{"benchmarks": [], "machine_info": {}}')
    done = project.pytest("trials", "--benchmark-compare=.benchmarks/saved.json", "--collect-only", TMPDIR=str(project.path))
    assert done.returncode == 3, done.stdout + done.stderr
    (report,) = project.path.glob("harness-error-*.txt")
    assert f"harness: internal error (TypeError: 'NoneType' object is not callable); report it with {report}" in done.stderr


def test_an_internal_error_that_another_plugin_causes_does_not(project: Any) -> None:
    """Though it passes through this plugin's hooks."""
    project.write("conftest.py", "def pytest_make_collect_report(collector):\n    raise KeyError('theirs')\n")
    done = project.pytest("trials")
    assert done.returncode == 3
    assert "harness: internal error" not in done.stdout + done.stderr
