"""Faults in scenario files: each ends in one failure that names it, and the scenarios beside it are measured.

Bounded: some minutes on two cores. A command that does not end within its limit counts as one that hangs.
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
LIMIT_S, LIMIT_EACH_S = 120.0, 40.0
"""The longest time of a command, in seconds, and what each fault adds to it; a deadline that some have to reach is 20 s."""
TOGETHER = 10
"""Scenarios with a fault in one run."""
AT_ONCE = 2
"""Commands side by side."""
TIMEOUT = "2s"
"""The timeout of one operation that commands are given."""
RUN = ("run", "--quick", "--processes", "0", "--budget", "30s", "--timeout", TIMEOUT)
"""The options that make a run of toy scenarios shortest: answers are compared, work is counted and memory measured."""
LOAD = ("load", "--rate", "20", "--duration", "1s", "--warm-up", "0s", "--block", "500ms", "--timeout", TIMEOUT)
"""The same of a load test."""
CAPACITY = ("capacity", "--slo", "p90 < 2s", "--kind", "users", "--max-users", "2", "--step", "300ms", "--warm-up", "0s")
"""The same of a search for the capacity."""
GATE = ("gate", "--against", "HEAD", "--budget", "60s")
"""The options of a gate."""
AUTHOR = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
OF_GATES = ("import", "constructor", "prepare", "cases", "open", "run", "servers")
"""The parts of a scenario in which whatever is raised fails a gate: it calls the others less often."""
LOCUST = ("--headless", "-u", "2", "-t", "3s", "--size", "tiny", "--out", "out", "--timeout", TIMEOUT)
"""The options of Locust."""
LOCUSTFILE = "from pathlib import Path\nfrom harness.locust_adapter import users\nglobals().update(users(Path(__file__).parent))\n"
PYTEST = ("-q", "-p", "no:cacheprovider", "--benchmark-disable", "--harness-timeout", TIMEOUT)
"""The options of pytest."""
GOOD_CASES = 2
"""Cases of the scenario without a fault whose answers are compared."""
LOADED, SAMPLED = 3, 8
"""One of this number of faults is tried with each kind of load, and with each of the commands that list or collect files."""
PYTEST_ENDS = ("SIGKILL", "SIGTERM", "SIGSEGV", "fork", "clock")
"""Faults at import with which pytest itself ends: it imports in its own process, and never ends with 0."""


@dataclass(frozen=True)
class CommandEnd:
    """The end of a command that met injected faults."""

    code: int | None
    """The exit code; None: it did not end within its limit."""
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
    problem: str
    """What was wrong; empty if nothing was."""
    hangs: bool = False
    """Whether the command did not end."""
    message: str = ""
    """What it said about the fault."""


def judged_run(together: Sequence[PlantedFault], end: CommandEnd) -> list[FaultResult]:
    """Return the results of `harness run` on faults, all of which scenarios are measured with, beside one without a fault."""
    if end.code is None:
        return [FaultResult("run", fault, "the command did not end", hangs=True, message=end.output) for fault in together]
    problems = _problems(end, max(fault.outcome.code for fault in together))
    scenarios = {each["name"]: each for each in (end.record or {}).get("scenarios", ())}
    good = scenarios.get("good")
    if good is None or good["status"] != "ok" or good["verified_cases"] != GOOD_CASES or not good["memory"]:
        problems.append("the scenario without a fault was not measured")
    if not end.has_report:
        problems.append("no report")
    found = []
    for fault in together:
        injected = scenarios.get(fault.scenario, {})
        status, wanted = injected.get("status"), "failed" if fault.outcome == PlantedOutcome.FAILED else "ok"
        message = _message_of(injected, fault.outcome)
        own = [f"its status is {status}"] if status != wanted else []
        own += _unnamed(fault, fault.says, message)
        found.append(FaultResult("run", fault, ", ".join([*own, *problems]), message=message))
    return found


def judged(command: str, fault: PlantedFault, outcome: PlantedOutcome, end: CommandEnd) -> FaultResult:
    """Return the result of a command whose output alone says how it ended."""
    if end.code is None:
        return FaultResult(command, fault, "the command did not end", hangs=True, message=end.output)
    problems = _problems(end, outcome.code)
    if outcome != PlantedOutcome.HARMLESS:
        says = fault.says if outcome == PlantedOutcome.REFUSED else fault.says[-1:]
        problems += _unnamed(fault, (*says, fault.scenario), end.output)
    return FaultResult(command, fault, ", ".join(problems), message=end.output)


def _problems(end: CommandEnd, code: int) -> list[str]:
    found = [f"exit code {end.code} instead of {code}"] if end.code != code else []
    return [*found, *(["a traceback is printed"] if "Traceback (most recent call last)" in end.output else [])]


def _unnamed(fault: PlantedFault, says: Sequence[str], message: str) -> list[str]:
    missing = [part for part in says if part not in message] if fault.outcome != PlantedOutcome.HARMLESS else []
    return [f"it is not said: {' · '.join(missing)}"] if missing else []


def _message_of(injected: Mapping[str, Any], outcome: PlantedOutcome) -> str:
    """Return what a record says about a injected scenario: its error, or its warnings where it has to be measured."""
    if outcome == PlantedOutcome.ENDED:
        return " ".join(f"{warning['message']}" for warning in injected.get("warnings", ()))
    return str(injected.get("error") or "")


def ended(arguments: Sequence[str], folder: Path, limit_s: float = LIMIT_S) -> CommandEnd:
    """Run a command of the interpreter in a folder, whose run is in `out`, and return how it ended.

    Everything in its process group is ended with it.
    """
    out = folder / "out"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH"))))}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        code: int | None = None
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(limit_s)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        output.seek(0)
        text = output.read().decode(errors="replace")
    file = out / "run.json"
    record = json.loads(file.read_bytes()) if file.exists() else None
    return CommandEnd(code, text, record, has_report=(out / "report.html").exists())


def tried_run(together: Sequence[PlantedFault], folder: Path) -> list[FaultResult]:
    """Run faults, with which scenarios are measured, beside the scenario without one; or one that is refused."""
    files = [fault.write(folder).name for fault in together]
    words = ["-m", "harness", *RUN, "--out", "out", *files, _good(folder)]
    end = ended(words, folder, LIMIT_S + LIMIT_EACH_S * len(together))
    if together[0].outcome == PlantedOutcome.REFUSED:
        return [judged("run", fault, PlantedOutcome.REFUSED, end) for fault in together]
    return judged_run(together, end)


def tried_load(together: Sequence[PlantedFault], folder: Path) -> list[FaultResult]:
    """Put a fault under load."""
    (fault,) = together
    end = ended(["-m", "harness", *LOAD, "--out", "out", fault.write(folder).name], folder)
    return [judged("load", fault, fault.under_load or fault.outcome, end)]


def tried_capacity(together: Sequence[PlantedFault], folder: Path) -> list[FaultResult]:
    """Search for the capacity of a fault."""
    (fault,) = together
    words = ["-m", "harness", *CAPACITY, "--timeout", TIMEOUT, "--out", "out", fault.write(folder).name]
    return [judged("capacity", fault, fault.under_load or fault.outcome, ended(words, folder))]


def tried_locust(together: Sequence[PlantedFault], folder: Path) -> list[FaultResult]:
    """Put a fault under the load of Locust."""
    (fault,) = together
    fault.write(folder)
    (folder / "locustfile.py").write_text(LOCUSTFILE)
    end = ended(["-m", "locust", "-f", "locustfile.py", *LOCUST], folder)
    return [judged("locust", fault, fault.under_load or fault.outcome, end)]


def tried_gate(together: Sequence[PlantedFault], folder: Path) -> list[FaultResult]:
    """Compare a version with a fault to one without."""
    (fault,) = together
    (folder / fault.write(folder).name).write_text(GOOD, encoding="utf-8")
    _good(folder)
    for git in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "without the fault")):
        subprocess.run(["git", *AUTHOR, *git], cwd=folder, check=True)  # noqa: S607 - as the tests
    fault.write(folder)
    words = ["-m", "harness", *GATE, fault.scenario, "good", "--scenarios", ".", "--timeout", TIMEOUT, "--out", "out"]
    return [judged("gate", fault, PlantedOutcome.FAILED, ended(words, folder))]  # the change is to blame


def tried_list(together: Sequence[PlantedFault], folder: Path) -> list[FaultResult]:
    """List a folder with a fault."""
    (fault,) = together
    fault.write(folder)
    _good(folder)
    outcome = fault.outcome if fault.outcome == PlantedOutcome.REFUSED else PlantedOutcome.HARMLESS
    return [judged("list", fault, outcome, ended(["-m", "harness", "list", "--scenarios", "."], folder))]


def tried_pytest(together: Sequence[PlantedFault], folder: Path) -> list[FaultResult]:
    """Collect and run a fault under pytest."""
    (fault,) = together
    (folder / "pyproject.toml").write_text('[tool.harness]\nscenarios = "trials"\n')
    trials = folder / "trials"
    trials.mkdir()
    fault.write(trials)
    _good(trials)
    end = ended(["-m", "pytest", *PYTEST, "trials"], folder)
    outcome = PlantedOutcome.HARMLESS if fault.outcome == PlantedOutcome.ENDED else fault.outcome
    return [judged("pytest", fault, outcome, end)]


def _good(folder: Path) -> str:
    (folder / "good.py").write_text(GOOD, encoding="utf-8")
    return "good.py"


Trial = Callable[[Sequence[PlantedFault], Path], list[FaultResult]]


def trials(every: Sequence[PlantedFault]) -> list[tuple[Trial, list[PlantedFault]]]:
    """Return each command with the faults that it meets at once.

    Those that change the process of the command, or are refused by it, are alone in it.
    """
    alone = [fault for fault in every if fault.phase == "import" or fault.outcome == PlantedOutcome.REFUSED]
    others = [fault for fault in every if fault not in alone]
    found: list[tuple[Trial, list[PlantedFault]]] = []
    found += [(tried_run, others[first : first + TOGETHER]) for first in range(0, len(others), TOGETHER)]
    found += [(tried_run, [fault]) for fault in alone]
    under_load = [fault for fault in every if fault.under_load is not None]
    for number, trial in enumerate((tried_load, tried_capacity, tried_locust)):
        found += [(trial, [fault]) for fault in under_load[number::LOADED]]
    raised = [f for f in every if f.phase in OF_GATES and f.name.endswith(f" in {f.phase}") and "clock" not in f.name]
    decisive = [fault for fault in raised if fault.outcome in {PlantedOutcome.FAILED, PlantedOutcome.REFUSED}]
    found += [(tried_gate, [fault]) for fault in decisive[::SAMPLED]]
    found += [(tried_list, [fault]) for fault in every[::SAMPLED]]
    at_import = [fault for fault in every if fault.phase == "import" and fault.name.startswith(PYTEST_ENDS)]
    return found + [(tried_pytest, [fault]) for fault in [fault for fault in every if fault not in at_import][::SAMPLED]]


def run(effort: float) -> Section:
    """Meet the faults with every command that they concern."""

    def attempt(trial: tuple[Trial, list[PlantedFault]]) -> list[FaultResult]:
        with tempfile.TemporaryDirectory(prefix="harness-fault-", ignore_cleanup_errors=True) as folder:
            return trial[0](trial[1], Path(folder))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(attempt, trials(faults()[:: max(1, round(1 / effort))]))
        return section([result for results in found for result in results])


_TEXT = (
    "Each file has one fault in one part of a scenario: it exits, kills or forks its process, raises more than `Exception`, hangs,"
    " leaves threads and processes, closes descriptors, freezes time, changes its process, answers what cannot be compared, or"
    " declares what cannot be. It is measured beside a scenario without a fault. It has to end in one failure of its scenario, with"
    " arm, case and line where they are known, and exit code 1; in a refusal with exit code 2 where nothing can be"
    " measured; or in a warning that names what was left running."
)


def section(found: Sequence[FaultResult]) -> Section:
    """Return the section."""
    commands = list(dict.fromkeys(each.command for each in found))
    rows = []
    for phase in dict.fromkeys(each.fault.phase for each in found):
        of_phase = [each for each in found if each.fault.phase == phase]
        rows.append([phase, *(_share(each for each in of_phase if each.command == command) for command in commands)])
    requirements = [
        Requirement(
            f"`{command}`: faults named, and others kept: {_share(each for each in found if each.command == command)}",
            not any(each.problem for each in found if each.command == command),
        )
        for command in commands
    ]
    hanging = sum(each.hangs for each in found)
    requirements.append(Requirement(f"commands that did not end: {hanging} of {len(found)}", bool(found) and not hanging))
    notes = [f"`{each.command}`, {each.fault.name}: {each.problem}" for each in found if each.problem]
    return Section(TITLE, _TEXT, [SectionTable("Faults named, and others kept", ("part", *commands), rows)], requirements, notes)


def _share(results: Iterable[FaultResult]) -> str:
    every = list(results)
    return f"{sum(not each.problem for each in every)} of {len(every)}" if every else "–"
