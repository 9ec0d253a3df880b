"""The plugin's command-line options, and whether a project requests the plugin.

pytest imports this module in every project, so it imports nothing else of the harness before an option is given, and it works with
versions of pytest that the rest of the plugin does not support.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

SIZE, BUDGET_S, PROCESSES = "tiny", 20.0, 3
TIMEOUT_S = 60.0
FAIL = "--harness-compare-fail"
PROJECT_FILE, TOOL, KEY = "pyproject.toml", "tool", "harness"
"""The file of a project's settings, and the keys of the table that sets something of the harness."""
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
    ("--harness-scenarios", None, _converter("place"), "DIR", "folder of scenario files (default: `scenarios` in [tool.harness])"),
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

    The settings are in the nearest pyproject.toml; one that is not TOML loads the plugin, which refuses it, if it has such a word.
    """
    if any(config.getoption(name) != default for name, default, *_ in OPTIONS):
        return True
    files = (folder / PROJECT_FILE for folder in (config.rootpath, *config.rootpath.parents))
    file = next((file for file in files if file.is_file()), None)
    try:
        body = b"" if file is None else file.read_bytes()
    except OSError:
        return False
    return KEY.encode() in body and _has_settings(body)


def _has_settings(body: bytes) -> bool:
    """Return whether a project's file has the table, which may be written in several ways, or cannot be read."""
    import tomllib  # noqa: PLC0415 - only where the file has the word

    try:
        tools = tomllib.loads(body.decode()).get(TOOL)
    except (ValueError, RecursionError):
        return f"{TOOL}.{KEY}".encode() in body
    return isinstance(tools, dict) and KEY in tools
