"""Removal of client data from texts for a log: more people can read a log than the database."""

import re
from collections.abc import Mapping
from typing import Any

_TEXT = re.compile(r"'(?:[^']|'')*'")
_NUMBER = re.compile(r"(?<![\w$:.\"])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w\"])", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_VALUES_FOLLOW = re.compile(r"\b(?:Cond|Filter|Key|Output|Group|Sort)\b[^:]*: ")


def scrubbed(text: str) -> str:
    """Return a text with `?` for quoted strings and numbers, in single spaces."""
    return _SPACE.sub(" ", _NUMBER.sub("?", _TEXT.sub("?", text))).strip()


def kinds(parameters: Any) -> list[str]:
    """Return the types of parameters, with the lengths of texts and bytes, and with their names: ["str(36)", "limit: int"]."""
    if isinstance(parameters, Mapping):
        return [f"{name}: {_kind(value)}" for name, value in parameters.items()]
    return [_kind(value) for value in parameters or ()]


def plan_line(line: str) -> str:
    """Return a line of a plan without values.

    Costs and row counts are the planner's own and stay: values occur in conditions, where PostgreSQL writes them out.
    """
    match = _VALUES_FOLLOW.search(line)
    return line[: match.end()] + scrubbed(line[match.end() :]) if match else _TEXT.sub("?", line)


def _kind(value: Any) -> str:
    return f"{type(value).__name__}({len(value)})" if isinstance(value, (str, bytes)) else type(value).__name__
