"""Measure the contribution of each switch (ablation).

Each switch is measured added first, to the baseline, and removed last, from all switches together. SCENARIO is a name in the
scenarios directory, a scenario file, or a directory with one; it must declare switches (see harness.Scenario). Its arms are: all
switches off, each switch alone, all switches on, and all but each. They are verified, timed in pairs and controlled as in `harness
run`.

One process keeps an instance per arm open: 2 n + 3 instances for n switches, including the A/A control. Memory and connections are
multiplied accordingly. Ctrl-C keeps what was measured and still writes the report.
"""

import argparse

from harness import options as converters
from harness.cli import _options, _runs
from harness.errors import UsageError

BUDGET = _runs.Budget(processes=5, each=0, at_least=150, each_quick=0, at_least_quick=30)
"""More than `harness run` gives a scenario: a pair has several times as many arms."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    help_ = "name, file or directory of a scenario (default: the only one with switches)"
    parser.add_argument("scenario", nargs="?", metavar="SCENARIO", type=converters.place, default="all", help=help_)
    _runs.arguments(parser, BUDGET)
    _options.everything(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the ablation and return 0, 1 if the scenario failed, or 3 if it was interrupted."""
    from harness.bench.switches import ablated

    found = _options.load([options.scenario], options.scenarios, options.timeout)
    able = [loaded for loaded in found if loaded.scenario.switches or len(found) == 1]  # `ablated` refuses a single one by name
    if not able:
        raise UsageError("no scenario here declares switches; add `switches` and `open_switched` to one")
    if len(able) > 1:
        raise UsageError(f"several scenarios declare switches; choose one: {', '.join(loaded.name for loaded in able)}")
    return _runs.carry_out([ablated(able[0])], options, BUDGET, memory=False)
