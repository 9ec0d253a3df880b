"""Do commands that are killed at any moment leave something, and can runs be read and resumed? At most six minutes on two cores."""

import json
import os
import random
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.results.run import Run, WorkCount
from harness.results.store import read_run, run_file
from tools.chaos.commands import SCENARIO, HarnessCommand, Project, StartedCommand, available, duration_s, project
from tools.section import Requirement, Section, SectionTable

TITLE = "Kills at any moment"
KILLS = 50
SEED = 23
GONE_S = 15.0
"""Seconds in which the processes of a killed command must end: a server first removes what it has."""
EVERY_WITH_WATCHER = 5
"""Of this number of kills one hits the process that watches over the command as well, as when a whole container is killed."""
NEXT = HarnessCommand("next", ("harness", "run", SCENARIO, "--quick", "--processes", "0", "--out", "OUT"))
"""A short command that makes folders and processes, so that it sweeps first."""
SAYS_SO = ("unfinished", "interrupted", "not finished", "did not finish")
INEXACT = "bytes_in_allocations"
"""A figure that may differ between two processes of the same code, and is left out where counts are compared."""


@dataclass(frozen=True)
class Killed:
    """A killed command, and the rest of it."""

    command: str
    after_s: float
    with_watcher: bool
    was_over: bool = False
    """Whether the command had ended before."""
    processes: Sequence[str] = ()
    """Processes that went on; where the watcher was killed as well, after the next start."""
    folders: Sequence[str] = ()
    """Folders and git worktrees that were left after the next start."""
    readable: bool | None = None
    """Whether `harness report` read what was written; None if nothing was."""
    says_so: bool | None = None
    """Whether it said that the run is unfinished; None if there was no run, or the run had been finished."""
    resumed: str | None = None
    """What differs between the resumed run and a whole one, "" if nothing does; None if there was nothing to resume."""


def run(effort: float) -> Section:
    """Kill commands, each at a random moment of its length."""
    draws, found = random.Random(SEED), list[Killed]()  # noqa: S311 - moments, not secrets
    with project() as trials:
        commands = available()
        lengths: dict[HarnessCommand, float] = {}
        wholes: dict[HarnessCommand, str] = {}
        for number in range(max(1, round(KILLS * effort))):
            command = _chosen(commands, number)
            if command not in lengths:
                whole = trials.start(command)
                lengths[command] = duration_s(whole)
                wholes[command] = counts(whole.out) if command.is_resumable else ""
                trials.clear()
            moment_s = draws.uniform(0.0, lengths[command])
            attempt = trials.start(command)
            found.append(_killed(trials, attempt, moment_s, wholes[command], with_watcher=number % EVERY_WITH_WATCHER == 0))
    return section(found)


def _chosen(commands: Sequence[HarnessCommand], number: int) -> HarnessCommand:
    """Return the command of a kill: every third is one that can be resumed, the others follow one another."""
    resumable = [command for command in commands if command.is_resumable]
    others = [command for command in commands if not command.is_resumable]
    return resumable[number // 3 % len(resumable)] if number % 3 == 0 else others[(number - number // 3 - 1) % len(others)]


def _killed(trials: Project, attempt: StartedCommand, moment_s: float, whole: str, *, with_watcher: bool) -> Killed:
    runs = attempt.sleep_until(moment_s)
    for pid in (attempt.process.pid, *(attempt.watchers() if with_watcher else ())):
        if runs:
            os.kill(pid, signal.SIGKILL)
    attempt.wait()
    left = [] if with_watcher else attempt.processes(GONE_S)
    if with_watcher or trials.folders():
        trials.start(NEXT).wait()
    left = left or attempt.processes(GONE_S)
    folders = trials.folders()
    trials.clear()
    name = attempt.command.name
    if not attempt.command.has_run or not run_file(attempt.out).exists():
        return Killed(name, moment_s, with_watcher, not runs, left, folders)
    shown = trials.start(HarnessCommand("report", ("harness", "report", str(attempt.out), "--format", "terminal")))
    readable = shown.wait() and shown.process.returncode == 0 and "Traceback" not in shown.text
    is_finished = _is_finished(attempt.out)
    says_so = None if is_finished else any(word in shown.text.lower() for word in SAYS_SO)
    resumed = None
    if attempt.command.is_resumable and not is_finished:
        again = trials.start(HarnessCommand("resume", ("harness", "run", "--resume", str(attempt.out))))
        in_time, now = again.wait(), counts(attempt.out)
        resumed = "" if in_time and now == whole else f"{now or again.text.strip()[-200:]} instead of {whole}"
        trials.clear()
    return Killed(name, moment_s, with_watcher, not runs, left, folders, readable, says_so, resumed)


def _is_finished(out: Path) -> bool:
    try:
        return read_run(out).finished_at is not None
    except HarnessError:
        return False


def counts(out: Path) -> str:
    """Return what a run has counted, as text: its scenarios' states, answers, processes and work; "" if it cannot be read."""
    try:
        record: Run = read_run(out)
    except HarnessError:
        return ""
    scenarios = [(s.name, str(s.status), s.verified_cases, s.processes, _work(s.work_counts)) for s in record.scenarios]
    return json.dumps([record.finished_at is not None, *scenarios], default=str)


def _work(found: Sequence[WorkCount]) -> list[tuple[str, str, str, str]]:
    return sorted((each.group, each.arm, each.metric, _exact(each)) for each in found if each.metric != INEXACT)


def _exact(found: WorkCount) -> str:
    """Return a count, or that it differs from repetition to repetition."""
    return f"{found.value:g} at {found.scale:g}" if found.repeats_exactly else "not exact"


_TEXT = (
    "Commands are killed with SIGKILL at a random moment of their length; one of five with the process that watches over it."
    " Then nothing of it may run, after the next start of the harness no folder and no git worktree of it may be left, what it has"
    " written must be readable and say that it is unfinished, and a resumed run must have the counts of a whole one."
)


def section(found: Sequence[Killed]) -> Section:
    """Return the section."""
    killed = [each for each in found if not each.was_over]
    number = len(killed)
    rows = []
    for name, times in Counter(each.command for each in killed).items():
        of_it = [each for each in killed if each.command == name]
        read = [each.readable for each in of_it if each.readable is not None]
        says = [each.says_so for each in of_it if each.says_so is not None]
        again = [each.resumed == "" for each in of_it if each.resumed is not None]
        parts = [f"{sum(part)} of {len(part)}" if part else "–" for part in (read, says, again)]
        rows.append(
            [name, str(times), str(sum(bool(e.processes) for e in of_it)), str(sum(bool(e.folders) for e in of_it)), *parts]
        )
    running, folders = sum(bool(e.processes) for e in killed), sum(bool(e.folders) for e in killed)
    readable = [each.readable for each in killed if each.readable is not None]
    says_so = [each.says_so for each in killed if each.says_so is not None]
    resumed = [each.resumed == "" for each in killed if each.resumed is not None]
    requirements = [
        Requirement(f"processes left: {running} of {number} kills", number > 0 and not running),
        Requirement(f"folders left after the next start: {folders} of {number} kills", number > 0 and not folders),
        Requirement(f"what was written is readable: {sum(readable)} of {len(readable)}", bool(readable) and all(readable)),
        Requirement(f"and says that it is unfinished: {sum(says_so)} of {len(says_so)}", bool(says_so) and all(says_so)),
        Requirement(f"resumed to the counts of a whole run: {sum(resumed)} of {len(resumed)}", bool(resumed) and all(resumed)),
    ]
    notes = [f"{len(found) - number} of {len(found)} kills came after the command's own end; they are not counted."]
    for each in killed:
        wrong = [*each.processes[:1], *each.folders[:1], *filter(None, [each.resumed])]
        wrong += ["not readable"] * (each.readable is False) + ["does not say that it is unfinished"] * (each.says_so is False)
        if wrong:
            notes.append(f"{each.command} after {each.after_s:.2f} s{', with the watcher' * each.with_watcher}: {'; '.join(wrong)}")
    columns = ("command", "kills", "processes left", "folders left", "readable", "said to be unfinished", "resumed to equal counts")
    return Section(TITLE, _TEXT, [SectionTable("Commands", columns, rows)], requirements, notes)
