"""A scenario for the SQLAlchemy tables of a project: a relationship, lazily and eagerly, or a column, without and with an index."""

from collections.abc import Iterator, Mapping

from harness.errors import UsageError
from harness.init import values
from harness.init.findings import ColumnFact, Imported, RelationFact, SchemaFact, Sources, TableFact
from harness.init.templating import FOLDER, ScenarioText, camel_case, quoted, snake_case, template

ROWS, CHILD_ROWS = "1_000", "10"
"""Rows of a table at size `small`, and of a table per row of the table that it refers to."""


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
    if tables[relation.parent_table].key is None:
        raise values.NoValueError(f"the key of {relation.parent_table} is not one column")
    values.require_values(needed)
    one, many = relation.parent_table, relation.child_table
    if not relation.many:
        one, many = many, one
    child = f"each.{relation.name}"
    answer = (
        f"sorted(other.{relation.child_key} for other in {child})" if relation.many else f"{child} and {child}.{relation.child_key}"
    )
    title = f"Load {relation.name} with their {relation.parent}: one query per row, or one for all."
    text = template(
        "sql_relation",
        **_common(schema, sources, relation.module, {relation.parent}),
        rows=_row_counts(tables, one, many),
        title=title,
        class_name=f"{relation.parent}{camel_case(relation.name)}",
        relation=relation.name,
        parents=f"{relation.parent} rows",
        parent=relation.parent,
        parent_key=relation.parent_key,
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
    one = column.table if column.table in tables and column.table != table.name else ""
    values.require_values(values.required_tables(tables, [table.name, *filter(None, [one])]))
    statement = f'CREATE INDEX bench_{snake_case(table.name)}_{snake_case(column.name)} ON "{table.name}" ("{column.name}")'
    assert table.key is not None
    text = template(
        "sql_index",
        **_common(schema, sources, schema.module, set()),
        rows=_row_counts(tables, one, table.name) if one else f"{{{quoted(table.name)}: 10_000}}",
        more="per, " if one else "",
        title=f"Find the rows of {table.name} by {column.name}, without and with an index.",
        class_name=f"{camel_case(table.name)}By{camel_case(column.name)}",
        table=table.name,
        column=column.name,
        table_name=quoted(table.name),
        column_name=quoted(column.name),
        full_name=quoted(f"{table.name}.{column.name}"),
        selected=f"table.c[{quoted(table.key.name)}]",
        migration=repr(statement),
    )
    name = f"{snake_case(table.name)}_by_{snake_case(column.name)}"
    return ScenarioText(name, text, f"{table.name}.{column.name} of {schema.module}")


def _row_counts(tables: Mapping[str, TableFact], one: str, many: str) -> str:
    """Return the numbers of rows of a table and of another one that refers to it: one each where it refers to each row once."""
    number = "1" if values.has_own_row_each(tables[many]) else CHILD_ROWS
    return f"{{{quoted(one)}: {ROWS}, {quoted(many)}: per({quoted(one)}, {number})}}"


def _common(schema: SchemaFact, sources: Sources, module: str, names: set[str]) -> dict[str, str]:
    base = schema.expression.partition(".")[0]
    imports = {module: set(names)}
    imports.setdefault(schema.module, set()).add(base)
    found = [f"from {name} import {', '.join(sorted(used))}" for name, used in sorted(imports.items()) if used]
    found += [f"import {name}  # more tables of the same metadata" for name in schema.modules if name not in imports]
    is_async = bool(sources.async_engines) and not sources.sync_engines
    return {
        "imports": "\n".join(found),
        "metadata": schema.expression,
        "engines": "" if schema.is_portable else '    engines = ["postgres"]  # its tables have types that SQLite has not\n',
        "run": (FOLDER / f"run_{'async' if is_async else 'sync'}.txt").read_text(encoding="utf-8").rstrip("\n") + "\n",
    }
