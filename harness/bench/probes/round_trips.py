"""Round trips, counted where they happen: a relay in front of each server notes when a client speaks that has had its answer.

However many packets a client sends before the server answers, that is one trip, and so is a new connection's greeting. The relay
is a process of its own (`python -m` this module, `HOST:PORT …`), so that it adds nothing to what is counted in this one.
Servers on other machines are left alone: their certificates may be theirs only.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Self
from urllib.parse import SplitResult, urlsplit

from harness.errors import ScenarioFailedError
from harness.scenario import Server

HERE = frozenset({"127.0.0.1", "::1", "localhost"})
ROUND_TRIPS = "round_trips"
_CHUNK_BYTES = 1 << 18


class CountingRelay:
    """Relays to servers while it is entered. `servers` are those given, reached through it where they are on this machine."""

    def __init__(self, servers: Mapping[str, Server]) -> None:
        self.servers = dict(servers)
        self._places = {name: place for name, server in servers.items() if (place := _place(server.far)) is not None}
        self._child: subprocess.Popen[str] | None = None

    @property
    def counts(self) -> bool:
        """Whether there is anything to count."""
        return bool(self._places)

    def __enter__(self) -> Self:
        """Start relaying.

        Raises:
            ScenarioFailedError: it does not start.
        """
        if self._places:
            targets = [f"{place.hostname}:{place.port}" for place in self._places.values()]
            command = [sys.executable, "-m", "harness.bench.probes.round_trips", *targets]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for name, place in self._places.items():
                far = place._replace(netloc=_netloc(place, self._said())).geturl()
                self.servers[name] = replace(self.servers[name], far=far)
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop; connections that are still open end."""
        if self._child is not None:
            self._child.communicate()

    def trips(self) -> int:
        """Return how many round trips there were so far."""
        assert self._child is not None
        assert self._child.stdin is not None
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        return self._said()

    def _said(self) -> int:
        assert self._child is not None
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise ScenarioFailedError("the relay that counts round trips ended; see above what it said")
        return int(line)


class RoundTrips:
    """Counts the round trips through a relay while it is entered."""

    def __init__(self, relay: CountingRelay) -> None:
        self._relay = relay
        self._begun = self._trips = 0

    async def __aenter__(self) -> Self:
        """Start from zero."""
        self._begun = self._relay.trips()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop counting."""
        self._trips = self._relay.trips() - self._begun

    def counts(self) -> Mapping[str, float]:
        """Return round_trips."""
        return {ROUND_TRIPS: self._trips}


def _place(url: str) -> SplitResult | None:
    place = urlsplit(url)
    return place if place.hostname in HERE and place.port else None


def _netloc(place: SplitResult, port: int) -> str:
    user, at, _ = place.netloc.rpartition("@")
    return f"{user}{at}127.0.0.1:{port}"


class _Counter:
    """What all connections share."""

    trips = 0


async def _pass_on(target: tuple[str, int], counter: _Counter, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
    try:
        server, forth = await asyncio.open_connection(*target)
    except OSError:
        back.close()
        return
    answered = True

    async def ask() -> None:
        nonlocal answered
        while data := await client.read(_CHUNK_BYTES):
            counter.trips += answered
            answered = False
            forth.write(data)
            await forth.drain()
        forth.write_eof()

    async def answer() -> None:
        nonlocal answered
        while data := await server.read(_CHUNK_BYTES):
            answered = True
            back.write(data)
            await back.drain()
        back.close()

    await asyncio.gather(ask(), answer(), return_exceptions=True)  # a reset ends the connection, on both sides
    forth.close()
    back.close()


async def _relay(targets: Sequence[tuple[str, int]]) -> None:
    counter, listening = _Counter(), []
    for target in targets:
        serving = await asyncio.start_server(partial(_pass_on, target, counter), "127.0.0.1", 0)
        listening.append(serving)
        _say(serving.sockets[0].getsockname()[1])
    asking = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asking), sys.stdin)
    while await asking.readline():  # until whoever counts is gone
        _say(counter.trips)
    os._exit(0)  # connections that are open end with it, and there is nothing to put in order


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    """Relay to each HOST:PORT until standard input ends; every line there is answered with the number of round trips so far."""
    places = [word.rpartition(":") for word in sys.argv[1:]]
    asyncio.run(_relay([(host, int(port)) for host, _, port in places]))


if __name__ == "__main__":
    main()
