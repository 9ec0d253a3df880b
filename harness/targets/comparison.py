"""Comparison of responses of several servers: status and body, without the parts that change between two answers of one server."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

from harness.equality import difference
from harness.load.http_client import Response

MAX_DEPTH = 40
"""Depth of a JSON body below which parts are compared as a whole."""
_CHANGES = "(changes from answer to answer)"

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class ComparedAnswer:
    """A response in the form that is compared."""

    status: int
    body: Any
    """A JSON document without ignored members, or the bytes."""

    @property
    def words(self) -> str:
        """The status in words, such as `404 Not Found`."""
        return status_words(self.status)


def status_words(status: int) -> str:
    """Return a status with its name."""
    names = {each.value: each.phrase for each in HTTPStatus}
    return f"{status} {names[status]}" if status in names else str(status)


def answer_of(response: Response, ignored: Collection[str] = ()) -> ComparedAnswer:
    """Return a response in the form that is compared, without the JSON members that are ignored."""
    try:
        body = response.body
    except OSError:  # an encoding that the client does not decode
        body = response.sent
    try:
        parsed = msgspec.json.decode(body) if body.lstrip()[:1] in {b"{", b"["} else body
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        parsed = body
    return ComparedAnswer(response.status, _without(parsed, ignored) if ignored else parsed)


def _without(part: Any, ignored: Collection[str], depth: int = MAX_DEPTH) -> Any:
    if not depth:
        return part
    if isinstance(part, dict):
        return {name: _without(value, ignored, depth - 1) for name, value in part.items() if name not in ignored}
    return [_without(value, ignored, depth - 1) for value in part] if isinstance(part, list) else part


def changing(first: Any, second: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of the parts that differ between two bodies of the same server."""
    if len(path) < MAX_DEPTH:
        if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
            for name in first:
                yield from changing(first[name], second[name], (*path, name))
            return
        if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
            for place, (one, other) in enumerate(zip(first, second, strict=True)):
                yield from changing(one, other, (*path, place))
            return
    if difference(second, first) is not None:
        yield path


def masked(body: Any, paths: Collection[Path]) -> Any:
    """Return a body with the parts at these paths made equal."""
    for path in paths:
        body = _masked(body, path)
    return body


def _masked(part: Any, path: Path) -> Any:
    if not path:
        return _CHANGES
    key, rest = path[0], path[1:]
    if isinstance(part, dict) and key in part:
        return {**part, key: _masked(part[key], rest)}
    if isinstance(part, list) and isinstance(key, int) and key < len(part):
        return [*part[:key], _masked(part[key], rest), *part[key + 1 :]]
    return part


def disagreement(found: ComparedAnswer, expected: ComparedAnswer, changes: Collection[Path]) -> str | None:
    """Return how an answer differs from the expected one, apart from the parts that change; None if it does not."""
    if found.status != expected.status:
        return f"status {found.words} instead of {expected.words}"
    differs = difference(masked(found.body, changes), masked(expected.body, changes))
    if differs is None:
        return None
    return f"a body that differs{f' at {differs.path}' if differs.path else ''}: {differs.found} instead of {differs.expected}"


def form_of(part: Any, depth: int = MAX_DEPTH) -> Any:
    """Return the form of a body: its members, the form of a list's first element, and no values, as a write creates its own."""
    if isinstance(part, dict) and depth:
        return {name: form_of(value, depth - 1) for name, value in part.items()}
    if isinstance(part, list) and depth:
        return [form_of(value, depth - 1) for value in part[:1]]
    return "a text" if isinstance(part, bytes) else "a value"


def path_text(path: Path) -> str:
    """Return a path in words, such as `['rows'][0]`; `the whole body` for an empty one."""
    return "".join(f"[{part!r}]" for part in path) or "the whole body"
