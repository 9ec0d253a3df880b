"""The environment of load workers: the scenarios' servers and data, in a temporary folder, created once for all of them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from harness.bench.job import BenchJob, DataPrepared, Task
from harness.bench.process import run_job
from harness.bench.serving import blamed, served
from harness.discovery import LoadedScenario
from harness.errors import NotMeasurableError, UsageError
from harness.load.results import ScenarioEnvironment
from harness.results.run import RunSettings
from harness.runtime.child import JobFailed
from harness.runtime.watch import OPERATION_TIMEOUT_S
from harness.runtime.workspace import workspace
from harness.scenario import Server, Setting
from harness.servers.health import ServerWatch

STREAMS_PER_WORKER = 1000  # the offset between the streams of cases of two load workers: more than one of them uses


@dataclass
class LoadEnvironment:
    """Scenarios whose servers run and whose data are ready."""

    scenarios: dict[str, ScenarioEnvironment] = field(default_factory=dict)
    """Scenario name → its environment, for the record."""
    first: list[Setting] = field(default_factory=list)
    """Each scenario's setting for the first load worker."""

    @property
    def servers(self) -> dict[str, Server]:
        """The servers of all scenarios, by name."""
        return {name: server for setting in self.first for name, server in setting.servers.items()}

    def settings(self, index: int) -> list[Setting]:
        """Return each scenario's setting for load worker `index`, from 0, which gets separate streams of cases."""
        return [replace(setting, stream=STREAMS_PER_WORKER * index) for setting in self.first]


@contextmanager
def load_environment(
    scenarios: Sequence[LoadedScenario],
    settings: RunSettings,
    *,
    timeout_s: float = OPERATION_TIMEOUT_S,
) -> Iterator[LoadEnvironment]:
    """Start the servers of scenarios, build their data, and remove both at the end.

    Each is on the first database engine of the settings, or else on its own first one, at the first RTT.

    Starting, building and stopping may each take LONG times the timeout of one operation, `timeout_s`.

    Raises:
        UsageError: a scenario does not run here, or one of its servers cannot be used.
        ScenarioFailedError: its data cannot be built.
    """
    found = LoadEnvironment()
    with ExitStack() as stack:
        space = stack.enter_context(workspace())
        for loaded in scenarios:
            engine = loaded.scenario.engines_of(settings)[0]
            folder, shared = space / loaded.name, space / f"shared-{engine}"
            folder.mkdir()
            shared.mkdir(exist_ok=True)
            wanted = Setting(folder, shared, engine, settings.size, 1.0, settings.seed, settings.rtts_ms[0], quick=True)
            try:
                setting = served(loaded.scenario, wanted, stack, timeout_s)
            except NotMeasurableError as reason:
                raise UsageError(f"{loaded.name} does not run here: {reason}; choose another scenario, engine or RTT") from reason
            found.first.append(setting)
            found.scenarios[loaded.name] = _built(loaded, setting, timeout_s)
        yield found


def _built(loaded: LoadedScenario, setting: Setting, timeout_s: float) -> ScenarioEnvironment:
    """Build a scenario's data in another process."""
    found, watch = ScenarioEnvironment(setting.engine, setting.rtt_ms), ServerWatch(setting.servers)
    for event in run_job(BenchJob(Task.PREPARE, loaded.file, setting, timeout_s=timeout_s)):
        if isinstance(event, JobFailed):
            raise blamed(event, watch).error(loaded.name)
        if isinstance(event, DataPrepared):
            found = replace(found, dataset=event.dataset, engine_settings=event.engine_settings, changes=event.changes)
    return found
