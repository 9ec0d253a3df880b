"""Load-test all arms with the same schedule, interleaved in blocks.

TARGET is a scenario: a name in the scenarios directory, a scenario file, or a directory with one. Or it is servers that run
already: URLs, each one an arm; a file of requests, a HAR file or an OpenAPI document, and then the URLs of the servers that get
them; or a locustfile, and then the URLs in place of its hosts.

By default operations start on schedule, whether or not earlier ones have completed, and response time counts from the scheduled
start (the open model). With --users, each user starts its next operation when the last one has completed (the closed model). A
block has a warm-up, a measured phase and a drain; every block replays the whole schedule, so a ramp rises in each.

The exit code is 1 if more operations of an arm fail than --errors tolerates, whatever their times: failed operations are not fast
answers. It is 3 if an arm does not sustain the load: operations were dropped, were unfinished, or fell behind the schedule.

The run is written to a folder: run.json, the histograms of every block and report.html. Ctrl-C drains, keeps what was measured and
still writes the report. Every block is stored when it ends, so that `harness load --resume RUN` completes a run that was
interrupted or killed, if the commit, the files, the data and the options are the same. Only servers on this machine are loaded,
unless --allow-remote is given.
"""

import argparse
import math
from dataclasses import replace

from harness import options as converters
from harness.cli import _options, _runs, _targets
from harness.errors import UsageError

NAME = "load"
RATE, BLOCK_S = "50", 5.0
MAX_USERS, MAX_PROCESSES, MAX_IN_FLIGHT = 10_000, 100, 1_000_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    model = parser.add_mutually_exclusive_group()
    rate = "operations per second: 200, poisson:200, ramp:10..500, steps:50,100,200 or replay:FILE"
    _options.value(model, "--rate SCHEDULE", str, f"{rate} (default: {RATE})")
    _options.value(model, "--users COUNT", converters.count(MAX_USERS), "number of concurrent users (closed model)")
    _options.value(parser, "--duration DURATION", converters.duration, "measured time per arm", "30s")
    block = f"measured time per block (default: {BLOCK_S:g}s, or the length of a replay)"
    _options.value(parser, "--block DURATION", converters.duration, block)
    warm_up = "unrecorded load before the measured phase; 0 for none"
    _options.value(parser, "--warm-up DURATION", converters.duration_or_zero, warm_up, "1s")
    _options.value(parser, "--drain TIMEOUT", converters.duration_or_zero, "drain timeout after the measured phase", "10s")
    processes = "fresh load generator processes, one after another"
    _options.value(parser, "--processes COUNT", converters.count(MAX_PROCESSES), processes, "2")
    _options.value(parser, "--arms ARM[,ARM]", converters.names, "arms to load (default: all)")
    limit = "limit of in-flight operations; further arrivals are dropped"
    _options.value(parser, "--max-in-flight LIMIT", converters.count(MAX_IN_FLIGHT), limit, "1000")
    _options.timeout(parser)
    _options.errors(parser)
    _targets.arguments(parser)
    _runs.under_load(parser, "-load")
    _runs.resumable(parser)
    _options.everything(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the run; return 0, 1 if an arm or the scenario failed or a worker crashed, 3 if interrupted or inconclusive."""
    from harness.cli._console import Progress, print_message, warn_of_removed_settings
    from harness.load import arrivals
    from harness.load.protocol import LoadJob
    from harness.load.session import LoadPlan, LoadSession
    from harness.results.load import LoadModel

    if options.resume is not None and (code := _runs.resume(options, NAME, arguments)) is not None:
        return code
    if not options.target:
        raise UsageError("name a scenario, URLs, a file of requests or a locustfile; or --resume RUN")
    rate = RATE if options.rate is None else options.rate
    block_s = options.block or arrivals.parse(rate).own_duration_s or BLOCK_S
    out = options.resume or _runs.folder(options.out, "-load")
    cycles = max(1, math.ceil(options.duration / block_s - 1e-9))
    settings = _runs.load_settings(options, processes=options.processes, budget_s=options.duration)
    with _targets.opened(options) as target:
        job = LoadJob(
            files=[],
            settings=[],
            arms=options.arms and _options.known_arms(target.loaded, options.arms),
            verified_cases=target.verified_cases,
            block_s=block_s,
            warm_up_s=options.warm_up,
            drain_s=options.drain,
            model=LoadModel.CLOSED if options.users else LoadModel.OPEN,
            arrivals=rate,
            in_flight_limit=options.max_in_flight,
            timeout_s=options.timeout,
            error_tolerance=options.errors,
        )
        settings = replace(settings, engines=target.engines or settings.engines)
        unfinished = _runs.under_load_of(options, NAME, out, target.loaded, target.command, target.requests)
        began, command = options.begun.started_at if options.resume and options.begun else "", unfinished.request.command
        plan = LoadPlan(target.loaded, settings, job, cycles, out, command, options.users or 0, unfinished, began)
        warn_of_removed_settings()
        with Progress() as progress:
            record = LoadSession(plan, progress).run()
    _runs.publish(record, out, options, in_full=options.all)
    if record.interrupted:
        print_message(_runs.go_on(NAME, out))
    return _runs.exit_code(record)
