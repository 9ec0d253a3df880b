"""Takes out of a text for a log what a client sent: a log is read by more people than the database is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TEXT = re.compile(r"'(?:[^']|'')*'")
_NUMBER = re.compile(r"(?<![\w$:.\"])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w\"])", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_VALUES_FOLLOW = re.compile(r"\b(?:Cond|Filter|Key|Output|Group|Sort)\b[^:]*: ")


def scrubbed(text: str) -> str:
    """Return a text with `?` for what is quoted and for numbers, in single spaces."""
    return _SPACE.sub(" ", _NUMBER.sub("?", _TEXT.sub("?", text))).strip()


def kinds(parameters: Any) -> list[str]:
    """Return the types of parameters, with the lengths of texts and bytes, and with their names: ["str(36)", "limit: int"]."""
    if isinstance(parameters, Mapping):
        return [f"{name}: {_kind(value)}" for name, value in parameters.items()]
    return [_kind(value) for value in parameters or ()]


def plan_line(line: str) -> str:
    """Return a line of a plan without values.

    Costs and numbers of rows are the planner's own and stay: values stand in conditions, where PostgreSQL writes them out.
    """
    told = _VALUES_FOLLOW.search(line)
    return line[: told.end()] + scrubbed(line[told.end() :]) if told else _TEXT.sub("?", line)


def _kind(value: Any) -> str:
    return f"{type(value).__name__}({len(value)})" if isinstance(value, (str, bytes)) else type(value).__name__
