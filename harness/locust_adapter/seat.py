"""What a process that carries load has: scenarios' servers and data, and one engine process on them."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.load.environment import LoadEnvironment
from harness.load.protocol import LoadBlock
from harness.load.results import Where
from harness.load.session import where
from harness.load.supervisor import Supervisor
from harness.locust_adapter.wish import RunRequest
from harness.results.load import Tick


@dataclass
class EngineHandle:
    """One engine process, from `prepare` to `leave`; it may be prepared again. `client` is the worker's id, if it is one."""

    client: str = ""
    wish: RunRequest | None = None
    places: dict[str, Where] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    cannot_run: list[tuple[str, str, str, str]] = field(default_factory=list)
    _ground: LoadEnvironment | None = None
    _supervisor: Supervisor | None = None

    @property
    def failed(self) -> str | None:
        """Why the engine ended before its time, if it did."""
        return self._supervisor.failed if self._supervisor else None

    def prepare(self, wish: RunRequest) -> None:
        """Build the data and start the engine; nothing where both are there already, for the same wish.

        Raises:
            UsageError: a scenario does not run here.
            ScenarioFailedError: preparing failed, or the arms do not agree.
        """
        if self.wish == wish:
            return
        self.leave()
        scenarios = wish.scenarios
        ground = LoadEnvironment(scenarios, wish.engine, wish.size, wish.seed, wish.rtt_ms, wish.allow_remote)
        self._ground = ground.__enter__()
        try:
            supervisor = Supervisor(wish.job(ground.settings, self.client))
            supervisor.start()
        except BaseException:
            self.leave()
            raise
        self.wish, self._supervisor = wish, supervisor
        self.facts, self.cannot_run = supervisor.facts, supervisor.cannot_run
        self.places = {loaded.name: where(ground, loaded) for loaded in scenarios}

    def load(self, users: int) -> None:
        """Tell the engine how many users there are; in the open model it begins, and does what its plan says."""
        if self._supervisor is None or self.wish is None:
            return
        if self.wish.rate:
            self._supervisor.load()
        elif users:
            self._supervisor.load(users)

    def blocks(self) -> list[LoadBlock]:
        """Return the blocks heard since the last call."""
        return self._supervisor.blocks() if self._supervisor else []

    def ticks(self) -> list[Tick]:
        """Return the ticks heard since the last call."""
        return self._supervisor.ticks() if self._supervisor else []

    def drain(self) -> list[LoadBlock]:
        """Let the engine wait for what is under way, and end; return the rest of its blocks."""
        if self._supervisor is not None:
            self._supervisor.stop()
        return self.blocks()

    def leave(self) -> None:
        """End the engine, stop the servers and remove the data."""
        supervisor, ground = self._supervisor, self._ground
        self.wish = self._supervisor = self._ground = None
        if supervisor is not None:
            supervisor.close()
        if ground is not None:
            ground.__exit__(None, None, None)
