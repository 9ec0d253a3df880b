"""Round trips to servers, counted by a relay in front of each: a client's turn is one trip, in one or more packets.

The relay is a separate process, so that it adds nothing to the work counted in this one. Servers on other machines are not
relayed: their certificates may be valid for their own host name only.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Self

from harness.errors import ScenarioFailedError, UsageError
from harness.network import Link, links
from harness.network.addresses import local_address, with_address
from harness.scenario import Server


@contextmanager
def counting_relay(servers: Mapping[str, Server]) -> Iterator[tuple[dict[str, Server], "RoundTrips | None"]]:
    """Yield the servers, those on this machine at the address of a relay, and the probe of round trips to them; None without any.

    Raises ScenarioFailedError if the relay does not start.
    """
    addresses = {name: address for name, server in servers.items() if (address := local_address(server.url)) is not None}
    with ExitStack() as stack:
        if not addresses:
            yield dict(servers), None
            return
        try:
            link = stack.enter_context(links(list(addresses.values())))
        except UsageError as error:
            raise ScenarioFailedError(f"round trips cannot be counted: {error}") from error
        urls = {name: with_address(servers[name].url, link.host, port) for name, port in zip(addresses, link.ports, strict=True)}
        yield {**servers, **{name: replace(servers[name], url=url) for name, url in urls.items()}}, RoundTrips(link)


class RoundTrips:
    """Probe that counts the round trips through a relay while it is entered."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._trips = 0

    async def __aenter__(self) -> Self:
        """Start counting from zero."""
        self._trips = -self._total()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop counting."""
        self._trips += self._total()

    def counts(self) -> Mapping[str, float]:
        """Return round_trips."""
        return {"round_trips": self._trips}

    def _total(self) -> int:
        try:
            return self._link.traffic().round_trips
        except UsageError as error:
            raise ScenarioFailedError(f"round trips cannot be counted: {error}") from error
