"""Query plans of recorded statements, one per statement shape, on a separate connection and outside timing.

The plans of SQLite and Turso have one format, those of PostgreSQL another; both are parsed here.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.probes.connecting import connected
from harness.probes.statements import SentStatement
from harness.results.run import Statement

_STRING_OR_SPACE = re.compile(r"('(?:[^']|'')*')|\s+")
_PARAMETER = r"(?:\?\d*|(?:\$\d+|%\(\w+\)s)(?:::\w+(?: \w+)*)?|%s|:\w+)"
_PARAMETER_LIST = re.compile(rf"\bIN \({_PARAMETER}(?:, {_PARAMETER})*\)", re.IGNORECASE)
_ROW = rf"\((?:{_PARAMETER}|NULL)(?:, (?:{_PARAMETER}|NULL))*\)"
_MANY_ROWS = re.compile(rf"\bVALUES ({_ROW})(?:, {_ROW})+", re.IGNORECASE)

_EPHEMERAL = re.compile(r"(?:MATERIALIZE|CO-ROUTINE) (\S+)")
_NAMED_QUERY = re.compile(r"\b(\w+)\s*(?:\([\w, ]*\))?\s+AS\s+(?:(?:NOT )?MATERIALIZED\s+)?\(", re.IGNORECASE)
_NAMED_SUBQUERY = re.compile(r"\)\s+AS\s+\"?(\w+)", re.IGNORECASE)
_SCAN = re.compile(r"(?:SCAN|SEARCH) (?P<name>\S+)(?: AS (?P<alias>\S+))?(?P<how>.*)")
_BY_INDEX = re.compile(r" USING (?!AUTOMATIC )(?:\w+ )*(?:INDEX|PRIMARY KEY)\b")
_BY_SEVERAL = re.compile(r"MULTI-INDEX (?:AND|OR)\b")
_PG_BY_INDEX = re.compile(r"\bIndex (?:Only )?Scan\b|\bBitmap Index Scan\b")
_PG_SCAN = re.compile(r"\bSeq Scan on\b")
_PLANLESS = re.compile(r"\s*(?:SAVEPOINT|RELEASE|ROLLBACK|SET|SHOW|PRAGMA|LOCK)\b", re.IGNORECASE)


async def plans(engine: AsyncEngine | Engine, sent: Iterable[SentStatement], *, arm: str, group: str) -> list[Statement]:
    """Return the statement shapes of one operation of `arm` in `group`, each with its query plan.

    Statements that differ only in white space, in the length of an IN list or in the number of rows after VALUES have the same
    shape. A statement without a plan, such as an INSERT of values, has an empty one.
    """
    shapes: defaultdict[str, list[SentStatement]] = defaultdict(list)
    for statement in sent:
        shapes[shape(statement.sql)].append(statement)

    def explained(connection: Connection) -> list[Statement]:
        return [_statement(connection, sql, members, arm, group) for sql, members in shapes.items()]

    return await connected(engine, explained)


def _statement(connection: Connection, sql: str, members: Sequence[SentStatement], arm: str, group: str) -> Statement:
    plan = _explain(connection, members[0])
    if connection.dialect.name == "postgresql":
        indexed, scanning = any(map(_PG_BY_INDEX.search, plan)), any(map(_PG_SCAN.search, plan))
    else:
        # Subqueries and table functions are not tables; Turso's plan does not distinguish them, so their names are the statement's.
        named = [match[1] for pattern in (_NAMED_QUERY, _NAMED_SUBQUERY) for match in pattern.finditer(sql)]
        names = [match[1] for line in plan if (match := _EPHEMERAL.match(line.strip()))] + named
        lines = [line.strip() for line in plan]
        # An index that SQLite builds for the query (AUTOMATIC) does not count.
        indexed = any(_BY_SEVERAL.match(line) or (_SCAN.match(line) and _BY_INDEX.search(line)) for line in lines)
        scanning = any(_scans_table(line, sql, names) for line in lines)
    return Statement(arm, group, sql, sum(member.count for member in members), plan, indexed, scanning)


def shape(sql: str) -> str:
    """Return the statement with white space, IN lists and repeated rows of values normalised; string literals stay as they are."""
    flat = _STRING_OR_SPACE.sub(lambda match: match[1] or " ", sql).strip()
    return _MANY_ROWS.sub(r"VALUES \1, …", _PARAMETER_LIST.sub("IN (?, …)", flat))


def _scans_table(line: str, sql: str, ephemeral: Sequence[str]) -> bool:
    """Return whether a line of a statement's plan reads a whole table row by row; `ephemeral` names its subqueries and CTEs.

    A SEARCH without an index finds a minimum or maximum by reading all rows, so it counts; virtual tables and constant rows do not.
    """
    match = _SCAN.match(line)
    if match is None or " USING " in match["how"] or "VIRTUAL TABLE" in match["how"]:
        return False
    name = match["name"]
    if name.startswith("(") or re.fullmatch(r"SCAN (?:CONSTANT ROW|\d+ CONSTANT ROWS)", line):
        return False
    aliases = (rf"\b{re.escape(other)}\W+AS\W+{re.escape(name)}\b" for other in ephemeral)
    return not {name, match["alias"]} & {*ephemeral} and not any(re.search(alias, sql, re.IGNORECASE) for alias in aliases)


def _explain(connection: Connection, statement: SentStatement) -> list[str]:
    """Return the plan's lines, indented by level; none for a statement that neither queries nor changes rows."""
    if _PLANLESS.match(statement.sql):
        return []
    is_postgresql = connection.dialect.name == "postgresql"
    explain = "EXPLAIN" if is_postgresql else "EXPLAIN QUERY PLAN"
    try:
        rows = connection.exec_driver_sql(f"{explain} {statement.sql}", statement.parameters).all()
    except SQLAlchemyError as error:
        error.add_note(f"while explaining {shape(statement.sql)}")
        raise
    if is_postgresql:
        return [line for (line,) in rows]
    depth, lines = {0: -1}, []
    for number, parent, _, detail in rows:
        depth[number] = depth.get(parent, -1) + 1
        lines.append("  " * depth[number] + detail)
    return lines
