"""Capacity searches of a scenario's arms, step by step on a load worker: arms alternate, so that drift affects all alike."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from harness.errors import HarnessError, ScenarioFailedError
from harness.load.block import LoadBlock
from harness.load.capacity import NextStep, SearchEnd, SearchPlan, TriedStep, capacity, next_step, tried_step
from harness.load.checks import generator_limit, have_trouble
from harness.load.stored import StoredCrash, StoredLevel, StoredResult
from harness.load.supervisor import Supervisor
from harness.load.totals import merged, total
from harness.results.load import Capacity, CapacityKind
from harness.runtime.clock import Clock
from harness.stats.intervals import QUANTILES
from harness.verdicts.slo import OPERATIONS_BEYOND, LoadObservation

UNIT_RATE = "poisson:1"  # one operation per second, so that a level of a search is the factor on it


@dataclass
class ArmSearch:
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
        return (self.end is None or self.end.out_of_budget) and None in {found.sustained, found.failed_at} and not found.failing


@dataclass
class CapacitySearches:
    """The searches of a scenario, one kind after another."""

    searches: list[ArmSearch]
    clock: Clock
    begin: Callable[[str], None]
    """Called before each step, with its name."""
    measured: Callable[[], None] = lambda: None
    """Called after each step."""
    taken_turns: Callable[[], None] = lambda: None
    """Called when each arm had its step."""
    has_targets: bool = False
    """Whether the system under load was another process, or a part of it."""
    crashed: list[str] = field(default_factory=list)
    """A message for each load worker that ended early."""
    store: Callable[[StoredResult], None] = lambda _result: None
    """Called with each step that was run."""
    stored: deque[StoredLevel | StoredCrash] = field(default_factory=deque)
    """The steps of an earlier part of the run, which are taken over in place of running them: the same ones come next."""
    arrived: int = 0
    """The operations that were due in all steps so far."""
    begun: int = 0
    """The number of steps that have begun."""
    fault: Callable[[], str | None] = lambda: None
    """Returns why a server does not serve, asked after a step in which operations failed or did not end; None if all serve."""

    @property
    def is_unfinished(self) -> bool:
        """Whether a search was stopped before it had both a sustained and a failed level."""
        return any(search.is_unfinished for search in self.searches)

    @property
    def steps(self) -> int:
        """The number of steps so far."""
        return sum(len(search.history) for search in self.searches)

    def take_over(self, steps: Sequence[StoredLevel | StoredCrash]) -> None:
        """Begin with the steps of an earlier part of the run."""
        self.stored = deque(steps)
        self.begun += len(steps)
        self.arrived += sum(step.arrivals for step in steps if isinstance(step, StoredLevel))

    def goes_on(self) -> bool:
        """Return whether a search has a next step."""
        return any(search.next_step() for search in self.searches)

    def leave_out(self, cannot_run: Sequence[tuple[str, str, str, str]]) -> None:
        """End the searches of arms that cannot run some operations, (scenario, arm, group, error): others have another load."""
        broken: dict[str, str] = {}
        for _, arm, group, error in cannot_run:
            broken.setdefault(arm, f"cannot run as written: {group}: {error}")
        for search in self.searches:
            if search.arm in broken:
                search.end = SearchEnd(broken[search.arm])

    def end(self, reason: str) -> None:
        """End all searches that have a next step, because there is no load worker any more."""
        self.crashed.append(reason)
        for search in self.searches:
            if search.next_step():
                search.end = SearchEnd(reason)

    def run(self, supervisor: Supervisor) -> bool:
        """Search until all have ended; False if the worker has crashed, which has ended one search."""
        kinds = dict.fromkeys(search.plan.kind for search in self.searches)
        return all(self._alternate([s for s in self.searches if s.plan.kind == kind], supervisor) for kind in kinds)

    def capacities(self) -> list[Capacity]:
        """Return the results of the searches that have begun or ended."""
        return [search.capacity() for search in self.searches if search.history or search.end]

    def _alternate(self, searches: Sequence[ArmSearch], supervisor: Supervisor) -> bool:
        """Alternate between arms, every second time in reverse order, until all have ended; False if the worker has crashed."""
        order = list(searches)
        while steps := [(search, step) for search in order if (step := search.next_step())]:
            for search, step in steps:
                try:
                    self._step(search, step, supervisor)
                except HarnessError as error:
                    self.crashed.append(f"{search.arm} at {step.level:g} {search.plan.kind}: {error}")
                    search.end = SearchEnd(f"ended at {step.level:g}: {error}")
                    return False
            self.taken_turns()
            order.reverse()
        return True

    def _step(self, search: ArmSearch, step: NextStep, supervisor: Supervisor) -> None:
        kind = search.plan.kind
        if (known := self._known(search, step)) is not None:
            if isinstance(known, StoredCrash):
                raise ScenarioFailedError(known.reason)
            self.has_targets |= known.targets
            search.history.append(known.tried)
            return
        self.begin(f"{search.arm} at {step.level:g} {kind}")
        started_ns = self.clock.now_ns()
        users, rate_factor = (int(step.level), 1.0) if kind == CapacityKind.USERS else (0, step.level)
        self.begun += 1
        try:
            block = supervisor.run_block(search.arm, users, rate_factor, step.seconds)
        except HarnessError as error:
            self.store(StoredCrash(search.arm, kind, step.level, str(error)))
            raise
        spent_s = (self.clock.now_ns() - started_ns) / 1e9
        supervisor.received()  # dropped: a search has no timeline to show
        self.has_targets |= block.targets
        if have_trouble([block]) and (fault := self.fault()):
            self.store(StoredCrash(search.arm, kind, step.level, fault))
            raise ScenarioFailedError(fault)
        self.arrived += block.arrivals
        tried = tried_step(search.plan, step, observation(step.level, block, beyond=search.plan.objective.beyond), spent_s)
        search.history.append(tried)
        self.store(StoredLevel(search.arm, kind, tried, block.arrivals, block.targets))
        self.measured()

    def _known(self, search: ArmSearch, step: NextStep) -> StoredLevel | StoredCrash | None:
        """Return the stored result of a step; None if there is none, or the next one is of another step, as are all after it."""
        if not self.stored:
            return None
        found = self.stored.popleft()
        level = found.level if isinstance(found, StoredCrash) else found.tried.planned.level
        if (found.arm, found.kind, level) == (search.arm, search.plan.kind, step.level):
            return found
        self.stored.clear()
        return None


def observation(level: float, *blocks: LoadBlock, beyond: int = OPERATIONS_BEYOND) -> LoadObservation:
    """Return a step's figures from its blocks, all groups of operations together; percentiles with `beyond` operations beyond."""
    whole, invalid = total(blocks), generator_limit(blocks, is_capacity=True)
    sums, histogram = whole.sums, merged([whole.sums.response])
    found = dict(zip(QUANTILES, histogram.percentiles_ns(QUANTILES.values()), strict=True))
    enough = {label: histogram.operations * (1 - quantile) >= beyond * (1 - 1e-9) for label, quantile in QUANTILES.items()}
    known = {label: ns if enough[label] else None for label, ns in found.items()}
    response = replace(histogram.summary(), percentiles_ns=known)
    return LoadObservation(
        level, whole.offered_per_s, whole.achieved_per_s, sums.planned, sums.operations, response, invalid, sums.errors
    )
