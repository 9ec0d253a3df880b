"""The plugin's command-line options, checked before anything is collected."""

import pytest

from harness import options as converters

SIZE, BUDGET_S, PROCESSES = "tiny", 20.0, 3
MEASURING = ("only", "compare", "autosave", "save", "save_data", "json", "histogram")
"""pytest-benchmark's options that request times."""

FAIL = "--harness-compare-fail"

share = converters.percent(zero=True, example="25%")
"""Converts the limit of `FAIL`, such as 25%, to a share."""


def add(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("harness", "performance scenarios")
    group.addoption(
        "--harness-size", default=SIZE, type=converters.size, metavar="SIZE", help=f"size of the dataset (default: {SIZE})"
    )
    group.addoption(
        "--harness-engine", default="sqlite", type=converters.engine, metavar="ENGINE", help="database engine (default: sqlite)"
    )
    group.addoption(
        "--harness-rtt", default=0.0, type=converters.rtt_ms, metavar="MS", help="round-trip time to servers, in ms (default: 0)"
    )
    group.addoption(
        "--harness-seed",
        default=0,
        type=converters.seed,
        metavar="SEED",
        help="seed of the data, the cases and the order (default: 0)",
    )
    group.addoption(
        "--harness-budget",
        default=BUDGET_S,
        type=converters.duration,
        metavar="DURATION",
        help=f"time for timing pairs (default: {BUDGET_S:g}s)",
    )
    group.addoption(
        "--harness-processes",
        default=PROCESSES,
        type=converters.count(),
        metavar="COUNT",
        help=f"fresh processes per arm (default: {PROCESSES})",
    )
    group.addoption(
        FAIL,
        default=None,
        type=share,
        metavar="PERCENT",
        help="with --benchmark-compare: fail a scenario's item if a work count regressed, or if its paired ratio fell below the "
        "saved one by more than this, intervals included, unless a run's A/A control is as noisy; saved ratios drift, so use 25%% "
        "or more",
    )
    parser.addini("harness_scenarios", "folder of scenario files, relative to the root directory", default="")


def check(config: pytest.Config) -> None:
    """Refuse options that can only mislead.

    Raises:
        pytest.UsageError: times requested from parallel workers, or a gate without a run to compare with.
    """
    if has_scenarios(config) and is_measuring(config) and config.getoption("dist", default="no") != "no":
        raise pytest.UsageError(
            "times are requested (--benchmark-…), but pytest-xdist runs tests in parallel (-n, --dist), which would disturb them, "
            "so pytest-benchmark would measure nothing; run this with -n 0"
        )
    if fail_beyond(config) is None:
        return
    if not has_scenarios(config):
        raise pytest.UsageError(f"{FAIL} gates scenarios, but there are none; set the ini option harness_scenarios to their folder")
    if not is_measuring(config) or not config.getoption("benchmark_compare", default=None):
        raise pytest.UsageError(f"{FAIL} needs a saved run to compare with: add --benchmark-compare, and no --benchmark-disable")


def has_scenarios(config: pytest.Config) -> bool:
    """Return whether the project has scenarios, so that its comparisons are guarded."""
    return bool(config.getini("harness_scenarios"))


def is_measuring(config: pytest.Config) -> bool:
    """Return whether pytest-benchmark's options request times."""
    if config.getoption("benchmark_disable", default=False) and not config.getoption("benchmark_enable", default=False):
        return False
    return any(config.getoption(f"benchmark_{name}", default=None) for name in MEASURING)


def fail_beyond(config: pytest.Config) -> float | None:
    """Return the share by which a paired ratio may become smaller, None without a gate."""
    limit: float | None = config.getoption("harness_compare_fail")
    return limit
