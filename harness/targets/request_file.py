"""Files of requests, in the format of vegeta's HTTP targets: a method and a URL per request, or the URL alone for GET.

Lines of headers, `Name: value`, and a body, `@FILE` or text from a `{` or `[` on, may follow a request. Empty lines and lines that
begin with # are skipped.

Example:
    GET /items/{id}
    POST /items
    Content-Type: application/json
    {"name": "pen"}
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import UsageError
from harness.targets import urls
from harness.targets.documents import MAX_BYTES, bytes_of, text_of
from harness.targets.paths import group_of
from harness.targets.plan import TargetRequest
from harness.targets.source import MAX_REQUESTS, METHODS, FoundRequests, header, one_origin
from harness.targets.urls import TargetUrl

_REQUEST = re.compile(r"(?:([A-Z]+)[ \t]+)?((?:/|[a-zA-Z][a-zA-Z0-9+.-]*://)\S*)")


@dataclass
class _Line:
    """A request while its lines are read."""

    method: str
    url: TargetUrl | None
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def read(file: Path) -> FoundRequests:
    """Read the requests of a file; raise UsageError, with the line, if one cannot be used."""
    found: list[_Line] = []
    bodies = 0
    for number, text in enumerate(text_of(file).splitlines(), 1):
        line, place = text.strip(), f"{file}, line {number}"
        if not line or line.startswith("#"):
            continue
        if request := _REQUEST.fullmatch(line):
            if len(found) == MAX_REQUESTS:
                raise UsageError(f"{place}: more than {MAX_REQUESTS:,} requests; name a part of them")
            found.append(_request(request, place))
        elif not found:
            raise UsageError(f"{place} is not a request; write a method and a URL or path, such as GET /items/1")
        elif line[0] in "{[":
            found[-1].body += line.encode()
        elif line.startswith("@"):
            found[-1].body = bytes_of(file.parent / line[1:], MAX_BYTES)
            bodies += len(found[-1].body)
            if bodies > MAX_BYTES:
                raise UsageError(f"{place}: the bodies have more than {MAX_BYTES // 2**20} MB together; name smaller files")
        else:
            name, value = header(line, place)
            found[-1].headers[name] = value
    if not found:
        raise UsageError(f"{file} has no requests; write one per line: a method and a URL or path, such as GET /items/1")
    requests = [TargetRequest(group_of(r.method, r.path), r.method, r.path, r.headers, r.body) for r in found]
    return FoundRequests(requests, one_origin((r.url for r in found), str(file)), total=len(requests))


def _request(found: re.Match[str], place: str) -> _Line:
    method = found[1] or "GET"
    if method not in METHODS:
        raise UsageError(f"{place}: {method!r} is not a method; choose from {', '.join(METHODS)}")
    if found[2].startswith("/"):
        return _Line(method, None, urls.encoded_path(found[2]))
    url = urls.parse(found[2])
    return _Line(method, url, url.path or "/", dict(url.headers))
