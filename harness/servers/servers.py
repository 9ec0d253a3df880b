"""The servers of a run: each started once, however many scenarios want it, and lengthened to the round-trip time asked for.

A server is a database engine that is not embedded, or a module of `fixtures` with `server(folder)`, such as `redis`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import psutil
from sqlalchemy import make_url

from harness.errors import HarnessError, NotMeasurableError, UsageError
from harness.network import Conditions, link
from harness.scenario import Server, Setting

_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")


@dataclass
class _Held:
    """A context that several scenarios hold; the last one to let go ends it."""

    value: Any
    stack: ExitStack
    holders: int = 0


_held: dict[tuple[object, ...], _Held] = {}
_refused: dict[tuple[object, ...], HarnessError] = {}
"""What did not start, and why: the next scenario that wants it need not wait for the same refusal."""


@contextmanager
def servers(setting: Setting, *others: str) -> Iterator[dict[str, Server]]:
    """Start the setting's engine, unless it is embedded, and the other servers named; yield them by name.

    Raises:
        NotMeasurableError: one cannot run here.
        UsageError: an address that was given does not answer, or a server does not start.
    """
    engine = _module(f"harness.databases.engines.{setting.engine}", setting.engine)
    wanted: dict[str, ModuleType] = {} if engine.EMBEDDED else {setting.engine: engine}
    wanted |= {name: _module(f"harness.servers.{name}", name) for name in others}
    with ExitStack() as stack:
        found = {}
        for name, module in wanted.items():
            folder = setting.shared / name
            near: str = stack.enter_context(_shared((folder,), lambda module=module, folder=folder: _started(module, folder)))
            far = near
            if setting.rtt_ms:
                conditions = Conditions(rtt_ms=setting.rtt_ms)
                far = stack.enter_context(_shared((folder, setting.rtt_ms), lambda near=near, to=conditions: _lengthened(near, to)))
            found[name] = Server(near, far)
        yield found


def with_cache(setting: Setting) -> AbstractContextManager[dict[str, Server]]:
    """Start Redis, and the setting's engine, unless it is embedded; a cache must not be further away than what it keeps.

    Raises:
        NotMeasurableError: Redis would be at a distance from a database in the process, or one of them cannot run here.
        UsageError: as `servers` does.
    """
    if setting.rtt_ms and is_embedded(setting.engine):
        raise NotMeasurableError("a cache at a distance would be further away than the database, which is in the process")
    return servers(setting, "redis")


def is_embedded(engine: str) -> bool:
    """Say whether an engine needs no server.

    Raises:
        UsageError: there is no such engine, or its driver is not installed.
    """
    return bool(_module(f"harness.databases.engines.{engine}", engine).EMBEDDED)


def processes(servers: Mapping[str, Server]) -> dict[str, int]:
    """Return name → process id of those of these servers that run on this machine, as far as this user may see them."""
    listening: dict[int, int] = {}
    for held in psutil.net_connections("tcp"):
        port = getattr(held.laddr, "port", None)  # a socket that is bound to nothing has no address
        if held.status == psutil.CONN_LISTEN and port is not None and held.pid is not None:
            listening[port] = held.pid
    found = {}
    for name, server in servers.items():
        url = urlsplit(server.near)
        if url.hostname in _THIS_MACHINE and url.port in listening:
            found[name] = listening[url.port]
    return found


def _module(name: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            raise UsageError(f"no engine or server named {extra!r}; `harness run --help` lists the engines") from error
        raise UsageError(f"{error.name} is not installed; install the extra `{extra}` of this project") from error


@contextmanager
def _started(module: ModuleType, folder: Path) -> Iterator[str]:
    folder.mkdir(exist_ok=True)
    with module.server(folder) as url:
        yield url


@contextmanager
def _lengthened(near: str, conditions: Conditions) -> Iterator[str]:
    url = make_url(near)
    with link((url.host or "127.0.0.1", url.port or 0), conditions) as made:
        yield url.set(host=made.host, port=made.port).render_as_string(hide_password=False)


@contextmanager
def _shared(key: tuple[object, ...], make: Any) -> Iterator[Any]:
    """Enter a context, or hold the one that another scenario has entered."""
    if key in _refused:
        raise _refused[key]
    held = _held.get(key)
    if held is None:
        stack = ExitStack()
        made: AbstractContextManager[Any] = make()
        try:
            held = _held[key] = _Held(stack.enter_context(made), stack)
        except HarnessError as refusal:
            _refused[key] = refusal
            raise
    held.holders += 1
    try:
        yield held.value
    finally:
        held.holders -= 1
        if not held.holders:
            del _held[key]
            held.stack.close()
