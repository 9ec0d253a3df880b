"""The options of the pytest adapter, and what is refused before anything is collected."""

from __future__ import annotations

import argparse
import math

import pytest

SIZES = ("tiny", "small", "medium", "large")
SIZE, BUDGET_S, PROCESSES = "tiny", 20.0, 3
MEASURING = ("only", "compare", "autosave", "save", "save_data", "json", "histogram")
"""pytest-benchmark's options by which a person asks for times."""

FAIL = "--harness-compare-fail"


def add(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("harness", "scenarios on trial")
    group.addoption("--harness-size", default=SIZE, metavar="SIZE", help=f"size of the data (default: {SIZE})")
    group.addoption("--harness-engine", default="sqlite", metavar="ENGINE", help="database engine (default: sqlite)")
    group.addoption("--harness-rtt", default=0.0, type=float, metavar="MS", help="round-trip time to servers, in ms (default: 0)")
    group.addoption("--harness-seed", default=0, type=int, metavar="N", help="seed of data, cases and order (default: 0)")
    group.addoption(
        "--harness-budget", default=BUDGET_S, type=float, metavar="S", help=f"seconds for timing pairs (default: {BUDGET_S:g})"
    )
    group.addoption(
        "--harness-processes",
        default=PROCESSES,
        type=int,
        metavar="N",
        help=f"fresh processes an arm is timed in (default: {PROCESSES})",
    )
    group.addoption(
        FAIL,
        default=None,
        type=share,
        metavar="N%",
        help="with --benchmark-compare: fail a scenario's item whose exact work regressed, or whose paired ratio is smaller than "
        "the saved one by more than this, intervals included, unless a run's A/A control is as wide; saved ratios "
        "drift: try 25%% and more",
    )
    parser.addini("harness_scenarios", "folder of scenario files, relative to the root", default="")


def share(text: str) -> float:
    """Return `25%` as 0.25.

    Raises:
        argparse.ArgumentTypeError: it is no percentage from 0 up.
    """
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        percent = math.nan
    if not (text.endswith("%") and math.isfinite(percent) and percent >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no percentage from 0 up; write, for example, 25%")
    return percent / 100


def check(config: pytest.Config) -> None:
    """Refuse what can only mislead.

    Raises:
        pytest.UsageError: an unknown size, times wanted from parallel workers, or a gate without anything to compare with.
    """
    if config.getoption("harness_size") not in SIZES:
        raise pytest.UsageError(f"no size named {config.getoption('harness_size')!r}; known: {', '.join(SIZES)}")
    if has_scenarios(config) and is_measuring(config) and config.getoption("dist", default="no") != "no":
        raise pytest.UsageError(
            "times are wanted (--benchmark-…) and pytest-xdist runs tests in parallel (-n, --dist), which would disturb them, so "
            "that pytest-benchmark would measure nothing; run this with -n 0"
        )
    if fail_beyond(config) is None:
        return
    if not has_scenarios(config):
        raise pytest.UsageError(f"{FAIL} gates scenarios, and there are none: the ini option harness_scenarios names no folder")
    if not is_measuring(config) or not config.getoption("benchmark_compare", default=None):
        raise pytest.UsageError(f"{FAIL} needs a saved run to compare with: add --benchmark-compare, and no --benchmark-disable")


def has_scenarios(config: pytest.Config) -> bool:
    """Whether the project has scenarios, and so wants its comparisons guarded."""
    return bool(config.getini("harness_scenarios"))


def is_measuring(config: pytest.Config) -> bool:
    """Whether pytest was asked for times."""
    if config.getoption("benchmark_disable", default=False) and not config.getoption("benchmark_enable", default=False):
        return False
    return any(config.getoption(f"benchmark_{name}", default=None) for name in MEASURING)


def fail_beyond(config: pytest.Config) -> float | None:
    """Return by which share a paired ratio may become smaller, None where nothing is gated."""
    limit: float | None = config.getoption("harness_compare_fail")
    return limit
