"""What engine processes stand on: the scenarios' servers and data, in a temporary folder, made once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from harness.bench.serving import served
from harness.bench.worker import BenchJob, DataPrepared, Task, run_job
from harness.discovery import LoadedScenario
from harness.errors import NotMeasurableError, ScenarioFailedError, UsageError
from harness.load.remote_guard import refuse_remote
from harness.runtime.child import JobFailed
from harness.runtime.workspace import workspace
from harness.scenario import Setting

STREAMS_APART = 1000
"""Between the streams of cases of two engine processes: more than one of them takes."""


@dataclass
class LoadEnvironment:
    """Scenarios on one engine at one distance: their servers run and their data lie ready while the context lasts.

    `datasets` and `engine_settings` are by scenario name, for the record.
    """

    scenarios: Sequence[LoadedScenario]
    engine: str
    size: str
    seed: int
    rtt_ms: float = 0.0
    allow_remote: bool = False
    datasets: dict[str, dict[str, str | int]] = field(default_factory=dict)
    engine_settings: dict[str, dict[str, str]] = field(default_factory=dict)
    _settings: list[Setting] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Start the servers and build the data.

        Raises:
            UsageError: a scenario does not run here, or a server of it is another machine.
            ScenarioFailedError: its data cannot be built.
        """
        try:
            space = self._stack.enter_context(workspace())
            shared = space / f"shared-{self.engine}"
            shared.mkdir()
            for loaded in self.scenarios:
                folder = space / loaded.name
                folder.mkdir()
                setting = Setting(folder, shared, self.engine, self.size, 1.0, self.seed, self.rtt_ms, quick=True)
                self._settings.append(self._prepare(loaded, setting))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the servers and remove the data."""
        self._stack.close()

    def settings(self, index: int) -> list[Setting]:
        """Return each scenario's setting for one of the engine processes, with streams of cases of its own; `index` from 0."""
        return [replace(setting, stream=STREAMS_APART * index) for setting in self._settings]

    def _prepare(self, loaded: LoadedScenario, wanted: Setting) -> Setting:
        try:
            setting = served(loaded.scenario, wanted, self._stack)
        except NotMeasurableError as reason:
            raise UsageError(f"{loaded.name} does not run here: {reason}; choose another scenario, engine or distance") from reason
        for server in setting.servers.values():
            refuse_remote(server.direct_url, allow=self.allow_remote)
        for event in run_job(BenchJob(Task.PREPARE, loaded.file, setting)):
            if isinstance(event, JobFailed):
                raise ScenarioFailedError(f"{loaded.name}: {event.message}")
            if isinstance(event, DataPrepared):
                self.datasets[loaded.name], self.engine_settings[loaded.name] = event.dataset, event.engine_settings
        return setting
