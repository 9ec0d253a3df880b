"""One run under load from start to end: engine processes one after another, their blocks, the run's folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec

from harness.bench.steps import Observer
from harness.discovery import LoadedScenario
from harness.errors import HarnessError
from harness.load import arrivals
from harness.load.environment import LoadEnvironment
from harness.load.generator_checks import generator
from harness.load.histogram_file import write_histograms
from harness.load.protocol import LoadJob
from harness.load.results import CollectedResults, Where, result
from harness.load.supervisor import Supervisor
from harness.results.run import Run, RunKind, RunSettings
from harness.results.store import SCHEMA_VERSION, write_run
from harness.runtime import machine
from harness.runtime.clock import utc_now
from harness.runtime.cores import Cores, choose_cores, keep_to
from harness.runtime.workspace import git_commit

MODELS = {"open": "open: operations begin when they are due", "closed": "closed: a user waits for each answer"}


@dataclass(frozen=True)
class LoadPlan:
    """What a run is to do: one scenario, `cycles` blocks of each arm, shared out over fresh engine processes.

    `job` says how a block goes; its files, settings and cycles are filled in for each process. `users` is for the closed model.
    """

    loaded: LoadedScenario
    settings: RunSettings
    job: LoadJob
    cycles: int
    out: Path
    command: str
    users: int = 0
    allow_remote: bool = False

    def shares(self) -> list[int]:
        """Return how many cycles each engine process takes; no process is without one."""
        processes = min(self.settings.processes, self.cycles)
        return [self.cycles // processes + (number < self.cycles % processes) for number in range(processes)]


@dataclass
class LoadSession:
    """Carries out a plan. `run()` returns the record; what was measured before Ctrl-C or an engine's death is kept."""

    plan: LoadPlan
    observer: Observer
    cores: Cores = field(default_factory=choose_cores)
    started_at: datetime = field(default_factory=utc_now)
    heard: CollectedResults = field(default_factory=CollectedResults)
    _facts: dict[str, str] = field(default_factory=dict)

    def run(self) -> Run:
        """Do everything in the plan, write the folder and return the record, also after Ctrl-C.

        Raises:
            UsageError: the scenario does not run here, a server is another machine, or the folder cannot be written.
            ScenarioFailedError: the data cannot be built.
        """
        plan, settings = self.plan, self.plan.settings
        self._facts = machine.describe(self.cores)
        self.observer.step(f"{plan.loaded.name} · preparing", 1, len(plan.shares()) + 1, self._expected_s(0))
        ground = LoadEnvironment(
            [plan.loaded], settings.engines[0], settings.size, settings.seed, settings.rtts_ms[0], plan.allow_remote
        )
        with generator_apart(self.cores), ground:
            write_run(self._record(None, None), plan.out)  # a folder that cannot be written must show before minutes of load
            try:
                for number, cycles in enumerate(plan.shares(), 1):
                    if self.heard.failed is None:
                        self._engine(ground, number, cycles)
            except KeyboardInterrupt:
                self.heard.interrupted = True
        return self._save(ground)

    def _engine(self, ground: LoadEnvironment, number: int, cycles: int) -> None:
        """Have one engine process take its cycles; one that ends before its time is lost, and the next one goes on."""
        plan, of = self.plan, len(self.plan.shares())
        says = f"{plan.loaded.name} · under load, process {number} of {of}"
        self.observer.step(says, number + 1, of + 1, self._expected_s(number - 1))
        job = msgspec.structs.replace(
            plan.job,
            files=[str(plan.loaded.file)],
            settings=ground.settings(number - 1),
            cycles=cycles,
            cpus=() if self.cores.worker is None else (self.cores.worker,),
            alone=self.cores.worker is not None,
        )
        supervisor = Supervisor(job)
        try:
            supervisor.start()
            self._facts |= supervisor.facts
            self.heard.cannot_run = supervisor.cannot_run
            supervisor.load(plan.users)
            while supervisor.running:
                supervisor.wait()
                self._hear(supervisor, number)
        except KeyboardInterrupt:
            supervisor.stop()
            raise
        except HarnessError as error:
            if number == 1:  # it cannot be loaded at all
                self.heard.failed = str(error)
            else:
                supervisor.failed = str(error)
        finally:
            self._hear(supervisor, number)
            supervisor.close()
        if supervisor.failed:
            blocks = len(self.heard.blocks.get(number, []))
            self.heard.lost.append(f"engine process {number} of {of}, after {blocks} of its blocks: {supervisor.failed}")

    def _hear(self, supervisor: Supervisor, number: int) -> None:
        blocks = supervisor.blocks()
        if blocks:
            self.heard.blocks.setdefault(number, []).extend(blocks)
        self.heard.ticks += [replace(tick, process=number) for tick in supervisor.ticks()]
        self.observer.tick()

    def _expected_s(self, done: int) -> float:
        """Return about how long is left after so many engine processes, without what draining takes."""
        job, arms = self.plan.job, len(self.plan.job.arms or self.plan.loaded.scenario.arms)
        left = self.plan.shares()[done:]
        return sum(cycles * arms * (job.block_s + job.warm_up_s) + 2.0 for cycles in left)

    def _save(self, ground: LoadEnvironment) -> Run:
        plan = self.plan
        finished = self._record(ground, utc_now())
        for found in finished.scenarios:
            if found.samples_file:
                write_histograms(self.heard.blocks, plan.loaded.name, plan.out / found.samples_file)
        write_run(finished, plan.out)
        return finished

    def _record(self, ground: LoadEnvironment | None, finished_at: datetime | None) -> Run:
        plan, settings = self.plan, self.plan.settings
        grounds = {} if ground is None else {plan.loaded.name: where(ground, plan.loaded)}
        environment = {**self._facts, **described(plan.job, plan.users)}
        loaded = [] if ground is None else [plan.loaded]
        return record(
            loaded, grounds, self.heard, plan.job, settings, environment, (self.started_at, finished_at), plan.out, plan.command
        )


@contextmanager
def generator_apart(cores: Cores) -> Iterator[None]:
    """Keep this process and whatever it starts meanwhile off the load generator's core, if there is another."""
    if cores.worker is None:
        yield
        return
    keep_to([core for core in cores.all if core != cores.worker])
    try:
        yield
    finally:
        keep_to(cores.all)


def where(ground: LoadEnvironment, loaded: LoadedScenario) -> Where:
    """Return on what a scenario ran."""
    name = loaded.name
    return Where(ground.engine, ground.rtt_ms, ground.datasets.get(name, {}), ground.engine_settings.get(name, {}))


def described(job: LoadJob, users: int) -> dict[str, str]:
    """Return how the load went, in words for the record."""
    facts = {"model": MODELS[job.model], "most in flight": str(job.in_flight_limit)}
    asked = {"users": str(users)} if job.model == "closed" else {"arrivals": arrivals.parse(job.arrivals).describes}
    return facts | asked


def samples_file(loaded: LoadedScenario, engine: str) -> str:
    """Return where a scenario's histograms lie in the run's folder."""
    return f"samples/{loaded.name}-{engine}.csv"


def record(
    scenarios: Sequence[LoadedScenario],
    grounds: Mapping[str, Where],
    heard: CollectedResults,
    job: LoadJob,
    settings: RunSettings,
    environment: Mapping[str, str],
    times: tuple[datetime, datetime | None],
    out: Path,
    command: str,
) -> Run:
    """Return a run under load: each scenario's result from what its engines told. `times` are when it started and finished."""
    commit, dirty = git_commit()
    found = [result(s, grounds[s.name], heard, job, samples_file(s, grounds[s.name].engine)) for s in scenarios]
    return Run(
        schema_version=SCHEMA_VERSION,
        kind=RunKind.LOAD,
        name=out.name,
        started_at=times[0].isoformat(timespec="seconds"),
        finished_at=None if times[1] is None else times[1].isoformat(timespec="seconds"),
        command=command,
        commit=commit,
        dirty=dirty,
        interrupted=heard.interrupted,
        settings=settings,
        environment={**environment, **generator(b for blocks in heard.blocks.values() for b in blocks)},
        scenarios=found,
    )
