"""Pools: every environment's engine works, and connections are replaced when they should be and not before."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL, event, make_url, select
from sqlalchemy import exc as errors
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.pool import AsyncAdaptedQueuePool, StaticPool

from harness.databases.engines import postgres
from harness.errors import NotMeasurableError
from harness.probes.pool import PoolUse
from service import pools
from service.models import Base, PromptTemplate
from service.pools import Environment, PoolSettings, Share

POSTGRES = make_url("postgresql+asyncpg://user@127.0.0.1/database")
MAKERS: dict[str, Callable[[URL, Environment], AsyncEngine]] = {
    "baseline": lambda url, _: pools.engine_baseline(url),
    "proposed": pools.engine_proposed,
    "optimised": lambda url, environment: pools.engine_optimised(url, pools.settings_for(environment, url)),
}


class Time:
    """Monotonic seconds that are set by the test."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time that was set."""
        return self.now


@pytest.fixture
def url(tmp_path: Path) -> URL:
    """Return the URL of a SQLite file."""
    return make_url(f"sqlite+aiosqlite:///{tmp_path / 'own.db'}")


def used(engine: AsyncEngine, use: Callable[[AsyncEngine], Awaitable[Any]]) -> Any:
    """Call a function with an engine, and dispose of it."""

    async def run() -> Any:
        try:
            return await use(engine)
        finally:
            await engine.dispose()

    return asyncio.run(run())


async def one(engine: AsyncEngine) -> Any:
    """Select the number one."""
    async with engine.connect() as connection:
        return (await connection.execute(select(1))).scalar_one()


@pytest.mark.parametrize("environment", Environment)
@pytest.mark.parametrize("arm", MAKERS)
def test_every_environment_has_a_working_engine(arm: str, environment: Environment, url: URL) -> None:
    """The engines of local, staging and production run a query."""
    assert used(MAKERS[arm](url, environment), one) == 1


@pytest.mark.parametrize("environment", Environment)
@pytest.mark.parametrize("arm", MAKERS)
def test_engines_for_a_server_can_be_created(arm: str, environment: Environment) -> None:
    """Their pools are of the kind that asyncio engines with a pool size have."""
    assert type(MAKERS[arm](POSTGRES, environment).pool) is AsyncAdaptedQueuePool


def test_production_as_written_is_refused() -> None:
    """The error names the keyword that SQLAlchemy does not know; the other environments work."""
    with pytest.raises(TypeError, match=pools.UNKNOWN):
        pools.engine_as_written(POSTGRES, Environment.PRODUCTION)
    sizes = [pools.engine_as_written(POSTGRES, e).pool.size() for e in (Environment.LOCAL, Environment.STAGING)]  # type: ignore[attr-defined]  # a QueuePool has it
    assert sizes == [5, 10]


@pytest.mark.parametrize("environment", Environment)
def test_as_written_sqlite_and_turso_share_one_connection(environment: Environment, url: URL) -> None:
    """No setting of the environment applies to a URL that contains "sqlite"."""
    assert isinstance(pools.engine_as_written(url, environment).pool, StaticPool)


def test_on_a_shared_connection_a_rollback_undoes_another_requests_row(url: URL) -> None:
    """The row is lost on the review's engine for SQLite, and kept on the optimised one."""

    async def write(engine: AsyncEngine) -> bool:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(engine) as writer, AsyncSession(engine) as other:
            writer.add(PromptTemplate(id="t", name="", category="", usage_count=0, content=""))
            await writer.flush()
            await other.execute(select(1))
            await other.rollback()
            await writer.commit()
        async with AsyncSession(engine) as reader:
            kept = await reader.get(PromptTemplate, "t") is not None
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
        return kept

    assert used(pools.engine_as_written(url, Environment.PRODUCTION), write) is False
    assert used(MAKERS["optimised"](url, Environment.PRODUCTION), write) is True


@given(
    share=st.builds(Share, granted=st.integers(20, 5000), reserved=st.integers(0, 10), processes=st.integers(1, 10)),
    requests=st.integers(1, 10_000),
)
def test_all_processes_together_stay_within_the_servers_limit(share: Share, requests: int) -> None:
    """Each has at least one connection, none has more than concurrent requests, and the reserve stays free."""
    for environment in (Environment.STAGING, Environment.PRODUCTION):
        size = pools.settings_for(environment, POSTGRES, share, requests).size
        assert 1 <= size <= requests
        assert size * share.processes <= share.granted - share.reserved


def test_staging_differs_from_production_only_in_size() -> None:
    """Problems of production can show up in staging first."""
    staging, production = (pools.settings_for(e, POSTGRES) for e in (Environment.STAGING, Environment.PRODUCTION))
    assert staging.size < production.size
    assert {**vars(staging), "size": 0} == {**vars(production), "size": 0}


def test_an_embedded_database_is_neither_pinged_nor_reconnected(url: URL) -> None:
    """No network can drop its connections."""
    settings = pools.settings_for(Environment.PRODUCTION, url)
    assert (settings.ping_after_idle_s, settings.lifetime_s) == (None, None)


def test_a_warm_pool_needs_no_new_connections(url: URL) -> None:
    """Three concurrent requests on a warm pool of three open no connection."""

    async def work(engine: AsyncEngine) -> Any:
        await pools.warm_up(engine, 3)
        async with PoolUse(engine) as use, asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(one(engine))
        return use.counts()

    assert used(pools.engine_optimised(url, PoolSettings(3, 5)), work) == {"checkouts": 3, "connects": 0, "timeouts": 0}


def test_a_full_pool_refuses_in_time(url: URL) -> None:
    """A checkout that waits longer than the timeout raises."""

    async def work(engine: AsyncEngine) -> None:
        async with engine.connect():
            with pytest.raises(errors.TimeoutError):
                await one(engine)

    used(pools.engine_optimised(url, PoolSettings(1, 0.01)), work)


def test_a_connection_is_replaced_at_the_end_of_its_lifetime(url: URL) -> None:
    """A draw of one half shortens the lifetime by half the jitter; the next connection has its own lifetime."""
    now = Time()
    draws = iter((0.5, 0.0))

    async def work(engine: AsyncEngine) -> list[float]:
        made = []
        async with PoolUse(engine) as use:
            for after_s in (0, 89, 2, 98, 3):  # the first ends at 190, the second, made at 191, at 291
                now.now += after_s
                await one(engine)
                made.append(use.counts()["connects"])
        return made

    settings = PoolSettings(1, 5, lifetime_s=100, lifetime_jitter=0.2)
    assert used(pools.engine_optimised(url, settings, lambda: next(draws, 0.0), now), work) == [1, 1, 2, 2, 3]


def test_a_dead_connection_is_replaced_after_an_idle_period(url: URL) -> None:
    """The caller gets another connection and no error."""
    now = Time()

    async def work(engine: AsyncEngine) -> Any:
        made: list[Any] = []
        event.listen(engine.sync_engine, "connect", lambda connection, _: made.append(connection))
        await one(engine)
        await made[0].driver_connection.close()
        now.now += 31
        return await one(engine), len(made)

    assert used(pools.engine_optimised(url, PoolSettings(1, 5, ping_after_idle_s=30), now_s=now), work) == (1, 2)


@pytest.mark.slow
def test_callers_do_not_notice_that_a_server_closed_all_connections(tmp_path: Path) -> None:
    """On PostgreSQL, one failed ping replaces all older connections."""
    now = Time()

    async def work(engine: AsyncEngine) -> Any:
        await pools.warm_up(engine, 3)
        others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        other = pools.engine_optimised(engine.url, PoolSettings(1, 5))
        async with other.connect() as connection:
            ended: int = (await connection.exec_driver_sql(f"SELECT count(pg_terminate_backend(pid)) {others}")).scalar_one()
        await other.dispose()
        now.now += 31
        async with PoolUse(engine) as use, asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(one(engine))
        return ended, use.counts()["connects"]

    try:
        with postgres.server(tmp_path) as address:
            engine = pools.engine_optimised(make_url(address), PoolSettings(3, 5, ping_after_idle_s=30), now_s=now)
            assert used(engine, work) == (3, 3)
    except NotMeasurableError as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize(("idle_s", "pings"), [(29, 0), (31, 1)])
def test_only_an_idle_connection_is_pinged(url: URL, idle_s: float, pings: int) -> None:
    """A connection in steady use is not pinged, nor is a new one."""
    now = Time()
    sent = 0

    async def work(engine: AsyncEngine) -> int:
        send = engine.dialect.do_ping

        def counted(dbapi_connection: Any) -> bool:
            nonlocal sent
            sent += 1
            return send(dbapi_connection)

        engine.dialect.do_ping = counted  # type: ignore[method-assign]  # for this engine only
        await one(engine)
        await one(engine)
        now.now += idle_s
        await one(engine)
        return sent

    assert used(pools.engine_optimised(url, PoolSettings(1, 5, ping_after_idle_s=30), now_s=now), work) == pings
