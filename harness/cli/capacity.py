"""Search the most load at which each arm holds an objective, in operations a second and in users at once.

SCENARIO is the name of a file in the scenarios folder, a scenario file, or a folder with one. A level is tried for a few seconds;
levels double until one fails, then the search closes in on the highest that holds, to a tenth, and tries both ends again. Arms take
turns step by step. Rates are offered at random moments (the open model: response time counts from when an operation was due, and
98 % of what is offered has to be answered); users ask again once answered (the closed model).

An objective bounds response times and errors: "p95 < 150ms", "p99 < 1s, errors < 0.1%", "mean < 20ms, max < 2s". At most 1 % of the
operations may fail where it does not say. The run is a folder: run.json and report.html. Ctrl-C keeps what was found.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from harness.cli import _options, _runs
from harness.errors import UsageError
from harness.results.load import CapacityKind

if TYPE_CHECKING:
    from harness.load.capacity import SearchPlan
    from harness.results.run import Run

KINDS = ("rate", "users")
STEP, BUDGET, WARM_UP, MAX_USERS = "3s", "120s", "1s", "2000"
MOST_USERS = 10_000
LONGEST_STEPS = 10
"""How many times as long as asked a step may take where it has seen too little."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("scenario", metavar="SCENARIO", help="a name, a file or a folder with one scenario")
    parser.add_argument("--slo", required=True, metavar="OBJECTIVE", help='what has to hold, such as "p95 < 150ms, errors < 0.1%%"')
    parser.add_argument("--kind", default=",".join(KINDS), metavar="KIND[,KIND]", help="rate, users (default: both)")
    parser.add_argument("--arms", metavar="ARM[,ARM]", help="arms that are searched (default: all)")
    parser.add_argument("--step", default=STEP, metavar="T", help=f"measured time of a step, or more (default: {STEP})")
    parser.add_argument("--warm-up", default=WARM_UP, metavar="T", help=f"load before it, not recorded (default: {WARM_UP})")
    parser.add_argument("--budget", default=BUDGET, metavar="T", help=f"time for each arm and kind (default: {BUDGET})")
    parser.add_argument("--max-users", default=MAX_USERS, metavar="N", help=f"most users that are tried (default: {MAX_USERS})")
    _runs.one_place(parser, "-capacity")


def run(options: argparse.Namespace) -> int:
    """Carry the searches out; return 0, 1 if the scenario failed, 3 if stopped or out of time before there was an answer."""
    from harness.cli._console import Progress  # noqa: PLC0415 - keeps `--help` quick
    from harness.load.capacity_run import CapacityPlan, CapacitySession  # noqa: PLC0415 - keeps `--help` quick
    from harness.results.run import RunSettings  # noqa: PLC0415 - keeps `--help` quick

    plans = _plans(options)
    settings = RunSettings(
        engines=_options.engines(options.engine, only_one=True),
        size=_options.size(options.size),
        seed=_options.seed(options.seed),
        rtts_ms=[_options.rtt_ms(options.rtt)],
        quick=False,
        processes=1,
        budget_s=plans[0].budget_s,
    )
    warm_up_s = _options.seconds(options.warm_up, "--warm-up", or_none=True)
    loaded = _options.one_scenario(options.scenario, options.scenarios)
    plan = CapacityPlan(
        loaded=loaded,
        settings=settings,
        plans=plans,
        arms=_options.arms(loaded, options.arms),
        out=_runs.folder(options.out, "-capacity"),
        command=_runs.command(),
        warm_up_s=warm_up_s,
        allow_remote=options.allow_remote,
    )
    with Progress() as progress:
        session = CapacitySession(plan, progress)
        record = session.run()
    _runs.publish(record, plan.out, as_json=options.json)
    return exit_code(record, unfinished=session.unfinished)


def exit_code(record: Run, *, unfinished: bool) -> int:
    """Return what a finished search means to a shell."""
    if any(s.load.lost_workers for s in record.scenarios if s.load is not None):
        return 1
    return _runs.exit_code(record) or (_runs.INTERRUPTED if unfinished else 0)


def _plans(options: argparse.Namespace) -> list[SearchPlan]:
    from harness.load.capacity import FIRST_LEVEL, MAX_LEVEL, SearchPlan  # noqa: PLC0415 - keeps `--help` quick
    from harness.verdicts import slo  # noqa: PLC0415 - keeps `--help` quick

    objective = slo.parse(options.slo)
    step_s, budget_s = _options.seconds(options.step, "--step"), _options.seconds(options.budget, "--budget")
    if budget_s < step_s:
        raise UsageError(f"--budget {options.budget!r} is less than one --step of {options.step}; give it many of them")
    max_level = {**MAX_LEVEL, CapacityKind.USERS: float(_options.whole(options.max_users, "--max-users", MOST_USERS))}
    kinds = [{"rate": CapacityKind.RATE, "users": CapacityKind.USERS}[name] for name in _kinds(options.kind)]
    return [
        SearchPlan(kind, objective, FIRST_LEVEL[kind], max_level[kind], step_s, LONGEST_STEPS * step_s, budget_s) for kind in kinds
    ]


def _kinds(text: str) -> list[str]:
    named = list(dict.fromkeys(text.split(",")))
    unknown = [name for name in named if name not in KINDS]
    if unknown:
        raise UsageError(f"--kind {unknown[0]!r} is no kind of capacity; known: {', '.join(KINDS)}")
    return named
