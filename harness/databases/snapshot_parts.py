"""Parts of the snapshot cache's keys: all that a filled database depends on. One of unknown origin has none."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any

from sqlalchemy import MetaData, create_mock_engine

from harness.databases.interface import Databases
from harness.runtime.source_digest import source_digest
from harness.scenario import Setting


def filled_parts(
    found: Databases,
    setting: Setting,
    *,
    name: str,
    data_version: str,
    metadata: MetaData,
    attributes: Mapping[str, object],
    makers: Iterable[type | FunctionType],
) -> dict[str, str] | None:
    """Return the parts of a database with all rows; `makers` are the classes and functions whose code yields them.

    None if they are not known: the code has no source file or is within a function, whose variables it may use, or `attributes`,
    those of the scenario object, are more than plain values.
    """
    makers = tuple(makers)
    is_plain = all(isinstance(value, str | int | float | None) for value in attributes.values())
    is_known = is_plain and not any("<" in maker.__qualname__ for maker in makers)
    code = source_digest(maker.__module__ for maker in makers) if is_known else None
    if code is None:
        return None
    return {
        "name": name,
        "engine": setting.engine,
        "engine version": found.version(),
        "size": setting.size,
        "scale": repr(setting.scale),
        "seed": str(setting.seed),
        "data version": data_version,
        "attributes": repr(sorted(attributes.items())),
        "schema": schema_digest(metadata, found),
        "makers": " ".join(f"{maker.__module__}.{maker.__qualname__}" for maker in makers),
        "code": code,
    }


def migrated_parts(filled: Mapping[str, str] | None, migration: Callable[..., Any] | str | Sequence[str]) -> dict[str, str] | None:
    """Return the parts of a copy with a migration; None if those of the rows or the migration's code are not known."""
    if filled is None:
        return None
    filled = {**filled, "note": "statements"}
    if not callable(migration):
        return {**filled, "migration": repr(migration)}
    is_plain = isinstance(migration, FunctionType) and not (migration.__closure__ or "<" in migration.__qualname__)
    code = source_digest([migration.__module__]) if is_plain else None
    if code is None:
        return None
    return {**filled, "migration": f"{migration.__module__}.{migration.__qualname__}", "migration code": code}


def schema_digest(metadata: MetaData, found: Databases) -> str:
    """Return the digest of the statements that create the tables on an engine, in whatever order they are executed."""
    statements: list[str] = []
    engine = create_mock_engine(found.url("schema"), lambda statement, *_, **__: statements.append(_compiled(statement)))

    def _compiled(statement: Any) -> str:
        return str(statement.compile(dialect=engine.dialect))

    metadata.create_all(engine, checkfirst=False)
    return hashlib.sha256("\n".join(sorted(statements)).encode()).hexdigest()
