"""Jobs that time nothing: verify the answers, count the work, collect the statements, try the findings, count instructions."""

import gc
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from statistics import fmean

from harness.bench import work_counts
from harness.bench.instance import Outbox, all_cases_of, all_opened, cases_of, opened
from harness.bench.job import AnswersVerified, BenchJob, Figures, Task
from harness.bench.operations import first_of_each_group
from harness.bench.probes import instructions
from harness.bench.probes.interpreter import watch_new_threads
from harness.bench.probes.round_trips import counting_relay
from harness.bench.verify import verify
from harness.bench.work_counts import OperationCounter
from harness.declarations import Declarations
from harness.discovery import LoadedScenario
from harness.errors import NotMeasurableError
from harness.results.run import Finding, WorkCount
from harness.runnable import RunnableScenario, resolved
from harness.runtime.channel import LONG, begin
from harness.scenario import Case, DeclaredFinding, Scenario
from harness.user_code import user_code
from harness.verdicts.measures import OF_DATABASES


async def examine(job: BenchJob, loaded: LoadedScenario, outbox: Outbox) -> None:
    """Verify the answers; then, as far as the task asks for it, count the work and try the findings.

    To count again, only what is counted is verified.
    """
    scenario, cases = loaded.scenario, cases_of(loaded.scenario, job)
    first = first_of_each_group(cases)
    counted = [c.name for c in first if not scenario.group[c.group].uncounted] if job.task in {Task.EXAMINE, Task.RECOUNT} else []
    watch_new_threads()
    async with AsyncExitStack() as stack:
        relayed, round_trips = stack.enter_context(counting_relay(job.setting.servers if counted else {}))
        setting = replace(job.setting, resets=True, servers={**job.setting.servers, **relayed})
        arms = dict(zip(scenario.arms, scenario.arms, strict=True))
        instances = await stack.enter_async_context(all_opened(scenario, arms, setting, outbox))
        gc.collect()
        gc.freeze()  # probes collect garbage before they count, which takes long where much data is alive
        interpreter = job.effort.is_full and not job.effort.is_preview
        counter = OperationCounter(scenario, counted, round_trips, interpreter=interpreter)
        quick = [c for c in first if not scenario.group[c.group].slow]
        cases = quick if job.task is Task.REVISIT else first if job.task is Task.RECOUNT else cases
        verified = await verify(scenario, instances, cases, counter, repeats_dear=not job.effort.is_preview)
        if job.task is Task.RECOUNT:
            outbox.send(Figures([count for found, _ in counter.found.values() for count in found]))
            return
        cannot_run = [(arm, group, error) for (arm, group), error in verified.cannot_run.items()]
        took_s = {arm: {group: fmean(each) for group, each in groups.items()} for arm, groups in verified.took_s.items()}
        outbox.send(AnswersVerified(verified.cases, cannot_run, took_s))
        if job.task is Task.TRY:  # only whether the arms agree is shown
            return
        for found, shapes in counter.found.values():
            outbox.send(Figures(found, shapes))
        facts: dict[str, list[WorkCount]] = {}
        for arm, instance in instances.items():
            begin("collecting figures", arm)
            with user_code(scenario.written, arm):
                facts[arm] = await work_counts.facts(scenario, arm, instance, job.setting.scale)
            outbox.send(Figures(facts[arm]))
    if counted:
        _refuse_unknown_metrics(loaded, [count.metric for found, _ in counter.found.values() for count in found], facts)
    for finding in loaded.findings if job.task is not Task.REVISIT else ():
        outbox.send(Figures(findings=[await _demonstrate(scenario, finding, all_cases_of(scenario, job), job, outbox)]))


def _refuse_unknown_metrics(loaded: LoadedScenario, counted: Sequence[str], facts: Mapping[str, Sequence[WorkCount]]) -> None:
    """Raise UsageError for a promise that reads a metric which no probe gives, unless another engine may give it."""
    kind = type(loaded.scenario.written)
    if not counted or (kind.facts is not Scenario.facts and not all(facts.values())):
        return
    given = dict.fromkeys([*counted, *(fact.metric for found in facts.values() for fact in found), *OF_DATABASES])
    Declarations(loaded.file, kind).check_metrics(list(given), only_near=len(kind.engines) > 1)


async def _demonstrate(
    scenario: RunnableScenario, finding: DeclaredFinding, cases: list[Case], job: BenchJob, outbox: Outbox
) -> Finding:
    async with opened(scenario, finding.arm, job.setting, outbox) as instance:
        begin(f"demonstrating {finding.message!r}", finding.arm, times=LONG)
        try:
            with user_code(scenario.written, finding.arm, passed=AssertionError):
                evidence = await resolved(finding.demonstrate(scenario.written, instance, cases))
        except (AssertionError, NotMeasurableError) as error:
            return Finding(finding.arm, finding.message, holds=False, evidence=str(error) or "not demonstrated")
    return Finding(finding.arm, finding.message, holds=True, evidence=evidence)


async def count(job: BenchJob, loaded: LoadedScenario, outbox: Outbox) -> None:
    """Count the work of the groups that are counted at the scale of the job."""
    scenario = loaded.scenario
    cases = [c for c in first_of_each_group(cases_of(scenario, job)) if job.setting.scale in scenario.group[c.group].growth]
    for arm in scenario.arms:
        async with opened(scenario, arm, job.setting, outbox) as instance:
            for case in cases:
                if (arm, case.group) not in job.excluded:
                    begin("counting work", arm, case.name, times=LONG)
                    with user_code(scenario.written, arm, case.name):
                        outbox.send(Figures(await work_counts.count(scenario, arm, instance, case, job.setting.scale)))


async def count_instructions(job: BenchJob, loaded: LoadedScenario, outbox: Outbox) -> None:
    """Count one arm's instructions, twice for each group that is not slow; the process runs under callgrind."""
    scenario, files = loaded.scenario, instructions.folder(job.setting.folder, job.arm)
    async with opened(scenario, job.arm, job.setting, outbox) as instance:
        for case in first_of_each_group(cases_of(scenario, job)):
            group = scenario.group[case.group]
            if group.slow or group.uncounted or (job.arm, case.group) in job.excluded:
                continue

            async def operation(case: Case = case) -> None:
                await scenario.reset(instance, case, await scenario.run(instance, case))

            begin("counting instructions", job.arm, case.name)  # once: it would be counted itself
            first, second = [await instructions.per_operation(operation, files) for _ in range(2)]
            repeats = abs(second - first) <= instructions.SAME * first
            outbox.send(Figures([WorkCount(job.arm, case.group, "instructions", first, repeats_exactly=repeats)]))
