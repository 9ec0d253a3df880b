"""Redis for a run: a local server, or the user's, whose keys are left unchanged."""

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

import psutil
import pytest
import redis as client_library
import redis.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import NotMeasurableError, UsageError
from harness.network.addresses import free_port
from harness.servers import guard
from harness.servers import redis as module

FOREIGN = {"string": b"\x00\xff existing", "harness:other": b"same root", "harness:0": b"same run", "": b"empty name"}


@pytest.fixture
def not_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the user's server from the environment, so that a local one is started, if a program is installed."""
    monkeypatch.delenv(module.URL_VARIABLE, raising=False)
    try:
        module._program()
    except NotMeasurableError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def _started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start one server for the tests without special needs."""
    with pytest.MonkeyPatch.context() as environment, ExitStack() as stack:
        environment.delenv(module.URL_VARIABLE, raising=False)
        environment.setattr(module, "ALLOWED", "~* &* +@all")  # as a user's own server, which tests change
        try:
            url = stack.enter_context(module.server(tmp_path_factory.mktemp("redis")))
        except NotMeasurableError as reason:
            pytest.skip(str(reason))
        environment.undo()  # the next servers are local ones
        yield url


@pytest.fixture
def url(_started: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield an empty server without limits, and empty it again."""
    monkeypatch.delenv(module.URL_VARIABLE, raising=False)
    yield _started
    with client_of(_started) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.flushall()


@pytest.fixture
def external(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a user's server in the environment, with keys of every type in two databases, one about to expire."""
    with client_of(url) as client:
        client.mset(FOREIGN)
        client.rpush("list", "a", "b")
        client.hset("hash", "field", "value")
        client.zadd("scores", {"a": 1.5})
        client.set("expiring", "soon", ex=1000)
    with client_of(url.replace("/0", "/3")) as client:
        client.set("other", "x")
    monkeypatch.setenv(module.URL_VARIABLE, url)
    return url


def client_of(url: str) -> Any:
    """Return a client that is closed at the end of a `with`; replies are bytes."""
    return closing(client_library.Redis.from_url(url))


def contents(url: str) -> dict[bytes, tuple[bytes, bool]]:
    """Return every key with its serialised value, and whether it expires."""
    with client_of(url) as client:
        return {key: (client.dump(key), client.ttl(key) > 0) for key in client.scan_iter()}


@pytest.mark.usefixtures("not_configured")
def test_a_local_server_starts_empty_and_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It listens on loopback, stores nothing on disk, evicts nothing, and leaves only its log."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(module, "unprivileged_user", lambda *_: None)  # who may not enter the folders of pytest
    with module.server(tmp_path / "folder") as url:
        address = urlsplit(url)
        assert (address.scheme, address.hostname, address.path) == ("redis", "127.0.0.1", "/0")
        (home,) = (tmp_path / "temporary").iterdir()
        written = dict(line.split(" ", 1) for line in (home / "redis.conf").read_text().splitlines())
        expected = {"save": '""', "bind": "127.0.0.1", "appendonly": "no", "unixsocket": '""'}
        assert {name: written[name] for name in expected} == expected
        with client_of(url) as client:
            assert client.dbsize() == 0
            found = client.info()
            assert (found["maxmemory"], found["maxmemory_policy"]) == (module.MEMORY_MB * 2**20, "noeviction")
            client.set("x", "y")
    with pytest.raises(client_library.ConnectionError), client_of(url) as client:
        client.ping()
    assert not list((tmp_path / "temporary").iterdir())
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["redis-1.log"]


@pytest.mark.usefixtures("not_configured")
def test_a_local_server_is_closed_to_other_users(tmp_path: Path) -> None:
    """Without the password nothing is executed; the password is in no argument, file or log, and the folder is its user's alone."""
    with module.server(tmp_path) as url:
        address = urlsplit(url)
        assert address.password is not None
        assert len(address.password) >= 24
        for other in (f"redis://127.0.0.1:{address.port}/0", f"redis://:wrong@127.0.0.1:{address.port}/0"):
            with (
                pytest.raises((client_library.AuthenticationError, client_library.ResponseError)),
                client_of(other) as client,
            ):
                client.set("x", "y")
        running = psutil.process_iter(["cmdline"])
        (server,) = [found for found in running if f"127.0.0.1:{address.port}" in " ".join(found.info["cmdline"] or ())]
        with client_of(url) as client:
            config = Path(client.info("server")["config_file"])
        assert config.parent.stat().st_mode & 0o777 == 0o700
        assert config.stat().st_mode & 0o777 == 0o600
        readable = [config.read_text(), *(log.read_text() for log in tmp_path.iterdir()), *server.environ().values()]
        for process in (server, *server.parents()):
            readable += process.cmdline()
        assert not [text for text in readable if address.password in text]
        if os.geteuid() == 0:
            assert 0 not in server.uids()


@pytest.mark.usefixtures("not_configured")
def test_a_local_server_refuses_what_concerns_the_machine(tmp_path: Path) -> None:
    """Its user can neither write files nor load code nor have it connect elsewhere, in scripts either; caches work."""
    refused = [
        "CONFIG SET dir /tmp",
        "CONFIG GET *",
        "SAVE",
        "BGSAVE",
        "BGREWRITEAOF",
        "MODULE LIST",
        "DEBUG OBJECT x",
        "SHUTDOWN NOSAVE",
        "ACL LIST",
        "MIGRATE 127.0.0.1 1 x 0 1",
        "REPLICAOF 127.0.0.1 1",
        "RESTORE x 0 y",
        "MONITOR",
    ]
    with module.server(tmp_path) as url, client_of(url) as client:
        for command in refused:
            with pytest.raises(client_library.ResponseError, match=r"permission|not allowed"):
                client.execute_command(*command.split())
        with pytest.raises(client_library.ResponseError, match=r"permission|not allowed"):
            client.eval("return redis.call('config', 'get', 'dir')", 0)
        assert client.register_script("redis.call('set', KEYS[1], ARGV[1]) return 1")(["x"], ["y"]) == 1
        assert client.keys("*") == [b"x"]
        client.client_setname("x")
        client.publish("channel", "x")
        client.flushdb()
        assert client.dbsize() == 0


@pytest.mark.usefixtures("not_configured")
def test_a_program_that_its_user_cannot_read_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtual environment in a closed folder is no obstacle to an unprivileged server."""
    monkeypatch.setattr(module, "can_run", lambda *_: False)
    with module.server(tmp_path) as url, client_of(url) as client:
        assert client.info("server")["executable"].startswith(str(Path(client.info("server")["config_file"]).parent))


def test_asyncio_clients_connect_to_it(url: str) -> None:
    """The package `redis` is still the client library, and its asyncio client works with the server."""

    async def ping() -> Any:
        async with redis.asyncio.Redis.from_url(url) as client:
            return await client.ping()

    assert asyncio.run(ping()) is True
    assert module.__name__ == "harness.servers.redis"


def test_a_taken_port_is_replaced(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a port in use nor another Redis is mistaken for the local server: the next port is tried."""
    free, other = free_port, urlsplit(url).port
    monkeypatch.setattr(module, "REPLY_TIMEOUT_S", 0.2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = iter([taken.getsockname()[1], other])
        monkeypatch.setattr(guard, "free_port", lambda: next(ports, None) or free())
        with module.server(tmp_path) as found:
            assert urlsplit(found).port not in {taken.getsockname()[1], other}
            with client_of(found) as client:
                assert client.ping()
    assert len(list(tmp_path.glob("redis-*.log"))) == 3


def test_ports_that_are_always_taken_are_one_line(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few attempts the error has the server's log line."""
    monkeypatch.setattr(guard, "free_port", lambda: urlsplit(url).port)
    monkeypatch.setattr(guard, "_PORTS_TRIED", 2)
    with pytest.raises(UsageError, match="redis exited while starting: "), module.server(tmp_path):
        pass
    assert len(list(tmp_path.glob("redis-*.log"))) == 2


def test_without_any_redis_it_is_not_measurable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a program, a wheel and a URL it cannot run here."""
    monkeypatch.delenv(module.URL_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(NotMeasurableError, match=r"Redis is not installed; install .*HARNESS_REDIS_URL"), module.server(tmp_path):
        pass


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_a_program_on_path_comes_before_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An installed Redis or Valkey is preferred."""
    (tmp_path / name).write_text("#!/bin/sh\n")
    (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert module._program() == tmp_path / name


def test_existing_keys_are_unchanged_and_the_runs_are_removed(external: str, tmp_path: Path) -> None:
    """A run leaves all existing keys, similar ones included, byte for byte, and none of its own."""
    before, other_database = contents(external), contents(external.replace("/0", "/3"))
    with module.server(tmp_path) as url:
        assert url == external
        with client_of(url) as client, module.namespace(url, "proposed") as one, module.namespace(url, "proposed") as other:
            assert one != other
            client.mset({f"{one}{number}": b"\xff" * number for number in range(3000)})
            client.set(one.encode() + b"\xff\x00*?[", "any bytes")
            client.set(f"{other}x", "y")
            assert module.clear(url, one) == 3001
            assert [key for key in contents(url) if key not in before] == [f"{other}x".encode()]
            client.set(f"{one}again", "x")
        assert contents(url) == before
    assert contents(external) == before
    assert contents(external.replace("/0", "/3")) == other_database
    assert not list(tmp_path.iterdir())


def test_keys_of_a_killed_process_are_removed_with_the_run(external: str, tmp_path: Path) -> None:
    """A child process's keys have the run's prefix, so that the run finds them."""
    before = contents(external)
    program = (
        "import os, sys, redis; from harness.servers.redis import namespace\n"
        "with namespace(sys.argv[1], 'killed') as prefix:\n"
        "    redis.Redis.from_url(sys.argv[1]).set(prefix + 'left', 'x'); os._exit(9)\n"
    )
    with module.server(tmp_path) as url:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        killed = subprocess.run([sys.executable, "-c", program, url], env=environment, check=False)
        assert killed.returncode == 9
        assert len(contents(url)) == len(before) + 1
    assert contents(external) == before


def test_a_failed_run_is_cleared_too(external: str, tmp_path: Path) -> None:
    """The keys are removed, and the run's error is raised."""
    before = contents(external)
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(KeyError, match="of the run"))
        prefix = stack.enter_context(module.namespace(stack.enter_context(module.server(tmp_path)), "x"))
        with client_of(external) as client:
            client.set(f"{prefix}left", "x")
        raise KeyError("of the run")
    assert contents(external) == before


def test_the_first_error_is_raised_if_the_server_has_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Keys that cannot be removed are a note on the error, or an error of their own if there was none."""
    monkeypatch.setenv(module.URL_VARIABLE, url)
    stopped = url.replace(f":{urlsplit(url).port}", f":{free_port()}")
    with pytest.raises(KeyError) as raised, module.namespace(stopped, "x"):
        raise KeyError("of the run")
    assert "may remain: no reply from Redis" in str(raised.value.__notes__)
    with pytest.raises(UsageError, match="no reply from Redis"), module.namespace(stopped, "x"):
        pass


def test_concurrent_runs_are_separate(external: str, tmp_path: Path) -> None:
    """The end of one run leaves the keys of another, whose later keys are still removed with it."""
    before = contents(external)
    with module.server(tmp_path) as url, module.namespace(url, "a") as outer, client_of(url) as client:
        client.set(f"{outer}x", "x")
        with module.server(tmp_path), module.namespace(url, "a") as inner:
            client.set(f"{inner}x", "x")
            assert inner.split(":")[1] != outer.split(":")[1]
        assert client.get(f"{outer}x") == b"x"
        with module.namespace(url, "a") as later:
            assert later.split(":")[1] == outer.split(":")[1]
    assert contents(external) == before
    assert module.TOKEN_VARIABLE not in os.environ


@pytest.mark.parametrize("prefix", ["", "*", "harness:", "harness:*:", "other:", "harness:0", "harness:0:a*:", "xharness:0:"])
def test_only_a_namespace_prefix_is_cleared(external: str, prefix: str) -> None:
    """Any other prefix is refused before anything is removed."""
    before = contents(external)
    with pytest.raises(ValueError, match="not a prefix of a namespace"):
        module.clear(external, prefix)
    assert contents(external) == before


@settings(max_examples=50)
@given(label=st.text())
def test_any_label_makes_a_valid_prefix(label: str) -> None:
    """A prefix ends in a colon and contains nothing that is special in a pattern."""
    seen = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "clear", lambda _url, prefix: seen.append(prefix))
        with module.namespace("redis://nowhere:1/0", label) as prefix:
            assert module._PREFIX.fullmatch(prefix)
    assert seen == [prefix]


def test_an_unreachable_server_is_one_line_without_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Host, port and the next step are named; the password is not."""
    port = free_port()
    monkeypatch.setenv(module.URL_VARIABLE, f"redis://me:s3cret@127.0.0.1:{port}/2")
    with (
        pytest.raises(UsageError, match=rf"no reply from Redis at 127\.0\.0\.1:{port}; start it") as raised,
        module.server(tmp_path),
    ):
        pass
    assert "s3cret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_silent_server_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts connections and never replies is not a Redis."""
    monkeypatch.setattr(module, "REPLY_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv(module.URL_VARIABLE, f"redis://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(UsageError, match="no reply from Redis"), module.server(tmp_path):
            pass


@pytest.mark.parametrize(
    "configured",
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
        "redis://:s3cret@x@127.0.0.1:6379/0",
        "redis://s3cret..x/0",
    ],
)
def test_an_invalid_url_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: str) -> None:
    """The message names the variable and the form, and no part of the URL, which may contain the password."""
    monkeypatch.setenv(module.URL_VARIABLE, configured)
    with (
        pytest.raises(UsageError, match=r"HARNESS_REDIS_URL (?:is|has|names) .*; write redis://") as raised,
        module.server(tmp_path),
    ):
        pass
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("configured", "normalized"),
    [
        ("redis://localhost", "redis://localhost:6379/0"),
        ("redis://localhost:7000/", "redis://localhost:7000/0"),
        ("redis://localhost?db=4", "redis://localhost:6379/4"),
        ("redis://me:p%40ss@localhost:1/2?protocol=3#x", "redis://me:p%40ss@localhost:1/2"),
        ("redis://[::1]:1/2", "redis://[::1]:1/2"),
    ],
)
def test_a_url_gets_an_explicit_port_and_database(configured: str, normalized: str) -> None:
    """The latency proxy replaces host and port and keeps the rest."""
    assert module._normalized(configured) == normalized


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
def test_an_unusable_server_is_one_line(external: str, tmp_path: Path, change: Callable[[Any], None], line: str) -> None:
    """A server with another password, or one that would evict existing keys, is named with the next step."""
    before = contents(external)
    with client_of(external) as client:
        change(client)
        with pytest.raises(UsageError, match=rf"the Redis at 127\.0\.0\.1:\d+ .*{line}"), module.server(tmp_path):
            pass
        client.config_set("requirepass", urlsplit(external).password)
    assert contents(external) == before


def test_a_replica_is_refused(external: str, tmp_path: Path) -> None:
    """A replica is read-only, which is reported before the run."""
    with client_of(external) as client:
        client.replicaof("127.0.0.1", free_port())
        try:
            with (
                pytest.raises(UsageError, match=r"is a replica.*; set HARNESS_REDIS_URL to another server"),
                module.server(tmp_path),
            ):
                pass
        finally:
            client.replicaof("NO", "ONE")


def test_a_full_server_is_refused(external: str, tmp_path: Path) -> None:
    """A trial key detects a full server before the run."""
    with client_of(external) as client:
        before = client.config_get("maxmemory")["maxmemory"]
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(UsageError, match=r"reports: .*maxmemory"), module.server(tmp_path):
                pass
        finally:
            client.config_set("maxmemory", before)


def test_an_unknown_database_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database number that the server does not have is reported with the server's message."""
    monkeypatch.setenv(module.URL_VARIABLE, url.replace("/0", "/99"))
    with pytest.raises(UsageError, match=r"reports: .*DB index"), module.server(tmp_path):
        pass


def test_facts_for_the_record(url: str) -> None:
    """Version, mode, limit and policy are strings."""
    found = module.facts(url)
    assert found["redis mode"] == "standalone"
    assert found["redis maxmemory policy"] == "noeviction"
    assert int(found["redis maxmemory"]) == module.MEMORY_MB * 2**20
    assert set(found) & {"redis", "valkey"}
    assert not {"", "None"} & set(found.values())


def test_it_is_importable_as_a_module_of_its_package() -> None:
    """Run with `-m`, the module imports the library of the same name and not itself."""
    program = "import runpy; print(runpy.run_module('harness.servers.redis')['redis'].Redis.__module__)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "redis.client"


@pytest.mark.usefixtures("not_configured")
def test_a_failed_run_leaves_no_server(tmp_path: Path) -> None:
    """If a run fails, its local server is stopped."""
    with pytest.raises(KeyError), module.server(tmp_path) as url:
        raise KeyError
    with pytest.raises(client_library.ConnectionError), client_of(url) as client:
        client.ping()
