"""A synchronous engine reaches the same database as an asyncio one, with the same connection settings."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from harness.databases import synchronous
from harness.databases.interface import databases
from harness.databases.synchronous import copy_pragmas, synchronous_url
from harness.errors import NotMeasurableError
from harness.scenario import Setting


@pytest.mark.parametrize("engine", ["sqlite", "turso"])
def test_a_connection_has_the_pragmas_of_the_asyncio_engine(engine: str, tmp_path: Path) -> None:
    """The PRAGMAs are the configured ones and not the driver's defaults, and both engines see the same rows."""
    found = databases(Setting(tmp_path, tmp_path, engine=engine))
    url = found.url("own")

    async def compared() -> Any:
        source = create_async_engine(url)
        found.configure(source)
        async with source.begin() as connection:
            await connection.execute(text("CREATE TABLE t AS SELECT 7 AS n"))
            expected = [(await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one() for name in synchronous.PRAGMAS]
        copied = create_engine(synchronous_url(url))
        await copy_pragmas(copied, source)
        with copied.connect() as connection_in_thread:
            actual = [connection_in_thread.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in synchronous.PRAGMAS]
            row = connection_in_thread.execute(text("SELECT n FROM t")).scalar_one()
        copied.dispose()
        await source.dispose()
        return actual, expected, row

    actual, expected, row = asyncio.run(compared())
    assert actual == expected
    assert dict(zip(synchronous.PRAGMAS, actual, strict=True))["foreign_keys"] == 1
    assert row == 7


@pytest.mark.slow
def test_a_server_is_reached_with_its_synchronous_driver(postgres_url: str) -> None:
    """Address, user and password are the same."""
    engine = create_engine(synchronous_url(make_url(postgres_url)))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 7")).scalar_one() == 7
    assert engine.driver == "psycopg"
    engine.dispose()


def test_the_encryption_option_is_renamed() -> None:
    """The option ssl of asyncpg becomes sslmode; other options are unchanged."""
    url = synchronous_url(make_url("postgresql+asyncpg://user:secret@host/base?ssl=require&application_name=me"))
    assert dict(url.query) == {"sslmode": "require", "application_name": "me"}


def test_an_unknown_driver_is_named() -> None:
    """It cannot be measured, and the message names it."""
    with pytest.raises(NotMeasurableError, match=r"mysql\+asyncmy"):
        synchronous_url(make_url("mysql+asyncmy://host/base"))
