"""A scenario for a function of a project whose arguments can be drawn, with a filled database of sqlite3 if it takes one."""

import re
import sqlite3
from collections.abc import Mapping, Sequence

from harness.init import values
from harness.init.findings import ColumnFact, FunctionSite, TableFact
from harness.init.templating import ScenarioText, camel_case, snake_case, template

SQLITE_KINDS = {"INT": "integer", "CHAR": "text", "TEXT": "text", "CLOB": "text", "REAL": "float", "FLOA": "float", "DOUB": "float"}
"""Part of a declared type → kind of a column, by the rules of SQLite; `NUMERIC` and others hold integers here."""


def function_scenario(site: FunctionSite) -> ScenarioText:
    """Return a scenario that calls a function of the project with drawn arguments."""
    arguments = ", ".join(name for name, _ in site.parameters)
    drawn = [_drawn(kind) for _, kind in site.parameters]
    fields = {"parameters": arguments, "arguments": arguments, "function": site.name, "class_name": camel_case(site.name)}
    fields |= {"title": f"{site.name} of {site.module}.", "imports": f"from {site.module} import {site.name}"}
    if site.schema:
        lines, expressions = _sqlite_rows(site.schema_text)
        fields |= {"rows": "\n".join(lines), "schema": site.schema, "values": ", ".join(drawn[1:])}
        fields |= {"imports": f"from {site.module} import {', '.join(sorted({site.schema, site.name}))}"}
        text = template("function_sqlite", **fields, standard_imports="".join(f"{x}\n" for x in values.imports_of(expressions)))
    else:
        text = template("function_call", **fields, values=", ".join(drawn))
    return ScenarioText(f"{snake_case(site.name)}_calls", text, f"{site.module}.{site.name}")


def _drawn(kind: str) -> str:
    """Return the expression that draws an argument of a simple type."""
    simple = {
        "int": "draw.randrange(1, 100)",
        "float": "draw.random()",
        "str": '" ".join(f"word{draw.randrange(1_000)}" for _ in range(200))',
        "bytes": "draw.randbytes(1_000)",
        "bool": "draw.random() < 0.5",
    }
    if kind in simple:
        return simple[kind]
    item = re.search(r"\[(int|float|str)", kind)
    if item is None:
        return ""
    drawn = {"int": "draw.randrange(1_000)", "float": "draw.random()", "str": 'f"word{draw.randrange(1_000)}"'}[item[1]]
    made = f"[{drawn} for _ in range(1_000)]"
    outer = kind.partition("[")[0]
    return f"{outer}({made})" if outer in {"set", "frozenset", "tuple"} else made


def _sqlite_rows(schema: str) -> tuple[list[str], list[str]]:
    """Return the lines that fill the tables of a script for sqlite3, and the expressions in them; none if the script fails."""
    try:
        tables = {table.name: table for table in _sqlite_tables(schema)}
    except sqlite3.Error:
        return [], []
    lines, before, expressions = [], list[str](), list[str]()
    for table in values.required_tables(tables, list(tables)):
        try:
            found = values.row(tables, table, before)
        except values.NoValueError:
            continue
        before.append(table.name)
        expressions += found.values()
        marks, columns = ", ".join("?" for _ in found), ", ".join(found)
        lines += [
            f"        rows = (({_row(found)}) for n in range(1, count + 1))",
            f'        connection.executemany("INSERT INTO {table.name} ({columns}) VALUES ({marks})", rows)',  # noqa: S608 - its own
        ]
    return lines, expressions


def _row(found: Mapping[str, str]) -> str:
    return ", ".join(found.values()) + ("," if len(found) == 1 else "")


def _sqlite_tables(schema: str) -> list[TableFact]:
    """Return the tables that a script for sqlite3 makes, those first that others refer to."""
    connection = sqlite3.connect(":memory:")
    connection.set_authorizer(_allowed)
    try:
        connection.executescript(schema)
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")]
        found = []
        for name in names:
            if name.startswith("sqlite_"):
                continue
            targets = {row[3]: (row[2], row[4]) for row in connection.execute(f"PRAGMA foreign_key_list({name})")}
            unique = [row[1] for row in connection.execute(f"PRAGMA index_list({name})") if row[2]]
            alone = [[r[2] for r in connection.execute(f"PRAGMA index_info({index})")] for index in unique]
            columns = [
                _sqlite_column(row, *targets.get(row[1], ("", "")), unique=[row[1]] in alone)
                for row in connection.execute(f"PRAGMA table_info({name})")
            ]
            found.append(TableFact(name, columns, [], [names for names in alone if len(names) > 1]))
        return found
    finally:
        connection.close()


def _allowed(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK


def _sqlite_column(row: Sequence[object], table: str, column: str | None, *, unique: bool) -> ColumnFact:
    _, name, declared, required, default, key = row
    kind = next((kind for part, kind in SQLITE_KINDS.items() if part in str(declared).upper()), "integer")
    made = default is not None and not key
    nullable = not required and not key
    return ColumnFact(str(name), kind, nullable, bool(key), unique, made, table=table, column=column or "")
