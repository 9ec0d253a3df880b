"""Import a project's modules, in a process of its own, and describe their tables, relationships and pages.

The process ends with its parent; whatever the modules print is captured, and whatever they raise is reported with its line.
"""

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import text_of
from harness.init.findings import AppSite, ColumnFact, Imported, InspectJob, RelationFact, RoutesFact, SchemaFact, TableFact
from harness.runtime import channel

LAZY = frozenset({"dynamic", "write_only", "raise", "raise_on_sql", "noload"})
"""Loading strategies of relationships that cannot be chosen by a query."""
MADE_PATHS = frozenset({"/openapi.json", "/docs", "/redoc", "/docs/oauth2-redirect"})
"""Paths that FastAPI adds."""
KINDS = (
    ("enum", "Enum"),
    ("boolean", "Boolean"),
    ("integer", "Integer"),
    ("float", "Float"),
    ("decimal", "Numeric"),
    ("uuid", "Uuid"),
    ("json", "JSON"),
    ("array", "ARRAY"),
    ("bytes", "LargeBinary"),
    ("datetime", "DateTime"),
    ("date", "Date"),
    ("time", "Time"),
    ("interval", "Interval"),
    ("text", "String"),
)
"""Kinds of columns with the types of SQLAlchemy, special ones first."""
MAX_PATHS = 20


def main() -> None:
    """Receive one job, import its modules, and send the findings."""
    parent = channel.connect()
    job = msgspec.json.decode(parent.read_line(), type=InspectJob)
    sys.path[:0] = [path for path in (job.root, str(Path(job.root) / "src")) if Path(path).is_dir() and path not in sys.path]
    found, modules = Imported(), dict[str, Any]()
    for name in job.modules:
        try:
            modules[name] = importlib.import_module(name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code may raise anything
            found.problems.append(f"{name} cannot be imported: {_described(error, job.root)}")
    if modules and "sqlalchemy" in sys.modules:
        found.schemas += _schemas(modules, found.problems)
    for app in job.apps:
        try:
            found.routes.append(RoutesFact(app, list(dict.fromkeys(_paths(app)))[:MAX_PATHS]))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code may raise anything
            found.problems.append(f"{app.label} cannot be used: {_described(error, job.root)}")
    parent.write_line(msgspec.json.encode(found, enc_hook=str))  # names may be subclasses of text


def _described(error: BaseException, root: str) -> str:
    """Return an error with its line in the project: the innermost one, or that of a syntax error."""
    text = " ".join(f"{type(error).__name__}: {text_of(error)}".split())
    if isinstance(error, SyntaxError) and error.filename:
        return f"{os.path.relpath(error.filename, root)}, line {error.lineno}: {text}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(f"{root}{os.sep}")]
    frames = [f for f in frames if "site-packages" not in f.filename and "/." not in f.filename[len(root) :]]
    return f"{os.path.relpath(frames[-1].filename, root)}, line {frames[-1].lineno}: {text}" if frames else text


def _schemas(modules: dict[str, Any], problems: list[str]) -> Iterator[SchemaFact]:
    from sqlalchemy import MetaData  # noqa: PLC0415 - only for projects that use it
    from sqlalchemy.orm import configure_mappers  # noqa: PLC0415

    try:
        configure_mappers()
    except Exception as error:  # noqa: BLE001 - a mapping may be wrong in many ways
        problems.append(f"the mapped classes cannot be configured: {' '.join(text_of(error).split())}")
        return
    seen: dict[int, tuple[str, str, Any]] = {}
    for module, content in modules.items():
        for name, value in vars(content).items():
            metadata = value if isinstance(value, MetaData) else _attribute(value, "metadata")
            if not isinstance(metadata, MetaData) or not metadata.tables or name.startswith("_") or not name.isidentifier():
                continue
            own = _attribute(value, "__module__") in {None, module}
            expression = name if value is metadata else f"{name}.metadata"
            is_base = inspect.isclass(value) and not hasattr(value, "__table__")
            if id(metadata) not in seen or (own and is_base and not _is_base(seen[id(metadata)][1])):
                seen[id(metadata)] = (module, expression, metadata)
    for module, expression, metadata in seen.values():
        try:
            yield _schema(module, expression, metadata, modules)
        except Exception as error:  # noqa: BLE001 - a foreign key may refer to nothing, for instance
            problems.append(f"{module}.{expression} cannot be used: {' '.join(text_of(error).split())}")


def _attribute(value: Any, name: str) -> Any:
    """Return an attribute of a foreign object; None if it has none or raises, as proxies of Flask do outside of a request."""
    try:
        return getattr(value, name, None)
    except Exception:  # noqa: BLE001 - foreign code may raise anything
        return None


def _is_base(expression: str) -> bool:
    return expression.endswith("Base.metadata")


def _schema(module: str, expression: str, metadata: Any, modules: dict[str, Any]) -> SchemaFact:
    from harness.databases.default_schema import require_default_schema  # noqa: PLC0415 - only for projects that use SQLAlchemy

    require_default_schema(metadata)
    mappers = _mappers(metadata, modules)
    relations = [fact for mapper in mappers for fact in _relations(mapper)]
    homes = {mapper.class_.__module__ for mapper in mappers}
    homes |= {name for name, content in modules.items() for value in vars(content).values() if _is_table(value, metadata)}
    return SchemaFact(
        module,
        expression,
        sorted(homes & modules.keys()),
        [_table(table) for table in metadata.sorted_tables],
        relations,
        _is_portable(metadata),
    )


def _is_table(value: Any, metadata: Any) -> bool:
    return _attribute(value, "metadata") is metadata and _attribute(value, "key") in metadata.tables


def _mappers(metadata: Any, modules: dict[str, Any]) -> list[Any]:
    from sqlalchemy import inspect as inspected  # noqa: PLC0415 - only for projects that use it

    kinds = {value for content in modules.values() for value in vars(content).values() if inspect.isclass(value)}
    found = {
        mapper for kind in kinds if (mapper := inspected(kind, raiseerr=False)) is not None and hasattr(mapper, "relationships")
    }
    own = [mapper for mapper in found if getattr(mapper.local_table, "metadata", None) is metadata]
    return sorted(own, key=lambda mapper: (mapper.class_.__module__, mapper.class_.__name__))


def _relations(mapper: Any) -> Iterator[RelationFact]:
    from sqlalchemy.orm import RelationshipDirection  # noqa: PLC0415 - only for projects that use it

    for each in mapper.relationships:
        other = each.mapper
        usual = each.secondary is None and not each.viewonly and each.lazy not in LAZY and other is not mapper
        plain = not any(m.inherits or m.polymorphic_on is not None or len(m.primary_key) != 1 for m in (mapper, other))
        sided = each.direction is not RelationshipDirection.MANYTOMANY and "." not in mapper.class_.__qualname__
        if usual and plain and sided:
            keys = [m.get_property_by_column(m.primary_key[0]).key for m in (mapper, other)]
            kind, child = mapper.class_, other.class_.__name__
            tables = mapper.local_table.key, other.local_table.key
            yield RelationFact(kind.__module__, kind.__name__, each.key, child, bool(each.uselist), *tables, *keys)


def _table(table: Any) -> TableFact:
    unique = [[c.key for c in k.columns] for k in table.constraints if type(k).__name__ == "UniqueConstraint"]
    unique += [[c.key for c in index.columns] for index in table.indexes if index.unique]
    alone = {columns[0] for columns in unique if len(columns) == 1}
    indexed = {next(iter(index.columns)).key for index in table.indexes if len(index.columns)}
    indexed |= {columns[0] for columns in unique if columns} | {c.key for c in list(table.primary_key.columns)[:1]}
    columns = [_column(column, unique=column.key in alone) for column in table.columns]
    return TableFact(table.key, columns, sorted(indexed), [columns for columns in unique if len(columns) > 1])


def _column(column: Any, *, unique: bool) -> ColumnFact:
    from sqlalchemy import types  # noqa: PLC0415 - only for projects that use it

    kind = column.type.impl if isinstance(column.type, types.TypeDecorator) else column.type
    name = next((name for name, cls in KINDS if isinstance(kind, getattr(types, cls))), type(kind).__name__)
    target = next(iter(column.foreign_keys), None)
    made = column.server_default is not None or column.computed is not None or column.identity is not None
    return ColumnFact(
        column.key,
        name,
        nullable=bool(column.nullable),
        primary_key=bool(column.primary_key),
        unique=unique or bool(column.unique),
        made=made,
        length=getattr(kind, "length", None) or 0,
        zoned=bool(getattr(kind, "timezone", False)),
        choices=list(getattr(kind, "enums", [])),
        table=target.column.table.key if target is not None else "",
        column=target.column.key if target is not None else "",
    )


def _is_portable(metadata: Any) -> bool:
    """Return whether SQLite can create the tables."""
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415 - only for projects that use it
    from sqlalchemy.schema import CreateTable  # noqa: PLC0415

    try:
        for table in metadata.tables.values():
            str(CreateTable(table).compile(dialect=sqlite.dialect()))
    except Exception:  # noqa: BLE001 - a type of another database raises its own kinds of errors
        return False
    return True


def _paths(app: AppSite) -> Iterator[str]:
    """Yield the paths of an application that are read with GET and have no parameters."""
    if app.framework == "django":
        yield from _django_paths(app)
        return
    made = getattr(importlib.import_module(app.module), app.name)
    application = made() if app.is_factory else made
    if app.framework == "flask":
        for rule in application.url_map.iter_rules():
            if "GET" in rule.methods and not rule.arguments:
                yield rule.rule
        return
    for route in application.routes:
        if "GET" in (getattr(route, "methods", None) or ()) and "{" not in route.path and route.path not in MADE_PATHS:
            yield route.path


def _django_paths(app: AppSite) -> Iterator[str]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", app.name)
    django: Any = importlib.import_module("django")
    django.setup()
    resolvers: Any = importlib.import_module("django.urls")
    for pattern in resolvers.get_resolver().url_patterns:
        route = str(pattern.pattern)
        if hasattr(pattern, "callback") and "<" not in route and not route.startswith("^"):
            yield f"/{route}"


if __name__ == "__main__":
    main()
