"""A small hand-made database: ties in time and score, NULLs between values, soft-deleted prompts, chains of versions."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from shutil import copyfile
from typing import Any, TypeVar

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from harness.databases.engines import sqlite
from harness.errors import NotMeasurableError
from harness.scenario import Setting
from harness.servers.redis import namespace, server
from service.models import Base
from service.sessions import sessionmaker

Answer = TypeVar("Answer")
OnEngine = Callable[[Callable[[AsyncEngine], Awaitable[Any]]], Any]
OnSession = Callable[[Callable[[AsyncSession], Awaitable[Any]]], Any]

START = datetime(2025, 1, 1, 12)  # noqa: DTZ001 - the service stores naive UTC
PROMPTS = 150


def prompt_id(number: int) -> str:
    """Return an id whose sort order differs from the order of creation."""
    return f"p{number * 37 % 1009:04d}"


def prompts() -> list[dict[str, Any]]:
    """Return prompts of ann and bob: seven per instant, every ninth deleted, each fourth a later version of the previous one."""
    return [
        {
            "id": prompt_id(number),
            "user_id": "bob" if number % 5 == 0 else "ann",
            "title": f'Title, "{number}"',
            "content": f"内容 {number}\nsecond line 🙂",
            "status": ("active", "active", "draft", "archived")[number % 4],
            "version": 2 if number % 4 == 1 else 1,
            "parent_id": prompt_id(number - 1) if number % 4 == 1 else None,
            "created_at": START + timedelta(hours=number // 7),
            "updated_at": START + timedelta(hours=number),
            "deleted_at": START + timedelta(days=30) if number % 9 == 0 else None,
        }
        for number in range(PROMPTS)
    ]


def evaluations() -> list[dict[str, Any]]:
    """Return up to twelve evaluations per prompt, with few distinct scores, some of them NULL."""
    return [
        {
            "id": f"e{number * 13 % 97:02d}-{prompt['id']}",
            "prompt_id": prompt["id"],
            "status": ("completed", "completed", "completed", "failed", "pending")[number % 5],
            "provider": ("openai", "mistral")[number % 2],
            "model": ("big", "small")[number % 3 == 0],
            "overall_score": None if number % 4 == 3 else (place + number) % 6 / 7,
            "created_at": prompt["created_at"] + timedelta(minutes=number // 3),
        }
        for place, prompt in enumerate(prompts())
        for number in range(place % 13)
    ]


def results() -> list[dict[str, Any]]:
    """Return the test results of every tenth evaluation."""
    return [
        {
            "id": f"r{number * 7 % 31:02d}-{evaluation['id']}",
            "evaluation_id": evaluation["id"],
            "test_case_name": f"case {number}",
            "score": None if number % 5 == 4 else number % 3 / 2,
            "passed": number % 3 != 0,
        }
        for evaluation in evaluations()[::10]
        for number in range(12)
    ]


def templates() -> list[dict[str, Any]]:
    """Return templates of three categories, with ties in the usage count."""
    return [
        {"id": f"t{n * 7 % 61:02d}", "name": f"name {n}", "category": "abc"[n % 3], "usage_count": n // 9, "content": "text"}
        for n in range(60)
    ]


async def fill(engine: AsyncEngine) -> None:
    """Create the tables and their rows."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        rows = {"prompts": prompts(), "evaluations": evaluations(), "test_results": results(), "prompt_templates": templates()}
        for table, values in rows.items():
            await connection.execute(insert(Base.metadata.tables[table]), values)
        await connection.exec_driver_sql("ANALYZE")


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a snapshot of the small database."""
    path = tmp_path_factory.mktemp("filled") / "small.db"

    async def make() -> None:
        async with sqlite.engine(path) as engine:
            await fill(engine)

    asyncio.run(make())
    sqlite.databases(Setting(path.parent, path.parent)).checkpoint("small")
    return path


@pytest.fixture
def database(filled: Path, tmp_path: Path) -> Path:
    """Return a database for one test."""
    return copyfile(filled, tmp_path / "own.db")


@pytest.fixture
def on_engine(database: Path) -> OnEngine:
    """Return a function that calls another with an engine for the test's database."""

    def run(check: Callable[[AsyncEngine], Awaitable[Answer]]) -> Answer:
        async def opened() -> Answer:
            async with sqlite.engine(database) as engine:
                return await check(engine)

        return asyncio.run(opened())

    return run


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a Redis for the whole session."""
    try:
        with server(tmp_path_factory.mktemp("redis")) as url:
            yield url
    except NotMeasurableError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def prefix(redis_url: str) -> Iterator[str]:
    """Return a namespace for one test."""
    with namespace(redis_url, "test") as made:
        yield made


@pytest.fixture
def on_session(on_engine: OnEngine) -> OnSession:
    """Return a function that calls another with a session for the test's database."""

    def run(check: Callable[[AsyncSession], Awaitable[Any]]) -> Any:
        async def opened(engine: AsyncEngine) -> Any:
            async with sessionmaker(engine)() as session:
                return await check(session)

        return on_engine(opened)

    return run
