"""Load tests and capacity searches from start to end: load workers, their blocks, and the run's folder.

A load test runs load workers one after another. In a capacity search arms alternate step by step, so that drift affects all alike.
Every block and every step is stored when it ends. A session whose folder has some of them goes on after these, with the schedule of
a run that was not interrupted: the results before are replayed, and load workers begin with the cycle that follows.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from pathlib import Path

import msgspec

from harness.bench.result import left_running
from harness.bench.serving import blamed
from harness.bench.steps import Observer
from harness.discovery import LoadedScenario
from harness.errors import HarnessError, ScenarioFailedError, UsageError
from harness.load import arrivals
from harness.load.capacity import SearchPlan
from harness.load.checks import generator_facts, have_trouble
from harness.load.environment import LoadEnvironment, load_environment
from harness.load.protocol import LoadJob
from harness.load.results import CollectedResults, ScenarioEnvironment, deciding_arms, scenario_result, started_result
from harness.load.searching import UNIT_RATE, ArmSearch, CapacitySearches
from harness.load.stored import (
    StoredBlock,
    StoredData,
    StoredEnd,
    StoredLoadLine,
    StoredResult,
    StoredResume,
    StoredStart,
    StoredWorker,
    stored_data,
    stored_steps,
    stored_workers,
)
from harness.load.supervisor import Supervisor
from harness.load.totals import histogram_rows
from harness.load.warnings import shared_process_warning
from harness.results.load import Capacity, CapacityKind, LoadModel, LoadResult, Tick
from harness.results.resumable import ResumableRequest, refuse_other
from harness.results.run import PromiseVerdict, Run, RunKind, RunSettings, RunWarning, ScenarioResult, ScenarioStatus, Verdict
from harness.results.store import RUN_FILE, SCHEMA_VERSION, write_histograms, write_run
from harness.results.unfinished import UnfinishedRun
from harness.results.warning_names import WarningName
from harness.runtime import machine
from harness.runtime.child import JobFailed, encode_path
from harness.runtime.clock import Clock, MonotonicClock, utc_now
from harness.runtime.cores import Cores, choose_cores, keep_to
from harness.runtime.source_code import repository
from harness.runtime.watch import OPERATION_TIMEOUT_S
from harness.runtime.workspace import git_commit
from harness.servers.health import ServerWatch
from harness.verdicts.promise import judge

MODELS = {
    LoadModel.OPEN: "open: operations start when they are due",
    LoadModel.CLOSED: "closed: a user waits for each operation to complete",
}
SEARCHES = {
    CapacityKind.RATE: (LoadModel.OPEN, "search over rates, operations due at random times (Poisson)"),
    CapacityKind.USERS: (LoadModel.CLOSED, "search over numbers of concurrent users"),
}
USUAL_STEPS = 13  # the usual number of steps of a search, for the expected remaining time
LOAD, CAPACITY = "load", "capacity"
"""The commands of the sessions."""
MORE = 2
"""The result so far is written when it has this many times the blocks or steps, so that all writing costs about twice the last."""


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
    unfinished: UnfinishedRun[StoredLoadLine] | None = None
    """Where blocks are stored, those of an interrupted run that is resumed among them; None for a new one."""
    started_at: str = ""
    """The time at which a run began that is resumed; empty for a new one."""

    def cycles_per_worker(self) -> list[int]:
        """Return the number of cycles of each load worker, which is at least one."""
        workers = min(self.settings.processes, self.cycles)
        return [self.cycles // workers + (index < self.cycles % workers) for index in range(workers)]


class _Session:
    """The part that load tests and capacity searches share: storing results, and the beginning and end of a run."""

    plan: "LoadPlan | CapacityPlan"
    collected: CollectedResults
    _unfinished: UnfinishedRun[StoredLoadLine] | None = None
    _kept: int = 0
    """The number of blocks or steps in the result that was written last."""

    def _store(self, result: StoredResult) -> None:
        """Store one result."""
        if self._unfinished is not None:
            self._unfinished.add(StoredLoadLine(result))

    def _keep(self, results: int, least: int, result: Callable[[], ScenarioResult]) -> None:
        """Write the result so far if there are enough more of what it consists of; it is interrupted if no later one follows."""
        if self._unfinished is not None and results >= max(least, MORE * self._kept):
            self._kept, found = results, result()
            self._unfinished.keep(0, self._as_interrupted(found) if found.status == ScenarioStatus.OK else found)

    def _as_interrupted(self, found: ScenarioResult) -> ScenarioResult:
        """Return the result of a scenario of which more is to come, or was to come."""
        return replace(found, status=ScenarioStatus.INTERRUPTED, error=self._progress())

    def _progress(self) -> str:
        """Return in words how far the run has come."""
        raise NotImplementedError

    @contextmanager
    def _stored(self, command: str) -> Iterator[list[StoredResult]]:
        """Yield what is stored of this run, which is empty for a new one; what it stores is removed if it ends by itself."""
        plan, collected = self.plan, self.collected
        request = ResumableRequest(command, plan.command, [], {})
        unfinished = self._unfinished = plan.unfinished or UnfinishedRun(plan.out, request, StoredLoadLine)
        try:
            lines = [line.result for line in unfinished.lines()]
            if unfinished.is_resumed:
                if plan.started_at:
                    collected.started_at = datetime.fromisoformat(plan.started_at)
                collected.resumed = 1 + sum(isinstance(line, StoredResume) for line in lines)
                self._store(StoredResume())
            yield lines
            if not collected.interrupted:
                unfinished.end()
        except UsageError:
            if not unfinished.is_resumed and not collected.environments:  # nothing has begun: leave nothing that looks like a run
                unfinished.end()
                (plan.out / RUN_FILE).unlink(missing_ok=True)
                with suppress(OSError):  # the user's own folder, which has other files
                    plan.out.rmdir()
            raise
        finally:
            unfinished.close()

    def _check_data(self, lines: Sequence[StoredResult]) -> None:
        """Store the data of a run, or compare them with those of its earlier part; UsageError if they differ."""
        environment, before = self.collected.environments[self.plan.loaded.name], stored_data(lines)
        now = StoredData(environment.engine, dict(environment.dataset))
        if before is None:
            self._store(now)
        else:
            refuse_other(self.plan.out, "run", before.described(), now.described())

    def _fail(self, error: ScenarioFailedError) -> None:
        """Note that the scenario failed outside of its load workers: before there were any, or while its servers were stopped."""
        plan, collected = self.plan, self.collected
        place = ScenarioEnvironment(plan.loaded.scenario.engines_of(plan.settings)[0], plan.settings.rtts_ms[0])
        collected.environments.setdefault(plan.loaded.name, place)
        collected.crashed.append(str(error).removeprefix(f"{plan.loaded.name}: "))


@dataclass
class LoadSession(_Session):
    """Runs a plan. `run()` returns the record; results from before Ctrl-C or a worker's crash are kept."""

    plan: LoadPlan
    observer: Observer
    cores: Cores = field(default_factory=choose_cores)
    """The cores of the load generator and of everything else."""
    collected: CollectedResults = field(default_factory=CollectedResults)
    """The results so far."""
    _shares: deque[int] = field(default_factory=deque)
    """Cycles of the load workers that are still to come."""
    _hung: set[str] = field(default_factory=set)
    """Arms that kept a load worker from going on, or crashed two, which later ones leave out."""
    _crashed: set[str] = field(default_factory=set)
    """Arms in whose blocks a load worker has crashed."""
    _workers: dict[int, StoredWorker] = field(default_factory=dict)
    """Load worker → its results of an earlier part of this run."""
    _ticks: list[Tick] = field(default_factory=list)
    """Samples since the last block that was stored."""

    def run(self) -> Run:
        """Run the plan, write the folder and return the record, also after Ctrl-C, and if the scenario fails.

        Raises:
            UsageError: the scenario does not run here, a server is on another machine, the folder cannot be written, or it has
                results on other data.
        """
        plan, collected = self.plan, self.collected
        collected.facts = machine.describe(self.cores)
        self._shares, number = deque(plan.cycles_per_worker()), 0
        with self._stored(LOAD) as lines:
            self._workers = stored_workers(lines)
            try:
                if not lines:
                    write_run(self._record([]), plan.out)  # a run that is killed from now on says that it has not finished
                self._show("preparing", 0)
                with _prepared(plan, self.cores, collected) as environment:
                    self._check_data(lines)
                    while self._shares and self._arms and collected.failed is None:
                        number += 1
                        self._run_worker(environment, number, self._shares.popleft())
            except KeyboardInterrupt:
                collected.interrupted = True
            except ScenarioFailedError as error:
                self._fail(error)
            finished = self._record([plan.loaded] if collected.environments else [], utc_now())
            save(finished, collected, plan.out)
        return finished

    @property
    def _arms(self) -> list[str]:
        """The arms that are put under load."""
        return [arm for arm in self.plan.job.arms or self.plan.loaded.scenario.arms if arm not in self._hung]

    def _run_worker(self, environment: LoadEnvironment, number: int, cycles: int) -> None:
        """Have one load worker run its cycles. If it ends early, the next one follows, with the rest of them if an arm ended it.

        One that is stored is not run again; one that the end of the run has cut off goes on after its whole cycles.
        """
        plan, workers, stored = self.plan, number + len(self._shares), self._workers.pop(number, None)
        first_cycle, arrived, after_s = (stored.cycles, stored.arrived, stored.seconds) if stored is not None else (0, 0, 0.0)
        if stored is not None:
            self.collected.facts |= stored.start.facts
            self.collected.cannot_run = stored.start.cannot_run
            for line in stored.kept:
                self.collected.add(number, [line.block], line.ticks)
            if stored.end is not None or first_cycle >= cycles:
                self._end_worker(stored.end or StoredEnd(number, None, "", crashed=False, left=[]), cycles, workers)
                return
        self._show(f"under load, worker {number} of {workers}", number)
        job = msgspec.structs.replace(
            plan.job,
            files=[encode_path(plan.loaded.file)],
            digests=[plan.loaded.digest],
            settings=environment.settings(number - 1),
            cycles=cycles,
            first_cycle=first_cycle,
            arrived=arrived,
            arms=self._arms if self._hung else plan.job.arms,
            cpus=() if self.cores.worker is None else (self.cores.worker,),
            alone=self.cores.worker is not None,
        )
        supervisor, watch = Supervisor(job), ServerWatch(environment.servers)
        try:
            supervisor.start()
            self.collected.facts |= supervisor.facts
            self.collected.cannot_run = supervisor.cannot_run
            self._store(StoredStart(number, supervisor.arms, supervisor.facts, supervisor.cannot_run))
            supervisor.load(plan.users)
            while supervisor.running:
                supervisor.wait()
                self._receive(number, supervisor, after_s)
                self.observer.tick()
                if ended := watch.ended():  # there is nothing left to put under load
                    supervisor.failed = ended
                    break
            self._receive(number, supervisor, after_s)
        except KeyboardInterrupt:
            self._receive(number, supervisor, after_s)
            supervisor.stop()
            self.collected.add(number, *supervisor.received(), after_s)  # not stored: the block was cut short
            raise
        except HarnessError as error:
            if number == 1:  # the scenario cannot be loaded at all
                self.collected.failed = blamed(JobFailed(str(error), error.code), watch).error()
            else:
                supervisor.failed = str(error)
        finally:
            supervisor.close()
        self._blame_server(number, supervisor, watch)
        end = StoredEnd(number, supervisor.failed, supervisor.hung_arm, supervisor.crashed, supervisor.left)
        if self.collected.failed is None:
            self._store(end)
        self._end_worker(end, cycles, workers)

    def _blame_server(self, number: int, supervisor: Supervisor, watch: ServerWatch) -> None:
        """Name a server that does not serve as the cause of a load worker's failures, and let no other worker follow."""
        found, cannot_run = self.collected.blocks.get(number, []), self.collected.cannot_run
        has_trouble = supervisor.failed is not None or bool(cannot_run) or have_trouble(found)
        if self.collected.failed is None and has_trouble and (fault := watch.fault()):
            supervisor.failed = fault if supervisor.failed in {None, fault} else f"{fault} ({supervisor.failed})"
            self._shares.clear()

    def _receive(self, number: int, supervisor: Supervisor, after_s: float) -> None:
        """Add and store what a load worker has sent."""
        blocks, ticks = supervisor.received()
        self.collected.add(number, blocks, ticks, after_s)
        self._ticks += [replace(tick, at_s=tick.at_s + after_s) for tick in ticks]
        for block in blocks:
            self._store(StoredBlock(number, block, self._ticks))
            self._ticks = []
        if blocks:
            self._keep(sum(map(len, self.collected.blocks.values())), len(self._arms), self._so_far)

    def _progress(self) -> str:
        done = sum(map(len, self.collected.blocks.values()))
        return f"{done} of {self.plan.cycles * len(self._arms)} blocks were measured"

    def _so_far(self) -> ScenarioResult:
        """Return the result so far."""
        found = scenario_result(self.plan.loaded, self.collected, msgspec.structs.replace(self.plan.job, cycles=self.plan.cycles))
        return replace(found, samples_file=None)  # histograms are written at the end

    def _end_worker(self, end: StoredEnd, cycles: int, workers: int) -> None:
        """Note the end of a load worker: the reason of an early one, and the cycles that another one takes over."""
        self.collected.left += end.left
        if not end.failed:
            return
        blocks = self.collected.blocks.get(end.worker, [])
        self.collected.crashed.append(f"load worker {end.worker} of {workers}, after {len(blocks)} of its blocks: {end.failed}")
        begun = len({block.cycle for block in blocks})
        if end.arm:
            (self._crashed if end.crashed and end.arm not in self._crashed else self._hung).add(end.arm)
            self._shares.extendleft([cycles - begun] if cycles > begun else [])

    def _show(self, step: str, number: int) -> None:
        """Show the step of load worker `number`, 0 before the first, with the expected remaining seconds without draining."""
        job, shares = self.plan.job, self.plan.cycles_per_worker()
        left_s = sum(cycles * len(self._arms) * (job.block_s + job.warm_up_s) + 2.0 for cycles in shares[max(0, number - 1) :])
        self.observer.step(f"{self.plan.loaded.name} · {step}", number + 1, max(number, len(shares)) + 1, left_s)

    def _record(self, scenarios: Sequence[LoadedScenario], finished_at: datetime | None = None) -> Run:
        plan, collected = self.plan, self.collected
        facts = load_facts(collected, plan.job, plan.users)
        job = msgspec.structs.replace(plan.job, cycles=plan.cycles)
        found = [scenario_result(loaded, collected, job) for loaded in scenarios]
        found = [self._as_interrupted(each) if each.status == ScenarioStatus.INTERRUPTED else each for each in found]
        return record(found, collected, facts, plan.settings, plan.out, plan.command, finished_at)


@dataclass(frozen=True)
class CapacityPlan:
    """A capacity run: each search for each of the arms, on one database engine at one RTT."""

    loaded: LoadedScenario
    settings: RunSettings
    plans: Sequence[SearchPlan]
    """One search per kind of capacity."""
    arms: Sequence[str]
    out: Path
    """The run's folder."""
    command: str
    warm_up_s: float = 1.0
    timeout_s: float = OPERATION_TIMEOUT_S
    """Timeout of one operation."""
    unfinished: UnfinishedRun[StoredLoadLine] | None = None
    """Where steps are stored, those of an interrupted run that is resumed among them; None for a new one."""
    started_at: str = ""
    """The time at which a run began that is resumed; empty for a new one."""


@dataclass
class CapacitySession(_Session):
    """Runs the searches. `run()` returns the record; results from before Ctrl-C or a worker's crash are kept."""

    plan: CapacityPlan
    observer: Observer
    cores: Cores = field(default_factory=choose_cores)
    clock: Clock = field(default_factory=MonotonicClock)
    collected: CollectedResults = field(default_factory=CollectedResults)
    """The results so far, besides the steps."""
    _searches: CapacitySearches = field(init=False)

    def __post_init__(self) -> None:
        plan = self.plan
        searches = [ArmSearch(search, arm) for search in plan.plans for arm in plan.arms]
        self._searches = CapacitySearches(
            searches,
            self.clock,
            self._show,
            self.observer.tick,
            self._save,
            store=self._store,
            crashed=self.collected.crashed,
        )

    @property
    def unfinished(self) -> bool:
        """Whether a search was stopped before it had both a sustained and a failed level."""
        return self._searches.is_unfinished

    def run(self) -> Run:
        """Run all searches, store every step and return the record, also after Ctrl-C, and if the scenario fails.

        Raises the errors of `LoadSession.run`.
        """
        plan, collected = self.plan, self.collected
        collected.facts = machine.describe(self.cores)
        with self._stored(CAPACITY) as lines:
            self._searches.take_over(stored_steps(lines))
            try:
                if not lines:
                    write_run(self._record(), plan.out)  # as for a load test
                self._show("preparing")
                with _prepared(plan, self.cores, collected) as environment:
                    self._check_data(lines)
                    self._search(environment)
            except KeyboardInterrupt:
                collected.interrupted = True
            except ScenarioFailedError as error:
                self._fail(error)
            finished = self._record(utc_now())
            write_run(finished, plan.out)
        return finished

    def _search(self, environment: LoadEnvironment) -> None:
        """Run until every search has ended. A worker that crashes in a step ends that search; the others get a new one.

        One that cannot start in place of a crashed one ends all of them: what was found is kept.
        """
        plan, watch = self.plan, ServerWatch(environment.servers)
        self._searches.fault = watch.fault
        job = LoadJob(
            files=[encode_path(plan.loaded.file)],
            digests=[plan.loaded.digest],
            settings=environment.settings(0),
            block_s=plan.plans[0].step_s,
            warm_up_s=plan.warm_up_s,
            arrivals=UNIT_RATE,
            timeout_s=plan.timeout_s,
            arms=list(plan.arms),
            on_request=True,
            cpus=() if self.cores.worker is None else (self.cores.worker,),
            alone=self.cores.worker is not None,
        )
        while self._searches.goes_on():
            if self.collected.crashed and (fault := watch.fault()):  # the next worker would wait for it until its timeouts
                self._searches.end(f"no load worker started in place of the crashed one: {fault}")
                break
            begun = msgspec.structs.replace(job, first_cycle=self._searches.begun, arrived=self._searches.arrived)
            supervisor = Supervisor(begun)
            try:
                supervisor.start()
                self.collected.facts |= supervisor.facts
                self.collected.cannot_run = supervisor.cannot_run
                self._searches.leave_out(supervisor.cannot_run)
                if self._searches.run(supervisor):
                    supervisor.stop()  # it closes its instances
                    self.collected.crashed += [supervisor.failed] if supervisor.failed else []
                    self.collected.left += supervisor.left
            except KeyboardInterrupt:
                supervisor.stop()
                raise
            except HarnessError as error:
                if not self.collected.crashed:  # the scenario cannot be loaded at all
                    raise blamed(JobFailed(str(error), error.code), watch).error() from error
                if isinstance(error, UsageError):  # such as a folder that can no longer be written
                    raise
                cause = watch.fault() or str(error)
                self._searches.end(f"no load worker started in place of the crashed one: {cause}")
            finally:
                supervisor.close()

    def _progress(self) -> str:
        return f"{self._searches.steps} steps of the search were run"

    def _save(self) -> None:
        if not self._searches.stored:
            self._keep(self._searches.steps, 1, self._result)

    def _show(self, step: str) -> None:
        done = self._searches.steps
        steps = max(done + 1, USUAL_STEPS * max(1, len(self._searches.searches)))
        left_s = (steps - done) * (self.plan.plans[0].step_s + self.plan.warm_up_s)
        self.observer.step(f"{self.plan.loaded.name} · {step}", done + 1, steps, left_s)

    def _record(self, finished_at: datetime | None = None) -> Run:
        plan, collected = self.plan, self.collected
        objectives = {f"objective, {p.kind}": p.objective.description(offered=p.kind == CapacityKind.RATE) for p in plan.plans}
        found = [self._result()] if collected.environments else []
        return record(found, collected, collected.facts | objectives, plan.settings, plan.out, plan.command, finished_at)

    def _result(self) -> ScenarioResult:
        plan, collected = self.plan, self.collected
        found = self._searches.capacities()
        load = LoadResult(
            models=[SEARCHES[search.kind][0] for search in plan.plans],
            arrivals="; ".join(SEARCHES[search.kind][1] for search in plan.plans),
            block_s=plan.plans[0].step_s,
            warm_up_s=plan.warm_up_s,
            capacities=found,
            lost_workers=collected.crashed,
        )
        deciding = deciding_arms(plan.loaded, plan.arms)
        started = started_result(
            plan.loaded, collected, _search_status(found, deciding, collected.crashed, interrupted=collected.interrupted), load
        )
        result = replace(started, processes=1, warnings=self._warnings(found))
        result = self._as_interrupted(result) if result.status == ScenarioStatus.INTERRUPTED else result
        return replace(result, verdicts=verdicts(plan.loaded, result))

    def _warnings(self, found: Sequence[Capacity]) -> list[RunWarning]:
        warnings = []
        if any(c.steps for c in found) and not self._searches.has_targets:
            warnings.append(shared_process_warning("compare arms; a level is not the data layer's own capacity"))
        if self.collected.left:
            warnings.append(left_running(self.collected.left))
        short = [f"{s.arm}, {s.plan.kind}" for s in self._searches.searches if s.end is not None and s.end.out_of_budget]
        if short:
            message = f"the time budget was exhausted: {'; '.join(short)}"
            warnings.append(RunWarning(WarningName.SEARCH_CUT_SHORT, message, "raise it with --budget"))
        return warnings


def verdicts(loaded: LoadedScenario, result: ScenarioResult) -> list[Verdict]:
    """Return the verdicts on the promises that a capacity decides: those that are not measured without one."""
    found, without = (
        [verdict for promise in loaded.scenario.promises for verdict in judge(promise, judged)]
        for judged in (result, replace(result, load=None))
    )
    pairs = zip(found, without, strict=True)
    return [verdict for verdict, other in pairs if other.verdict == PromiseVerdict.NOT_MEASURED != verdict.verdict]


def _search_status(
    found: Sequence[Capacity], deciding: Sequence[str], crashed: Sequence[str], *, interrupted: bool
) -> tuple[ScenarioStatus, str | None, int]:
    """Return a scenario's status, error and exit code.

    It has failed if an arm that decides fails, a load worker crashed, or no operation completed.
    """
    by_arm = {c.arm: f"{c.arm}: {c.failing}" for c in reversed(found) if c.failing and c.arm in deciding}
    if fails := [*crashed, *(by_arm[arm] for arm in deciding if arm in by_arm)]:
        return ScenarioStatus.FAILED, "; ".join(fails), ScenarioFailedError.code
    if interrupted:
        return ScenarioStatus.INTERRUPTED, None, 0
    if found and not any(step.operations for c in found for step in c.steps):
        return ScenarioStatus.FAILED, f"no operation completed; {found[0].reason}", ScenarioFailedError.code
    return ScenarioStatus.OK, None, 0


@contextmanager
def _prepared(plan: LoadPlan | CapacityPlan, cores: Cores, collected: CollectedResults) -> Iterator[LoadEnvironment]:
    """Prepare the environment, off the load generator's core if there is another one."""
    with ExitStack() as stack:
        if cores.worker is not None:
            stack.callback(keep_to, cores.all)
            keep_to([core for core in cores.all if core != cores.worker])
        timeout_s = plan.job.timeout_s if isinstance(plan, LoadPlan) else plan.timeout_s
        prepared = load_environment([plan.loaded], plan.settings, timeout_s=timeout_s)
        environment = stack.enter_context(prepared)
        collected.environments = environment.scenarios
        yield environment


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
        settings=settings.on(scenario.engine for scenario in scenarios),
        environment=facts,
        scenarios=scenarios,
        repository=repository(),
        resumed=collected.resumed,
    )


def save(run: Run, collected: CollectedResults, out: Path) -> None:
    """Write the record and the histograms of a load test; raise `UsageError` if the folder cannot be written."""
    for found in run.scenarios:
        if found.samples_file:
            write_histograms(histogram_rows(collected.blocks, found.name), out / found.samples_file)
    write_run(run, out)
