"""The edge: cache, replica and origin, each where it is right to ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from service.edges.api import LEAST_VERSION, PRIVATE, PUBLIC, Call, answer
from service.edges.edge import Edge
from service.edges.http_cache import Answer, EdgeCache


@dataclass
class Replica:
    """Data that is a word, at a version."""

    version: int = 0
    word: str = "old"
    asked: list[Call] = field(default_factory=list)

    async def read(self, call: Call) -> Answer:
        """Answer from the data."""
        self.asked.append(call)
        control = PRIVATE if "authorization" in call.headers else PUBLIC
        return answer(self.word, {"cache-control": control})


@dataclass
class Place:
    """An edge with a replica that does as it is told, and an origin that counts."""

    replica: Replica = field(default_factory=Replica)
    now_s: float = 0.0
    sent_to_origin: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Put the edge together."""
        self.edge = Edge(self.replica.read, self.origin, self.replica, EdgeCache(lambda: self.now_s))

    async def origin(self, call: Call) -> Answer:
        """Answer as the origin."""
        self.sent_to_origin.append(call)
        return answer("origin", {"cache-control": PUBLIC})

    async def get(self, headers: Mapping[str, str] | None = None, path: str = "/a") -> Answer:
        """Read."""
        return await self.edge.handle(Call("GET", path, headers or {}))


def test_the_second_read_comes_from_the_cache() -> None:
    """The replica is asked once, and both clients get the same."""

    async def play() -> None:
        place = Place()
        assert (await place.get()).body == (await place.get()).body == b'"old"'
        assert len(place.replica.asked) == 1
        assert place.edge.counts == {"replica": 1, "cache": 1}

    asyncio.run(play())


@pytest.mark.parametrize("warm", [False, True])
def test_a_client_that_has_the_answer_gets_304(warm: bool) -> None:
    """With the ETag it was given a client gets no body, whether the answer was in the cache or not."""

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


def test_what_is_somebodys_own_is_read_every_time_and_given_to_nobody_else() -> None:
    """Answers to requests with credentials neither come from the cache nor get into it."""

    async def play() -> None:
        place = Place()
        for user in ("ann", "bob"):
            await place.get({"authorization": user})
        assert [call.headers["authorization"] for call in place.replica.asked] == ["ann", "bob"]
        assert len(place.edge.cache) == 0

    asyncio.run(play())


def test_writes_go_to_the_origin() -> None:
    """The edge sends on what is no read, with its body, and keeps nothing of the answer."""

    async def play() -> None:
        place = Place()
        call = Call("PUT", "/a", {"authorization": "ann"}, body=b"new")
        assert (await place.edge.handle(call)).body == b'"origin"'
        assert place.sent_to_origin == [call]
        assert len(place.edge.cache) == 0

    asyncio.run(play())


def test_a_client_that_has_written_is_never_answered_from_older_data() -> None:
    """Until the replica has the client's write the origin answers; then the replica does, and other clients never notice."""

    async def play() -> None:
        place = Place()
        await place.get()
        mine = {LEAST_VERSION: "1"}
        assert (await place.get(mine)).body == b'"origin"'
        assert (await place.get()).body == b'"old"'
        place.replica.version, place.replica.word = 1, "new"
        place.edge.cache.purge(["/a"])
        assert (await place.get(mine)).body == b'"new"'
        assert len(place.sent_to_origin) == 1

    asyncio.run(play())


def test_a_stale_answer_is_served_and_refreshed_once() -> None:
    """Clients of a stale answer get it at once, and one refresh brings the new one, however many there are."""

    async def play() -> None:
        place = Place()
        await place.get()
        place.now_s, place.replica.word = 61.0, "new"
        assert [(await place.get()).body for _ in range(3)] == [b'"old"'] * 3
        for _ in range(5):
            await asyncio.sleep(0)
        assert (await place.get()).body == b'"new"'
        assert len(place.replica.asked) == 2

    asyncio.run(play())


def test_a_refresh_that_fails_leaves_the_old_answer_and_is_tried_again() -> None:
    """An error behind a stale answer hurts nobody, and the next client's request tries again."""

    async def play() -> None:
        place = Place()
        await place.get()
        place.now_s = 61.0

        async def broken(call: Call) -> Answer:
            place.replica.asked.append(call)
            raise ConnectionError

        place.edge._reads = broken
        for expected in (2, 3):
            assert (await place.get()).body == b'"old"'
            for _ in range(5):
                await asyncio.sleep(0)
            assert len(place.replica.asked) == expected

    asyncio.run(play())


def test_an_answer_that_a_change_has_overtaken_is_not_kept() -> None:
    """A read that began before a change came in may be old when it ends; keeping it would undo the purge."""

    async def play() -> None:
        place = Place()

        async def overtaken(call: Call) -> Answer:
            made = await place.replica.read(call)
            place.replica.version, place.replica.word = 1, "new"
            place.edge.cache.purge([call.path])
            return made

        place.edge._reads = overtaken
        assert (await place.get()).body == b'"old"'
        assert len(place.edge.cache) == 0
        place.edge._reads = place.replica.read
        assert (await place.get()).body == b'"new"'

    asyncio.run(play())
