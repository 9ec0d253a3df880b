"""The text of a project's first scenario, by template: `sql`, `http`, `function` or `empty`."""

import importlib.machinery
import importlib.util
import re
import sqlite3
import string
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.init import values
from harness.init.findings import ColumnFact, FunctionSite, Imported, RelationFact, RoutesFact, SchemaFact, Sources, TableFact

TEMPLATES = ("sql", "http", "function", "empty")
FOLDER = Path(__file__).with_name("templates")
SQLITE_KINDS = {"INT": "integer", "CHAR": "text", "TEXT": "text", "CLOB": "text", "REAL": "float", "FLOA": "float", "DOUB": "float"}
"""Part of a declared type → kind of a column, by the rules of SQLite; `NUMERIC` and others hold integers here."""
CHILD_ROWS = 10
"""Rows of a table per row of the table that it refers to."""


@dataclass(frozen=True)
class ScenarioText:
    """A scenario to write."""

    name: str
    """The file's name without its suffix."""
    text: str
    about: str
    """The code that it measures, in a few words."""


def template(name: str, **fields: str) -> str:
    """Return a template filled in; empty lines that a field leaves are removed."""
    filled = string.Template((FOLDER / f"{name}.txt").read_text(encoding="utf-8")).substitute(fields)
    return re.sub(
        r"\n\n\n\n+", "\n\n\n", filled.replace("\n\n\n    def", "\n\n    def").replace("import random\n\n\n", "import random\n\n")
    )


def fitting(root: Path, sources: Sources, imported: Imported) -> list[str]:
    """Return the templates that fit the project's own code, the most specific one first."""
    found = []
    for name in TEMPLATES[:3]:
        try:
            if written(name, root, sources, imported).about:
                found.append(name)
        except UsageError:
            continue
    return found


def written(chosen: str, root: Path, sources: Sources, imported: Imported) -> ScenarioText:
    """Return the scenario of a template for the project; UsageError with the reason if the template does not fit."""
    if chosen == "sql":
        found = _sql(sources, imported)
    elif chosen == "http":
        found = _http(sources, imported)
    elif chosen == "function":
        found = _function(sources.functions[0]) if sources.functions else ScenarioText("shared_words", template("function"), "")
    else:
        found = ScenarioText("first_scenario", template("empty"), "")
    return ScenarioText(_free(found.name, root), found.text, found.about)


def _free(name: str, root: Path) -> str:
    """Return a name that no importable module has: a scenario file must not shadow one."""
    path = [str(root), str(root / "src"), *sys.path]
    candidates = [name, f"{name}_bench", *(f"{name}_bench_{number}" for number in range(2, 100))]
    return next(c for c in candidates if importlib.machinery.PathFinder.find_spec(c, path) is None)


def _snake(name: str) -> str:
    return re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).strip("_").lower() or "first"


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"\W+|_", name)) or "First"


def _sql(sources: Sources, imported: Imported) -> ScenarioText:
    schemas = sorted(imported.schemas, key=lambda schema: -len(schema.tables))
    refusals: list[str] = []
    for schema in schemas:
        for relation in sorted(schema.relations, key=lambda each: (not each.many, len(_tables(schema, each)))):
            try:
                return _relation(schema, relation, sources)
            except values.NoValueError as reason:
                refusals.append(str(reason))
    for schema in schemas:
        for table, column in _without_index(schema):
            try:
                return _index(schema, table, column, sources)
            except values.NoValueError as reason:
                refusals.append(str(reason))
    if refusals:
        raise UsageError(
            f"the sql template does not fit: {refusals[0]}; use --template empty, with the docs' example of SqlScenario"
        )
    if imported.problems:
        raise UsageError(f"the sql template does not fit: {imported.problems[0]}; fix that, or choose another --template")
    raise UsageError("the sql template does not fit: no SQLAlchemy tables were found; choose --template function, http or empty")


def _tables(schema: SchemaFact, relation: RelationFact) -> list[TableFact]:
    tables = {table.name: table for table in schema.tables}
    if relation.parent_table not in tables or relation.child_table not in tables:
        return []
    return values.required_tables(tables, [relation.parent_table, relation.child_table])


def _relation(schema: SchemaFact, relation: RelationFact, sources: Sources) -> ScenarioText:
    needed = _tables(schema, relation)
    if not needed:
        raise values.NoValueError(f"{relation.parent}.{relation.name} is of another metadata")
    tables = {table.name: table for table in schema.tables}
    own = tables[relation.parent_table].key
    if own is None or values.has_own_row_each(tables[relation.parent_table]):
        raise values.NoValueError(f"the rows of {relation.parent_table} are not numbered")
    many = relation.child_table if relation.many else relation.parent_table
    lines, expressions = _rows(tables, needed, many)
    key = values.value(own, "n", is_key=True, where=own.name)
    child = f"each.{relation.name}"
    answer = (
        f"sorted(other.{relation.child_key} for other in {child})" if relation.many else f"{child} and {child}.{relation.child_key}"
    )
    title = f"Load {relation.name} with their {relation.parent}: one query per row, or one for all."
    text = template(
        "sql_relation",
        **_common(schema, sources, relation.module, {relation.parent}, expressions, lines),
        title=title,
        class_name=f"{relation.parent}{_camel(relation.name)}",
        relation=relation.name,
        parents=f"{relation.parent} rows",
        parent=relation.parent,
        parent_key=relation.parent_key,
        key=key,
        answer=answer,
    )
    name = f"{_snake(relation.parent)}_{_snake(relation.name)}"
    return ScenarioText(name, text, f"{relation.module}: {relation.parent}.{relation.name}, lazily and with selectinload")


def _without_index(schema: SchemaFact) -> Iterator[tuple[TableFact, ColumnFact]]:
    """Yield the tables with a column that has no index, foreign keys first."""
    candidates = [
        (table, column)
        for table in schema.tables
        for column in table.columns
        if table.key and not column.primary_key and column.name not in table.indexed and not column.made
        if column.table or column.kind in {"text", "integer", "datetime", "date"}
    ]
    yield from sorted(candidates, key=lambda pair: not pair[1].table)


def _index(schema: SchemaFact, table: TableFact, column: ColumnFact, sources: Sources) -> ScenarioText:
    tables = {each.name: each for each in schema.tables}
    needed = values.required_tables(tables, [table.name])
    if column.table in tables:
        needed = values.required_tables(tables, [table.name, column.table])
    lines, expressions = _rows(tables, needed, table.name if len(needed) > 1 else "")
    assert table.key is not None
    wanted = values.row(tables, table, [each.name for each in needed])[column.name].replace("draw.randint(1, count)", "n")
    statement = f'CREATE INDEX bench_{_snake(table.name)}_{_snake(column.name)} ON "{table.name}" ("{column.name}")'
    text = template(
        "sql_index",
        **_common(schema, sources, schema.module, set(), [*expressions, wanted], lines),
        title=f"Find the rows of {table.name} by {column.name}, without and with an index.",
        class_name=f"{_camel(table.name)}By{_camel(column.name)}",
        table=table.name,
        column=column.name,
        table_name=repr(table.name),
        column_name=repr(column.name),
        selected=f"table.c[{table.key.name!r}]",
        migration=repr(statement),
        value=wanted,
    )
    name = f"{_snake(table.name)}_by_{_snake(column.name)}"
    return ScenarioText(name, text, f"{schema.module}: {table.name}.{column.name}, without and with an index")


def _rows(tables: Mapping[str, TableFact], needed: Sequence[TableFact], many: str) -> tuple[list[str], list[str]]:
    """Return the lines that yield the rows of tables, and all expressions in them; the table `many` has more rows than others."""
    lines: list[str] = []
    expressions: list[str] = []
    before: list[str] = []
    for table in needed:
        found = values.row(tables, table, before)
        before.append(table.name)
        expressions += found.values()
        is_many = table.name == many and not values.has_own_row_each(table)
        limit = f"{CHILD_ROWS} * count + 1" if is_many else "count + 1"
        items = ", ".join(f"{name!r}: {expression}" for name, expression in found.items())
        line = f"        yield {table.name!r}, ({{{items}}} for n in range(1, {limit}))"
        if len(line) > 120:  # noqa: PLR2004 - readable
            fields = "".join(f"                {name!r}: {expression},\n" for name, expression in found.items())
            line = f"        yield (\n            {table.name!r},\n            (\n                {{\n{_indented(fields)}                }}\n"
            line += f"                for n in range(1, {limit})\n            ),\n        )"
        lines.append(line.replace("'", '"') if '"' not in line else line)
    return lines, expressions


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def _common(
    schema: SchemaFact, sources: Sources, module: str, names: set[str], expressions: Sequence[str], lines: Sequence[str]
) -> dict[str, str]:
    base = schema.expression.partition(".")[0]
    imports = {module: set(names)}
    imports.setdefault(schema.module, set()).add(base)
    found = [f"from {name} import {', '.join(sorted(used))}" for name, used in sorted(imports.items()) if used]
    found += [f"import {name}  # more tables of the same metadata" for name in schema.modules if name not in imports]
    is_async = bool(sources.async_engines) and not sources.sync_engines
    return {
        "standard_imports": "".join(f"{line}\n" for line in values.imports_of(expressions)).rstrip() + "\n",
        "imports": "\n".join(found),
        "metadata": schema.expression,
        "engines": "" if schema.is_portable else '    engines = ["postgres"]  # its tables have types that SQLite has not\n',
        "rows": "\n".join(lines),
        "run": (FOLDER / f"run_{'async' if is_async else 'sync'}.txt").read_text(encoding="utf-8").rstrip("\n") + "\n",
    }


def _http(sources: Sources, imported: Imported) -> ScenarioText:
    usable = [routes for routes in imported.routes if routes.paths]
    if not usable:
        problem = next((p for p in imported.problems if any(a.module in p for a in sources.apps)), "")
        if problem:
            raise UsageError(f"the http template does not fit: {problem}; fix that, or choose another --template")
        if imported.routes:
            app = imported.routes[0].app
            raise UsageError(
                f"the http template does not fit: {app.module}.{app.name} has no page without parameters; use --template empty"
            )
        raise UsageError(
            "the http template does not fit: no Flask, FastAPI, Starlette or Django application was found; "
            "use `harness load URL` for a server that runs, or choose another --template"
        )
    return _pages(usable[0])


def _pages(routes: RoutesFact) -> ScenarioText:
    app, paths = routes.app, sorted(routes.paths, key=lambda path: (path in {"/", "/health", "/healthz"}, path))[:5]
    shown = "[" + ", ".join(f'"{path}"' for path in paths) + "]"
    title = f"Pages of {app.module}."
    fields = {"title": title, "class_name": f"{_camel(app.module.rpartition('.')[2])}Pages", "paths": shown}
    application = f"{app.name}()" if app.is_factory else app.name
    imports = f"from {app.module} import {app.name}"
    if app.framework == "django":
        imports = f'import os\n\nimport django\n\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "{app.name}")\ndjango.setup()\n'
        imports += "\nfrom django.test import Client"
        text = template("http_wsgi", **fields, imports=imports, application="Client()", client="app", body="answer.content")
    elif app.framework == "flask":
        text = template(
            "http_wsgi", **fields, imports=imports, application=application, client="app.test_client()", body="answer.data"
        )
    else:
        if importlib.util.find_spec("httpx") is None:
            raise UsageError("the http template does not fit: the package httpx is not installed; pip install httpx")
        text = template("http_asgi", **fields, imports=imports, application=application)
    return ScenarioText(
        f"{_snake(app.module.rpartition('.')[2])}_pages", text, f"{app.framework} application {app.module}.{app.name}"
    )


def _function(site: FunctionSite) -> ScenarioText:
    arguments = [name for name, _ in site.parameters]
    drawn = [_drawn(kind) for _, kind in site.parameters]
    imports = [f"from {site.module} import {', '.join(sorted({site.name, *filter(None, [site.schema])}))}"]
    standard, opened, call = (
        "",
        f'    def open(self, arm, setting):\n        return {site.name} if arm == "baseline" else optimised\n',
        "",
    )
    call = "        return instance(*case.args)"
    if site.schema:
        standard, drawn = "import sqlite3", drawn[1:]
        lines, expressions = _sqlite_rows(site.schema_text)
        standard = "\n".join([standard, *values.imports_of(expressions)])
        body = "\n".join(lines)
        opened = (
            "    def open(self, arm, setting):\n"
            '        connection, draw, count = sqlite3.connect(":memory:"), random.Random(setting.seed), 1_000\n'
            f"        connection.executescript({site.schema})\n{body}\n"
            f'        return connection, {site.name} if arm == "baseline" else optimised\n'
        )
        call = "        connection, function = instance\n        return function(connection, *case.args)"
    text = template(
        "function_found",
        title=f"{site.name} of {site.module}.",
        standard_imports=standard + "\n" if standard else "",
        imports="\n".join(imports),
        parameters=", ".join(arguments),
        arguments=", ".join(arguments),
        function=site.name,
        class_name=_camel(site.name),
        values=", ".join(drawn),
        open=opened,
        call=call,
    )
    return ScenarioText(f"{_snake(site.name)}_calls", text, f"{site.module}.{site.name} ({site.place})")


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
            f"        rows = (({', '.join(found.values())},) for n in range(1, count + 1))",
            f'        connection.executemany("INSERT INTO {table.name} ({columns}) VALUES ({marks})", rows)',  # noqa: S608 - its own
        ]
    return lines, expressions


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
