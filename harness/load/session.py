"""One load test from start to end: load workers one after another, their blocks, the run's folder."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from harness.bench.steps import Observer
from harness.discovery import LoadedScenario
from harness.errors import HarnessError
from harness.load import arrivals
from harness.load.environment import LoadEnvironment
from harness.load.protocol import LoadJob
from harness.load.results import CollectedResults, ScenarioEnvironment, generator_facts, histogram_rows, scenario_result
from harness.load.supervisor import Supervisor
from harness.results.histograms import write_histograms
from harness.results.load import LoadModel
from harness.results.run import Run, RunKind, RunSettings
from harness.results.store import SCHEMA_VERSION, write_run
from harness.runtime import machine
from harness.runtime.clock import utc_now
from harness.runtime.cores import Cores, choose_cores, keep_to
from harness.runtime.workspace import git_commit

MODELS = {
    LoadModel.OPEN: "open: operations start when they are due",
    LoadModel.CLOSED: "closed: a user waits for each operation to complete",
}


@dataclass(frozen=True)
class LoadPlan:
    """One load test: a scenario, its blocks and the number of load workers."""

    loaded: LoadedScenario
    settings: RunSettings
    job: LoadJob
    """The blocks; its files, settings and cycles are filled in for each load worker."""
    cycles: int
    """Blocks of each arm, distributed over fresh load workers."""
    out: Path
    """The run's folder."""
    command: str
    users: int = 0
    """Concurrent users of the closed model."""
    allow_remote: bool = False

    def cycles_per_worker(self) -> list[int]:
        """Return the number of cycles of each load worker, which is at least one."""
        workers = min(self.settings.processes, self.cycles)
        return [self.cycles // workers + (index < self.cycles % workers) for index in range(workers)]


@dataclass
class LoadSession:
    """Runs a plan. `run()` returns the record; results from before Ctrl-C or a worker's crash are kept."""

    plan: LoadPlan
    observer: Observer
    cores: Cores = field(default_factory=choose_cores)
    started_at: datetime = field(default_factory=utc_now)
    collected: CollectedResults = field(default_factory=CollectedResults)
    _facts: dict[str, str] = field(default_factory=dict)

    def run(self) -> Run:
        """Run the plan, write the folder and return the record, also after Ctrl-C.

        Raises:
            UsageError: the scenario does not run here, a server is on another machine, or the folder cannot be written.
            ScenarioFailedError: the data cannot be built.
        """
        plan, settings = self.plan, self.plan.settings
        self._facts = machine.describe(self.cores)
        self.observer.step(f"{plan.loaded.name} · preparing", 1, len(plan.cycles_per_worker()) + 1, self._expected_s(0))
        environment = LoadEnvironment(
            [plan.loaded], settings.engines[0], settings.size, settings.seed, settings.rtts_ms[0], plan.allow_remote
        )
        with generator_core(self.cores), environment:
            write_run(self._record(None, None), plan.out)  # a folder that cannot be written has to show before minutes of load
            try:
                for number, cycles in enumerate(plan.cycles_per_worker(), 1):
                    if self.collected.failed is None:
                        self._run_worker(environment, number, cycles)
            except KeyboardInterrupt:
                self.collected.interrupted = True
        return self._save(environment)

    def _run_worker(self, environment: LoadEnvironment, number: int, cycles: int) -> None:
        """Have one load worker run its cycles; if it ends early, the next worker follows."""
        plan, workers = self.plan, len(self.plan.cycles_per_worker())
        step = f"{plan.loaded.name} · under load, worker {number} of {workers}"
        self.observer.step(step, number + 1, workers + 1, self._expected_s(number - 1))
        job = msgspec.structs.replace(
            plan.job,
            files=[str(plan.loaded.file)],
            settings=environment.settings(number - 1),
            cycles=cycles,
            cpus=() if self.cores.worker is None else (self.cores.worker,),
            alone=self.cores.worker is not None,
        )
        supervisor = Supervisor(job)
        try:
            supervisor.start()
            self._facts |= supervisor.facts
            self.collected.cannot_run = supervisor.cannot_run
            supervisor.load(plan.users)
            while supervisor.running:
                supervisor.wait()
                self._collect(supervisor, number)
        except KeyboardInterrupt:
            supervisor.stop()
            raise
        except HarnessError as error:
            if number == 1:  # the scenario cannot be loaded at all
                self.collected.failed = error
            else:
                supervisor.failed = str(error)
        finally:
            self._collect(supervisor, number)
            supervisor.close()
        if supervisor.failed:
            blocks = len(self.collected.blocks.get(number, []))
            self.collected.crashed.append(f"load worker {number} of {workers}, after {blocks} of its blocks: {supervisor.failed}")

    def _collect(self, supervisor: Supervisor, number: int) -> None:
        self.collected.add(number, supervisor.blocks(), supervisor.ticks())
        self.observer.tick()

    def _expected_s(self, done: int) -> float:
        """Return the expected remaining seconds after `done` load workers, without draining."""
        job, arms = self.plan.job, len(self.plan.job.arms or self.plan.loaded.scenario.arms)
        left = self.plan.cycles_per_worker()[done:]
        return sum(cycles * arms * (job.block_s + job.warm_up_s) + 2.0 for cycles in left)

    def _save(self, environment: LoadEnvironment) -> Run:
        plan = self.plan
        finished = self._record(environment, utc_now())
        for found in finished.scenarios:
            if found.samples_file:
                write_histograms(histogram_rows(self.collected.blocks, plan.loaded.name), plan.out / found.samples_file)
        write_run(finished, plan.out)
        return finished

    def _record(self, environment: LoadEnvironment | None, finished_at: datetime | None) -> Run:
        plan, settings = self.plan, self.plan.settings
        environments = {} if environment is None else {plan.loaded.name: scenario_environment(environment, plan.loaded)}
        facts = {**self._facts, **load_facts(plan.job, plan.users)}
        loaded = [] if environment is None else [plan.loaded]
        times = self.started_at, finished_at
        return record(loaded, environments, self.collected, plan.job, settings, facts, times, plan.out, plan.command)


@contextmanager
def generator_core(cores: Cores) -> Iterator[None]:
    """Keep this process, and the processes that it starts meanwhile, off the load generator's core, if there is another core."""
    if cores.worker is None:
        yield
        return
    keep_to([core for core in cores.all if core != cores.worker])
    try:
        yield
    finally:
        keep_to(cores.all)


def scenario_environment(environment: LoadEnvironment, loaded: LoadedScenario) -> ScenarioEnvironment:
    """Return a scenario's environment for the record."""
    name = loaded.name
    datasets, engine_settings = environment.datasets.get(name, {}), environment.engine_settings.get(name, {})
    return ScenarioEnvironment(environment.engine, environment.rtt_ms, datasets, engine_settings)


def load_facts(job: LoadJob, users: int) -> dict[str, str]:
    """Return the load model and its parameters in words, for the record."""
    facts = {"model": MODELS[job.model], "in-flight limit": str(job.in_flight_limit)}
    load = {"users": str(users)} if job.model == LoadModel.CLOSED else {"arrivals": arrivals.parse(job.arrivals).description}
    return facts | load


def samples_file(loaded: LoadedScenario, engine: str) -> str:
    """Return the path of a scenario's histograms, relative to the run's folder."""
    return f"samples/{loaded.name}-{engine}.csv"


def record(
    scenarios: Sequence[LoadedScenario],
    environments: Mapping[str, ScenarioEnvironment],
    collected: CollectedResults,
    job: LoadJob,
    settings: RunSettings,
    facts: Mapping[str, str],
    times: tuple[datetime, datetime | None],
    out: Path,
    command: str,
) -> Run:
    """Return the record of a load test with each scenario's result; `times` are those of its start and its end."""
    commit, dirty = git_commit()
    found = [
        scenario_result(s, environments[s.name], collected, job, samples_file(s, environments[s.name].engine)) for s in scenarios
    ]
    return Run(
        schema_version=SCHEMA_VERSION,
        kind=RunKind.LOAD,
        name=out.name,
        started_at=times[0].isoformat(timespec="seconds"),
        finished_at=None if times[1] is None else times[1].isoformat(timespec="seconds"),
        command=command,
        commit=commit,
        dirty=dirty,
        interrupted=collected.interrupted,
        settings=settings,
        environment={**facts, **generator_facts(b for blocks in collected.blocks.values() for b in blocks)},
        scenarios=found,
    )
