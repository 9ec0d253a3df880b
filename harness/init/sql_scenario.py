"""A scenario for the SQLAlchemy tables of a project: a relationship, lazily and eagerly, or a column, without and with an index."""

from collections.abc import Iterator, Mapping, Sequence

from harness.errors import UsageError
from harness.init import values
from harness.init.findings import ColumnFact, Imported, RelationFact, SchemaFact, Sources, TableFact
from harness.init.templating import FOLDER, ScenarioText, camel_case, quoted, snake_case, template

CHILD_ROWS = 10
"""Rows of a table per row of the table that it refers to."""
LINE = 120
"""The length from which a line is broken."""


def sql_scenario(sources: Sources, imported: Imported) -> ScenarioText:
    """Return a scenario of the project's tables: eager loading of a relationship, or else an index; UsageError without either."""
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
        class_name=f"{relation.parent}{camel_case(relation.name)}",
        relation=relation.name,
        parents=f"{relation.parent} rows",
        parent=relation.parent,
        parent_key=relation.parent_key,
        key=key,
        answer=answer,
    )
    name = f"{snake_case(relation.parent)}_{snake_case(relation.name)}"
    return ScenarioText(name, text, f"{relation.parent}.{relation.name} of {relation.module}")


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
    statement = f'CREATE INDEX bench_{snake_case(table.name)}_{snake_case(column.name)} ON "{table.name}" ("{column.name}")'
    text = template(
        "sql_index",
        **_common(schema, sources, schema.module, set(), [*expressions, wanted], lines),
        title=f"Find the rows of {table.name} by {column.name}, without and with an index.",
        class_name=f"{camel_case(table.name)}By{camel_case(column.name)}",
        table=table.name,
        column=column.name,
        table_name=quoted(table.name),
        column_name=quoted(column.name),
        selected=f"table.c[{quoted(table.key.name)}]",
        migration=repr(statement),
        value=wanted,
    )
    name = f"{snake_case(table.name)}_by_{snake_case(column.name)}"
    return ScenarioText(name, text, f"{table.name}.{column.name} of {schema.module}")


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
        items = ", ".join(f"{quoted(name)}: {expression}" for name, expression in found.items())
        line = f"        yield {quoted(table.name)}, ({{{items}}} for n in range(1, {limit}))"
        if len(line) > LINE:
            fields = "".join(f"                    {quoted(name)}: {expression},\n" for name, expression in found.items())
            rows = f"                {{\n{fields}                }}\n                for n in range(1, {limit})\n"
            line = f"        yield (\n            {quoted(table.name)},\n            (\n{rows}            ),\n        )"
        lines.append(line)
    return lines, expressions


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
