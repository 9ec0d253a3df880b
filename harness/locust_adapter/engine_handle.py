"""The load worker of a Locust process, and the environment it runs in: the scenarios' servers and data."""

from dataclasses import dataclass, field

from harness.load.block import LoadBlock
from harness.load.environment import LoadEnvironment
from harness.load.results import ScenarioEnvironment
from harness.load.session import scenario_environment
from harness.load.supervisor import Supervisor
from harness.locust_adapter.request import RunRequest
from harness.results.load import Tick


@dataclass
class EngineHandle:
    """One load worker, from `prepare` to `release`; it can be prepared again."""

    client: str = ""
    """The client id of this Locust worker; empty with a single process."""
    request: RunRequest | None = None
    environments: dict[str, ScenarioEnvironment] = field(default_factory=dict)
    """Scenario name → its environment, for the record."""
    facts: dict[str, str] = field(default_factory=dict)
    cannot_run: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(scenario, arm, group, error) of groups that an arm cannot run as written."""
    _environment: LoadEnvironment | None = None
    _supervisor: Supervisor | None = None

    @property
    def failed(self) -> str | None:
        """The reason why the load worker ended early, or None."""
        return self._supervisor.failed if self._supervisor else None

    def prepare(self, request: RunRequest) -> None:
        """Build the data and start the load worker, unless both are ready for the same request.

        Raises:
            UsageError: a scenario does not run here.
            ScenarioFailedError: preparing failed, or the arms' answers differ.
        """
        if self.request == request:
            return
        self.release()
        scenarios = request.scenarios
        environment = LoadEnvironment(scenarios, request.engine, request.size, request.seed, request.rtt_ms, request.allow_remote)
        self._environment = environment.__enter__()
        try:
            supervisor = Supervisor(request.job(environment.settings, self.client))
            supervisor.start()
        except BaseException:
            self.release()
            raise
        self.request, self._supervisor = request, supervisor
        self.facts, self.cannot_run = supervisor.facts, supervisor.cannot_run
        self.environments = {loaded.name: scenario_environment(environment, loaded) for loaded in scenarios}

    def load(self, users: int) -> None:
        """Set the number of users; in the open model start the schedule."""
        if self._supervisor is None or self.request is None:
            return
        if self.request.rate:
            self._supervisor.load()
        elif users:
            self._supervisor.load(users)

    def blocks(self) -> list[LoadBlock]:
        """Return the blocks received since the last call."""
        return self._supervisor.blocks() if self._supervisor else []

    def ticks(self) -> list[Tick]:
        """Return the ticks received since the last call."""
        return self._supervisor.ticks() if self._supervisor else []

    def drain(self) -> list[LoadBlock]:
        """Stop the load worker after its operations in flight; return the rest of its blocks."""
        if self._supervisor is not None:
            self._supervisor.stop()
        return self.blocks()

    def release(self) -> None:
        """End the load worker, stop the servers and remove the data."""
        supervisor, environment = self._supervisor, self._environment
        self.request = self._supervisor = self._environment = None
        if supervisor is not None:
            supervisor.close()
        if environment is not None:
            environment.__exit__(None, None, None)
