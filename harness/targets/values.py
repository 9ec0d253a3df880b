"""Values of placeholders: `{id}` in a URL, a header or a body, and `--values id=1..1000`."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from harness.errors import UsageError
from harness.targets.documents import text_of
from harness.targets.plan import TargetRequest

MAX_VALUES = 1_000_000
"""Limit of the values of one placeholder."""
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.-]*)\}")
_RANGE = re.compile(r"(-?\d{1,18})\.\.(-?\d{1,18})")
_SYNTAX = "id=1..1000, id=7,12,99 or id=@ids.txt with one value per line"


def parse(options: Iterable[str]) -> dict[str, list[str]]:
    """Return name → values of some options `NAME=VALUES`; raise UsageError if one cannot be used."""
    found: dict[str, list[str]] = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not equals or not _PLACEHOLDER.fullmatch(f"{{{name}}}"):
            raise UsageError(f"--values {option.partition('=')[0]!r} has no name and values; write {_SYNTAX}")
        if name in found:
            raise UsageError(f"--values gives {name!r} twice; name all of its values at once")
        found[name] = _values(name, text)
    return found


def _values(name: str, text: str) -> list[str]:
    if text.startswith("@"):
        lines = (line.strip() for line in text_of(Path(text[1:])).splitlines())
        values = [line for line in lines if line]
    elif bounds := _RANGE.fullmatch(text):
        first, last = int(bounds[1]), int(bounds[2])
        if not 0 <= last - first < MAX_VALUES:
            raise UsageError(f"--values {name}: {text} is not a range of 1 to {MAX_VALUES:,} numbers; write {_SYNTAX}")
        values = [str(number) for number in range(first, last + 1)]
    else:
        values = [part.strip() for part in text.split(",") if part.strip()]
    if not values:
        raise UsageError(f"--values {name} has no values; write {_SYNTAX}")
    if len(values) > MAX_VALUES:
        raise UsageError(f"--values {name} has {len(values):,} values, more than the limit of {MAX_VALUES:,}; give fewer")
    return values


def placeholders(request: TargetRequest, known: Collection[str] = ()) -> list[str]:
    """Return the names in a request, in their order: all in its path, and those `known` in headers and body, which may be JSON."""
    names = [_PLACEHOLDER.findall(request.path)]
    texts = [*request.headers.values(), request.body.decode("latin-1")]
    names += [[name for name in _PLACEHOLDER.findall(text) if name in known] for text in texts]
    return list(dict.fromkeys(name for found in names for name in found))


def check(requests: Sequence[TargetRequest], values: Mapping[str, Sequence[str]]) -> None:
    """Raise UsageError for a placeholder without values, and for values without a placeholder."""
    used = dict.fromkeys(name for request in requests for name in placeholders(request, values))
    for name in used:
        if name not in values:
            raise UsageError(f"{{{name}}} has no values; add --values {name}=1..1000, or a file: --values {name}=@FILE")
    for name in values:
        if name not in used:
            known = f"choose from {', '.join(used)}" if used else f"write {{{name}}} into the URL, or leave --values out"
            raise UsageError(f"unknown name {name!r} in --values; {known}")


def filled(request: TargetRequest, values: Mapping[str, str]) -> TargetRequest:
    """Return a request with values in place of its placeholders; those in the path are percent-encoded."""
    if not values:
        return request

    def put(text: str, *, encodes: bool = False) -> str:
        def value(found: re.Match[str]) -> str:
            known = values.get(found[1])
            return found[0] if known is None else quote(known, safe="") if encodes else known

        return _PLACEHOLDER.sub(value, text)

    headers = {name: put(text) for name, text in request.headers.items()}
    body = put(request.body.decode(errors="surrogateescape")).encode(errors="surrogateescape")
    return TargetRequest(request.group, request.method, put(request.path, encodes=True), headers, body)
