"""Put arms under the same load, in blocks that take turns: response times as many users at once meet them.

SCENARIO is the name of a file in the scenarios folder, a scenario file, or a folder with one. Operations begin when they are due
(the open model), whether or not earlier ones are answered, and response time counts from that moment; with --users each of so many
users asks again once answered (the closed model). A block warms up, is measured, and waits for what is under way; every block plays
the whole plan of arrivals, so a ramp climbs in each.

The run is a folder: run.json, the histograms of every block, report.html. Ctrl-C drains, keeps what was measured and still writes
the report. Only servers on this machine are loaded, unless --allow-remote says otherwise.
"""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from harness.cli import _options, _runs

if TYPE_CHECKING:
    from harness.discovery import LoadedScenario
    from harness.load.protocol import LoadJob
    from harness.results.run import Run

RATE, DURATION, BLOCK, WARM_UP, DRAIN, PROCESSES, MAX_IN_FLIGHT = "50", "30s", "5s", "1s", "10s", "2", "1000"
MAX_USERS, MAX_PROCESSES, MOST_IN_FLIGHT = 10_000, 100, 1_000_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("scenario", metavar="SCENARIO", help="a name, a file or a folder with one scenario")
    model = parser.add_mutually_exclusive_group()
    model.add_argument(
        "--rate",
        metavar="PLAN",
        help=f"operations a second: 200, poisson:200, ramp:10..500, steps:50,100,200, or replay:FILE (default: {RATE})",
    )
    model.add_argument("--users", metavar="N", help="so many users instead, each asking again once answered (the closed model)")
    parser.add_argument("--duration", default=DURATION, metavar="T", help=f"measured time an arm (default: {DURATION})")
    parser.add_argument("--block", metavar="T", help=f"measured time of a block (default: {BLOCK}, or a replay's own length)")
    parser.add_argument(
        "--warm-up", default=WARM_UP, metavar="T", help=f"load before it, not recorded; 0: none (default: {WARM_UP})"
    )
    parser.add_argument("--drain", default=DRAIN, metavar="T", help=f"longest wait for answers after it (default: {DRAIN})")
    parser.add_argument("--processes", default=PROCESSES, metavar="N", help=f"fresh load generators in turn (default: {PROCESSES})")
    parser.add_argument("--arms", metavar="ARM[,ARM]", help="arms that take part (default: all)")
    parser.add_argument(
        "--max-in-flight",
        default=MAX_IN_FLIGHT,
        metavar="N",
        help=f"operations under way at most, others are dropped (default: {MAX_IN_FLIGHT})",
    )
    _runs.one_place(parser, "-load")


def run(options: argparse.Namespace) -> int:
    """Carry out the run; return 0, 1 if the scenario failed or an engine was lost, 3 if it was stopped or tells nothing."""
    from harness.cli._console import Progress  # noqa: PLC0415 - keeps `--help` quick
    from harness.load.session import LoadPlan, LoadSession  # noqa: PLC0415 - keeps `--help` quick
    from harness.results.run import RunSettings  # noqa: PLC0415 - keeps `--help` quick

    duration_s = _options.seconds(options.duration, "--duration")
    users = 0 if options.users is None else _options.whole(options.users, "--users", MAX_USERS)
    job = _job(options, users)
    settings = RunSettings(
        engines=_options.engines(options.engine, only_one=True),
        size=_options.size(options.size),
        seed=_options.seed(options.seed),
        rtts_ms=[_options.rtt_ms(options.rtt)],
        quick=False,
        processes=_options.whole(options.processes, "--processes", MAX_PROCESSES),
        budget_s=duration_s,
    )
    loaded = _options.one_scenario(options.scenario, options.scenarios)
    job = _with_arms(job, loaded, options.arms)
    out = _runs.folder(options.out, "-load")
    cycles = max(1, math.ceil(duration_s / job.block_s - 1e-9))
    plan = LoadPlan(loaded, settings, job, cycles, out, _runs.command(), users, options.allow_remote)
    with Progress() as progress:
        record = LoadSession(plan, progress).run()
    _runs.publish(record, out, as_json=options.json)
    return exit_code(record)


def exit_code(record: Run) -> int:
    """Return what a finished run under load means to a shell."""
    loads = [s.load for s in record.scenarios if s.load is not None]
    if any(load.lost_workers for load in loads):
        return 1
    code = _runs.exit_code(record)
    return _runs.INTERRUPTED if code == 0 and any(load.invalid for load in loads) else code


def _job(options: argparse.Namespace, users: int) -> LoadJob:
    from harness.load import arrivals  # noqa: PLC0415 - keeps `--help` quick
    from harness.load.protocol import LoadJob  # noqa: PLC0415 - keeps `--help` quick
    from harness.results.load import LoadModel  # noqa: PLC0415 - keeps `--help` quick

    rate = options.rate if options.rate is not None else RATE
    own_s = arrivals.parse(rate).own_duration_s
    return LoadJob(
        files=[],
        settings=[],
        block_s=_options.seconds(options.block or BLOCK, "--block") if options.block or own_s is None else own_s,
        warm_up_s=_options.seconds(options.warm_up, "--warm-up", or_none=True),
        drain_s=_options.seconds(options.drain, "--drain", or_none=True),
        model=LoadModel.CLOSED if users else LoadModel.OPEN,
        arrivals=rate,
        in_flight_limit=_options.whole(options.max_in_flight, "--max-in-flight", MOST_IN_FLIGHT),
    )


def _with_arms(job: LoadJob, loaded: LoadedScenario, named: str | None) -> LoadJob:
    import msgspec  # noqa: PLC0415 - keeps `--help` quick

    return job if named is None else msgspec.structs.replace(job, arms=_options.arms(loaded, named))
