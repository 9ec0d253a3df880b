"""Turn a scenario's switches on one by one and off one by one: which optimisation brings how much, alone and last.

SCENARIO is the name of a file in the scenarios folder, a scenario file, or a folder with one; it has to have switches (see
harness.scenario.Scenario). Without a name it is the one scenario in the folder that has. Its arms are then: all switches off, each
alone, all on, all but each; they are compared, timed in pairs and controlled as in `harness run`, in the groups that users load.

Every arm's instance is open at once in a process, 2 n + 3 of them for n switches, the A/A control's included: that many times the
memory and the connections of one. Ctrl-C keeps what was measured and still writes the report.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from harness.cli import _options, _runs
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.discovery import LoadedScenario

BUDGET_S, BUDGET_QUICK_S = 120.0, 20.0
"""More than a run gives a scenario: a pair has several times as many arms."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    help_ = "a name, a file or a folder (default: the one scenario with switches)"
    parser.add_argument("scenario", nargs="?", metavar="SCENARIO", help=help_)
    _runs.arguments(parser, f"seconds for timing pairs (default: {BUDGET_S:g})")


def run(options: argparse.Namespace) -> int:
    """Carry out the ablation and return 0, 1 if the scenario failed, or 3 if it was stopped."""
    from harness.bench.switches import ablated  # noqa: PLC0415 - keeps `--help` quick

    settings = _runs.settings(options, BUDGET_S, BUDGET_QUICK_S)
    found = _options.scenarios([options.scenario or "all"], options.scenarios)
    return _runs.carry_out([ablated(_the_one(found))], settings, options)


def _the_one(found: list[LoadedScenario]) -> LoadedScenario:
    """Return the one scenario to ablate. A single one is returned whatever it has: what it lacks is said of it by name."""
    able = found if len(found) == 1 else [loaded for loaded in found if loaded.scenario.switches]
    if not able:
        raise UsageError("none of these scenarios has switches to ablate; give one `switches` and `open_switched`")
    if len(able) > 1:
        raise UsageError(f"several scenarios have switches; name one of them: {', '.join(loaded.name for loaded in able)}")
    return able[0]
