"""The judgement of signals, on endings that were made up, and one real attempt."""

import random
import signal

import pytest

from tools.chaos import commands, signals
from tools.chaos.signals import StopOutcome, section

CLEAN = StopOutcome("run", signal.SIGINT, twice=False, after_s=1.0, took_s=0.5, code=3, in_time=True, has_traceback=False)


def every(command: str = "run") -> list[StopOutcome]:
    """Return a clean ending by each signal, once and twice."""
    return [
        StopOutcome(command, number, twice=twice, after_s=1.0, took_s=0.5, code=3, in_time=True, has_traceback=False)
        for number in signals.SIGNALS
        for twice in (False, True)
    ]


def test_clean_endings_meet_every_requirement() -> None:
    """With one row per command, and a requirement for each signal, once and twice."""
    found = section([*every(), *every("load")], goes_on=True)
    assert found.is_met
    assert [row[0] for row in found.tables[0].rows] == ["run", "load"]
    assert [r.text for r in found.requirements][:2] == ["SIGINT once: 2 of 2 clean", "SIGINT twice: 2 of 2 clean"]


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"code": 1}, "exit code 1"),
        ({"code": -15}, "exit code -15"),
        ({"code": 0}, "exit code 0"),
        ({"has_traceback": True}, "a traceback"),
        ({"in_time": False}, "did not end in time"),
        ({"processes": ["sleep 600"]}, "left running: sleep 600"),
        ({"folders": ["harness-run-x"]}, "left: harness-run-x"),
    ],
    ids=["failure", "killed", "passed", "traceback", "hangs", "process", "folder"],
)
def test_each_fault_misses_the_requirement_of_its_signal(changed: dict[str, object], fault: str) -> None:
    """It is named in the notes, with the command and the moment."""
    bad = StopOutcome(**{**CLEAN.__dict__, **changed})
    found = section([*every(), bad], goes_on=True)
    assert [r.text for r in found.requirements if not r.met] == ["SIGINT once: 1 of 2 clean"]
    assert f"run, SIGINT after 1.00 s: {fault}" in found.notes


def test_a_command_that_was_over_does_not_count() -> None:
    """Neither for nor against; what it leaves is a fault all the same."""
    over = StopOutcome(**{**CLEAN.__dict__, "was_over": True, "code": 0})
    assert over.faults == []
    assert not section([over], goes_on=True).is_met
    assert not section(every(), goes_on=False).is_met


@pytest.mark.slow
def test_a_real_command_ends_cleanly() -> None:
    """A run is stopped by two signals while it is prepared, and leaves nothing."""
    with commands.project() as trials:
        (run,) = (command for command in commands.COMMANDS if command.name == "run")
        found = signals._ended(trials, trials.start(run), signal.SIGHUP, 0.5, random.Random(0))
        assert found.faults == []
        assert not found.was_over
