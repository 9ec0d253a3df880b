"""Load-test all arms with the same schedule, interleaved in blocks.

SCENARIO is a name in the scenarios directory, a scenario file, or a directory with one. By default operations start on schedule,
whether or not earlier ones have completed, and response time counts from the scheduled start (the open model). With --users, each
user starts its next operation when the last one has completed (the closed model). A block has a warm-up, a measured phase and a
drain; every block replays the whole schedule, so a ramp rises in each.

The run is written to a folder: run.json, the histograms of every block and report.html. Ctrl-C drains, keeps what was measured and
still writes the report. Only servers on this machine are loaded, unless --allow-remote is given.
"""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from harness import options as converters
from harness.cli import _options, _runs

if TYPE_CHECKING:
    from harness.load.protocol import LoadJob
    from harness.results.run import Run

RATE, BLOCK_S = "50", 5.0
MAX_USERS, MAX_PROCESSES, MAX_IN_FLIGHT = 10_000, 100, 1_000_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("scenario", metavar="SCENARIO", help="name, file or directory of one scenario")
    model = parser.add_mutually_exclusive_group()
    model.add_argument(
        "--rate",
        metavar="SCHEDULE",
        help=f"operations per second: 200, poisson:200, ramp:10..500, steps:50,100,200 or replay:FILE (default: {RATE})",
    )
    model.add_argument(
        "--users",
        default=0,
        type=converters.count(MAX_USERS),
        metavar="COUNT",
        help="number of concurrent users (closed model)",
    )
    parser.add_argument(
        "--duration", default=30.0, type=converters.duration, metavar="DURATION", help="measured time per arm (default: 30s)"
    )
    parser.add_argument(
        "--block",
        type=converters.duration,
        metavar="DURATION",
        help=f"measured time per block (default: {BLOCK_S:g}s, or the length of a replay)",
    )
    parser.add_argument(
        "--warm-up",
        default=1.0,
        type=converters.duration_or_zero,
        metavar="DURATION",
        help="unrecorded load before the measured phase; 0 for none (default: 1s)",
    )
    parser.add_argument(
        "--drain",
        default=10.0,
        type=converters.duration_or_zero,
        metavar="TIMEOUT",
        help="drain timeout after the measured phase (default: 10s)",
    )
    parser.add_argument(
        "--processes",
        default=2,
        type=converters.count(MAX_PROCESSES),
        metavar="COUNT",
        help="fresh load generator processes, one after another (default: 2)",
    )
    _options.arms(parser, "load")
    parser.add_argument(
        "--max-in-flight",
        default=1_000,
        type=converters.count(MAX_IN_FLIGHT),
        metavar="LIMIT",
        help="limit of in-flight operations; further arrivals are dropped (default: 1000)",
    )
    _runs.under_load(parser, "-load")


def run(options: argparse.Namespace) -> int:
    """Carry out the run; return 0, 1 if the scenario failed or a worker crashed, 3 if it was interrupted or is inconclusive."""
    from harness.cli._console import Progress
    from harness.load.session import LoadPlan, LoadSession

    job = _job(options)
    settings = _runs.load_settings(options, options.processes, options.duration)
    loaded = _options.load_one(options.scenario, options.scenarios)
    if options.arms is not None:
        job = _with_arms(job, _options.known_arms(loaded, options.arms))
    out = _runs.folder(options.out, "-load")
    cycles = max(1, math.ceil(options.duration / job.block_s - 1e-9))
    plan = LoadPlan(loaded, settings, job, cycles, out, _runs.command(), options.users, options.allow_remote)
    with Progress() as progress:
        record = LoadSession(plan, progress).run()
    _runs.publish(record, out, as_json=options.json)
    return exit_code(record)


def exit_code(record: Run) -> int:
    """Return the exit code of a finished run under load."""
    loads = [s.load for s in record.scenarios if s.load is not None]
    if any(load.lost_workers for load in loads):
        return 1
    code = _runs.exit_code(record)
    return _runs.INTERRUPTED if code == 0 and any(load.invalid for load in loads) else code


def _job(options: argparse.Namespace) -> LoadJob:
    from harness.load import arrivals
    from harness.load.protocol import LoadJob
    from harness.results.load import LoadModel

    rate = options.rate or RATE
    replayed_s = arrivals.parse(rate).own_duration_s
    return LoadJob(
        files=[],
        settings=[],
        block_s=options.block or replayed_s or BLOCK_S,
        warm_up_s=options.warm_up,
        drain_s=options.drain,
        model=LoadModel.CLOSED if options.users else LoadModel.OPEN,
        arrivals=rate,
        in_flight_limit=options.max_in_flight,
    )


def _with_arms(job: LoadJob, arms: list[str]) -> LoadJob:
    import msgspec

    return msgspec.structs.replace(job, arms=arms)
