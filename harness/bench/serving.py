"""The servers that a run's instances connect to: entered once by the coordinator, and asked whether they are still there."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from urllib.parse import urlsplit

from harness.errors import NotMeasurableError
from harness.scenario import Scenario, Server, Setting

ANSWER_S = 2.0
"""How long a server may take to accept a connection before it counts as gone."""

NO_NETWORK = "nothing of it is on a network, so there is no distance to lengthen"


def served(scenario: Scenario[object], setting: Setting, stack: ExitStack) -> Setting:
    """Start what a scenario's instances connect to, until the stack is closed; return the setting with its servers.

    Raises:
        NotMeasurableError: the scenario is not for this engine, or makes no sense at this distance, or a server cannot run here.
        HarnessError: a server should run and does not.
    """
    if setting.engine not in scenario.engines:
        raise NotMeasurableError(f"it is for {', '.join(scenario.engines)}")
    servers = dict(stack.enter_context(scenario.servers(setting)))
    if setting.rtt_ms and not servers:
        raise NotMeasurableError(NO_NETWORK)
    return replace(setting, servers=servers)


def gone(servers: Mapping[str, Server]) -> str | None:
    """Return the name and address of a server that no longer accepts connections, or None: a line for a failure's cause."""
    for name, server in servers.items():
        for url in dict.fromkeys((server.direct_url, server.url)):
            if not _answers(url):
                place = urlsplit(url)
                return f"the {name} server at {place.hostname}:{place.port} is gone"
    return None


def _answers(url: str) -> bool:
    place = urlsplit(url)
    if not place.hostname or not place.port:
        return True
    try:
        with socket.create_connection((place.hostname, place.port), timeout=ANSWER_S):
            return True
    except OSError:
        return False
