"""The edge: cache, replica and origin, each used when it may be."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from service.edges.api import MIN_VERSION, PRIVATE, PUBLIC, Call, Edge, answer
from service.edges.http_cache import Answer, EdgeCache


@dataclass
class FakeReplica:
    """A text as data, with a version."""

    version: int = 0
    text: str = "old"
    calls: list[Call] = field(default_factory=list)

    async def read(self, call: Call) -> Answer:
        """Answer from the data."""
        self.calls.append(call)
        control = PRIVATE if "authorization" in call.headers else PUBLIC
        return answer(self.text, {"cache-control": control})


@dataclass
class Place:
    """An edge with a controllable replica, and an origin that counts."""

    replica: FakeReplica = field(default_factory=FakeReplica)
    now_s: float = 0.0
    sent_to_origin: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Assemble the edge."""
        self.edge = Edge(self.replica.read, self.origin, self.replica, EdgeCache(lambda: self.now_s))

    async def origin(self, call: Call) -> Answer:
        """Answer as the origin."""
        self.sent_to_origin.append(call)
        return answer("origin", {"cache-control": PUBLIC})

    async def get(self, headers: Mapping[str, str] | None = None, path: str = "/a") -> Answer:
        """Read."""
        return await self.edge.handle(Call("GET", path, headers or {}))


def test_the_second_read_comes_from_the_cache() -> None:
    """The replica is read once, and both clients get the same response."""

    async def play() -> None:
        place = Place()
        assert (await place.get()).body == (await place.get()).body == b'"old"'
        assert len(place.replica.calls) == 1
        assert place.edge.counts == {"replica": 1, "cache": 1}

    asyncio.run(play())


@pytest.mark.parametrize("warm", [False, True])
def test_a_client_that_has_the_answer_gets_304(warm: bool) -> None:
    """With a matching ETag a client gets no body, whether the response was cached or not."""

    async def play() -> None:
        place = Place()
        etag = (await place.get()).etag
        assert etag is not None
        if not warm:
            place.edge.cache.purge(["/a"])
        again = await place.get({"if-none-match": etag})
        assert (again.status, again.body, again.etag) == (304, b"", etag)
        assert (await place.get({"if-none-match": '"another"'})).status == 200

    asyncio.run(play())


def test_private_responses_are_never_cached() -> None:
    """Responses to requests with credentials neither come from the cache nor enter it."""

    async def play() -> None:
        place = Place()
        for user in ("ann", "bob"):
            await place.get({"authorization": user})
        assert [call.headers["authorization"] for call in place.replica.calls] == ["ann", "bob"]
        assert len(place.edge.cache._entries) == 0

    asyncio.run(play())


def test_writes_go_to_the_origin() -> None:
    """The edge forwards a write with its body, and caches nothing of the response."""

    async def play() -> None:
        place = Place()
        call = Call("PUT", "/a", {"authorization": "ann"}, body=b"new")
        assert (await place.edge.handle(call)).body == b'"origin"'
        assert place.sent_to_origin == [call]
        assert len(place.edge.cache._entries) == 0

    asyncio.run(play())


def test_a_client_reads_its_own_writes() -> None:
    """Until the replica has the client's write the origin responds; then the replica does, and other clients are not affected."""

    async def play() -> None:
        place = Place()
        await place.get()
        mine = {MIN_VERSION: "1"}
        assert (await place.get(mine)).body == b'"origin"'
        assert (await place.get()).body == b'"old"'
        place.replica.version, place.replica.text = 1, "new"
        place.edge.cache.purge(["/a"])
        assert (await place.get(mine)).body == b'"new"'
        assert len(place.sent_to_origin) == 1

    asyncio.run(play())


def test_a_stale_answer_is_served_and_refreshed_once() -> None:
    """Clients get a stale response at once, and one refresh fetches the new one, for any number of clients."""

    async def play() -> None:
        place = Place()
        await place.get()
        place.now_s, place.replica.text = 61.0, "new"
        assert [(await place.get()).body for _ in range(3)] == [b'"old"'] * 3
        for _ in range(5):
            await asyncio.sleep(0)
        assert (await place.get()).body == b'"new"'
        assert len(place.replica.calls) == 2

    asyncio.run(play())


def test_a_failed_refresh_keeps_the_old_answer_and_is_retried() -> None:
    """An error behind a stale response affects no client, and the next client's request retries."""

    async def play() -> None:
        place = Place()
        await place.get()
        place.now_s = 61.0

        async def broken(call: Call) -> Answer:
            place.replica.calls.append(call)
            raise ConnectionError

        place.edge._reads = broken
        for expected in (2, 3):
            assert (await place.get()).body == b'"old"'
            for _ in range(5):
                await asyncio.sleep(0)
            assert len(place.replica.calls) == expected

    asyncio.run(play())


def test_an_answer_read_during_a_change_is_not_cached() -> None:
    """A read that began before a change was applied may be stale when it ends; caching it would undo the purge."""

    async def play() -> None:
        place = Place()

        async def overtaken(call: Call) -> Answer:
            made = await place.replica.read(call)
            place.replica.version, place.replica.text = 1, "new"
            place.edge.cache.purge([call.path])
            return made

        place.edge._reads = overtaken
        assert (await place.get()).body == b'"old"'
        assert len(place.edge.cache._entries) == 0
        place.edge._reads = place.replica.read
        assert (await place.get()).body == b'"new"'

    asyncio.run(play())
