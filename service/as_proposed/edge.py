"""The review's edge: a router by continent, an engine for every request, and a worker that keeps whatever it has fetched.

Repaired just so far that it runs. As written the router's URL names a dialect that SQLAlchemy does not have (`engine_as_written`),
its geo package has had no release since 2018, so that `maxminddb` reads the record here, and the worker uses two names that nothing
defines: `caches`, here a dictionary with the lifetime that it asks for, and `get_nearest_turso_edge`, here the router. All else is
as the review has it: Asia is one place, nobody calls the health check, an engine is made for every request and never disposed of,
the cache is asked before anybody looks at the method, its key is the URL alone, and every answer to a GET is kept for five minutes,
whoever asked and whatever came.

A write goes to the edge as well. Turso's replicas hand writes on to the primary, and so does this application.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine

from service.edges.api import Call, Handle, read
from service.edges.http_cache import Answer
from service.edges.regions import Reader, client_address

EDGE_LOCATIONS = {
    "us-east": "libsql://autoforge-us-east.turso.io",
    "us-west": "libsql://autoforge-us-west.turso.io",
    "eu-west": "libsql://autoforge-eu-west.turso.io",
    "ap-northeast": "libsql://autoforge-ap-northeast.turso.io",
}
"""The review's edges and their addresses."""

CACHE_S = 300.0
CLIENT_HEADER = "cf-connecting-ip"
HEALTH_DEADLINE_S = 5.0


def client_location(record: Mapping[str, Any] | None) -> str:
    """Return the review's edge for a client's GeoLite2 record."""
    if not record:
        return "us-east"
    continent = record.get("continent", {}).get("code")
    country = record.get("country", {}).get("iso_code")
    if continent == "AS":
        return "ap-northeast"
    if continent == "EU":
        return "eu-west"
    if country == "US":
        middle = -100
        return "us-east" if record.get("location", {}).get("longitude", middle) > middle else "us-west"
    return "us-east"


def location_of_call(call: Call, reader: Reader) -> str:
    """Return the review's edge for whoever the header says has called; anybody may send that header."""
    address = client_address(call.headers.get(CLIENT_HEADER, ""))
    return client_location(None if address is None else reader.get(address))


def url_as_written(location: str, token: str | None) -> str:
    """Return the connection URL as written, with the secret in it."""
    return f"{EDGE_LOCATIONS.get(location)}?authToken={token}"


def engine_as_written(location: str, token: str | None) -> AsyncEngine:
    """Make the engine as written: SQLAlchemy has no dialect of the URL's name, and refuses."""
    return create_async_engine(url_as_written(location, token), pool_size=5)


async def health_check_all_edges(client: httpx.AsyncClient) -> dict[str, bool]:
    """Ask every edge whether it is well, one after another, and return the answers to nobody: the review calls this nowhere."""
    results = {}
    for location, url in EDGE_LOCATIONS.items():
        try:
            response = await client.get(f"https://{url.split('//')[1]}/health", timeout=HEALTH_DEADLINE_S)
            results[location] = response.status_code == httpx.codes.OK
        except Exception:  # noqa: BLE001 - as the review has it
            results[location] = False
    return results


class ReviewApplication:
    """The API behind a worker. `url` is the edge's database; `origin` stands for the replica's way of handing writes on."""

    def __init__(self, url: str, origin: Handle) -> None:
        self._url = url
        self._origin = origin
        self.counts: Counter[str] = Counter()
        """Requests, and engines made for them."""

    async def handle(self, call: Call) -> Answer:
        """Answer a read on a session of an engine of its own, which is left to the garbage collector."""
        if call.method != "GET":
            return await self._origin(call)
        self.counts["requests"] += 1
        self.counts["engines"] += 1
        engine = create_async_engine(self._url, pool_size=5)
        session_of = async_sessionmaker(engine, expire_on_commit=False)
        async with session_of() as session:
            return await read(session, call)


class ReviewCache:
    """What the worker takes for its cache: answers by key, for as long as it says."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._kept: dict[str, tuple[float, Answer]] = {}
        self.counts: Counter[str] = Counter()
        """Lookups, and hits among them."""

    def match(self, key: str) -> Answer | None:
        """Return what is kept under a key, or None."""
        self.counts["lookups"] += 1
        until_s, kept = self._kept.get(key, (0.0, None))
        if kept is None or self._now_s() >= until_s:
            return None
        self.counts["hits"] += 1
        return kept

    def put(self, key: str, answer: Answer, ttl_s: float) -> None:
        """Keep an answer."""
        self._kept[key] = (self._now_s() + ttl_s, answer)

    def holds(self, key: str) -> bool:
        """Say whether a key would hit, without counting."""
        return key in self._kept and self._now_s() < self._kept[key][0]

    def drop(self, key: str) -> None:
        """Forget a key, which the review never does."""
        self._kept.pop(key, None)


def cache_key(path: str) -> str:
    """Return the worker's key: the URL, and nothing of who asks."""
    return f"turso:{path}"


class ReviewWorker:
    """The worker in front: looks the URL up, and otherwise fetches from the edge that the router names for the client."""

    def __init__(self, locate: Callable[[Call], str], fetch: Callable[[str, Call], Awaitable[Answer]], cache: ReviewCache) -> None:
        self._locate = locate
        self._fetch = fetch
        self.cache = cache

    async def handle(self, call: Call) -> Answer:
        """Answer a call."""
        key = cache_key(call.path)
        cached = self.cache.match(key)
        if cached is not None:
            return cached
        response = await self._fetch(self._locate(call), call)
        if call.method == "GET":
            self.cache.put(key, response, CACHE_S)
        return response
