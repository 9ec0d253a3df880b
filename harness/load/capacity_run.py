"""One capacity search from start to end: arms alternate step by step, so that drift affects all of them alike; the run's folder."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from harness.bench.steps import Observer
from harness.discovery import LoadedScenario
from harness.errors import HarnessError
from harness.load.block import LoadBlock
from harness.load.capacity import NextStep, SearchEnd, SearchPlan, TriedStep, capacity, next_step, tried_step
from harness.load.environment import load_environment
from harness.load.protocol import LoadJob
from harness.load.results import CollectedResults, generator_limit, merged, shared_process_warning, started_result, total
from harness.load.session import generator_core, record
from harness.load.supervisor import Supervisor
from harness.results.load import Capacity, CapacityKind, LoadModel, LoadResult
from harness.results.run import PromiseVerdict, Run, RunSettings, RunWarning, ScenarioResult, ScenarioStatus, Verdict
from harness.results.store import write_run
from harness.runtime import machine
from harness.runtime.clock import Clock, MonotonicClock, utc_now
from harness.runtime.cores import Cores, choose_cores
from harness.scenario import Setting
from harness.verdicts.promise import judge
from harness.verdicts.slo import LoadObservation

USUAL_STEPS = 13  # the usual number of steps of a search, for the expected remaining time

LOADS = {
    CapacityKind.RATE: "search over rates, operations due at random times (Poisson)",
    CapacityKind.USERS: "search over numbers of concurrent users",
}
MODELS = {CapacityKind.RATE: LoadModel.OPEN, CapacityKind.USERS: LoadModel.CLOSED}

UNIT_RATE = "poisson:1"  # one operation per second, so that a level is the factor on it


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
    allow_remote: bool = False


@dataclass
class _ArmSearch:
    """One arm's search of one kind so far."""

    plan: SearchPlan
    arm: str
    history: list[TriedStep] = field(default_factory=list)
    end: SearchEnd | None = None

    def next_step(self) -> NextStep | None:
        """Return the next step; None if the search has ended."""
        step = next_step(self.plan, self.history) if self.end is None else self.end
        if isinstance(step, NextStep):
            return step
        self.end = step
        return None

    def capacity(self) -> Capacity:
        """Return the result so far."""
        return capacity(self.plan, self.arm, self.history, self.end.reason if self.end else "stopped before the end")

    @property
    def is_unfinished(self) -> bool:
        """Whether it was stopped before it had both a sustained and a failed level."""
        found = self.capacity()
        stopped = self.end is None or self.end.out_of_budget
        return stopped and (found.sustained is None or found.failed_at is None)


@dataclass
class CapacitySession:
    """Runs the searches. `run()` returns the record; results from before Ctrl-C or a worker's crash are kept."""

    plan: CapacityPlan
    observer: Observer
    cores: Cores = field(default_factory=choose_cores)
    clock: Clock = field(default_factory=MonotonicClock)
    collected: CollectedResults = field(default_factory=CollectedResults)
    """The results so far, besides the steps."""
    _searches: list[_ArmSearch] = field(default_factory=list)
    _steps: int = 0
    _has_targets: bool = False

    @property
    def unfinished(self) -> bool:
        """Whether a search was stopped before it had both a sustained and a failed level."""
        return any(search.is_unfinished for search in self._searches)

    def run(self) -> Run:
        """Run all searches, write the folder after every step and return the record, also after Ctrl-C.

        Raises:
            UsageError: the scenario does not run here, a server is on another machine, or the folder cannot be written.
            ScenarioFailedError: the data cannot be built, or the arms' answers differ.
        """
        plan, collected = self.plan, self.collected
        collected.facts = machine.describe(self.cores)
        write_run(self._record(), plan.out)  # a folder that cannot be written has to show before minutes of load
        self._searches = [_ArmSearch(search, arm) for search in plan.plans for arm in plan.arms]
        self._show("preparing")
        prepared = load_environment([plan.loaded], plan.settings, allow_remote=plan.allow_remote)
        with generator_core(self.cores), prepared as environment:
            collected.environments = environment.scenarios
            try:
                self._search(environment.settings(0))
            except KeyboardInterrupt:
                collected.interrupted = True
        finished = self._record(utc_now())
        write_run(finished, plan.out)
        return finished

    def _search(self, settings: list[Setting]) -> None:
        """Run until every search has ended. A worker that crashes in a step ends that search; the others get a new one."""
        while any(search.next_step() for search in self._searches):
            supervisor = Supervisor(self._job(settings))
            try:
                supervisor.start()
                self.collected.facts |= supervisor.facts
                for plan in self.plan.plans:
                    if not self._alternate([s for s in self._searches if s.plan is plan], supervisor):
                        break
            except KeyboardInterrupt:
                supervisor.stop()
                raise
            finally:
                supervisor.close()

    def _alternate(self, searches: Sequence[_ArmSearch], supervisor: Supervisor) -> bool:
        """Alternate between arms, every second time in reverse order, until all have ended; False if the worker has crashed."""
        order = list(searches)
        while steps := [(search, step) for search in order if (step := search.next_step())]:
            for search, step in steps:
                try:
                    self._step(search, step, supervisor)
                except HarnessError as error:
                    self.collected.crashed.append(f"{search.arm} at {step.level:g} {search.plan.kind}: {error}")
                    search.end = SearchEnd(f"the load worker crashed at {step.level:g}: {error}")
                    return False
            write_run(self._record(), self.plan.out)
            order.reverse()
        return True

    def _step(self, search: _ArmSearch, step: NextStep, supervisor: Supervisor) -> None:
        kind = search.plan.kind
        self._show(f"{search.arm} at {step.level:g} {kind}")
        started_ns = self.clock.now_ns()
        users, rate_factor = (int(step.level), 1.0) if kind == CapacityKind.USERS else (0, step.level)
        block = supervisor.run_block(search.arm, users, rate_factor, step.seconds)
        spent_s = (self.clock.now_ns() - started_ns) / 1e9
        supervisor.received()  # dropped: a search has no timeline to show
        self._has_targets |= block.targets
        search.history.append(tried_step(search.plan, step, observation(step.level, block), spent_s))
        self._steps += 1
        self.observer.tick()

    def _job(self, settings: list[Setting]) -> LoadJob:
        plan = self.plan
        return LoadJob(
            files=[str(plan.loaded.file)],
            settings=settings,
            block_s=plan.plans[0].step_s,
            warm_up_s=plan.warm_up_s,
            arrivals=UNIT_RATE,
            arms=list(plan.arms),
            on_request=True,
            cpus=() if self.cores.worker is None else (self.cores.worker,),
            alone=self.cores.worker is not None,
        )

    def _show(self, step: str) -> None:
        searches = max(1, len(self._searches))
        steps = max(self._steps + 1, USUAL_STEPS * searches)
        left_s = (steps - self._steps) * (self.plan.plans[0].step_s + self.plan.warm_up_s)
        self.observer.step(f"{self.plan.loaded.name} · {step}", self._steps + 1, steps, left_s)

    def _record(self, finished_at: datetime | None = None) -> Run:
        plan, collected = self.plan, self.collected
        objectives = {f"objective, {p.kind}": p.objective.description(offered=p.kind == CapacityKind.RATE) for p in plan.plans}
        found = [self._result()] if collected.environments else []
        return record(found, collected, collected.facts | objectives, plan.settings, plan.out, plan.command, finished_at)

    def _result(self) -> ScenarioResult:
        plan, collected = self.plan, self.collected
        kinds = [search.kind for search in plan.plans]
        found = [search.capacity() for search in self._searches if search.history or search.end]
        load = LoadResult(
            models=[MODELS[kind] for kind in kinds],
            arrivals="; ".join(LOADS[kind] for kind in kinds),
            block_s=plan.plans[0].step_s,
            warm_up_s=plan.warm_up_s,
            capacities=found,
            lost_workers=collected.crashed,
        )
        started = started_result(plan.loaded, collected, _status(found, interrupted=collected.interrupted), load)
        result = replace(started, processes=1, warnings=self._warnings(found))
        return replace(result, verdicts=verdicts(plan.loaded, result))

    def _warnings(self, found: Sequence[Capacity]) -> list[RunWarning]:
        warnings = []
        if any(c.steps for c in found) and not self._has_targets:
            warnings.append(shared_process_warning("compare arms; a level is not the data layer's own capacity"))
        short = [f"{s.arm}, {s.plan.kind}" for s in self._searches if s.end is not None and s.end.out_of_budget]
        if short:
            message = f"the time budget was exhausted: {'; '.join(short)}"
            warnings.append(RunWarning("search cut short", message, "raise it with --budget"))
        return warnings


def observation(level: float, block: LoadBlock) -> LoadObservation:
    """Return a step's figures from its block, all groups of operations together."""
    whole, invalid = total([block]), generator_limit([block])
    response = merged(group.response for group in block.groups.values()).summary()
    return LoadObservation(level, whole.offered_per_s, whole.achieved_per_s, whole.planned, whole.operations, response, invalid)


def verdicts(loaded: LoadedScenario, result: ScenarioResult) -> list[Verdict]:
    """Return the verdicts on the promises that a capacity decides: those that are not measured without one."""
    found, without = (
        [verdict for promise in loaded.scenario.promises for verdict in judge(promise, judged)]
        for judged in (result, replace(result, load=None))
    )
    pairs = zip(found, without, strict=True)
    return [verdict for verdict, other in pairs if other.verdict == PromiseVerdict.NOT_MEASURED != verdict.verdict]


def _status(found: Sequence[Capacity], *, interrupted: bool) -> tuple[ScenarioStatus, str | None, int]:
    """Return a scenario's status, error and exit code; a scenario of which no operation completed has failed."""
    if interrupted:
        return ScenarioStatus.INTERRUPTED, None, 0
    if found and not any(step.operations for c in found for step in c.steps):
        return ScenarioStatus.FAILED, f"no operation completed; {found[0].reason}", 1
    return ScenarioStatus.OK, None, 0
