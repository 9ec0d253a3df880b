"""Find the highest load at which each arm meets an SLO.

SCENARIO is a name in the scenarios directory, a scenario file, or a directory with one. Capacity is found as operations per second
(random arrivals, the open model: 98 % of the offered operations must complete in time) and as concurrent users (the closed model).
A level runs for a few seconds. Levels double until one fails; then the search narrows down to the highest sustained level, to 10
%, and repeats both ends. Arms alternate step by step.

An SLO limits response times and errors: "p95 < 150ms", "p99 < 1s, errors < 0.1%", "mean < 20ms, max < 2s". Without a limit for
errors, 1 % of the operations may fail. The exit code is 1 if an arm sustains no level because its operations fail. The run is
written to a folder: run.json and report.html. Ctrl-C keeps what was found. Every step is stored when it ends, so that
`harness capacity --resume RUN` completes a search that was interrupted or killed, if the commit, the files, the data and the
options are the same.
"""

import argparse

from harness import options as converters
from harness.cli import _options, _runs
from harness.errors import UsageError
from harness.results.load import CapacityKind

NAME = "capacity"
KINDS = [kind.name.lower() for kind in CapacityKind]
MAX_USERS = 10_000
MAX_STEP_FACTOR = 10
"""The longest a step may take, as a multiple of --step, if it has completed too few operations."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    help_ = "name, file or directory of one scenario"
    parser.add_argument("scenario", nargs="?", metavar="SCENARIO", type=converters.place, help=help_)
    parser.add_argument("--slo", metavar="SLO", help='limits to meet, such as "p95 < 150ms, errors < 0.1%%"')
    kinds = converters.names_of("kind of capacity", lambda: KINDS)
    _options.value(parser, "--kind KIND[,KIND]", kinds, f"{', '.join(KINDS)} (default: both)", ",".join(KINDS))
    _options.value(parser, "--arms ARM[,ARM]", converters.names, "arms to search (default: all)")
    _options.value(parser, "--step DURATION", converters.duration, "minimum measured time per step", "3s")
    _options.value(parser, "--warm-up DURATION", converters.duration_or_zero, "unrecorded load before each step", "1s")
    _options.value(parser, "--budget DURATION", converters.duration, "time per arm and kind", "120s")
    _options.value(parser, "--max-users LIMIT", converters.count(MAX_USERS), "highest number of users to try", "2000")
    _options.timeout(parser)
    _runs.under_load(parser, "-capacity")
    _runs.resumable(parser)
    _options.everything(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the searches; return 0, 1 if the scenario failed, 3 if interrupted or out of time before there was a result."""
    from harness.cli._console import Progress, print_message, warn_of_removed_settings
    from harness.load.capacity import FIRST_LEVEL, MAX_LEVEL, SearchPlan
    from harness.load.session import CapacityPlan, CapacitySession
    from harness.verdicts import slo

    if options.resume is not None and (code := _runs.resume(options, NAME, arguments)) is not None:
        return code
    if missing := [form for form, value in (("SCENARIO", options.scenario), ("--slo SLO", options.slo)) if value is None]:
        raise UsageError(f"{' and '.join(missing)}: missing; name what to search, or --resume RUN")
    if options.budget < options.step:
        raise UsageError(f"--budget {options.budget:g}s is shorter than one --step of {options.step:g}s; allow for many steps")
    objective, step_s, longest_s = slo.parse(options.slo), options.step, MAX_STEP_FACTOR * options.step
    highest = {**MAX_LEVEL, CapacityKind.USERS: float(options.max_users)}
    kinds = [CapacityKind[name.upper()] for name in options.kind]
    loaded = _options.load_one(options.scenario, options.scenarios, options.timeout)
    out = options.resume or _runs.folder(options.out, "-capacity")
    unfinished = _runs.under_load_of(options, NAME, out, loaded, _runs.command())
    plan = CapacityPlan(
        loaded=loaded,
        settings=_runs.load_settings(options, processes=1, budget_s=options.budget),
        plans=[SearchPlan(kind, objective, FIRST_LEVEL[kind], highest[kind], step_s, longest_s, options.budget) for kind in kinds],
        arms=_options.known_arms(loaded, options.arms),
        out=out,
        command=unfinished.request.command,
        warm_up_s=options.warm_up,
        timeout_s=options.timeout,
        unfinished=unfinished,
        started_at=options.begun.started_at if options.resume and options.begun else "",
    )
    warn_of_removed_settings()
    with Progress() as progress:
        session = CapacitySession(plan, progress)
        record = session.run()
    _runs.publish(record, plan.out, options, in_full=options.all)
    if record.interrupted:
        print_message(_runs.go_on(NAME, out))
    return _runs.exit_code(record, unfinished=session.unfinished)
