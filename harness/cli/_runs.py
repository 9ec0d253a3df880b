"""What the commands that measure have in common: their options, and carrying out a run from its plan to its report."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import _options
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.discovery import LoadedScenario
    from harness.results.run import Run, RunSettings

PROCESSES, PROCESSES_QUICK, PROCESSES_SEVERAL = 5, 3, 3
"""Fresh processes an arm is timed in: of a usual run, of a first look, and of a run over several engines or distances."""

INTERRUPTED = 3


def arguments(parser: argparse.ArgumentParser, budget: str) -> None:
    """Declare the options; `budget` says what the seconds are for, and how many there are by default."""
    parser.add_argument("--engine", default="sqlite", metavar="ENGINE[,ENGINE]", help="database engines, or all (default: sqlite)")
    _options.data(parser, size=None)
    parser.add_argument("--rtt", default="0", metavar="MS[,MS]", help="round-trip times to the engine, in ms (default: 0)")
    parser.add_argument("--quick", action="store_true", help="a first look: tiny data, fewer processes, less time")
    parser.add_argument(
        "--processes",
        metavar="N",
        help=f"fresh processes an arm is timed in (default: {PROCESSES}; {PROCESSES_SEVERAL} over several engines or distances)",
    )
    parser.add_argument("--budget", metavar="S", help=budget)
    _output(parser, "")


def one_place(parser: argparse.ArgumentParser, kind: str) -> None:
    """Declare the options of a run on one engine at one distance, whose new folder's name ends in `kind`."""
    parser.add_argument("--engine", default="sqlite", metavar="ENGINE", help="database engine (default: sqlite)")
    _options.data(parser)
    parser.add_argument("--rtt", default="0", metavar="MS", help="round-trip time to the engine, in ms (default: 0)")
    parser.add_argument("--allow-remote", action="store_true", help="load servers on other machines too")
    _output(parser, kind)


def _output(parser: argparse.ArgumentParser, kind: str) -> None:
    parser.add_argument("--out", metavar="DIR", type=Path, help=f"folder of the run (default: runs/<UTC time>-<commit>{kind})")
    parser.add_argument("--scenarios", metavar="DIR", type=Path, default=_options.SCENARIOS, help="where names are looked up")
    parser.add_argument("--json", action="store_true", help="print the run as JSON instead of tables")


def settings(options: argparse.Namespace, budget_s: float, budget_quick_s: float) -> RunSettings:
    """Return what was asked for.

    Raises:
        UsageError: an option has no meaning.
    """
    from harness.results.run import RunSettings  # noqa: PLC0415 - keeps `--help` quick

    engines, rtts_ms = _options.engines(options.engine), _options.rtts_ms(options.rtt)
    several = len(engines) * len(rtts_ms) > 1
    return RunSettings(
        engines=engines,
        size=_options.size(options.size or ("tiny" if options.quick else "small")),
        seed=_options.seed(options.seed),
        rtts_ms=rtts_ms,
        quick=options.quick,
        processes=_count(options.processes, PROCESSES_QUICK if options.quick else PROCESSES_SEVERAL if several else PROCESSES),
        budget_s=_seconds(options.budget, budget_quick_s if options.quick else budget_s, budget_s),
    )


def carry_out(
    loaded: Sequence[LoadedScenario],
    settings: RunSettings,
    options: argparse.Namespace,
    *,
    plant: float = 0.0,
    instructions: bool = False,
) -> int:
    """Measure, write the report, print the verdicts; return the exit code.

    `plant` is the share by which a baseline instance is slowed, which is then said to be found or not; `instructions` counts them too.

    Raises:
        UsageError: the output folder holds a run already, or cannot be written.
    """
    from harness.bench.session import RunPlan, RunSession  # noqa: PLC0415 - keeps `--help` quick
    from harness.cli._console import Progress  # noqa: PLC0415 - keeps `--help` quick
    from harness.results import review as review_file  # noqa: PLC0415 - keeps `--help` quick

    out = folder(options.out)
    review = review_file.read(loaded[0].file.parent)
    plan = RunPlan(loaded, settings, out, command(), review=review, injected=plant, instructions=instructions)
    with Progress() as progress:
        record = RunSession(plan, progress).run()
    publish(record, out, as_json=options.json, more=planted(record, plant) if plant else "")
    return exit_code(record)


def command() -> str:
    """Return what a person types to have the same again."""
    return shlex.join(["harness", *sys.argv[1:]])


def publish(record: Run, out: Path, *, as_json: bool, more: str = "") -> None:
    """Write the report into the run's folder and print what was found, `more` if there is any, and where the report is."""
    from harness.cli._console import show  # noqa: PLC0415 - keeps `--help` quick
    from harness.report import html  # noqa: PLC0415 - keeps `--help` quick

    report = html.write(record, out)
    show(record, as_json=as_json)
    if not as_json:
        print(*filter(None, (more, report)), sep="\n")


def planted(record: Run, share: float) -> str:
    """Return what became of a planted slow-down, in a line."""
    from harness.verdicts.controls import together  # noqa: PLC0415 - keeps `--help` quick

    tried = [p for result in record.scenarios for p in result.controls.injected]
    if not tried:
        return f"the planted slow-down of {share:.2%} was not tried: nothing was timed with a control"
    over = together(tried)
    groups = f"{len(tried)} groups together" if len(tried) > 1 else f"the only group, {tried[0].group}"
    interval = f" [{over.low:+.2%}, {over.high:+.2%}]" if over.low is not None and over.high is not None else ""
    shown = over.low > 0 if over.low is not None else tried[0].found
    alone = sum(p.found for p in tried)
    word = "found" if shown else "not found"
    read = f"{over.value:+.2%}{interval} in {groups}; {alone} of {len(tried)} show it alone"
    return f"the planted slow-down of {share:.2%} was {word}: {read}"


def folder(named: Path | None, kind: str = "") -> Path:
    """Return the folder that a run is to be written to: the one named, or a new one below `runs`, its name ending in `kind`.

    Raises:
        UsageError: it holds a run already.
    """
    from harness.runtime.workspace import git_commit  # noqa: PLC0415 - keeps `--help` quick

    out = named or Path("runs") / f"{_run_name(git_commit()[0])}{kind}"
    _refuse_old_run(out)
    return out


def exit_code(record: Run) -> int:
    """Return what a finished run means to a shell: a scenario that failed weighs more than one that had no disk to run on."""
    failed = {s.exit_code for s in record.scenarios if s.status == "failed"}
    if failed:
        return min(failed)
    return INTERRUPTED if record.interrupted else 0


def _run_name(commit: str | None) -> str:
    from harness.runtime.clock import utc_now  # noqa: PLC0415 - keeps `--help` quick

    return f"{utc_now():%Y%m%dT%H%M%SZ}-{commit or 'nocommit'}"


def _refuse_old_run(out: Path) -> None:
    from harness.results.store import RUN_FILE  # noqa: PLC0415 - keeps `--help` quick

    if (out / RUN_FILE).exists():
        raise UsageError(f"{out} holds a run already; name another folder with --out, or remove it")


def _count(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise UsageError(f"--processes {text!r} is not a whole number above 0; try --processes {PROCESSES}")
    return int(text)


def _seconds(text: str | None, default: float, usual: float) -> float:
    if text is None:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"--budget {text!r} is not a number of seconds above 0; try --budget {usual:g}")
    return seconds
