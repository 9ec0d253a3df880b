"""Faults in scenario files: each ends in one failure that names it, and the scenarios beside it are measured.

Bounded: about six minutes on two cores; each command that does not end in LIMIT_S counts as one that hangs.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.chaos.planted import GOOD, PlantedFault, PlantedOutcome, faults
from tools.section import Requirement, Section, SectionTable

TITLE = "Does a fault in one scenario stay there, and is it named?"
LIMIT_S = 60.0
"""The longest time of a command, in seconds; those that have to reach a deadline take 31 s."""
GOOD_CASES = 2
"""Cases of the scenario without a fault whose answers are compared."""
AT_ONCE = 2
"""Commands side by side."""
TIMEOUT_S = 3
"""The timeout of one operation that commands are given, in seconds."""
RUN = ("run", "--quick", "--processes", "1", "--budget", "1s", "--timeout", f"{TIMEOUT_S}s")
"""The options that make a run of a toy scenario shortest."""
LOAD = ("load", "--rate", "20", "--duration", "1s", "--warm-up", "0s", "--block", "500ms", "--timeout", f"{TIMEOUT_S}s")
"""The same of a load test."""
SAMPLE = 6
"""One of this number of faults is tried with the commands that do not measure."""


@dataclass(frozen=True)
class CommandEnd:
    """The end of a command that met a planted fault."""

    code: int | None
    """The exit code; None: it did not end in LIMIT_S."""
    output: str
    """What it printed."""
    record: Mapping[str, Any] | None = None
    """The run.json that it wrote, if it did."""
    has_report: bool = False
    """Whether it wrote a report."""


@dataclass(frozen=True)
class FaultResult:
    """A fault that a command met, and what was wrong with how the command ended."""

    command: str
    """The command, such as "run"."""
    fault: PlantedFault
    expected: PlantedOutcome
    """The way in which the command had to end."""
    problem: str
    """What was wrong; empty if nothing was."""
    hangs: bool = False
    """Whether the command did not end."""
    message: str = ""
    """What it said about the fault."""


def judged_run(fault: PlantedFault, end: CommandEnd) -> FaultResult:
    """Return the result of `harness run` on a fault beside the scenario without one."""
    problems, message = list[str](), end.output
    if end.record is not None and fault.outcome != PlantedOutcome.REFUSED:
        scenarios = {each["name"]: each for each in end.record["scenarios"]}
        good, planted = scenarios.get("good"), scenarios.get(fault.scenario)
        if good is None or good["status"] != "ok" or good["verified_cases"] != GOOD_CASES:
            problems.append("the other scenario was not measured")
        if not end.has_report:
            problems.append("no report")
        message = _message_of(planted or {}, fault.outcome)
        status = (planted or {}).get("status")
        if status != ("failed" if fault.outcome == PlantedOutcome.FAILED else "ok"):
            problems.append(f"its status is {status}")
    elif fault.outcome != PlantedOutcome.REFUSED:
        problems.append("no record")
    return _judged("run", fault, fault.outcome, end, message, problems)


def judged_other(command: str, fault: PlantedFault, expected: PlantedOutcome, end: CommandEnd) -> FaultResult:
    """Return the result of a command that does not write a run: its exit code, and what it printed."""
    return _judged(command, fault, expected, end, end.output, [])


def _judged(
    command: str, fault: PlantedFault, expected: PlantedOutcome, end: CommandEnd, message: str, problems: Sequence[str]
) -> FaultResult:
    if end.code is None:
        return FaultResult(command, fault, expected, f"did not end within {LIMIT_S:g} s", hangs=True, message=end.output)
    found = [f"exit code {end.code} instead of {expected.code}"] if end.code != expected.code else []
    if expected != PlantedOutcome.HARMLESS:
        says = fault.says if command == "run" else fault.says[-1:]
        named = message if expected != PlantedOutcome.REFUSED else end.output
        missing = [part for part in says if part not in named]
        if missing:
            found.append(f"does not say {' · '.join(missing)}")
        if fault.scenario not in end.output:
            found.append("does not name the scenario")
    if "Traceback (most recent call last)" in end.output:
        found.append("prints a traceback")
    return FaultResult(command, fault, expected, ", ".join([*found, *problems]), message=message)


def _message_of(planted: Mapping[str, Any], outcome: PlantedOutcome) -> str:
    """Return what a record says about the planted scenario: its error, or its warnings where it was measured."""
    if outcome == PlantedOutcome.ENDED:
        return " ".join(f"{warning['message']}" for warning in planted.get("warnings", ()))
    return str(planted.get("error") or "")


def ended(arguments: Sequence[str], folder: Path, out: Path | None = None) -> CommandEnd:
    """Run a command of the harness in a folder and return how it ended; everything that it started is ended with it."""
    words = [sys.executable, *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH"))))}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            code: int | None = process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        text = output.read().decode(errors="replace")
    file = out / "run.json" if out is not None else None
    record = json.loads(file.read_bytes()) if file is not None and file.exists() else None
    return CommandEnd(code, text, record, has_report=out is not None and (out / "report.html").exists())


def tried_run(fault: PlantedFault, folder: Path) -> FaultResult:
    """Run a fault beside the scenario without one."""
    out = folder / "out"
    files = [fault.write(folder), _good(folder)]
    return judged_run(fault, ended(["-m", "harness", *RUN, "--out", str(out), *(file.name for file in files)], folder, out))


def tried_load(fault: PlantedFault, folder: Path) -> FaultResult:
    """Put a fault under load beside the scenario without one."""
    files = [fault.write(folder), _good(folder)]
    end = ended(["-m", "harness", *LOAD, "--out", str(folder / "out"), *(file.name for file in files)], folder)
    return judged_other("load", fault, fault.under_load or fault.outcome, end)


def tried_list(fault: PlantedFault, folder: Path) -> FaultResult:
    """List a folder with a fault."""
    fault.write(folder)
    _good(folder)
    expected = PlantedOutcome.REFUSED if fault.outcome == PlantedOutcome.REFUSED else PlantedOutcome.HARMLESS
    return judged_other("list", fault, expected, ended(["-m", "harness", "list", "--scenarios", "."], folder))


def tried_pytest(fault: PlantedFault, folder: Path) -> FaultResult:
    """Collect and run a fault under pytest."""
    files = [fault.write(folder), _good(folder)]
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--harness-timeout", f"{TIMEOUT_S}s", *(file.name for file in files)]
    return judged_other("pytest", fault, fault.outcome, ended(words, folder))


def _good(folder: Path) -> Path:
    file = folder / "good.py"
    file.write_text(GOOD, encoding="utf-8")
    return file


def run(effort: float) -> Section:
    """Meet every fault with every command that it concerns."""
    every = faults()[:: max(1, round(1 / effort))]
    tasks: list[tuple[Callable[[PlantedFault, Path], FaultResult], PlantedFault]] = [(tried_run, fault) for fault in every]
    tasks += [(tried_load, fault) for fault in every if fault.under_load is not None]
    tasks += [(tried_list, fault) for fault in every[::SAMPLE]]
    tasks += [(tried_pytest, fault) for fault in every[::SAMPLE] if fault.phase != "import" or not fault.name.startswith("SIG")]

    def attempt(task: tuple[Callable[[PlantedFault, Path], FaultResult], PlantedFault]) -> FaultResult:
        with tempfile.TemporaryDirectory(prefix="harness-fault-", ignore_cleanup_errors=True) as folder:
            return task[0](task[1], Path(folder))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return section(list(pool.map(attempt, tasks)))


_TEXT = (
    "Each file has one fault in one part of a scenario: it exits, kills or forks its process, raises what is no `Exception`, hangs,"
    " leaves threads and processes, closes descriptors, freezes time, changes its process, answers what cannot be compared, or"
    " declares what cannot be. It is measured beside a scenario without a fault."
)


def section(found: Sequence[FaultResult]) -> Section:
    """Return the section."""
    commands = list(dict.fromkeys(each.command for each in found))
    phases = list(dict.fromkeys(each.fault.phase for each in found))
    rows = []
    for phase in phases:
        of_phase = [each for each in found if each.fault.phase == phase]
        rows.append([phase, *(_share(each for each in of_phase if each.command == command) for command in commands)])
    wrong, hanging = [each for each in found if each.problem], sum(each.hangs for each in found)
    requirements = [
        Requirement(
            f"`{command}`: faults that ended as they have to: {_share(each for each in found if each.command == command)}",
            not any(each.problem for each in found if each.command == command),
        )
        for command in commands
    ]
    requirements.append(Requirement(f"commands that did not end: {hanging} of {len(found)}", bool(found) and not hanging))
    notes = [f"`{each.command}`, {each.fault.name}: {each.problem}" for each in wrong]
    return Section(TITLE, _TEXT, [SectionTable("Faults, as they have to end", ("part", *commands), rows)], requirements, notes)


def _share(results: Iterable[FaultResult]) -> str:
    every = list(results)
    return f"{sum(not each.problem for each in every)} of {len(every)}" if every else "–"
