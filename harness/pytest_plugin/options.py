"""The plugin's command-line options, and whether a project requests the plugin.

pytest imports this module in every project, so it imports nothing else of the harness before an option is given.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

SIZE, BUDGET_S, PROCESSES = "tiny", 20.0, 3
TIMEOUT_S = 60.0
MEASURING = ("only", "compare", "autosave", "save", "save_data", "json", "histogram")
"""pytest-benchmark's options that request times."""
FAIL = "--harness-compare-fail"
FOLDER = pytest.StashKey[Path | None]()
"""The folder of scenario files."""
PROJECT_FILE, SECTION = "pyproject.toml", b"tool.harness"
"""The file of a project's settings, and the text that it has where it sets something of the harness."""
SESSION = "harness-scenarios"
"""pytest's name of the part of the plugin that is loaded on request."""
MARKER = "lazy_answer"
MARKER_HELP = (
    f"{MARKER}: let `benchmark` time a function that returns a generator, an awaitable or a lazy query, without the work behind it"
)
FAIL_HELP = (
    "with --benchmark-compare: fail a scenario's item if a work count regressed, or if its paired ratio fell below the saved one "
    "by more than this, intervals included, unless a run's A/A control is as noisy; saved ratios drift, so use 25%% or more"
)


def _converter(name: str, **settings: object) -> Callable[[str], object]:
    """Return a converter of `harness.options` by its name, or the one that it makes with these settings; imported when used."""

    def convert(text: str) -> object:
        from harness import options  # noqa: PLC0415 - only when an option is given

        found = getattr(options, name)
        return (found(**settings) if settings else found)(text)

    return convert


OPTIONS: tuple[tuple[str, object, Callable[[str], object], str, str], ...] = (
    ("--harness-scenarios", None, str, "DIR", "folder of scenario files (default: `scenarios` in [tool.harness])"),
    ("--harness-size", None, _converter("size"), "SIZE", f"size of the dataset (default: {SIZE})"),
    ("--harness-engine", None, _converter("engine"), "ENGINE", "database engine (default: each scenario's first)"),
    ("--harness-rtt", 0.0, _converter("rtt_ms"), "MS", "round-trip time to servers, in ms (default: 0)"),
    ("--harness-seed", 0, _converter("seed"), "SEED", "seed of the data, the cases and the order (default: 0)"),
    ("--harness-budget", None, _converter("duration"), "DURATION", f"time for timing pairs (default: {BUDGET_S:g}s)"),
    (
        "--harness-timeout",
        TIMEOUT_S,
        _converter("duration"),
        "DURATION",
        f"longest time of one operation (default: {TIMEOUT_S:g}s)",
    ),
    ("--harness-processes", PROCESSES, _converter("count", limit=None), "COUNT", f"fresh processes per arm (default: {PROCESSES})"),
    (FAIL, None, _converter("percent", zero=True, example="25%"), "PERCENT", FAIL_HELP),
)
"""Name, default, converter, metavar and help of each option. A default is not text, which would be converted in every project."""


def add(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("harness", "performance scenarios")
    for name, default, convert, metavar, text in OPTIONS:
        group.addoption(name, default=default, type=convert, metavar=metavar, help=text)


def is_requested(config: pytest.Config) -> bool:
    """Return whether the project or the command line uses the plugin: an option, or `[tool.harness]`.

    The settings are in the nearest pyproject.toml; a word of it that only looks like the section loads the plugin for nothing.
    """
    if any(config.getoption(name) != default for name, default, *_ in OPTIONS):
        return True
    files = (folder / PROJECT_FILE for folder in (config.rootpath, *config.rootpath.parents))
    file = next((file for file in files if file.is_file()), None)
    try:
        return file is not None and SECTION in file.read_bytes()
    except OSError:
        return False


def configure(config: pytest.Config) -> None:
    """Give the options that are not on the command line their value in `[tool.harness]`, or else the default."""
    from harness.configuration import configuration  # noqa: PLC0415 - only in a project that requests the plugin
    from harness.errors import HarnessError  # noqa: PLC0415 - only in a project that requests the plugin

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
