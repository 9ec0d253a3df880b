"""Query plans: one per statement shape, with index use and table scans."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import bindparam, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.probes.plans import plans, shape
from harness.probes.statements import SentStatement, Statements
from harness.results.run import Statement

OnEngine = Callable[..., Any]

READ = [
    ("SELECT * FROM pet WHERE age = 3", False, True),
    ("SELECT max(name) FROM owner", False, True),
    ("SELECT max(kind) FROM pet", True, False),
    ("SELECT * FROM pet WHERE id = 3", True, False),
    ("SELECT * FROM owner WHERE id = 'o3'", True, False),
    ("SELECT * FROM pet p WHERE p.owner_id = 'o3'", True, False),
    ("SELECT * FROM pet AS p ORDER BY p.age", False, True),
    ("SELECT owner_id FROM pet ORDER BY owner_id", True, False),
    ("SELECT count(*) FROM pet", True, False),
    ("SELECT * FROM pet WHERE id = 1 OR owner_id = 'o1'", True, False),
    ("SELECT * FROM pet JOIN owner ON owner.name = pet.kind", True, True),
    ("SELECT * FROM owner AS a JOIN owner AS b ON a.name = b.name", False, True),
    ("SELECT * FROM (SELECT owner_id, count(*) AS n FROM pet GROUP BY owner_id) AS a WHERE n > 2", True, False),
    ("SELECT * FROM (SELECT name, count(*) AS n FROM owner GROUP BY name) AS a WHERE n > 2", False, True),
    ("WITH RECURSIVE up(n) AS (SELECT 1 UNION SELECT n + 1 FROM up WHERE n < 9) SELECT * FROM up", False, False),
    ("WITH c AS MATERIALIZED (SELECT * FROM pet WHERE owner_id = 'o1') SELECT * FROM c, c AS d", True, False),
    ("SELECT * FROM pet WHERE owner_id IN (SELECT value FROM json_each('[1]'))", True, False),
    ("SELECT 1", False, False),
    ("VALUES (1), (2)", False, False),
    ("UPDATE pet SET age = 1 WHERE owner_id = 'o1'", True, False),
    ("DELETE FROM pet WHERE age = 1", False, True),
]


@pytest.mark.parametrize(("sql", "uses_index", "scans_table"), READ)
def test_index_use_and_scans_are_recognised(on_engine: OnEngine, sql: str, uses_index: bool, scans_table: bool) -> None:
    """Indexes, primary keys and index-only scans are distinguished from scans of tables, subqueries, CTEs and constants."""

    async def explain(engine: AsyncEngine) -> list[Statement]:
        return await plans(engine, [SentStatement(sql, (), 1)], arm="baseline", group="pets")

    (found,) = on_engine(explain)
    assert found.plan
    assert (found.uses_index, found.scans_table) == (uses_index, scans_table), found.plan


def test_lists_of_different_length_are_one_shape(on_engine: OnEngine) -> None:
    """IN lists of two and three keys are one shape sent three times, its plan taken with real parameters."""
    statement = text("SELECT *\n  FROM pet\nWHERE id IN :ids").bindparams(bindparam("ids", expanding=True))

    async def explain(engine: AsyncEngine) -> list[Statement]:
        async with Statements(engine) as probe, engine.connect() as connection:
            for ids in ([1, 2], [1, 2, 3], [4, 5]):
                await connection.execute(statement, {"ids": ids})
        return await plans(engine, probe.sent(), arm="proposed", group="pets")

    assert on_engine(explain) == [
        Statement(
            arm="proposed",
            group="pets",
            sql="SELECT * FROM pet WHERE id IN (?, …)",
            count=3,
            plan=["SEARCH pet USING INTEGER PRIMARY KEY (rowid=?)"],
            uses_index=True,
            scans_table=False,
        )
    ]


def test_statements_without_a_plan_have_an_empty_one(on_engine: OnEngine) -> None:
    """An INSERT of values and a SAVEPOINT have none, and explaining them writes nothing."""

    async def explain(engine: AsyncEngine) -> tuple[list[Statement], Any]:
        sent = [SentStatement("INSERT INTO owner VALUES (?, ?)", ("new", "new"), 4), SentStatement("SAVEPOINT a", (), 1)]
        found = await plans(engine, sent, arm="baseline", group="pets")
        async with engine.connect() as connection:
            return found, (await connection.exec_driver_sql("SELECT count(*) FROM owner")).scalar_one()

    found, rows = on_engine(explain)
    assert [(s.count, s.plan, s.uses_index, s.scans_table) for s in found] == [(4, [], False, False), (1, [], False, False)]
    assert rows == 20


def test_nested_lines_are_indented(on_engine: OnEngine) -> None:
    """The lines of a subquery are indented by two more spaces."""

    async def explain(engine: AsyncEngine) -> list[Statement]:
        sql = "SELECT * FROM pet WHERE owner_id IN (SELECT id FROM owner WHERE name = 'x')"
        return await plans(engine, [SentStatement(sql, (), 1)], arm="baseline", group="pets")

    (found,) = on_engine(explain)
    assert found.plan == ["SEARCH pet USING INDEX pet_owner (owner_id=?)", "LIST SUBQUERY 1", "  SCAN owner"]
    assert found.scans_table


def test_a_statement_that_cannot_be_explained_is_named(on_engine: OnEngine) -> None:
    """The driver's error passes through, with the statement in a note."""

    async def explain(engine: AsyncEngine) -> list[str]:
        with pytest.raises(OperationalError) as caught:
            await plans(engine, [SentStatement("SELECT * FROM  nowhere", (), 1)], arm="baseline", group="pets")
        return caught.value.__notes__

    assert on_engine(explain) == ["while explaining SELECT * FROM nowhere"]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT  a,\n\tb FROM t ", "SELECT a, b FROM t"),
        ("SELECT 'two  spaces, it''s  kept'  FROM t", "SELECT 'two  spaces, it''s  kept' FROM t"),
        ("SELECT a FROM t WHERE b in (?)", "SELECT a FROM t WHERE b IN (?, …)"),
        ("SELECT a FROM t WHERE b IN ($1::VARCHAR, $2::VARCHAR)", "SELECT a FROM t WHERE b IN (?, …)"),
        ("SELECT a FROM t WHERE b IN (SELECT c FROM d)", "SELECT a FROM t WHERE b IN (SELECT c FROM d)"),
        ("SELECT a FROM t WHERE b IN ('x', 'y')", "SELECT a FROM t WHERE b IN ('x', 'y')"),
        (
            "INSERT INTO t (a, b) VALUES (?, ?), (?, ?)  ON CONFLICT DO NOTHING",
            "INSERT INTO t (a, b) VALUES (?, ?), … ON CONFLICT DO NOTHING",
        ),
        ("INSERT INTO t (a, b) VALUES (?, ?)", "INSERT INTO t (a, b) VALUES (?, ?)"),
    ],
)
def test_shapes(sql: str, expected: str) -> None:
    """White space, IN lists and rows of values are normalised; string literals and subqueries are not."""
    assert shape(sql) == expected
