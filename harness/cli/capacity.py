"""Find the highest load at which each arm meets an SLO.

SCENARIO is a name in the scenarios directory, a scenario file, or a directory with one. Capacity is found as operations per second
(random arrivals, the open model: 98 % of the offered operations must complete in time) and as concurrent users (the closed model).
A level runs for a few seconds. Levels double until one fails; then the search narrows down to the highest sustained level, to 10
%, and repeats both ends. Arms alternate step by step.

An SLO limits response times and errors: "p95 < 150ms", "p99 < 1s, errors < 0.1%", "mean < 20ms, max < 2s". Without a limit for
errors, 1 % of the operations may fail. The run is written to a folder: run.json and report.html. Ctrl-C keeps what was found.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from harness import options as converters
from harness.cli import _options, _runs
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.load.capacity import SearchPlan
    from harness.results.run import Run
    from harness.verdicts.slo import Objective

KINDS = ["rate", "users"]
MAX_USERS = 10_000
MAX_STEP_FACTOR = 10
"""The longest a step may take, as a multiple of --step, if it has completed too few operations."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("scenario", metavar="SCENARIO", help="name, file or directory of one scenario")
    parser.add_argument(
        "--slo", required=True, type=_slo, metavar="SLO", help='limits to meet, such as "p95 < 150ms, errors < 0.1%%"'
    )
    parser.add_argument(
        "--kind",
        default=KINDS,
        type=converters.names_of("kind of capacity", lambda: KINDS),
        metavar="KIND[,KIND]",
        help="rate, users (default: both)",
    )
    _options.arms(parser, "search")
    parser.add_argument(
        "--step", default=3.0, type=converters.duration, metavar="DURATION", help="minimum measured time per step (default: 3s)"
    )
    parser.add_argument(
        "--warm-up",
        default=1.0,
        type=converters.duration_or_zero,
        metavar="DURATION",
        help="unrecorded load before each step (default: 1s)",
    )
    parser.add_argument(
        "--budget", default=120.0, type=converters.duration, metavar="DURATION", help="time per arm and kind (default: 120s)"
    )
    parser.add_argument(
        "--max-users",
        default=2_000,
        type=converters.count(MAX_USERS),
        metavar="LIMIT",
        help="highest number of users to try (default: 2000)",
    )
    _runs.under_load(parser, "-capacity")


def run(options: argparse.Namespace) -> int:
    """Carry out the searches; return 0, 1 if the scenario failed, 3 if interrupted or out of time before there was a result."""
    from harness.cli._console import Progress
    from harness.load.session import CapacityPlan, CapacitySession

    plans = _plans(options)
    loaded = _options.load_one(options.scenario, options.scenarios)
    plan = CapacityPlan(
        loaded=loaded,
        settings=_runs.load_settings(options, 1, options.budget),
        plans=plans,
        arms=_options.known_arms(loaded, options.arms),
        out=_runs.folder(options.out, "-capacity"),
        command=_runs.command(),
        warm_up_s=options.warm_up,
        allow_remote=options.allow_remote,
    )
    with Progress() as progress:
        session = CapacitySession(plan, progress)
        record = session.run()
    _runs.publish(record, plan.out, as_json=options.json)
    return exit_code(record, unfinished=session.unfinished)


def exit_code(record: Run, *, unfinished: bool) -> int:
    """Return the exit code of a finished search."""
    if any(s.load.lost_workers for s in record.scenarios if s.load is not None):
        return 1
    return _runs.exit_code(record) or (_runs.INTERRUPTED if unfinished else 0)


def _plans(options: argparse.Namespace) -> list[SearchPlan]:
    from harness.load.capacity import FIRST_LEVEL, MAX_LEVEL, SearchPlan
    from harness.results.load import CapacityKind

    if options.budget < options.step:
        raise UsageError(f"--budget {options.budget:g}s is shorter than one --step of {options.step:g}s; allow for many steps")
    highest = {**MAX_LEVEL, CapacityKind.USERS: float(options.max_users)}
    kinds = [{"rate": CapacityKind.RATE, "users": CapacityKind.USERS}[name] for name in options.kind]
    longest_s = MAX_STEP_FACTOR * options.step
    return [
        SearchPlan(kind, options.slo, FIRST_LEVEL[kind], highest[kind], options.step, longest_s, options.budget) for kind in kinds
    ]


def _slo(text: str) -> Objective:
    from harness.verdicts import slo

    return slo.parse(text)
