"""Are all commands stopped cleanly by each signal that asks for it, once and twice? Some minutes on two cores."""

import json
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import INTERRUPTED
from tools.chaos.commands import Project, StartedCommand, available, duration_s, project
from tools.section import Requirement, Section, SectionTable

TITLE = "Signals that ask to stop"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SEED = 19
SHARE = 0.9
"""The latest moment, as a share of the command's length."""
TWICE_S = (0.3, 1.5)
"""Seconds between two signals."""
ONCE_S, AT_ONCE_S = 30.0, 5.0
"""Seconds that a command may take to end after one signal, and after a second one."""
LEAVING_S = 1.0
"""Seconds that a command may take from its last line to its end, which a signal does not change."""
GONE_S = 1.0
"""Seconds in which the last processes may disappear."""


@dataclass(frozen=True)
class StopOutcome:
    """The end of a command after one signal, or two."""

    command: str
    number: signal.Signals
    twice: bool
    after_s: float
    """The moment of the first signal, in seconds after the command could heed it."""
    took_s: float
    """Seconds from the last signal to the end."""
    code: int
    in_time: bool
    has_traceback: bool
    processes: Sequence[str] = ()
    folders: Sequence[str] = ()
    was_over: bool = False
    """Whether the command had ended, or completed its work, before the signal."""

    @property
    def faults(self) -> list[str]:
        """The faults, each in a few words; nothing if it ended cleanly."""
        found = []
        if not self.in_time:
            found.append("did not end in time")
        elif not self.was_over and self.code != INTERRUPTED:
            found.append(f"exit code {self.code}")
        if self.has_traceback:
            found.append("a traceback")
        if self.processes:
            found.append(f"left running: {self.processes[0][:60]}")
        if self.folders:
            found.append(f"left: {self.folders[0]}")
        return found


def run(effort: float) -> Section:
    """End every command with each signal, once and twice."""
    draws, found = random.Random(SEED), list[StopOutcome]()  # noqa: S311 - moments, not secrets
    with project() as trials:
        commands = available()
        chosen = commands[:: max(1, round(1 / effort))]
        lengths = {command: _length_s(trials.start(command)) for command in chosen}
        trials.clear()
        for twice in (False, True):
            for command in chosen:
                for number in SIGNALS:
                    moment_s = draws.uniform(0.0, SHARE * lengths[command])
                    found.append(_ended(trials, trials.start(command), number, moment_s, draws if twice else None))
        ignored = trials.start(next(command for command in commands if command.name == "doctor"), nohup=True)
        ignored.sleep_until(1.0)
        ignored.process.send_signal(signal.SIGHUP)
        goes_on = ignored.wait() and "harness: interrupted" not in ignored.text
    return section(found, goes_on=goes_on)


def _length_s(whole: StartedCommand) -> float:
    whole.wait_until_ours()
    return duration_s(whole)


def _ended(
    trials: Project, attempt: StartedCommand, number: signal.Signals, moment_s: float, again: random.Random | None
) -> StopOutcome:
    attempt.wait_until_ours()
    runs = attempt.sleep_until(moment_s)
    sent_s = time.monotonic()
    attempt.process.send_signal(number)
    if again is not None and attempt.sleep_until(moment_s + again.uniform(*TWICE_S)):
        sent_s = time.monotonic()
        attempt.process.send_signal(number)
    in_time = attempt.wait(ONCE_S if again is None else AT_ONCE_S)
    took_s = time.monotonic() - sent_s
    code = attempt.process.returncode
    left, folders = attempt.processes(GONE_S), trials.folders()
    has_traceback = "Traceback (most recent" in attempt.text
    runs = runs and not _was_complete(attempt, code, took_s)
    trials.clear()
    return StopOutcome(
        attempt.command.name, number, again is not None, moment_s, took_s, code, in_time, has_traceback, left, folders, not runs
    )


def _was_complete(attempt: StartedCommand, code: int, took_s: float) -> bool:
    """Return whether a command ended with 0 as the signal found nothing to cut off: its run is whole, or it was leaving."""
    if code != 0:
        return False
    if not attempt.command.has_run:
        return took_s < LEAVING_S
    file = attempt.out / "run.json"
    return file.exists() and json.loads(file.read_bytes())["interrupted"] is False


_TEXT = (
    "Each command gets each of the three signals, once and, at another moment, twice, at random moments of its length, from when"
    " on it has handlers for them: before, Python is starting, or importing pytest or Locust. It must end"
    f" with exit code {INTERRUPTED} within {ONCE_S:g} s, or within {AT_ONCE_S:g} s after the second signal, print no traceback, and"
    " leave no process, no folder in the temporary directory and no git worktree."
)


def section(found: Sequence[StopOutcome], *, goes_on: bool) -> Section:
    """Return the section."""
    names = list(dict.fromkeys(each.command for each in found))
    rows, requirements = [], []
    for name in names:
        row = [name]
        for twice in (False, True):
            for number in SIGNALS:
                of_it = [e for e in found if (e.command, e.number, e.twice) == (name, number, twice)]
                row.append("; ".join(", ".join(e.faults) or f"{e.took_s:.1f} s" for e in of_it) or "–")
        rows.append(row)
    for number in SIGNALS:
        for twice in (False, True):
            of_it = [e for e in found if (e.number, e.twice) == (number, twice) and not e.was_over]
            clean = sum(not e.faults for e in of_it)
            times = "twice" if twice else "once"
            requirements.append(Requirement(f"{number.name} {times}: {clean} of {len(of_it)} clean", 0 < len(of_it) == clean))
    requirements.append(Requirement("a command under nohup goes on after SIGHUP", goes_on))
    columns = ("command", *(f"{n.name} {t}" for t in ("once", "twice") for n in SIGNALS))
    over = sum(e.was_over for e in found)
    notes = [
        "Seconds from the last signal to the end, or what was wrong.",
        f"{over} of {len(found)} signals came after the command's work was done; they are not counted.",
        *(
            f"{e.command}, {e.number.name}{' twice' if e.twice else ''} after {e.after_s:.2f} s: {'; '.join(e.faults)}"
            for e in found
            if e.faults
        ),
    ]
    return Section(TITLE, _TEXT, [SectionTable("Commands", columns, rows)], requirements, notes)
