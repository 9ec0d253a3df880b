"""One load test from start to end: load workers one after another, their blocks, the run's folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path

import msgspec

from harness.bench.steps import Observer
from harness.discovery import LoadedScenario
from harness.errors import HarnessError
from harness.load import arrivals
from harness.load.environment import LoadEnvironment, load_environment
from harness.load.protocol import LoadJob
from harness.load.results import CollectedResults, generator_facts, histogram_rows, scenario_result
from harness.load.supervisor import Supervisor
from harness.results.histograms import write_histograms
from harness.results.load import LoadModel
from harness.results.run import Run, RunKind, RunSettings, ScenarioResult
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
    """The cores of the load generator and of everything else."""
    collected: CollectedResults = field(default_factory=CollectedResults)
    """The results so far."""

    def run(self) -> Run:
        """Run the plan, write the folder and return the record, also after Ctrl-C.

        Raises:
            UsageError: the scenario does not run here, a server is on another machine, or the folder cannot be written.
            ScenarioFailedError: the data cannot be built.
        """
        plan, collected = self.plan, self.collected
        collected.facts = machine.describe(self.cores)
        self._show("preparing", 0)
        prepared = load_environment([plan.loaded], plan.settings, allow_remote=plan.allow_remote)
        with generator_core(self.cores), prepared as environment:
            collected.environments = environment.scenarios
            write_run(self._record([]), plan.out)  # a folder that cannot be written has to show before minutes of load
            try:
                for number, cycles in enumerate(plan.cycles_per_worker(), 1):
                    if collected.failed is None:
                        self._run_worker(environment, number, cycles)
            except KeyboardInterrupt:
                collected.interrupted = True
        finished = self._record([plan.loaded], utc_now())
        save(finished, collected, plan.out)
        return finished

    def _run_worker(self, environment: LoadEnvironment, number: int, cycles: int) -> None:
        """Have one load worker run its cycles; if it ends early, the next worker follows."""
        plan, workers = self.plan, len(self.plan.cycles_per_worker())
        self._show(f"under load, worker {number} of {workers}", number)
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
            self.collected.facts |= supervisor.facts
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
        self.collected.add(number, *supervisor.received())
        self.observer.tick()

    def _show(self, step: str, number: int) -> None:
        """Show the step of load worker `number`, 0 before the first, with the expected remaining seconds without draining."""
        job, shares = self.plan.job, self.plan.cycles_per_worker()
        arms = len(job.arms or self.plan.loaded.scenario.arms)
        left_s = sum(cycles * arms * (job.block_s + job.warm_up_s) + 2.0 for cycles in shares[max(0, number - 1) :])
        self.observer.step(f"{self.plan.loaded.name} · {step}", number + 1, len(shares) + 1, left_s)

    def _record(self, scenarios: Sequence[LoadedScenario], finished_at: datetime | None = None) -> Run:
        plan, collected = self.plan, self.collected
        facts = load_facts(collected, plan.job, plan.users)
        found = [scenario_result(loaded, collected, plan.job) for loaded in scenarios]
        return record(found, collected, facts, plan.settings, plan.out, plan.command, finished_at)


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


def load_facts(collected: CollectedResults, job: LoadJob, users: int) -> dict[str, str]:
    """Return the machine, the load model with its parameters, and the generator's own figures in words, for the record."""
    facts = {**collected.facts, "model": MODELS[job.model], "in-flight limit": str(job.in_flight_limit)}
    load = {"users": str(users)} if job.model == LoadModel.CLOSED else {"arrivals": arrivals.parse(job.arrivals).description}
    return facts | load | generator_facts(chain(*collected.blocks.values()))


def record(
    scenarios: list[ScenarioResult],
    collected: CollectedResults,
    facts: dict[str, str],
    settings: RunSettings,
    out: Path,
    command: str,
    finished_at: datetime | None,
) -> Run:
    """Return the record of a load test or of a capacity search."""
    commit, dirty = git_commit()
    return Run(
        schema_version=SCHEMA_VERSION,
        kind=RunKind.LOAD,
        name=out.name,
        started_at=collected.started_at.isoformat(timespec="seconds"),
        finished_at=None if finished_at is None else finished_at.isoformat(timespec="seconds"),
        command=command,
        commit=commit,
        dirty=dirty,
        interrupted=collected.interrupted,
        settings=settings,
        environment=facts,
        scenarios=scenarios,
    )


def save(run: Run, collected: CollectedResults, out: Path) -> None:
    """Write the record and the histograms of a load test; raise `UsageError` if the folder cannot be written."""
    for found in run.scenarios:
        if found.samples_file:
            write_histograms(histogram_rows(collected.blocks, found.name), out / found.samples_file)
    write_run(run, out)
