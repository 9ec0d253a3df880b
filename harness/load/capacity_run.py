"""A capacity search carried out: arms take turns step by step, so that whatever drifts hits all of them alike; the run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.bench.steps import Observer
from harness.discovery import LoadedScenario
from harness.errors import HarnessError
from harness.load.capacity import Ended, Next, SearchPlan, Tried, capacity, following, tried
from harness.load.environment import LoadEnvironment
from harness.load.generator_checks import generator_limit
from harness.load.protocol import LoadBlock, LoadJob
from harness.load.session import generator_apart
from harness.load.supervisor import Supervisor
from harness.load.totals import total
from harness.results.load import Capacity, CapacityKind, UnderLoad
from harness.results.run import (
    ArmResult,
    PromiseVerdict,
    Run,
    RunKind,
    RunSettings,
    RunWarning,
    ScenarioResult,
    ScenarioStatus,
    Verdict,
)
from harness.results.store import SCHEMA_VERSION, write_run
from harness.runtime import machine
from harness.runtime.clock import Clock, MonotonicClock, utc_now
from harness.runtime.cores import Cores, choose_cores
from harness.runtime.workspace import git_commit
from harness.stats.histogram import Histogram
from harness.verdicts.promise import Promise, judge
from harness.verdicts.slo import LoadObservation

USUAL_STEPS = 13
"""So many steps a search takes or so: what is left is told by it."""

ASKED = {
    CapacityKind.RATE: "rates searched, operations due at random moments (Poisson)",
    CapacityKind.USERS: "numbers of users searched, each asking again once answered",
}
MODELS = {CapacityKind.RATE: "open", CapacityKind.USERS: "closed"}

UNIT_RATE = "poisson:1"
"""One operation a second, so that a level is the factor on it."""


@dataclass(frozen=True)
class Searches:
    """What a run is to search: each plan for each of the arms, on one engine at one distance."""

    loaded: LoadedScenario
    settings: RunSettings
    plans: Sequence[SearchPlan]
    arms: Sequence[str]
    out: Path
    command: str
    warm_up_s: float = 1.0
    drain_s: float = 10.0
    allow_remote: bool = False


@dataclass
class _Search:
    """One arm's search of one kind, as far as it has got. `ended` says why it is over."""

    plan: SearchPlan
    arm: str
    history: list[Tried] = field(default_factory=list)
    ended: Ended | None = None

    def following(self) -> Next | None:
        """Return the step to take next; None where the search is over."""
        asked = following(self.plan, self.history) if self.ended is None else self.ended
        if isinstance(asked, Next):
            return asked
        self.ended = asked
        return None

    def found(self) -> Capacity:
        """Return what is known so far."""
        return capacity(self.plan, self.arm, self.history, self.ended.because if self.ended else "stopped before the end")

    @property
    def unfinished(self) -> bool:
        """Whether it was stopped before there was a level that held and one that did not."""
        found = self.found()
        stopped = self.ended is None or self.ended.out_of_budget
        return stopped and (found.sustained is None or found.failed_at is None)


@dataclass
class CapacitySession:
    """Carries the searches out. `run()` returns the record; what was found before Ctrl-C or an engine's death is kept."""

    searches: Searches
    observer: Observer
    cores: Cores = field(default_factory=choose_cores)
    clock: Clock = field(default_factory=MonotonicClock)
    started_at: str = field(default_factory=lambda: utc_now().isoformat(timespec="seconds"))
    _found: list[_Search] = field(default_factory=list)
    _facts: dict[str, str] = field(default_factory=dict)
    _lost: list[str] = field(default_factory=list)
    _steps: int = 0
    _elsewhere: bool = False
    _interrupted: bool = False

    @property
    def unfinished(self) -> bool:
        """Whether some search was stopped before it had a bracket."""
        return any(search.unfinished for search in self._found)

    def run(self) -> Run:
        """Do everything, write the folder after every step and return the record, also after Ctrl-C.

        Raises:
            UsageError: the scenario does not run here, a server is another machine, or the folder cannot be written.
            ScenarioFailedError: the data cannot be built, or the arms do not agree.
        """
        wanted, settings = self.searches, self.searches.settings
        self._facts = machine.describe(self.cores)
        write_run(self._record(None, None), wanted.out)  # a folder that cannot be written must show before minutes of load
        self._found = [_Search(plan, arm) for plan in wanted.plans for arm in wanted.arms]
        self._tell("preparing")
        ground = LoadEnvironment(
            [wanted.loaded], settings.engines[0], settings.size, settings.seed, settings.rtts_ms[0], wanted.allow_remote
        )
        with generator_apart(self.cores), ground:
            try:
                self._search(ground)
            except KeyboardInterrupt:
                self._interrupted = True
        record = self._record(ground, utc_now().isoformat(timespec="seconds"))
        write_run(record, wanted.out)
        return record

    def _search(self, ground: LoadEnvironment) -> None:
        """Search until every search is over. An engine that dies in a step ends that one search; the others have a new engine."""
        while any(search.following() for search in self._found):
            supervisor = Supervisor(self._job(ground))
            try:
                supervisor.start()
                self._facts |= supervisor.facts
                for plan in self.searches.plans:
                    if not self._turns([s for s in self._found if s.plan is plan], supervisor, ground):
                        break
            except KeyboardInterrupt:
                supervisor.stop()
                raise
            finally:
                supervisor.close()

    def _turns(self, found: Sequence[_Search], supervisor: Supervisor, ground: LoadEnvironment) -> bool:
        """Have arms take turns, every second time in the other order, until all are done; False if the engine has died."""
        order = list(found)
        while going := [(search, asked) for search in order if (asked := search.following())]:
            for search, asked in going:
                try:
                    self._step(search, asked, supervisor)
                except HarnessError as error:
                    self._lost.append(f"{search.arm} at {asked.level:g} {search.plan.kind}: {error}")
                    search.ended = Ended(f"lost at {asked.level:g}: {error}")
                    return False
            write_run(self._record(ground, None), self.searches.out)
            order.reverse()
        return True

    def _step(self, search: _Search, asked: Next, supervisor: Supervisor) -> None:
        kind = search.plan.kind
        self._tell(f"{search.arm} at {asked.level:g} {kind}")
        started_ns = self.clock.now_ns()
        if kind == CapacityKind.USERS:
            block = supervisor.one(search.arm, users=int(asked.level), block_s=asked.seconds)
        else:
            block = supervisor.one(search.arm, rate_factor=asked.level, block_s=asked.seconds)
        spent_s = (self.clock.now_ns() - started_ns) / 1e9
        supervisor.ticks()  # nobody reads them: a search has no course of time to show
        self._elsewhere |= block.targets
        search.history.append(tried(search.plan, asked, seen(asked.level, block), spent_s))
        self._steps += 1
        self.observer.tick()

    def _job(self, ground: LoadEnvironment) -> LoadJob:
        wanted = self.searches
        return LoadJob(
            files=[str(wanted.loaded.file)],
            settings=ground.settings(0),
            block_s=wanted.plans[0].step_s,
            warm_up_s=wanted.warm_up_s,
            drain_s=wanted.drain_s,
            arrivals=UNIT_RATE,
            arms=list(wanted.arms),
            on_request=True,
            cpus=() if self.cores.worker is None else (self.cores.worker,),
            alone=self.cores.worker is not None,
        )

    def _tell(self, says: str) -> None:
        searches = max(1, len(self._found))
        of = max(self._steps + 1, USUAL_STEPS * searches)
        left_s = (of - self._steps) * (self.searches.plans[0].step_s + self.searches.warm_up_s)
        self.observer.step(f"{self.searches.loaded.name} · {says}", self._steps + 1, of, left_s)

    def _record(self, ground: LoadEnvironment | None, finished_at: str | None) -> Run:
        commit, dirty = git_commit()
        wanted = self.searches
        objectives = {
            f"objective, {plan.kind}": plan.objective.description(offered=plan.kind == CapacityKind.RATE) for plan in wanted.plans
        }
        return Run(
            schema_version=SCHEMA_VERSION,
            kind=RunKind.LOAD,
            name=wanted.out.name,
            started_at=self.started_at,
            finished_at=finished_at,
            command=wanted.command,
            commit=commit,
            dirty=dirty,
            interrupted=self._interrupted,
            settings=wanted.settings,
            environment={**self._facts, **objectives},
            scenarios=[] if ground is None else [self._result(ground)],
        )

    def _result(self, ground: LoadEnvironment) -> ScenarioResult:
        wanted, loaded = self.searches, self.searches.loaded
        kinds = [plan.kind for plan in wanted.plans]
        found = [search.found() for search in self._found if search.history or search.ended]
        status, error, exit_code = _status(found, interrupted=self._interrupted)
        result = ScenarioResult(
            name=loaded.name,
            title=loaded.title,
            doc=loaded.doc,
            file=loaded.file.name,
            engine=ground.engine,
            rtt_ms=ground.rtt_ms,
            status=status,
            error=error,
            exit_code=exit_code,
            arms=[ArmResult(name, arm.description) for name, arm in loaded.scenario.arms.items()],
            processes=1,
            dataset=ground.datasets.get(loaded.name, {}),
            engine_settings=ground.engine_settings.get(loaded.name, {}),
            warnings=self._warnings(found),
            load=UnderLoad(
                model=" and ".join(MODELS[kind] for kind in kinds),
                arrivals="; ".join(ASKED[kind] for kind in kinds),
                block_s=wanted.plans[0].step_s,
                warm_up_s=wanted.warm_up_s,
                capacities=found,
                lost_workers=self._lost,
            ),
        )
        return replace(result, verdicts=verdicts(loaded, result))

    def _warnings(self, found: Sequence[Capacity]) -> list[RunWarning]:
        warnings = []
        if any(c.steps for c in found) and not self._elsewhere:
            says = "the load generator and the data layer share a process, so that each takes time and a core from the other"
            warnings.append(
                RunWarning("one process for both", says, "read how many times the baseline's, and no level as the data layer's own")
            )
        short = [f"{s.arm}, {s.plan.kind}" for s in self._found if s.ended is not None and s.ended.out_of_budget]
        if short:
            warnings.append(
                RunWarning(
                    "search cut short", f"the budget ended before it was done: {'; '.join(short)}", "give more with --budget"
                )
            )
        return warnings


def seen(level: float, block: LoadBlock) -> LoadObservation:
    """Return what a step saw, from its block: all groups of operations together."""
    whole = total([block])
    response = Histogram.merged(h for blocks in whole.response.values() for h in blocks).times()
    return LoadObservation(
        level=level,
        offered_per_s=whole.offered_per_s,
        achieved_per_s=whole.achieved_per_s,
        sent=whole.planned,
        completed=whole.operations,
        response=response,
        invalid=generator_limit([block]),
    )


def verdicts(loaded: LoadedScenario, result: ScenarioResult) -> list[Verdict]:
    """Return the verdicts on the promises that a capacity answers: those that nothing could be said of without one."""
    promises = loaded.scenario.promises
    pairs = zip(_judged(promises, result), _judged(promises, replace(result, load=None)), strict=True)
    return [verdict for verdict, without in pairs if without.verdict == PromiseVerdict.NOT_MEASURED != verdict.verdict]


def _judged(promises: Sequence[Promise], result: ScenarioResult) -> list[Verdict]:
    return [verdict for promise in promises for verdict in judge(promise, result)]


def _status(found: Sequence[Capacity], *, interrupted: bool) -> tuple[ScenarioStatus, str | None, int]:
    """Return a scenario's status, error and exit code. One without a single good answer has failed."""
    if interrupted:
        return ScenarioStatus.INTERRUPTED, None, 0
    if found and not any(step.operations for c in found for step in c.steps):
        return ScenarioStatus.FAILED, f"no operation was answered; {found[0].reason}", 1
    return ScenarioStatus.OK, None, 0
