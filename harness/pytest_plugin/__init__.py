"""A pytest plugin: scenarios as pytest items, and checks that comparisons with saved runs are valid.

pytest loads it in every project of an environment that has it installed. This module declares the options, and loads the rest,
`harness.pytest_plugin.session`, only in a project that requests it: by `[tool.harness]` in its pyproject.toml, or by an option on
the command line. Elsewhere nothing changes, except that a benchmark whose function returns before its work is done (a coroutine, a
generator, a lazy query) is listed among pytest's warnings. So this module works with versions of pytest that the rest does not.
"""

from __future__ import annotations

import pluggy
import pytest

from harness.pytest_plugin import options

OLDEST = {"pytest": (7, 0), "pluggy": (1, 2)}
"""The oldest versions that scenarios work with: those of the extra `pytest`."""

pytest_addoption = options.add


def pytest_configure(config: pytest.Config) -> None:
    """Load the rest of the plugin where the project requests it."""
    config.addinivalue_line("markers", options.MARKER_HELP)
    if options.is_requested(config):
        refuse_old(pytest=pytest.__version__, pluggy=pluggy.__version__)
        from harness.pytest_plugin import session  # noqa: PLC0415 - only in a project that requests it

        config.pluginmanager.register(session, options.SESSION)


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Watch the `benchmark` fixture of any plugin, which is set up by now."""
    benchmark = getattr(item, "funcargs", {}).get("benchmark")
    if benchmark is not None:
        from harness.pytest_plugin import lazy_answers  # noqa: PLC0415 - only where something is benchmarked

        lazy_answers.watch(benchmark, item)


def refuse_old(**installed: str) -> None:
    """Raise UsageError for a package that is older than what scenarios work with."""
    from harness.version import DISTRIBUTION  # noqa: PLC0415 - only in a project that requests the plugin

    for name, version in installed.items():
        if tuple(map(int, version.split(".")[:2])) < OLDEST[name]:
            needed = ".".join(map(str, OLDEST[name]))
            remedy = f"install another version with: pip install --upgrade '{DISTRIBUTION}[pytest]'"
            raise pytest.UsageError(f"scenarios need {name} {needed} or newer, not {version}; {remedy}")
