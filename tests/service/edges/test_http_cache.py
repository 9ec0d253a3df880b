"""The edge's cache: what it stores and for how long, and what it must never store."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.edges.http_cache import Answer, EdgeCache, Lifetime, directives, is_same, lifetime_of

PUBLIC = {"cache-control": "public, max-age=60, stale-while-revalidate=240"}


class CacheClock:
    """A clock that is set by hand, in seconds."""

    now_s = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def kept(body: bytes = b"x", headers: Mapping[str, str] | None = None, status: int = 200) -> Answer:
    """Return a response that a cache may store unless the headers forbid it."""
    return Answer(status, {**PUBLIC, **(headers or {})}, body)


def test_an_answer_is_fresh_then_stale_then_removed() -> None:
    """It is served fresh, then stale while it is refreshed, and then removed."""
    clock = CacheClock()
    cache = EdgeCache(clock)
    assert cache.lookup("/a", {}).state == "miss"
    assert cache.store("/a", {}, kept())
    states = []
    for now_s in (0.0, 60.0, 61.0, 300.0, 301.0):
        clock.now_s = now_s
        states.append(cache.lookup("/a", {}).state)
    assert states == ["fresh", "fresh", "stale", "stale", "miss"]
    assert len(cache._entries) == 0
    assert cache.counts == {"miss": 2, "fresh": 2, "stale": 2}


@pytest.mark.parametrize(
    ("request_headers", "answer"),
    [
        ({}, kept(headers={"cache-control": "private, max-age=60"})),
        ({}, kept(headers={"cache-control": "no-store"})),
        ({}, kept(headers={"cache-control": "no-cache, max-age=60"})),
        ({}, Answer(200, {}, b"without a lifetime")),
        ({}, kept(headers={"vary": "*"})),
        ({}, kept(headers={"set-cookie": "a=b"})),
        ({}, kept(status=404)),
        ({}, kept(status=500)),
        ({"authorization": "Bearer a"}, Answer(200, {"cache-control": "max-age=60"}, b"mine")),
        ({"authorization": "Bearer a"}, kept(headers={"cache-control": "private, no-cache", "vary": "authorization"})),
    ],
)
def test_private_and_failed_answers_are_never_stored(request_headers: dict[str, str], answer: Answer) -> None:
    """Private, no-store, `Vary: *`, cookie-setting and failed responses do not enter a shared cache."""
    cache = EdgeCache(CacheClock())
    assert not cache.store("/a", request_headers, answer)
    assert len(cache._entries) == 0
    assert cache.bytes == 0


def test_a_request_with_authorization_is_not_answered_from_the_cache() -> None:
    """A request with credentials gets its own response, even if another one is stored for the URL."""
    cache = EdgeCache(CacheClock())
    cache.store("/a", {}, kept())
    assert cache.lookup("/a", {"authorization": "Bearer a"}).state == "pass"


headers = st.dictionaries(st.sampled_from(["authorization", "accept-language"]), st.sampled_from(["a", "b"]), max_size=2)
controls = st.lists(
    st.sampled_from(["public", "private", "no-store", "no-cache", "max-age=60", "s-maxage=5", "must-revalidate", "max-age=x"]),
    max_size=4,
).map(", ".join)


@given(headers, controls, st.sampled_from(["", "*", "authorization", "accept-language"]), st.sampled_from([200, 204, 404]))
def test_private_answers_are_never_returned(request_headers: dict[str, str], control: str, vary: str, status: int) -> None:
    """Whatever the headers, nothing that is private, no-store, or authorised and not public is ever stored."""
    answer = Answer(status, {"cache-control": control, "vary": vary}, b"x")
    if lifetime_of(request_headers, answer) is not None:
        found = directives(control)
        assert status == 200
        assert not {"private", "no-store"} & found.keys()
        assert "authorization" not in request_headers or {"public", "s-maxage", "must-revalidate"} & found.keys()
        assert vary != "*"


def test_variants_are_stored_separately() -> None:
    """A response for one language is not served for another, nor for none."""
    cache = EdgeCache(CacheClock())
    for language in ("ja", "en"):
        cache.store("/a", {"accept-language": language}, kept(language.encode(), {"vary": "Accept-Language"}))
    found = [cache.lookup("/a", {"accept-language": language}).answer for language in ("ja", "en")]
    assert [answer and answer.body for answer in found] == [b"ja", b"en"]
    assert cache.lookup("/a", {}).state == "miss"
    assert cache.lookup("/a", {"accept-language": "de"}).state == "miss"


def test_a_change_of_vary_removes_the_old_entries() -> None:
    """Entries stored under other headers can no longer be distinguished."""
    cache = EdgeCache(CacheClock())
    cache.store("/a", {}, kept(b"plain"))
    cache.store("/a", {"accept-language": "ja"}, kept(b"ja", {"vary": "accept-language"}))
    assert len(cache._entries) == 1
    assert cache.lookup("/a", {"accept-language": "en"}).state == "miss"


def test_purging_removes_all_variants_of_a_url_and_nothing_else() -> None:
    """Every variant of a purged URL is removed, and the others stay."""
    cache = EdgeCache(CacheClock())
    for language in ("ja", "en"):
        cache.store("/a", {"accept-language": language}, kept(b"x", {"vary": "accept-language"}))
    cache.store("/b", {}, kept())
    cache.purge(["/a", "/unknown"])
    assert not cache.holds("/a")
    assert cache.holds("/b")
    assert len(cache._entries) == 1
    cache.purge(["/b"])
    assert cache.bytes == 0


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 900), st.sampled_from(["store", "look", "purge"])), max_size=80)
)
def test_its_size_never_exceeds_the_limit(played: list[tuple[str, int, str]]) -> None:
    """Whatever is stored, the total size is within the limit, and equals the sum of the entries."""
    cache: Any = EdgeCache(CacheClock(), max_bytes=4_000)
    for path, size, what in played:
        if what == "store":
            cache.store(path, {}, kept(bytes(size)))
        elif what == "purge":
            cache.purge([path])
        else:
            cache.lookup(path, {})
        assert cache.bytes <= 4_000
        assert cache.bytes == sum(entry.bytes for entry in cache._entries.values())
        assert len(cache._entries) == sum(map(len, cache._keys.values()))


def test_the_least_recently_used_is_evicted_first() -> None:
    """An entry that was looked up outlives one that was stored at the same time and not looked up."""
    cache = EdgeCache(CacheClock(), max_bytes=3_500)
    for path in ("/a", "/b"):
        cache.store(path, {}, kept(bytes(1_000)))
    cache.lookup("/a", {})
    cache.store("/c", {}, kept(bytes(1_000)))
    assert [cache.holds(path) for path in ("/a", "/b", "/c")] == [True, False, True]
    assert cache.counts["evicted"] == 1


def test_an_answer_larger_than_the_cache_is_not_stored() -> None:
    """One huge response does not evict the others."""
    cache = EdgeCache(CacheClock(), max_bytes=2_000)
    cache.store("/a", {}, kept())
    assert not cache.store("/b", {}, kept(bytes(5_000)))
    assert cache.holds("/a")


def test_the_shared_lifetime_wins() -> None:
    """`s-maxage` is for shared caches and overrides `max-age`."""
    assert lifetime_of({}, kept(headers={"cache-control": "max-age=5, s-maxage=60"})) == Lifetime(60.0, 0.0)


@pytest.mark.parametrize(
    ("etag", "known", "expected"),
    [
        ('"a"', '"a"', True),
        ('"a"', 'W/"a"', True),
        ('"a"', '"b", "a"', True),
        ('"a"', "*", True),
        ('"a"', '"b"', False),
        ('"a"', None, False),
        (None, "*", False),
    ],
)
def test_a_client_that_has_the_answer_is_recognised(etag: str | None, known: str | None, expected: bool) -> None:
    """If-None-Match is compared weakly, may contain several tags, and `*` matches any."""
    assert is_same(etag, known) is expected
