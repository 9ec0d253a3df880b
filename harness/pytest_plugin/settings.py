"""The settings of a session whose project requests the plugin: `[tool.harness]`, overridden by options of the command line."""

from pathlib import Path

import pytest

from harness.configuration import configuration
from harness.errors import HarnessError
from harness.pytest_plugin.options import BUDGET_S, FAIL, SIZE

FOLDER = pytest.StashKey[Path | None]()
"""The folder of scenario files."""
MEASURING = ("only", "compare", "autosave", "save", "save_data", "json", "histogram")
"""pytest-benchmark's options that request times."""


def configure(config: pytest.Config) -> None:
    """Give the options that are not on the command line their value in `[tool.harness]`, or else the default."""
    given = config.option
    try:
        project = configuration(config.rootpath)
        configured = project.folder("scenarios")
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error
    folder = configured if given.harness_scenarios is None else config.invocation_params.dir / given.harness_scenarios
    if folder is not None and not folder.is_dir():
        raise pytest.UsageError(f"--harness-scenarios {given.harness_scenarios}: {folder} is not a folder; correct it")
    config.stash[FOLDER] = folder and folder.resolve()
    given.harness_engine = given.harness_engine or project.engine
    given.harness_size = given.harness_size or project.size or SIZE
    given.harness_budget = given.harness_budget or project.budget or BUDGET_S


def check(config: pytest.Config) -> None:
    """Raise UsageError for options that can only mislead, such as a gate without a run to compare with."""
    folder = has_scenarios(config)
    named = config.getoption("benchmark_compare", default=None)
    if folder and isinstance(named, str) and (Path(named).is_dir() or Path(named.partition("::")[0]).suffix == ".py"):
        raise pytest.UsageError(
            f"--benchmark-compare took {named!r} as the saved run to compare with; write the path before it: "
            f"pytest {named} --benchmark-compare"
        )
    if has_scenarios(config) and is_measuring(config) and config.getoption("dist", default="no") != "no":
        raise pytest.UsageError(
            "times are requested (--benchmark-…), but pytest-xdist runs tests in parallel (-n, --dist), which would disturb them, "
            "so pytest-benchmark would measure nothing; run this with -n 0"
        )
    if fail_beyond(config) is None:
        return
    if not has_scenarios(config):
        raise pytest.UsageError(f"{FAIL} gates scenarios, but there are none; set `scenarios` in [tool.harness] to their folder")
    if not is_measuring(config) or not config.getoption("benchmark_compare", default=None):
        raise pytest.UsageError(f"{FAIL} needs a saved run to compare with: add --benchmark-compare, and no --benchmark-disable")


def has_scenarios(config: pytest.Config) -> bool:
    """Return whether the project has scenarios, so that its comparisons are guarded."""
    return config.stash[FOLDER] is not None


def is_measuring(config: pytest.Config) -> bool:
    """Return whether pytest-benchmark's options request times."""
    if config.getoption("benchmark_disable", default=False) and not config.getoption("benchmark_enable", default=False):
        return False
    return any(config.getoption(f"benchmark_{name}", default=None) for name in MEASURING)


def fail_beyond(config: pytest.Config) -> float | None:
    """Return the share by which a paired ratio may become smaller, None without a gate."""
    limit: float | None = config.getoption("harness_compare_fail")
    return limit
