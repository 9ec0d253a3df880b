"""Put performance advice to the test: `from harness import …` has every name that a scenario needs.

Names are loaded when they are first used, so that `import harness` costs next to nothing.

Example:
    from harness import Case, Group, Promise, Scenario, speedup, times
"""

import importlib
import sys

TYPE_CHECKING = False  # as in typing, which takes a while to import

if TYPE_CHECKING:
    from harness.databases.drawn_counts import per
    from harness.errors import HarnessError, NotComparableError, NotMeasurableError, ScenarioFailedError, UsageError
    from harness.functions import FunctionScenario
    from harness.results.load import CapacityKind
    from harness.results.loaded import LoadedRun, load_run
    from harness.results.run import BASELINE, Run, ScenarioResult, Statement
    from harness.scenario import Arm, Case, Group, LoadTest, Prepared, Probe, Scenario, Server, Setting, demonstrates
    from harness.services import HttpScenario, Request, ServiceClient, served
    from harness.sql import SqlInstance, SqlScenario, SyncSqlInstance
    from harness.verdicts.capacity import times_the_capacity
    from harness.verdicts.measures import (
        WORK,
        combine,
        count,
        exact_figure,
        fewer,
        fewer_of,
        fewer_times,
        growth,
        latency,
        less_time,
        memory_cut,
        plan_share,
        share_of,
        shown,
        slowdown,
        speedup,
        survives,
        times_as_long,
        verified,
    )
    from harness.verdicts.promise import Claim, Estimate, Measure, Promise, at_least, at_most, cut, measured, times, works
    from harness.verdicts.under_load import response_time, speedup_under_load

_HOMES = {
    "harness.databases.drawn_counts": "per",
    "harness.errors": "HarnessError NotComparableError NotMeasurableError ScenarioFailedError UsageError",
    "harness.functions": "FunctionScenario",
    "harness.results.load": "CapacityKind",
    "harness.results.loaded": "LoadedRun load_run",
    "harness.results.run": "BASELINE Run ScenarioResult Statement",
    "harness.scenario": "Arm Case Group LoadTest Prepared Probe Scenario Server Setting demonstrates",
    "harness.services": "HttpScenario Request ServiceClient served",
    "harness.sql": "SqlInstance SqlScenario SyncSqlInstance",
    "harness.verdicts.capacity": "times_the_capacity",
    "harness.verdicts.measures": "WORK combine count exact_figure fewer fewer_of fewer_times growth latency less_time "
    "memory_cut plan_share share_of shown slowdown speedup survives times_as_long verified",
    "harness.verdicts.promise": "Claim Estimate Measure Promise at_least at_most cut measured times works",
    "harness.verdicts.under_load": "response_time speedup_under_load",
}
"""Module → the names that are loaded from it."""

# Written out for type checkers: what is not in it, they do not let others import from here.
__all__ = [
    "BASELINE",
    "WORK",
    "Arm",
    "CapacityKind",
    "Case",
    "Claim",
    "Estimate",
    "FunctionScenario",
    "Group",
    "HarnessError",
    "HttpScenario",
    "LoadTest",
    "LoadedRun",
    "Measure",
    "NotComparableError",
    "NotMeasurableError",
    "Prepared",
    "Probe",
    "Promise",
    "Request",
    "Run",
    "Scenario",
    "ScenarioFailedError",
    "ScenarioResult",
    "Server",
    "ServiceClient",
    "Setting",
    "SqlInstance",
    "SqlScenario",
    "Statement",
    "SyncSqlInstance",
    "UsageError",
    "at_least",
    "at_most",
    "combine",
    "count",
    "cut",
    "demonstrates",
    "exact_figure",
    "fewer",
    "fewer_of",
    "fewer_times",
    "growth",
    "latency",
    "less_time",
    "load_run",
    "measured",
    "memory_cut",
    "per",
    "plan_share",
    "response_time",
    "served",
    "share_of",
    "shown",
    "slowdown",
    "speedup",
    "speedup_under_load",
    "survives",
    "times",
    "times_as_long",
    "times_the_capacity",
    "verified",
    "works",
]

_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})


def _watch_locust() -> None:
    if "locust.main" in sys.modules:  # this process is Locust's
        discovery = importlib.import_module("harness.discovery")
        discovery.watch_locust(sys.modules["locust.main"])
        sys.modules["locust"].events.init_command_line_parser.add_listener(discovery.require_users)


_watch_locust()
