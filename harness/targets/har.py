"""Requests of a HAR file, as browsers and proxies record them: those of the first one's server that can be sent again."""

import base64
import binascii
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.targets import urls
from harness.targets.documents import json_of
from harness.targets.paths import group_of
from harness.targets.plan import TargetRequest
from harness.targets.source import BY_CLIENT, MAX_REQUESTS, METHODS, FoundRequests

FAILED = 400
"""The lowest status of a failed request."""
_DECODABLE = ("gzip", "deflate")


class _HarPair(msgspec.Struct, frozen=True):
    name: str
    value: str = ""


class _HarPostData(msgspec.Struct, frozen=True):
    text: str | None = None
    encoding: str = ""
    params: list[_HarPair] = []
    mimeType: str = ""  # noqa: N815 - the format's name


class _HarRequest(msgspec.Struct, frozen=True):
    url: str
    method: str = "GET"
    headers: list[_HarPair] = []
    postData: _HarPostData | None = None  # noqa: N815 - the format's name


class _HarResponse(msgspec.Struct, frozen=True):
    status: float = 0


class _HarEntry(msgspec.Struct, frozen=True):
    request: _HarRequest
    response: _HarResponse = _HarResponse()


class _HarLog(msgspec.Struct, frozen=True):
    entries: list[_HarEntry] | None = None


class _HarFile(msgspec.Struct, frozen=True):
    log: _HarLog


def read(file: Path, content: bytes, *, needs_origin: bool) -> FoundRequests:
    """Read the requests of a HAR file; raise UsageError if it has none that can be sent again.

    With `needs_origin` its own server gets them, so that its URL has to be one that the load generator supports.
    """
    entries = json_of(file, content, _HarFile).log.entries or []
    if not entries:
        raise UsageError(f"{file} is a HAR file without requests; record some, with the network panel open")
    if len(entries) > MAX_REQUESTS:
        raise UsageError(f"{file} has more than {MAX_REQUESTS:,} requests; record a part of them")
    server, left_out = _authority(entries[0].request.url), Counter[str]()
    requests: list[TargetRequest] = []
    for entry in entries:
        reason, request = _usable(entry, server)
        if request is None:
            left_out[reason] += 1
        else:
            requests.append(request)
    if not requests:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
        raise UsageError(f"{file} has no requests that can be sent again: {reasons}; record others")
    origin = urls.parse(f"{server}/") if needs_origin else None
    return FoundRequests(requests, origin, "recorded requests", len(entries), left_out)


def _authority(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme.lower()}://{rest.partition('/')[0].partition('?')[0].lower()}"


def _usable(entry: _HarEntry, server: str) -> tuple[str, TargetRequest | None]:
    """Return the reason why an entry cannot be sent again, or its request."""
    found = entry.request
    method = found.method.upper()
    if _authority(found.url) != server:
        return "to another server", None
    if method not in METHODS:
        return f"with method {method[:20]!r}", None
    if entry.response.status >= FAILED:
        return "that failed when recorded", None
    try:
        url = urls.parse("http://" + found.url.partition("://")[2])
        body = _body(found.postData)
    except (UsageError, ValueError, binascii.Error):
        return "with a URL or a body that cannot be sent", None
    headers: dict[str, str] = dict(url.headers)
    for pair in found.headers:
        name = pair.name.lower()
        if name.startswith(":") or name in BY_CLIENT:  # of HTTP/2, or set by the client
            continue
        value = ", ".join(c for c in _DECODABLE if c in pair.value.lower()) if name == "accept-encoding" else pair.value
        if value:
            headers[pair.name] = f"{headers[pair.name]}; {value}" if name == "cookie" and pair.name in headers else value
    path = (url.path or "/").replace("{", "%7B").replace("}", "%7D")
    return "", TargetRequest(group_of(method, path), method, path, headers, body)


def _body(data: Any) -> bytes:
    if data is None:
        return b""
    if data.text is not None:
        return base64.b64decode(data.text) if data.encoding == "base64" else data.text.encode()
    if data.params and "multipart" in data.mimeType:
        raise ValueError("the parts of a form are not in the file")
    return urls.form(data.params)
