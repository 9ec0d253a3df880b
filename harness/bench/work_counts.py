"""Work counts: the work of one operation, counted in two runs that are not timed, to see whether the counts repeat."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from harness.bench.operations import repeated_counts, run_counted
from harness.bench.probes.interpreter import BYTES_IN_ALLOCATIONS, Allocations, Calls
from harness.bench.probes.round_trips import RoundTrips
from harness.errors import HarnessError, NotMeasurableError, ScenarioFailedError
from harness.results.run import Statement, WorkCount
from harness.runnable import RunnableScenario
from harness.runtime.channel import LONG, begin
from harness.runtime.clock import MonotonicClock
from harness.scenario import Case, Probe
from harness.user_code import failure, user_code

OWN = ""
"""The group of figures that belong to an arm and not to an operation."""
TWICE = 2
"""Number of runs with one count that shows that it repeats."""
ALLOCATION_RUNS = 4
"""Limit of the runs for allocated bytes, whose minimum is taken because a dictionary grows in some; two that agree are enough."""
LONG_NS = 200_000_000
"""An operation that takes longer while its allocations are traced has two runs: it allocates so much that no dictionary shows."""

PLANNED_AFTER = 5
"""Executions after which a prepared statement has its final plan: PostgreSQL plans the first five anew."""

Counts = Mapping[str, float]
"""Metric → the count of one run."""


@dataclass
class OperationCounter:
    """Counts the work of the first case of each group once the answers to it were verified, and keeps what it found.

    The runs of an operation that are counted follow one another directly, so that each finds the same caches and pools of
    connections, whatever was verified before.
    """

    scenario: RunnableScenario
    cases: Collection[str]
    """Names of the cases to count."""
    round_trips: RoundTrips | None = None
    """The probe of round trips to servers."""
    interpreter: bool = True
    """Whether function calls and allocated bytes are counted."""
    found: dict[tuple[str, str], tuple[list[WorkCount], list[Statement]]] = field(default_factory=dict)
    """(arm, group) → its work counts and statements."""

    async def _probed(self, arm: str, instance: Any, case: Case) -> Counts:
        """Run one operation under probes, reset what it wrote, and return the counts.

        Raises ScenarioFailedError, without a cause, if a probe fails: that does not show that the arm cannot run.
        """
        stack, probes = AsyncExitStack(), list[Probe]()
        with self._blamed_on_probes(arm, case):
            probes += self.scenario.probes(instance)
            if self.round_trips is not None and not self.scenario.group[case.group].slow:
                probes.append(self.round_trips)  # entered last, as the others may send statements when they are entered or exited
            for probe in probes:
                await stack.enter_async_context(probe)
        try:
            answer = await self.scenario.run(instance, case)
        finally:
            with self._blamed_on_probes(arm, case):
                await stack.aclose()
        counts = {metric: value for probe in probes for metric, value in probe.counts().items()}
        await self.scenario.reset(instance, case, answer)
        await self.scenario.settle(instance)  # a reset under load may put off what the next run needs
        return counts

    async def count(self, arm: str, instance: Any, case: Case, runs: int) -> None:
        """Count an operation twice under probes, and what slows it down so much that it gets runs of its own.

        On a server it is run until its statements have their final plans, where its group has had few `runs`. The last of these is
        under probes, as what they send is planned, and touches rows for the first time, as well.
        """
        begin("counting work", arm, case.name, times=LONG)
        quick = not self.scenario.group[case.group].slow
        with user_code(self.scenario.written, arm, case.name):
            if self.round_trips is not None and quick:
                for _ in range(runs + 1, PLANNED_AFTER):
                    await run_counted(self.scenario, instance, case)
                await self._probed(arm, instance, case)
            first, second = [await self._probed(arm, instance, case) for _ in range(TWICE)]
            found = _repeated(arm, case, first, second)
            # They warm up the next runs as well: probes have emptied pools of connections.
            shapes = [replace(s, arm=arm, group=case.group) for s in await self.scenario.statements(instance, case)]
            if self.interpreter and quick:
                if not shapes:
                    await run_counted(self.scenario, instance, case)
                found += [*await _calls(self.scenario, arm, instance, case), await _allocations(self.scenario, arm, instance, case)]
        self.found[arm, case.group] = found, shapes

    @contextmanager
    def _blamed_on_probes(self, arm: str, case: Case) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a probe may be the user's, and raise anything
            message = str(error) if isinstance(error, HarnessError) else failure(error, self.scenario.written, arm, case.name)
            raise ScenarioFailedError(message).with_traceback(error.__traceback__) from None


async def count(scenario: RunnableScenario, arm: str, instance: Any, case: Case, scale: float) -> list[WorkCount]:
    """Count one operation's work with all of the scenario's probes at once, in two runs after one that fills caches."""
    await run_counted(scenario, instance, case)
    first, second = [(await run_counted(scenario, instance, case, scenario.probes(instance)))[0] for _ in range(TWICE)]
    return _repeated(arm, case, first, second, scale)


async def _calls(scenario: RunnableScenario, arm: str, instance: Any, case: Case) -> list[WorkCount]:
    first, second = [(await run_counted(scenario, instance, case, (Calls(),)))[0] for _ in range(TWICE)]
    return _repeated(arm, case, first, second)


async def _allocations(scenario: RunnableScenario, arm: str, instance: Any, case: Case) -> WorkCount:
    clock, limit = MonotonicClock(), ALLOCATION_RUNS
    found = list[float]()
    while len(found) < limit and found.count(min(found, default=0)) < TWICE:
        started_ns = clock.now_ns()
        found.append((await run_counted(scenario, instance, case, (Allocations(),)))[0][BYTES_IN_ALLOCATIONS])
        if clock.now_ns() - started_ns > LONG_NS:
            limit = TWICE
    lowest = min(found)
    return WorkCount(arm, case.group, BYTES_IN_ALLOCATIONS, lowest, repeats_exactly=found.count(lowest) >= TWICE)


async def facts(scenario: RunnableScenario, arm: str, instance: Any, scale: float) -> list[WorkCount]:
    """Return the figures of the arm itself, such as bytes of index; none if the engine does not report them."""
    try:
        found = await scenario.facts(instance)
    except NotMeasurableError:
        return []
    return [WorkCount(arm, OWN, metric, value, scale) for metric, value in found.items()]


def _repeated(arm: str, case: Case, first: Counts, second: Counts, scale: float = 1.0) -> list[WorkCount]:
    """Return the work counts of two runs of an operation: those of the first, and whether the second one counted the same."""
    return [
        WorkCount(arm, case.group, metric, value, scale, repeats_exactly=repeats)
        for metric, value, repeats in repeated_counts(first, second)
    ]
