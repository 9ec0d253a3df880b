"""The review's edge: its routing, its cache, and the parts that cannot run as written."""

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import NoSuchModuleError

from service.as_proposed import edge as review_edge
from service.as_proposed.edge import CACHE_S, ReviewApplication, ReviewCache, ReviewWorker, client_location
from service.edges.api import Call, answer
from service.edges.http_cache import Answer

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (None, "us-east"),
        ({"continent": {"code": "AS"}}, "ap-northeast"),
        ({"continent": {"code": "EU"}}, "eu-west"),
        ({"continent": {"code": "NA"}, "country": {"iso_code": "US"}, "location": {"longitude": -77.0}}, "us-east"),
        ({"continent": {"code": "NA"}, "country": {"iso_code": "US"}, "location": {"longitude": -122.0}}, "us-west"),
        ({"continent": {"code": "NA"}, "country": {"iso_code": "US"}}, "us-west"),
        ({"continent": {"code": "OC"}, "country": {"iso_code": "AU"}}, "us-east"),
    ],
)
def test_clients_go_where_the_review_sends_them(record: Any, expected: str) -> None:
    """The router's table is the review's, including its defaults."""
    assert client_location(record) == expected


def test_the_engine_as_written_cannot_be_created() -> None:
    """SQLAlchemy has no dialect with the URL's name."""
    with pytest.raises(NoSuchModuleError, match="libsql"):
        review_edge.engine_as_written("us-east", "secret")


def worker(fetched: list[Call], now_s: Callable[[], float] = lambda: 0.0) -> ReviewWorker:
    """Return a worker whose edge records its calls, and answers with their number."""

    async def fetch(location: str, call: Call) -> Answer:
        fetched.append(call)
        return answer([location, len(fetched)], {})

    return ReviewWorker(lambda _: "eu-west", fetch, ReviewCache(now_s))


def test_a_response_is_cached_for_five_minutes() -> None:
    """The second read comes from the cache, and a read after its lifetime does not."""

    async def play() -> None:
        fetched: list[Call] = []
        now_s = 0.0
        made = worker(fetched, lambda: now_s)
        for moment_s, expected in ((0.0, 1), (CACHE_S - 1, 1), (CACHE_S, 2)):
            now_s = moment_s
            await made.handle(Call("GET", "/a"))
            assert len(fetched) == expected
        assert made.cache.counts == {"lookups": 3, "hits": 1}

    asyncio.run(play())


def test_the_key_ignores_the_user() -> None:
    """As written the key is only the URL: one user's response is served to the next user."""

    async def play() -> None:
        fetched: list[Call] = []
        made = worker(fetched)
        first, second = [await made.handle(Call("GET", "/a", {"authorization": user})) for user in ("ann", "bob")]
        assert first == second
        assert len(fetched) == 1

    asyncio.run(play())


def test_a_write_to_a_cached_url_is_not_sent() -> None:
    """As written the cache is looked up before the method is checked."""

    async def play() -> None:
        fetched: list[Call] = []
        made = worker(fetched)
        await made.handle(Call("GET", "/a"))
        assert (await made.handle(Call("PUT", "/a"))).status == 200
        assert [call.method for call in fetched] == ["GET"]
        await made.handle(Call("PUT", "/b"))
        await made.handle(Call("PUT", "/b"))
        assert [call.method for call in fetched] == ["GET", "PUT", "PUT"]

    asyncio.run(play())


def test_a_dropped_response_is_fetched_again() -> None:
    """The scenario can remove a response from the cache."""
    cache = ReviewCache(lambda: 0.0)
    cache.put("a", Answer(200, {}, b""), 1.0)
    assert cache.holds("a")
    cache.drop("a")
    cache.drop("a")
    assert not cache.holds("a")


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the review leaves connections open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # which may respond to a closed loop
def test_every_request_has_an_engine_and_gives_the_right_answer(database: Path) -> None:
    """The application answers as the API does, with one engine per request."""

    async def play() -> None:
        async def origin(call: Call) -> Answer:
            return answer(call.method, {})

        application = ReviewApplication(f"sqlite+aiosqlite:///{database}", origin)
        for _ in range(2):
            assert (await application.handle(Call("GET", "/prompts/p0037"))).status == 200
        assert application.counts == {"requests": 2, "engines": 2}
        assert (await application.handle(Call("PUT", "/prompts/p0037"))).body == b'"PUT"'

    asyncio.run(play())
    gc.collect()  # here, where the warning is expected, and not during another test


def test_the_health_check_reports_each_edge() -> None:
    """An edge that responds with 200 is healthy, any other is not."""

    async def play() -> dict[str, bool]:
        def respond(request: httpx.Request) -> httpx.Response:
            if "eu-west" in request.url.host:
                raise httpx.ConnectError("refused")
            return httpx.Response(500 if "us-west" in request.url.host else 200)

        async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
            return await review_edge.health_check_all_edges(client)

    assert asyncio.run(play()) == {"us-east": True, "us-west": False, "eu-west": False, "ap-northeast": True}
