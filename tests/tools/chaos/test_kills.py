"""The judgement of kills, on what was made up, and one real attempt."""

from typing import Any

import pytest

from tools.chaos import commands, kills
from tools.chaos.kills import Killed, section

CLEAN: dict[str, Any] = {"command": "run", "after_s": 1.0, "with_watcher": False, "readable": True, "says_so": True, "resumed": ""}


def test_nothing_left_meets_every_requirement() -> None:
    """A command without a run counts for what it leaves only."""
    found = section(
        [Killed(**CLEAN), Killed("doctor", 0.5, with_watcher=True), Killed("init", 9.0, with_watcher=False, was_over=True)]
    )
    assert found.is_met
    assert [list(row) for row in found.tables[0].rows] == [
        ["run", "1", "0", "0", "1 of 1", "1 of 1", "1 of 1"],
        ["doctor", "1", "0", "0", "–", "–", "–"],
    ]
    assert found.requirements[0].text == "processes left: 0 of 2 kills"


@pytest.mark.parametrize(
    ("changed", "missed", "note"),
    [
        ({"processes": ["sleep 600"]}, "processes left: 1 of 2 kills", "sleep 600"),
        ({"folders": ["harness-run-x"]}, "folders left after the next start: 1 of 2 kills", "harness-run-x"),
        ({"readable": False}, "what was written is readable: 1 of 2", "not readable"),
        ({"says_so": False}, "and says that it is unfinished: 1 of 2", "does not say that it is unfinished"),
        ({"resumed": "1 instead of 2"}, "resumed to the counts of a whole run: 1 of 2", "1 instead of 2"),
    ],
    ids=["process", "folder", "unreadable", "silent", "other counts"],
)
def test_each_fault_misses_its_own_requirement(changed: dict[str, Any], missed: str, note: str) -> None:
    """It is named in the notes, with the command and the moment."""
    found = section([Killed(**CLEAN), Killed(**{**CLEAN, **changed})])
    assert [r.text for r in found.requirements if not r.met] == [missed]
    assert found.notes[-1] == f"run after 1.00 s: {note}"


def test_nothing_tried_meets_nothing() -> None:
    """A requirement needs attempts."""
    assert not any(r.met for r in section([]).requirements)


def test_every_command_has_its_turn() -> None:
    """A third of the kills are of commands that can be resumed."""
    chosen = [kills._chosen(commands.COMMANDS, number) for number in range(kills.KILLS)]
    assert set(chosen) == set(commands.COMMANDS)
    assert sum(command.is_resumable for command in chosen) == 17


@pytest.mark.slow
def test_a_real_command_that_is_killed_leaves_nothing() -> None:
    """Neither it, nor a process of its scenario in a session of its own, nor a folder; also without its watcher."""
    with commands.project() as trials:
        (run,) = (command for command in commands.COMMANDS if command.words[2] == commands.STRAY)
        for with_watcher in (False, True):
            found = kills._killed(trials, trials.start(run), 3.0, "", with_watcher=with_watcher)
            assert (found.processes, found.folders, found.was_over) == ([], [], False)
