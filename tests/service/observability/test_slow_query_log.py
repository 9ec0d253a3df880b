"""The log contains useful and no secret data, is bounded, and never delays a request."""

import asyncio
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from harness.databases.engines import postgres
from harness.errors import NotMeasurableError
from service import prompts
from service.models import Prompt
from service.observability.monitoring import Monitoring
from service.observability.slow_query_log import SlowQueryLog, SlowStatement, explain

OnEngine = Callable[..., Any]
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECRET = "s3cret-of-ann"


@pytest.fixture
def engine() -> Engine:
    """Return an engine that never connects."""
    return create_engine("sqlite://")


def slow(engine: Engine, sql: str = "SELECT 1", parameters: Any = (), *, many: bool = False) -> SlowStatement:
    """Return a slow statement."""
    return SlowStatement(engine, sql, parameters, many, 0.25, None, ["service/x.py:1 in y"])


def lines(path: Path) -> list[dict[str, Any]]:
    """Return a log's entries."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def no_plan(_: SlowStatement) -> list[str]:
    """Return no plan."""
    return []


def test_a_line_contains_the_form_and_the_time_and_no_value(engine: Engine, tmp_path: Path) -> None:
    """Parameters by type, literals and the plan's values as `?`."""
    path = tmp_path / "slow.jsonl"
    plan = ["Index Scan on prompts (cost=0.1..8 rows=1)", f"  Index Cond: (user_id = '{SECRET}'::text)"]
    with SlowQueryLog(path, explain=lambda _: plan, utc=lambda: AT) as log:
        log.note(slow(engine, f"SELECT a FROM t WHERE b = ? AND c = '{SECRET}'", (SECRET,)))
    assert SECRET not in path.read_text()
    [line] = lines(path)
    assert line.pop("fingerprint")
    assert line == {
        "at": "2026-01-02T03:04:05.000+00:00",
        "sql": "SELECT a FROM t WHERE b = ? AND c = ?",
        "duration_ms": 250.0,
        "rows": None,
        "parameters": [f"str({len(SECRET)})"],
        "parameter_sets": 1,
        "call_site": ["service/x.py:1 in y"],
        "plan": [plan[0], "  Index Cond: (user_id = ?::text)"],
    }


def test_many_parameter_sets_are_described_by_the_first(engine: Engine, tmp_path: Path) -> None:
    """An executemany of a thousand rows is one short line."""
    path = tmp_path / "slow.jsonl"
    with SlowQueryLog(path, explain=no_plan) as log:
        log.note(slow(engine, "INSERT INTO t (a) VALUES (?)", [("x",)] * 1000, many=True))
    assert [(line["parameters"], line["parameter_sets"]) for line in lines(path)] == [(["str(1)"], 1000)]


def test_each_form_is_explained_once_and_not_all_at_once(engine: Engine, tmp_path: Path) -> None:
    """IN lists of any length are one form; a plan for another form waits until it is due, and is then taken."""
    path, now_s = tmp_path / "slow.jsonl", [100.0]
    explained: list[str] = []

    def explaining(statement: SlowStatement) -> list[str]:
        explained.append(statement.sql)
        return ["a plan"]

    first, longer, other = "SELECT a FROM t WHERE a IN (?)", "SELECT a FROM t WHERE a IN (?, ?)", "SELECT b FROM t"
    with SlowQueryLog(path, explain=explaining, plan_every_s=10, now_s=lambda: now_s[0]) as log:
        for sql, passes_s in ((first, 1), (longer, 1), (other, 10), (other, 20), (other, 0), (first, 0)):
            log.note(slow(engine, sql))
            log.flush()
            now_s[0] += passes_s
    assert explained == [first, other]
    assert [line["plan"] for line in lines(path)] == [["a plan"], None, None, ["a plan"], None, None]
    assert len({line["fingerprint"] for line in lines(path)}) == 2


def test_a_refused_plan_does_not_lose_the_line(engine: Engine, tmp_path: Path) -> None:
    """The error is named, without its text, which repeats the statement."""
    path = tmp_path / "slow.jsonl"

    def refusing(statement: SlowStatement) -> list[str]:
        raise OperationalError(statement.sql, (SECRET,), Exception(SECRET))

    with SlowQueryLog(path, explain=refusing) as log:
        log.note(slow(engine))
    assert lines(path)[0]["plan"] == ["no plan: OperationalError"]
    assert SECRET not in path.read_text()


def test_the_log_takes_a_bounded_space(engine: Engine, tmp_path: Path) -> None:
    """Two rotated files and the current one, none above the limit, with the newest entries."""
    path = tmp_path / "slow.jsonl"
    with SlowQueryLog(path, explain=no_plan, max_bytes=2000, kept_files=2) as log:
        for number in range(100):
            log.note(slow(engine, f"SELECT a{number} FROM t"))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["slow.jsonl", "slow.jsonl.1", "slow.jsonl.2"]
    assert all(file.stat().st_size <= 2000 for file in tmp_path.iterdir())
    assert lines(path)[-1]["sql"] == "SELECT a99 FROM t"
    assert log.dropped == 0


def test_an_unwritable_file_costs_entries_and_nothing_else(engine: Engine, tmp_path: Path) -> None:
    """Entries that could not be written are counted; once the folder exists the log continues."""
    path = tmp_path / "missing" / "slow.jsonl"
    with SlowQueryLog(path, explain=no_plan) as log:
        for _ in range(3):
            log.note(slow(engine))
        log.flush()
        assert log.dropped == 3
        path.parent.mkdir()
        log.note(slow(engine))
    assert (len(lines(path)), log.dropped) == (1, 3)


def test_a_full_queue_drops_and_does_not_wait(engine: Engine, tmp_path: Path) -> None:
    """While the log is stuck a request continues."""
    stuck, go_on = threading.Event(), threading.Event()

    def waiting(_: SlowStatement) -> list[str]:
        stuck.set()
        go_on.wait()
        return []

    with SlowQueryLog(tmp_path / "slow.jsonl", explain=waiting, waiting=2) as log:
        log.note(slow(engine))
        stuck.wait()
        for _ in range(5):
            log.note(slow(engine))
        dropped = log.dropped
        go_on.set()
    assert dropped == 3
    assert len(lines(tmp_path / "slow.jsonl")) == 3


def test_a_statement_that_cannot_be_logged_does_not_end_the_log(engine: Engine, tmp_path: Path) -> None:
    """It is counted, and the next one is written."""
    path = tmp_path / "slow.jsonl"
    with SlowQueryLog(path, explain=no_plan) as log:
        log.note(slow(engine, parameters=7))
        log.note(slow(engine))
    assert (len(lines(path)), log.dropped) == (1, 1)


def test_the_plan_uses_its_own_connection(on_engine: OnEngine, tmp_path: Path) -> None:
    """No more connections of the pool are in use than before; the caller's own code is the call site, innermost first."""
    path = tmp_path / "slow.jsonl"

    checkouts: list[object] = []

    async def work(engine: AsyncEngine) -> None:
        event.listen(engine.sync_engine, "checkout", lambda *_: checkouts.append(_))
        with SlowQueryLog(path, threshold_s=0.0) as log:
            Monitoring(log).watch(engine)
            async with AsyncSession(engine) as session:
                await prompts.prompt(session, SECRET)
                await asyncio.to_thread(log.flush)

    on_engine(work)
    begin, line = lines(path)
    assert (begin["sql"], begin["plan"]) == ("BEGIN", None)
    assert "prompts" in line["plan"][0]
    assert len(checkouts) == 1
    assert [site.rpartition(" ")[2] for site in line["call_site"]] == ["_rows", "prompt", "work"]
    assert SECRET not in path.read_text()


def test_sqlite_explains(on_engine: OnEngine) -> None:
    """The plan names the index, and the statement is not executed."""

    async def work(engine: AsyncEngine) -> tuple[list[str], list[str], int]:
        plans = [
            await asyncio.to_thread(explain, slow(engine.sync_engine, sql, parameters))
            for sql, parameters in (
                ("SELECT id FROM prompts WHERE user_id = ?", ("ann",)),
                ("DELETE FROM prompts WHERE user_id = ?", ("ann",)),
            )
        ]
        async with AsyncSession(engine) as session:
            left = len((await session.execute(select(Prompt.id))).all())
        return plans[0], plans[1], left

    read, deleted, left = on_engine(work)
    assert "idx_prompts_user_id" in read[0]
    assert deleted
    assert left == 150


def test_a_synchronous_engine_explains_as_well(database: Path) -> None:
    """The plan is the same with a synchronous driver."""
    engine = create_engine(f"sqlite:///{database}")
    assert "idx_prompts_user_id" in explain(slow(engine, "SELECT id FROM prompts WHERE user_id = ?", ("ann",)))[0]
    engine.dispose()


@pytest.mark.slow
def test_postgresql_explains_and_its_plan_keeps_no_value(tmp_path: Path) -> None:
    """PostgreSQL writes a statement's values into the plan; the log removes them."""
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - this test alone opens one

    path = tmp_path / "slow.jsonl"

    async def read(url: str) -> None:
        engine = create_async_engine(url)
        with SlowQueryLog(path, threshold_s=0.0, plan_every_s=0) as log:
            Monitoring(log).watch(engine)
            async with engine.connect() as connection:
                await connection.execute(text("SELECT oid FROM pg_class WHERE relname = :name"), {"name": SECRET})
        await engine.dispose()

    try:
        with postgres.server(tmp_path) as url:
            asyncio.run(read(url))
    except NotMeasurableError as reason:
        pytest.skip(str(reason))
    line = lines(path)[-1]
    assert "pg_class" in line["plan"][0]
    assert any("Cond:" in part and "?" in part for part in line["plan"])
    assert SECRET not in path.read_text()


def test_a_log_without_a_slow_statement_is_an_empty_file(tmp_path: Path) -> None:
    """It can be read, and the report states that nothing was slow."""
    with SlowQueryLog(tmp_path / "slow.jsonl"):
        pass
    assert lines(tmp_path / "slow.jsonl") == []
