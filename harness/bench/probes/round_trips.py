"""Round trips to servers, counted by a relay in front of each: a client's turn is one trip, in one or more packets.

The relay is a separate process, so that it adds nothing to the work counted in this one. Servers on other machines are not
relayed: their certificates may be valid for their own host name only.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Self

from harness.errors import ScenarioFailedError, UsageError
from harness.network import Link, links
from harness.network.addresses import local_address, with_address
from harness.scenario import Server

ROUND_TRIPS = "round_trips"


class CountingRelay:
    """Counts round trips to servers while it is entered.

    `servers` are the servers given to it; those on this machine are reached through the relay.
    """

    def __init__(self, servers: Mapping[str, Server]) -> None:
        self.servers = dict(servers)
        self._addresses = {name: address for name, server in servers.items() if (address := local_address(server.url)) is not None}
        self._stack = ExitStack()
        self._link: Link | None = None

    @property
    def counts(self) -> bool:
        """Whether there is a server to count round trips to."""
        return bool(self._addresses)

    def __enter__(self) -> Self:
        """Start the relay.

        Raises:
            ScenarioFailedError: it does not start.
        """
        if self._addresses:
            try:
                self._link = self._stack.enter_context(links(list(self._addresses.values())))
            except UsageError as error:
                raise ScenarioFailedError(f"round trips cannot be counted: {error}") from error
            for name, port in zip(self._addresses, self._link.ports, strict=True):
                server = self.servers[name]
                self.servers[name] = replace(server, url=with_address(server.url, self._link.host, port))
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop the relay and end the connections that are still open."""
        self._stack.close()

    def trips(self) -> int:
        """Return the number of round trips since the start.

        Raises:
            ScenarioFailedError: the relay exited.
        """
        assert self._link is not None
        try:
            return self._link.traffic().round_trips
        except UsageError as error:
            raise ScenarioFailedError(f"round trips cannot be counted: {error}") from error


class RoundTrips:
    """Probe that counts the round trips through a relay while it is entered."""

    def __init__(self, relay: CountingRelay) -> None:
        self._relay = relay
        self._before = self._trips = 0

    async def __aenter__(self) -> Self:
        """Start counting from zero."""
        self._before = self._relay.trips()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop counting."""
        self._trips = self._relay.trips() - self._before

    def counts(self) -> Mapping[str, float]:
        """Return round_trips."""
        return {ROUND_TRIPS: self._trips}
