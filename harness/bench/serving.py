"""The servers that a run's instances connect to: started once by the coordinator, and checked after a failure."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from harness.errors import NotMeasurableError, ScenarioFailedError
from harness.network.addresses import refuse_remote
from harness.runtime.channel import LONG
from harness.runtime.deadline import deadline
from harness.runtime.watch import OPERATION_TIMEOUT_S
from harness.scenario import Scenario, Server, Setting
from harness.user_code import user_code

CONNECT_S = 2.0
"""Timeout of connecting to a server, in seconds; after it the server counts as stopped."""
NO_NETWORK = "it connects to no server, so there is no network latency to add"
"""The reason why a scenario without a server is not run at an RTT above 0."""


def served(scenario: Scenario[object], setting: Setting, stack: ExitStack, timeout_s: float = OPERATION_TIMEOUT_S) -> Setting:
    """Start the servers that a scenario's instances connect to, until the stack is closed; return the setting with them.

    Starting and stopping them may each take LONG times the timeout of one operation, `timeout_s`.

    Raises:
        NotMeasurableError: the scenario does not support this engine or RTT, or a server cannot run here.
        HarnessError: a server that should run does not, or one is on another machine, which is not permitted.
    """
    if setting.engine and setting.engine not in scenario.engines:
        raise NotMeasurableError(f"it supports {', '.join(scenario.engines)} only")
    servers = dict(stack.enter_context(_in_time(scenario, setting, LONG * timeout_s)))
    for server in servers.values():
        refuse_remote(server.direct_url)
    if setting.rtt_ms and not servers and not scenario.adds_latency:
        raise NotMeasurableError(NO_NETWORK)
    return replace(setting, servers=servers)


@contextmanager
def _in_time(scenario: Scenario[object], setting: Setting, timeout_s: float) -> Iterator[Mapping[str, Server]]:
    author = getattr(scenario, "written", scenario)
    with ExitStack() as stack:
        with user_code(author), deadline(timeout_s, "starting its servers", ScenarioFailedError):
            started = stack.enter_context(scenario.servers(setting))
        try:
            yield started
        finally:
            with user_code(author), deadline(timeout_s, "stopping its servers", ScenarioFailedError):
                stack.close()


def unreachable_server(servers: Mapping[str, Server]) -> str | None:
    """Return a line about the first server that does not accept connections, the likely cause of a failure; None if all do."""
    for name, server in servers.items():
        for url in dict.fromkeys((server.direct_url, server.url)):
            place = urlsplit(url)
            if place.hostname and place.port:
                try:
                    socket.create_connection((place.hostname, place.port), timeout=CONNECT_S).close()
                except OSError:
                    return f"the {name} server at {place.hostname}:{place.port} stopped"
    return None
