"""A shared HTTP cache at an edge: what it may keep, for how long, for whom, and how much of it (RFC 9111, RFC 5861).

Pure logic on an injected clock. It never keeps an answer that is somebody's own: `private` and `no-store`, answers to requests with
`Authorization` that are not marked `public`, answers with a cookie, and those that vary by everything.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

MAX_BYTES = 16 * 2**20
_OVERHEAD_BYTES = 512
"""What an entry costs beside its body and headers: keys, records, links."""

State = Literal["fresh", "stale", "miss", "pass"]
"""`stale` may be served while it is refreshed; `pass` is a request that no shared cache may answer, so it is not looked up."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def etag(self) -> str | None:
        """The answer's validator."""
        return self.headers.get("etag")


@dataclass(frozen=True)
class EdgeLookup:
    """What a lookup found; `answer` is there unless it is a miss or a pass. `age_s` is how long ago it was stored."""

    state: State
    answer: Answer | None = None
    age_s: float = 0.0


@dataclass(frozen=True)
class Lifetime:
    """How long an answer may be served: fresh, and for so long after that while it is refreshed. Seconds."""

    fresh_s: float
    stale_s: float


@dataclass
class _Entry:
    answer: Answer
    lifetime: Lifetime
    stored_s: float
    bytes: int


class EdgeCache:
    """Answers by path and by the request headers that they vary by, the least recently used given up first."""

    def __init__(self, now_s: Callable[[], float], max_bytes: int = MAX_BYTES) -> None:
        self._now_s = now_s
        self._max_bytes = max_bytes
        self._entries: OrderedDict[tuple[str, ...], _Entry] = OrderedDict()
        self._varies: dict[str, tuple[str, ...]] = {}
        self._keys: dict[str, set[tuple[str, ...]]] = {}
        self._bytes = 0
        self.counts: Counter[str] = Counter()
        """Lookups by what they found: fresh, stale, miss, pass; and `evicted`, `purged`."""

    def lookup(self, path: str, request: Mapping[str, str]) -> EdgeLookup:
        """Return what is kept for a request with these headers, and count it."""
        found = self._lookup(path, request)
        self.counts[found.state] += 1
        return found

    def store(self, path: str, request: Mapping[str, str], answer: Answer) -> bool:
        """Keep an answer if a shared cache may; say whether it was kept."""
        lifetime = lifetime_of(request, answer)
        if lifetime is None:
            return False
        varies = tuple(sorted(name.strip().lower() for name in answer.headers.get("vary", "").split(",") if name.strip()))
        if self._varies.get(path, varies) != varies:
            self.purge([path])  # what was kept under other headers can no longer be told apart
        self._varies[path] = varies
        key = self._key(path, request)
        self._drop(key)
        size = len(answer.body) + sum(len(name) + len(value) for name, value in answer.headers.items()) + _OVERHEAD_BYTES
        if size > self._max_bytes:
            return False
        self._entries[key] = _Entry(answer, lifetime, self._now_s(), size)
        self._keys.setdefault(path, set()).add(key)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))
            self.counts["evicted"] += 1
        return True

    def purge(self, paths: Iterable[str]) -> None:
        """Forget all that is kept for these paths."""
        for path in paths:
            for key in list(self._keys.get(path, ())):
                self._drop(key)
                self.counts["purged"] += 1
            self._varies.pop(path, None)

    def holds(self, path: str) -> bool:
        """Say whether a plain request for a path would find a fresh answer, without counting it."""
        return self._lookup(path, {}).state == "fresh"

    def __len__(self) -> int:
        """Return how many answers are kept."""
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """How much is kept, with what keeping it costs."""
        return self._bytes

    def _lookup(self, path: str, request: Mapping[str, str]) -> EdgeLookup:
        if "authorization" in request:
            return EdgeLookup("pass")
        key = self._key(path, request)
        entry = self._entries.get(key)
        if entry is None:
            return EdgeLookup("miss")
        age_s = self._now_s() - entry.stored_s
        if age_s > entry.lifetime.fresh_s + entry.lifetime.stale_s:
            self._drop(key)
            return EdgeLookup("miss")
        self._entries.move_to_end(key)
        return EdgeLookup("fresh" if age_s <= entry.lifetime.fresh_s else "stale", entry.answer, age_s)

    def _key(self, path: str, request: Mapping[str, str]) -> tuple[str, ...]:
        return (path, *(request.get(name, "") for name in self._varies.get(path, ())))

    def _drop(self, key: tuple[str, ...]) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._bytes -= entry.bytes
        others = self._keys[key[0]]
        others.discard(key)
        if not others:
            del self._keys[key[0]]


def lifetime_of(request: Mapping[str, str], answer: Answer) -> Lifetime | None:
    """Return how long a shared cache may keep an answer, or None if it may not keep it at all (RFC 9111, sections 3 and 3.5)."""
    control = directives(answer.headers.get("cache-control", ""))
    owned = "authorization" in request and not {"public", "s-maxage", "must-revalidate"} & control.keys()
    varies_by_all = "*" in answer.headers.get("vary", "")
    ok = 200
    if owned or varies_by_all or answer.status != ok or "set-cookie" in answer.headers or {"private", "no-store"} & control.keys():
        return None
    fresh_s = _seconds(control.get("s-maxage", control.get("max-age")))
    if fresh_s is None or "no-cache" in control:
        return None
    return Lifetime(fresh_s, _seconds(control.get("stale-while-revalidate")) or 0.0)


def directives(header: str) -> dict[str, str | None]:
    """Return the directives of a Cache-Control header by name; those without a value have None."""
    found: dict[str, str | None] = {}
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name:
            found[name.lower()] = value.strip('"') or None
    return found


def is_same(etag: str | None, if_none_match: str | None) -> bool:
    """Say whether a client has this answer already: its If-None-Match names the answer's ETag, or is `*` (weak comparison)."""
    if etag is None or not if_none_match:
        return False
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in known or etag.removeprefix("W/") in known


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None
