"""The servers of a setting: each started once for all scenarios of a run, behind a latency proxy at an RTT above 0."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from urllib.parse import urlsplit

import psutil

from harness.databases.engines import load_engine
from harness.errors import HarnessError, NotMeasurableError, UsageError, extra_of, missing_extra
from harness.network import Conditions, link
from harness.network.addresses import LOOPBACK, local_address, with_address
from harness.scenario import Server, Setting


@dataclass
class _SharedContext:
    """An entered context that several scenarios use; the last one to leave exits it."""

    url: str
    stack: ExitStack
    users: int = 0


_shared_contexts: dict[tuple[object, ...], _SharedContext] = {}
_failures: dict[tuple[object, ...], HarnessError] = {}
"""Servers that did not start: the next scenario that needs one fails at once with the same error."""


@contextmanager
def servers(setting: Setting, *others: str) -> Iterator[dict[str, Server]]:
    """Start the setting's engine, if it has one that is not embedded, and the other servers named; yield them by name.

    Raises:
        NotMeasurableError: a server cannot run here.
        UsageError: a server is unknown, the user's server does not reply, or a local one does not start.
    """
    engine = load_engine(setting.engine) if setting.engine else None
    modules: dict[str, ModuleType] = {} if engine is None or engine.EMBEDDED else {setting.engine: engine}
    modules |= {name: _load_server(name) for name in others}
    with ExitStack() as stack:
        started = {}
        for name, module in modules.items():
            folder = setting.shared / name
            folder.mkdir(exist_ok=True)
            url = direct_url = stack.enter_context(_shared(module.server, folder))
            if setting.rtt_ms:
                url = stack.enter_context(_shared(_proxied, direct_url, setting.rtt_ms))
            started[name] = Server(direct_url, url)
        yield started


def with_cache(setting: Setting) -> AbstractContextManager[dict[str, Server]]:
    """Start Redis, and the setting's engine unless it is embedded, like `servers`.

    Raises:
        NotMeasurableError: the cache would have a higher RTT than the embedded database behind it, or a server cannot run here.
    """
    if setting.rtt_ms and is_embedded(setting.engine):
        raise NotMeasurableError("a cache over the network is slower than an embedded database; measure it at --rtt 0")
    return servers(setting, "redis")


def is_embedded(engine: str) -> bool:
    """Return whether an engine runs inside the process, without a server; UsageError as for `load_engine`."""
    return bool(load_engine(engine).EMBEDDED)


def processes(servers: Mapping[str, Server]) -> dict[str, int]:
    """Return the process ids of those servers that run on this machine and that this user may inspect, by name."""
    listening: dict[int, int] = {}
    for connection in psutil.net_connections("tcp"):
        port = getattr(connection.laddr, "port", None)  # a socket that is not bound has no address
        if connection.status == psutil.CONN_LISTEN and port is not None and connection.pid is not None:
            listening[port] = connection.pid
    addresses = {name: local_address(server.direct_url) for name, server in servers.items()}
    return {name: listening[address[1]] for name, address in addresses.items() if address and address[1] in listening}


def _load_server(name: str) -> ModuleType:
    full = f"{__package__}.{name}"
    try:
        module = importlib.import_module(full)
    except ModuleNotFoundError as error:
        if error.name != full:
            raise missing_extra(str(error.name), extra_of(error) or "all", f"the server {name}") from error
        module = None
    if module is None or not hasattr(module, "server"):
        raise UsageError(f"unknown server {name!r}; name a module of {__package__} with server(folder), such as redis")
    return module


@contextmanager
def _proxied(url: str, rtt_ms: float) -> Iterator[str]:
    parts = urlsplit(url)
    with link((parts.hostname or LOOPBACK, parts.port or 0), Conditions(rtt_ms=rtt_ms)) as proxy:
        yield with_address(url, proxy.host, proxy.port)


@contextmanager
def _shared(create: Callable[..., AbstractContextManager[str]], *arguments: object) -> Iterator[str]:
    """Enter a context, or share the one that another scenario has entered with the same arguments."""
    key = (create, *arguments)
    if key in _failures:
        raise _failures[key]
    shared = _shared_contexts.get(key)
    if shared is None:
        stack = ExitStack()
        try:
            shared = _shared_contexts[key] = _SharedContext(stack.enter_context(create(*arguments)), stack)
        except HarnessError as failure:
            _failures[key] = failure
            raise
    shared.users += 1
    try:
        yield shared.url
    finally:
        shared.users -= 1
        if not shared.users:
            del _shared_contexts[key]
            shared.stack.close()
