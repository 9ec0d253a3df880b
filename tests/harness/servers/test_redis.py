"""Redis for a run: started and stopped here, or somebody's, whose keys are left as they were."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis as client_library
import redis.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import NotMeasurableError, UsageError
from harness.network.addresses import free_port
from harness.servers import redis as fixture

FOREIGN = {"string": b"\x00\xff theirs", "harness:theirs": b"begins as ours do", "harness:0": b"so does this", "": b"no name"}


@pytest.fixture
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name no Redis in the environment, so that one is started here, if there is a program."""
    monkeypatch.delenv(fixture.URL_VARIABLE, raising=False)
    try:
        fixture._program()
    except NotMeasurableError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def _started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start one Redis for the tests that need no special one."""
    with pytest.MonkeyPatch.context() as environment, ExitStack() as stack:
        environment.delenv(fixture.URL_VARIABLE, raising=False)
        try:
            url = stack.enter_context(fixture.server(tmp_path_factory.mktemp("redis")))
        except NotMeasurableError as reason:
            pytest.skip(str(reason))
        yield url


@pytest.fixture
def url(_started: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return an empty Redis with no limits of its own, and empty it again."""
    monkeypatch.delenv(fixture.URL_VARIABLE, raising=False)
    yield _started
    with connected(_started) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("requirepass", "")
        client.flushall()


@pytest.fixture
def theirs(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return somebody's Redis, named in the environment: keys of every kind in two databases, one of them about to expire."""
    with connected(url) as client:
        client.mset(FOREIGN)
        client.rpush("list", "a", "b")
        client.hset("hash", "field", "value")
        client.zadd("scores", {"a": 1.5})
        client.set("expiring", "soon", ex=1000)
    with connected(url.replace("/0", "/3")) as client:
        client.set("elsewhere", "x")
    monkeypatch.setenv(fixture.URL_VARIABLE, url)
    return url


def connected(url: str) -> Any:
    """Return a client that is closed at the end of a `with`; answers are bytes."""
    return closing(client_library.Redis.from_url(url))


def contents(url: str) -> dict[bytes, tuple[bytes, bool]]:
    """Return every key with its value as Redis itself serialises it, and whether it expires."""
    with connected(url) as client:
        return {key: (client.dump(key), client.ttl(key) > 0) for key in client.scan_iter()}


@pytest.mark.usefixtures("unnamed")
def test_a_redis_of_our_own_starts_empty_and_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers on a port of this machine, keeps nothing on disk, evicts nothing, and leaves only its log."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "folder").mkdir()
    with fixture.server(tmp_path / "folder") as url:
        place = urlsplit(url)
        assert (place.scheme, place.hostname, place.path) == ("redis", "127.0.0.1", "/0")
        with connected(url) as client:
            assert client.dbsize() == 0
            told = client.config_get("*")
            expected = {"save": "", "bind": "127.0.0.1", "appendonly": "no", "maxmemory-policy": "noeviction"}
            assert {name: told[name] for name in expected} == expected
            assert int(told["maxmemory"]) == fixture.MEMORY_MB * 2**20
            client.set("x", "y")
        assert len(list((tmp_path / "temporary").iterdir())) == 1
    with pytest.raises(client_library.ConnectionError), connected(url) as client:
        client.ping()
    assert not list((tmp_path / "temporary").iterdir())
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["redis-1.log"]


def test_asyncio_clients_connect_to_it(url: str) -> None:
    """The package `redis` is still the client library, and its asyncio half talks to the server."""

    async def ping() -> Any:
        async with redis.asyncio.Redis.from_url(url) as client:
            return await client.ping()

    assert asyncio.run(ping()) is True
    assert fixture.__name__ == "harness.servers.redis"


def test_a_port_that_was_taken_meanwhile_is_given_up(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a port somebody listens on nor another Redis's is mistaken for ours: the next one is tried."""
    free, other = free_port, urlsplit(url).port
    monkeypatch.setattr(fixture, "REPLY_TIMEOUT_S", 0.2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = iter([taken.getsockname()[1], other])
        monkeypatch.setattr(fixture, "free_port", lambda: next(ports, None) or free())
        with fixture.server(tmp_path) as found:
            assert urlsplit(found).port not in {taken.getsockname()[1], other}
            with connected(found) as client:
                assert client.ping()
    assert len(list(tmp_path.glob("redis-*.log"))) == 3


def test_a_port_that_is_always_taken_is_one_line(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few tries it is given up, with what the server said."""
    monkeypatch.setattr(fixture, "free_port", lambda: urlsplit(url).port)
    monkeypatch.setattr(fixture, "_PORTS_TRIED", 2)
    with pytest.raises(UsageError, match="redis exited while starting: "), fixture.server(tmp_path):
        pass
    assert len(list(tmp_path.glob("redis-*.log"))) == 2


def test_without_any_redis_the_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no program, no wheel and no address it cannot run here, which is no mistake of anybody's."""
    monkeypatch.delenv(fixture.URL_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(NotMeasurableError, match=r"Redis is not installed; install .*HARNESS_REDIS_URL"), fixture.server(tmp_path):
        pass


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_a_program_on_the_path_comes_before_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Redis or Valkey as installed here is what people mean by theirs."""
    (tmp_path / name).write_text("#!/bin/sh\n")
    (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fixture._program() == str(tmp_path / name)


def test_somebodys_keys_survive_byte_for_byte_and_ours_go(theirs: str, tmp_path: Path) -> None:
    """A run in the midst of foreign keys leaves all of them, those that look like ours as well, and none of its own."""
    before, elsewhere = contents(theirs), contents(theirs.replace("/0", "/3"))
    with fixture.server(tmp_path) as url:
        assert url == theirs
        with connected(url) as client, fixture.namespace(url, "proposed") as one, fixture.namespace(url, "proposed") as other:
            assert one != other
            client.mset({f"{one}{number}": b"\xff" * number for number in range(3000)})
            client.set(one.encode() + b"\xff\x00*?[", "any bytes")
            client.set(f"{other}x", "y")
            assert fixture.clear(url, one) == 3001
            assert [key for key in contents(url) if key not in before] == [f"{other}x".encode()]
            client.set(f"{one}again", "x")
        assert contents(url) == before
    assert contents(theirs) == before
    assert contents(theirs.replace("/0", "/3")) == elsewhere
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_removed_with_the_run(theirs: str, tmp_path: Path) -> None:
    """A process that the run starts names its keys as the run's, so that the run finds them without it."""
    before = contents(theirs)
    program = (
        "import os, sys, redis; from harness.servers.redis import namespace\n"
        "with namespace(sys.argv[1], 'killed') as prefix:\n"
        "    redis.Redis.from_url(sys.argv[1]).set(prefix + 'left', 'x'); os._exit(9)\n"
    )
    with fixture.server(tmp_path) as url:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        killed = subprocess.run([sys.executable, "-c", program, url], env=environment, check=False)
        assert killed.returncode == 9
        assert len(contents(url)) == len(before) + 1
    assert contents(theirs) == before


def test_a_run_that_fails_is_cleared_as_well(theirs: str, tmp_path: Path) -> None:
    """The keys go, and the failure is the one that is told."""
    before = contents(theirs)
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(KeyError, match="of the run"))
        prefix = stack.enter_context(fixture.namespace(stack.enter_context(fixture.server(tmp_path)), "x"))
        with connected(theirs) as client:
            client.set(f"{prefix}left", "x")
        raise KeyError("of the run")
    assert contents(theirs) == before


def test_the_first_failure_is_told_even_if_the_redis_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Keys that cannot be removed are a note to the failure, or a line of their own where nothing else failed."""
    monkeypatch.setenv(fixture.URL_VARIABLE, url)
    gone = url.replace(f":{urlsplit(url).port}", f":{free_port()}")
    with pytest.raises(KeyError) as told, fixture.namespace(gone, "x"):
        raise KeyError("of the run")
    assert "may remain: no reply from Redis" in str(told.value.__notes__)
    with pytest.raises(UsageError, match="no reply from Redis"), fixture.namespace(gone, "x"):
        pass


def test_runs_at_the_same_time_do_not_meet(theirs: str, tmp_path: Path) -> None:
    """The end of one run leaves the keys of another, and its own later ones still go with it."""
    before = contents(theirs)
    with fixture.server(tmp_path) as url, fixture.namespace(url, "a") as outer, connected(url) as client:
        client.set(f"{outer}x", "x")
        with fixture.server(tmp_path), fixture.namespace(url, "a") as inner:
            client.set(f"{inner}x", "x")
            assert inner.split(":")[1] != outer.split(":")[1]
        assert client.get(f"{outer}x") == b"x"
        with fixture.namespace(url, "a") as later:
            assert later.split(":")[1] == outer.split(":")[1]
    assert contents(theirs) == before
    assert fixture.TOKEN_VARIABLE not in os.environ


@pytest.mark.parametrize("prefix", ["", "*", "harness:", "harness:*:", "theirs:", "harness:0", "harness:0:a*:", "xharness:0:"])
def test_only_a_prefix_of_ours_is_cleared(theirs: str, prefix: str) -> None:
    """Whatever else is asked for is refused before anything is removed."""
    before = contents(theirs)
    with pytest.raises(ValueError, match="not a prefix of a namespace"):
        fixture.clear(theirs, prefix)
    assert contents(theirs) == before


@settings(max_examples=50)
@given(label=st.text())
def test_any_label_makes_a_prefix_that_can_be_cleared(label: str) -> None:
    """A prefix names its instance, ends in a colon, and holds nothing that is special to a pattern."""
    seen = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fixture, "clear", lambda _url, prefix: seen.append(prefix))
        with fixture.namespace("redis://nowhere:1/0", label) as prefix:
            assert fixture._PREFIX.fullmatch(prefix)
    assert seen == [prefix]


def test_a_dead_address_is_one_line_without_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Host and port are named, and the next step; the password is not."""
    port = free_port()
    monkeypatch.setenv(fixture.URL_VARIABLE, f"redis://me:s3cret@127.0.0.1:{port}/2")
    with (
        pytest.raises(UsageError, match=rf"no reply from Redis at 127\.0\.0\.1:{port}; start it") as told,
        fixture.server(tmp_path),
    ):
        pass
    assert "s3cret" not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that accepts connections and says nothing is no Redis."""
    monkeypatch.setattr(fixture, "REPLY_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv(fixture.URL_VARIABLE, f"redis://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(UsageError, match="no reply from Redis"), fixture.server(tmp_path):
            pass


@pytest.mark.parametrize(
    "given_url",
    [
        "s3cret",
        "redis://",
        "rediss://:s3cret@127.0.0.1/0",
        "unix:///s3cret.sock",
        "redis://:s3cret/x@127.0.0.1:6379/0",
        "redis://me:12/s3cret@127.0.0.1:6379/0",
        "redis://:1?s3cret@127.0.0.1:6379/0",
        "redis://127.0.0.1:s3cret/0",
        "redis://127.0.0.1:6379/s3cret",
        "redis://s3cret..x/0",
    ],
)
def test_what_is_no_address_is_told_without_any_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given_url: str) -> None:
    """The line names the variable and the form, and nothing of what was typed, in which the password may be anywhere."""
    monkeypatch.setenv(fixture.URL_VARIABLE, given_url)
    with pytest.raises(UsageError, match=r"HARNESS_REDIS_URL is not a Redis URL; write redis://") as told, fixture.server(tmp_path):
        pass
    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize(
    ("given_url", "normal"),
    [
        ("redis://localhost", "redis://localhost:6379/0"),
        ("redis://localhost:7000/", "redis://localhost:7000/0"),
        ("redis://localhost?db=4", "redis://localhost:6379/4"),
        ("redis://me:p%40ss@localhost:1/2?protocol=3#x", "redis://me:p%40ss@localhost:1/2"),
        ("redis://:p@ss@localhost:1", "redis://:p@ss@localhost:1/0"),
        ("redis://[::1]:1/2", "redis://[::1]:1/2"),
    ],
)
def test_an_address_has_its_port_and_database_spelt_out(given_url: str, normal: str) -> None:
    """Whoever connects elsewhere, such as through a proxy, changes host and port and keeps the rest."""
    assert fixture._normalized(given_url) == normal


def _with_password(client: Any) -> None:
    client.config_set("requirepass", "s3cret")


def _evicting(client: Any) -> None:
    client.config_set("maxmemory-policy", "volatile-lru")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (_with_password, "rejects the user or the password; correct"),
        (_evicting, "may evict your keys.*; set HARNESS_REDIS_URL to another server"),
    ],
)
def test_a_redis_that_cannot_serve_is_refused_in_one_line(
    theirs: str, tmp_path: Path, change: Callable[[Any], None], line: str
) -> None:
    """One that wants another password, or that would evict somebody's keys for ours, is named with the next step."""
    before = contents(theirs)
    with connected(theirs) as client:
        change(client)
        with pytest.raises(UsageError, match=rf"the Redis at 127\.0\.0\.1:\d+ .*{line}"), fixture.server(tmp_path):
            pass
        client.config_set("requirepass", "")
    assert contents(theirs) == before


def test_a_replica_is_refused(theirs: str, tmp_path: Path) -> None:
    """A replica cannot be written, and says so before the run begins."""
    with connected(theirs) as client:
        client.replicaof("127.0.0.1", free_port())
        try:
            with (
                pytest.raises(UsageError, match=r"is a replica.*; set HARNESS_REDIS_URL to another server"),
                fixture.server(tmp_path),
            ):
                pass
        finally:
            client.replicaof("NO", "ONE")


def test_a_full_redis_is_refused(theirs: str, tmp_path: Path) -> None:
    """One that takes no more keys is known by a key that is tried, before the run begins."""
    with connected(theirs) as client:
        before = client.config_get("maxmemory")["maxmemory"]
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(UsageError, match=r"reports: .*maxmemory"), fixture.server(tmp_path):
                pass
        finally:
            client.config_set("maxmemory", before)


def test_an_unknown_database_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that the server does not have is told in the server's words."""
    monkeypatch.setenv(fixture.URL_VARIABLE, url.replace("/0", "/99"))
    with pytest.raises(UsageError, match=r"reports: .*DB index"), fixture.server(tmp_path):
        pass


def test_facts_for_the_record(url: str) -> None:
    """Version, mode, limit and policy are there, as texts."""
    told = fixture.facts(url)
    assert told["redis mode"] == "standalone"
    assert told["redis maxmemory policy"] == "noeviction"
    assert int(told["redis maxmemory"]) == fixture.MEMORY_MB * 2**20
    assert set(told) & {"redis", "valkey"}
    assert not {"", "None"} & set(told.values())


def test_what_a_redis_cannot_do_is_a_reason(url: str) -> None:
    """Commands that it has pass, an unknown one or an unknown part of one is named."""
    fixture.require(url, "CLIENT TRACKING OFF", "PING")
    for command in ("NO.SUCHTHING x", "CLIENT NOSUCHTHING"):
        with pytest.raises(NotMeasurableError, match=rf"Redis \S+ at 127\.0\.0\.1:\d+ does not support {command}"):
            fixture.require(url, command)


def test_it_is_importable_as_a_module_of_its_package() -> None:
    """Run by `-m`, the module finds the library of its name and not itself."""
    program = "import runpy; print(runpy.run_module('harness.servers.redis')['redis'].Redis.__module__)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "redis.client"


@pytest.mark.usefixtures("unnamed")
def test_no_program_is_left_behind(tmp_path: Path) -> None:
    """When a run fails, its Redis goes with it."""
    with pytest.raises(KeyError), fixture.server(tmp_path) as url:
        raise KeyError
    with pytest.raises(client_library.ConnectionError), connected(url) as client:
        client.ping()
