"""A shared HTTP cache at an edge (RFC 9111, RFC 5861): which responses it stores, for how long, and up to which size.

Pure logic with an injected clock. It never stores a private response: `private` and `no-store`, responses to requests with
`Authorization` that are not marked `public`, responses with a cookie, and `Vary: *`.
"""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

MAX_BYTES = 16 * 2**20
_OVERHEAD_BYTES = 512  # size of an entry in addition to its body and headers: keys, records, links


class LookupState(StrEnum):
    """The result of a lookup."""

    FRESH = "fresh"
    STALE = "stale"  # may be served while it is refreshed
    MISS = "miss"
    PASS = "pass"  # noqa: S105 - a state: the request is one that no shared cache may serve, so it is not looked up


@dataclass(frozen=True)
class Answer:
    """An HTTP response. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def etag(self) -> str | None:
        """The response's validator."""
        return self.headers.get("etag")


@dataclass(frozen=True)
class EdgeLookup:
    """The result of a lookup."""

    state: LookupState
    answer: Answer | None = None  # the stored response; None for a miss or a pass


@dataclass(frozen=True)
class Lifetime:
    """The times for which a response may be served, in seconds: fresh, and afterwards stale while it is refreshed."""

    fresh_s: float
    stale_s: float


@dataclass
class _Entry:
    answer: Answer
    lifetime: Lifetime
    stored_s: float
    bytes: int


class EdgeCache:
    """Responses by path and by the request headers that they vary by; the least recently used is evicted first."""

    def __init__(self, now_s: Callable[[], float], max_bytes: int = MAX_BYTES) -> None:
        self._now_s = now_s
        self._max_bytes = max_bytes
        self._entries: OrderedDict[tuple[str, ...], _Entry] = OrderedDict()
        self._varies: dict[str, tuple[str, ...]] = {}
        self._keys: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
        self.bytes = 0  # the size of all entries, including overhead
        self.counts: Counter[str] = Counter()  # lookups by result: fresh, stale, miss, pass; and `evicted`, `purged`

    def lookup(self, path: str, request: Mapping[str, str]) -> EdgeLookup:
        """Return the stored response for a request with these headers, and count the lookup."""
        found = self._lookup(path, request)
        self.counts[found.state] += 1
        return found

    def store(self, path: str, request: Mapping[str, str], answer: Answer) -> bool:
        """Store a response if a shared cache may; return whether it was stored."""
        lifetime = lifetime_of(request, answer)
        if lifetime is None:
            return False
        varies = tuple(sorted(name.strip().lower() for name in answer.headers.get("vary", "").split(",") if name.strip()))
        if self._varies.get(path, varies) != varies:
            self.purge([path])  # entries stored under other headers can no longer be distinguished
        self._varies[path] = varies
        key = self._key(path, request)
        self._drop(key)
        size = len(answer.body) + sum(len(name) + len(value) for name, value in answer.headers.items()) + _OVERHEAD_BYTES
        if size > self._max_bytes:
            return False
        self._entries[key] = _Entry(answer, lifetime, self._now_s(), size)
        self._keys[path].add(key)
        self.bytes += size
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))
            self.counts["evicted"] += 1
        return True

    def purge(self, paths: Iterable[str]) -> None:
        """Remove all entries of these paths."""
        for path in paths:
            for key in list(self._keys.get(path, ())):
                self._drop(key)
                self.counts["purged"] += 1
            self._varies.pop(path, None)

    def holds(self, path: str) -> bool:
        """Return whether a plain request for a path would find a fresh response, without counting it."""
        return self._lookup(path, {}).state is LookupState.FRESH

    def _lookup(self, path: str, request: Mapping[str, str]) -> EdgeLookup:
        if "authorization" in request:
            return EdgeLookup(LookupState.PASS)
        key = self._key(path, request)
        entry = self._entries.get(key)
        if entry is None:
            return EdgeLookup(LookupState.MISS)
        age_s = self._now_s() - entry.stored_s
        if age_s > entry.lifetime.fresh_s + entry.lifetime.stale_s:
            self._drop(key)
            return EdgeLookup(LookupState.MISS)
        self._entries.move_to_end(key)
        return EdgeLookup(LookupState.FRESH if age_s <= entry.lifetime.fresh_s else LookupState.STALE, entry.answer)

    def _key(self, path: str, request: Mapping[str, str]) -> tuple[str, ...]:
        return (path, *(request.get(name, "") for name in self._varies.get(path, ())))

    def _drop(self, key: tuple[str, ...]) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.bytes
            self._keys[key[0]].discard(key)
            if not self._keys[key[0]]:
                del self._keys[key[0]]


def lifetime_of(request: Mapping[str, str], answer: Answer) -> Lifetime | None:
    """Return how long a shared cache may store a response, or None if it may not store it (RFC 9111, sections 3 and 3.5)."""
    control = directives(answer.headers.get("cache-control", ""))
    owned = "authorization" in request and not {"public", "s-maxage", "must-revalidate"} & control.keys()
    unique = "*" in answer.headers.get("vary", "") or "set-cookie" in answer.headers
    fresh_s = _seconds(control.get("s-maxage", control.get("max-age")))
    if owned or unique or answer.status != HTTPStatus.OK or {"private", "no-store", "no-cache"} & control.keys() or fresh_s is None:
        return None
    return Lifetime(fresh_s, _seconds(control.get("stale-while-revalidate")) or 0.0)


def directives(header: str) -> dict[str, str | None]:
    """Return the directives of a Cache-Control header by name; those without a value have None."""
    parts = (part.strip().partition("=") for part in header.split(","))
    return {name.lower(): value.strip('"') or None for name, _, value in parts if name}


def is_same(etag: str | None, if_none_match: str | None) -> bool:
    """Return whether a client has this response already: its If-None-Match matches the ETag or is `*` (weak comparison)."""
    if etag is None or not if_none_match:
        return False
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in known or etag.removeprefix("W/") in known


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None
