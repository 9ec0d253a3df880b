"""Fixtures for the tests of any project: filled databases and counts of statements. What one needs is imported when it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.databases.filled import FilledDatabase
    from harness.probes.counted import CountedWork
    from harness.scenario import Setting


@pytest.fixture(scope="session")
def _harness_setting(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Path], Setting]]:
    """Return a function that makes a setting of the session's engine in a folder; the engine's server runs until the end."""
    from dataclasses import replace  # noqa: PLC0415 - as the next ones

    from harness.errors import NotMeasurableError  # noqa: PLC0415 - only where the fixture is used
    from harness.scenario import Setting  # noqa: PLC0415
    from harness.servers.lifecycle import servers  # noqa: PLC0415

    option, shared = request.config.getoption, tmp_path_factory.mktemp("harness")
    engine = option("harness_engine") or "sqlite"
    setting = Setting(shared, shared, engine, option("harness_size"), 1.0, option("harness_seed"), option("harness_rtt"))
    with ExitStack() as stack:
        try:
            setting = replace(setting, servers=stack.enter_context(servers(setting)))
        except NotMeasurableError as reason:
            pytest.skip(str(reason))
        yield lambda folder: replace(setting, folder=folder)


@pytest.fixture
def filled_database(_harness_setting: Callable[[Path], Setting], tmp_path: Path) -> Iterator[Callable[..., FilledDatabase]]:
    """Return a function that fills a database for the test: `filled_database(Base.metadata, {Author: 50, Post: per(Author, 8)})`.

    It has the tables, with rows drawn as those of a `SqlScenario`, on SQLite or on the engine of `--harness-engine`, at the size of
    `--harness-size`, by default `tiny`. The test gets `url`, `async_url`, `engine` and `keys(Author)`.
    """
    from harness.databases.filled import filled_database as filled  # noqa: PLC0415 - only where the fixture is used

    with ExitStack() as stack:
        yield lambda metadata, row_counts=None, column_values=None: stack.enter_context(
            filled(_harness_setting(tmp_path), metadata, row_counts, column_values)
        )


@pytest.fixture
def count_work() -> Callable[..., CountedWork]:
    """Return a function whose context counts the statements, rows and work of SQLAlchemy engines.

    It is `with count_work(engine) as counted:`, or `async with` for an engine with asyncio. Afterwards `counted["statements"]` is
    the number of statements, and `counted.sent` has each of them.
    """
    from harness.probes.counted import CountedWork  # noqa: PLC0415 - only where the fixture is used

    def counting(*engines: Any) -> CountedWork:
        return CountedWork(*engines)

    return counting
