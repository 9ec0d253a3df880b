"""A database with two small tables to probe."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.databases.engines import sqlite

SCHEMA = (
    "CREATE TABLE owner (id TEXT PRIMARY KEY, name TEXT)",
    "CREATE TABLE pet (id INTEGER PRIMARY KEY, owner_id TEXT REFERENCES owner (id), kind TEXT, age INTEGER)",
    "CREATE INDEX pet_owner ON pet (owner_id)",
    "CREATE INDEX pet_kind_age ON pet (kind, age)",
)


@pytest.fixture
def on_engine(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that runs another on an engine for the database."""

    async def fill(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            for statement in SCHEMA:
                await connection.exec_driver_sql(statement)
            await connection.exec_driver_sql("INSERT INTO owner VALUES (?, ?)", [(f"o{n}", f"name {n}") for n in range(20)])
            await connection.exec_driver_sql(
                "INSERT INTO pet VALUES (?, ?, ?, ?)", [(n, f"o{n % 20}", ("cat", "dog")[n % 2], n % 15) for n in range(200)]
            )

    def run(check: Callable[[AsyncEngine], Awaitable[Any]]) -> Any:
        async def opened() -> Any:
            async with sqlite.engine(tmp_path / "pets.db") as engine:
                await fill(engine)
                return await check(engine)

        return asyncio.run(opened())

    return run
