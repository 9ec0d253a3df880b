"""Removal of client data from what a log shows of a statement: its SQL in normal form, its parameters, and its plan.

More people can read a log than the database. sqlglot parses the SQL: pglast knows only PostgreSQL's, and sqlparse has no structure
in which to find an IN list. Its speed does not matter: only slow statements are parsed, outside of the request, and each text once.
SQL that sqlglot cannot parse is scrubbed with patterns.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import sqlglot
from sqlglot import Dialect, ErrorLevel, exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.dialects.sqlite import SQLite
from sqlglot.errors import SqlglotError

_TEXT = re.compile(r"'(?:[^']|'')*'")
_NUMBER = re.compile(r"(?<![\w$:.\"])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w\"])", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_VALUES_FOLLOW = re.compile(r"\b(?:Cond|Filter|Key|Output|Group|Sort)\b[^:]*: ")
_PYFORMAT = re.compile(r"%\(\w+\)s|%s")


class _Postgres(Postgres):
    """PostgreSQL's SQL with NULLs ordered as in SQLite; otherwise every ORDER BY would get NULLS LAST."""

    NULL_ORDERING = "nulls_are_small"


_READS: dict[str, type[Dialect]] = {"postgresql": _Postgres, "sqlite": SQLite}


def fingerprint(normal: str) -> str:
    """Return the name of a normal form: 16 hexadecimal digits, the same in every process."""
    return blake2b(normal.encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=1024)
def normal_form(sql: str, dialect: str) -> str:
    """Return a statement with one `?` per value, one for a whole IN list, and only one row after VALUES.

    `dialect` is its name in SQLAlchemy. White space, comments and the parameter style do not matter: a statement has the same form
    with every driver. The form is meant for reading, and may not be executable.
    """
    try:
        [tree] = sqlglot.parse(_PYFORMAT.sub("?", sql), read=_READS.get(dialect))
    except (SqlglotError, ValueError):
        return scrubbed(sql)
    if not isinstance(tree, (exp.Query, exp.DML)):
        return scrubbed(sql)
    return tree.transform(_without_values).sql(comments=False, unsupported_level=ErrorLevel.IGNORE)


def _without_values(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.In) and node.expressions and all(map(_is_value, node.expressions)):
        node.set("expressions", [exp.Placeholder()])
    elif isinstance(node, exp.Values):
        node.set("expressions", node.expressions[:1])
    elif _is_value(node):
        return exp.Placeholder()
    return node


def _is_value(node: exp.Expr) -> bool:
    """Return whether a node is a literal or a parameter, also with a cast, such as `$1::VARCHAR`."""
    if isinstance(node, (exp.Cast, exp.Neg)):
        return _is_value(node.this)
    return isinstance(node, (exp.Literal, exp.Placeholder, exp.Parameter))


def scrubbed(text: str) -> str:
    """Return a text with `?` for quoted strings and numbers, in single spaces."""
    return _SPACE.sub(" ", _NUMBER.sub("?", _TEXT.sub("?", text))).strip()


def kinds(parameters: Any) -> list[str]:
    """Return the types of parameters, with the lengths of texts and bytes, and with their names: ["str(36)", "limit: int"]."""
    if isinstance(parameters, Mapping):
        return [f"{name}: {_kind(value)}" for name, value in parameters.items()]
    return [_kind(value) for value in parameters or ()]


def plan_line(line: str) -> str:
    """Return a line of a plan without the values in its conditions; costs and row counts are the planner's own and stay."""
    match = _VALUES_FOLLOW.search(line)
    return line[: match.end()] + scrubbed(line[match.end() :]) if match else _TEXT.sub("?", line)


def _kind(value: Any) -> str:
    return f"{type(value).__name__}({len(value)})" if isinstance(value, (str, bytes)) else type(value).__name__
