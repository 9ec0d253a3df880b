"""The review's tenth recommendation: metrics, a slow-query report and a dashboard."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

import datasets
from fixtures.monitoring import facts as monitoring_facts
from fixtures.monitoring import faults as monitoring_faults
from fixtures.monitoring.facts import PATIENCE_S, POLL_S, MonitoredTraffic
from fixtures.monitoring.instance import MonitoringInstance, open_instance
from fixtures.store import ENGINES, dataset, prepare
from harness.probes.ping import ping
from harness.probes.plans import plans
from harness.probes.statements import Statements
from harness.probes.work import work
from harness.results.run import BASELINE, ScenarioResult, Statement
from harness.scenario import Arm, Case, Group, Prepared, Probe, Scenario, Server, Setting, demonstrates
from harness.servers.lifecycle import servers
from harness.verdicts.measures import count, exact_figure, latency, slowdown
from harness.verdicts.promise import Estimate, Measure, Promise, at_most, measured, works
from service.migrations import composite_indexes

TABLES = ("prompts",)
CASES = 24
IN_A_ROW = 20
REQUESTS = 200
"""Requests behind each of an arm's figures: as many as a 95th percentile needs."""

SAYS_O1 = "a bottleneck is found in minutes, not days"
SAYS_O2 = "a regression is seen in real time"
SAYS_O3 = "figures within 5 % of what was measured"


def added_us(group: str, queries: int = 1) -> Measure:
    """The microseconds that a query takes longer than the baseline's, from paired times; a case holds so many queries."""
    slower, usual_ms = slowdown(group), latency(group)

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        base_us = 1000 * usual_ms(result, BASELINE).value / queries
        ratio = slower(result, arm)
        low, high = (None if bound is None else (bound - 1) * base_us for bound in (ratio.low, ratio.high))
        return Estimate((ratio.value - 1) * base_us, low, high, note=f"of {base_us:.0f} µs")

    return measure


def own(metric: str) -> Measure:
    """A figure of the arm itself, which the baseline does not have."""

    def measure(result: ScenarioResult, arm: str) -> Estimate:
        return Estimate(exact_figure(result, arm, "", metric).value, exact=True)

    return measure


class RequestMonitoring(Scenario[MonitoringInstance]):
    """Metrics of statements, a report of the slow ones, and a dashboard.

    The price is what a query takes longer when it is watched: alone in a request, with fifty rows, and twenty in a row. What it
    buys is tried by planting: a slow statement in normal traffic, which the report has to begin with and name; statements that get
    slower under way, awaited by reading the metrics again and again; and the metrics' own figures held against a stopwatch of ours.
    The review puts a decorator around each method, with the library's buckets, which begin at 5 ms. Done right: listeners on the
    engine, buckets from 50 µs in steps of a quarter, labels looked up once, and a log with the plan of every slow form. Every
    arm has the indexes done right.
    """

    arms = {
        "baseline": "nothing is watched",
        "proposed": Arm("the review's decorator around each method", as_written=True),
        "optimised": "listeners on the engine, fine buckets, a slow-query log with plans",
    }
    groups = (
        Group("prompt", "one prompt, in a session of its own"),
        Group("user_prompts", "a user's fifty newest active prompts, in a session of its own"),
        Group("in_a_row", f"{IN_A_ROW} prompts, one after another in one session"),
    )
    engines = ENGINES
    promises = (
        Promise("O1", SAYS_O1, works(), count("tops_report", ""), part="the report begins with it"),
        Promise("O1", SAYS_O1, works(), count("report_names_statement", ""), part="the report names the statement"),
        Promise("O2", SAYS_O2, works(), count("slow_seen", ""), part=f"120 ms, seen within {PATIENCE_S:g} s"),
        Promise("O2", SAYS_O2, works(), count("slower_seen", ""), part=f"several times slower, seen within {PATIENCE_S:g} s"),
        Promise("O2", SAYS_O2, measured("s"), own("slow_seen_s"), part=f"120 ms, time until seen, read every {POLL_S:g} s"),
        Promise("O3", SAYS_O3, at_most(0.05, "share"), own("count_off"), part="number of queries"),
        Promise("O3", SAYS_O3, at_most(0.05, "share"), own("sum_off"), part="time in all"),
        Promise("O3", SAYS_O3, at_most(0.05, "share"), own("p95_off"), part="95th percentile"),
        Promise("O4", "slower queries (a cost, not in the review)", measured("×"), slowdown("prompt"), part="one prompt"),
        Promise("O4", "slower queries (a cost, not in the review)", measured("×"), slowdown("user_prompts"), part="fifty rows"),
        Promise("O4", "time added to a query (a cost, not in the review)", measured("µs"), added_us("prompt"), part="in a request"),
        Promise(
            "O4",
            "time added to a query (a cost, not in the review)",
            measured("µs"),
            added_us("in_a_row", IN_A_ROW),
            part="in a row",
        ),
    )

    def servers(self, setting: Setting) -> AbstractContextManager[Mapping[str, Server]]:
        """Start the engine, where it is a server."""
        return servers(setting)

    def prepare(self, setting: Setting) -> Prepared:
        """Load prompts; every arm has the good indexes, so that only the watching differs."""
        return asyncio.run(prepare(setting, TABLES, dict.fromkeys(self.arms, composite_indexes.upgrade_optimised)))

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return what busy users ask for."""
        traffic = _traffic(setting)
        rows = [traffic.prompt_ids[start : start + IN_A_ROW] for start in range(0, CASES, IN_A_ROW)]
        inputs: Mapping[str, Sequence[Any]] = {
            "prompt": traffic.prompt_ids[:CASES],
            "user_prompts": traffic.user_ids[:CASES],
            "in_a_row": [row for row in rows if len(row) == IN_A_ROW],
        }
        return [Case(group, f"{group} {i}", value) for group, values in inputs.items() for i, value in enumerate(values, start=1)]

    def open(self, arm: str, setting: Setting) -> AbstractAsyncContextManager[MonitoringInstance]:
        """Open the arm's own copy, and have it watched."""
        return open_instance(arm, setting)

    async def run(self, instance: MonitoringInstance, case: Case) -> Any:
        """Ask, in one session."""
        async with instance.store.sessions() as session:
            if case.group == "in_a_row":
                return [await instance.ask["prompt"](session, prompt_id) for prompt_id in case.args]
            return await instance.ask[case.group](session, case.args)

    async def ping(self, instance: MonitoringInstance) -> int:
        """Ask the database for nothing."""
        return await ping(instance.store.engine)

    def probes(self, instance: MonitoringInstance) -> Sequence[Probe]:
        """Count statements, rows and the engine's work."""
        return work(instance.store.engine)

    async def statements(self, instance: MonitoringInstance, case: Case) -> Sequence[Statement]:
        """Return the statement and its plan."""
        async with Statements(instance.store.engine) as sent:
            await self.run(instance, case)
        return await plans(instance.store.engine, sent.sent(), arm=instance.arm, group=case.group)

    async def facts(self, instance: MonitoringInstance) -> Mapping[str, float]:
        """Return what the watching is good for; at a distance, only what distance changes: how true the figures are."""
        setting = instance.store.setting
        traffic = _traffic(setting)
        figures = dict(await monitoring_facts.true(instance, traffic, REQUESTS))
        if not setting.rtt_ms:
            figures |= await monitoring_facts.found(instance, traffic, REQUESTS // 2)
            figures |= await monitoring_facts.seen(instance, traffic, REQUESTS // 2)
        return figures

    @demonstrates("its buckets begin at 5 ms: what is quicker is all in the first one, and the percentile is the bucket's")
    async def first_bucket(self, instance: MonitoringInstance, cases: Sequence[Case]) -> str:
        """Read, and ask the metric for its 95th percentile."""
        del cases
        return await monitoring_faults.first_bucket(instance, _traffic(instance.store.setting))

    @demonstrates("two panels ask for a histogram by its bare name, without _bucket and rate(): they stay empty")
    async def panels_without_rate(self, instance: MonitoringInstance, cases: Sequence[Case]) -> str:
        """Compare what the panels ask for with what there is."""
        del cases
        return await monitoring_faults.no_such_series(instance, _traffic(instance.store.setting), ["db_query_duration_seconds"])

    @demonstrates("the panel of the pool divides by a metric that nobody defines: it stays empty")
    async def panel_without_metric(self, instance: MonitoringInstance, cases: Sequence[Case]) -> str:
        """Compare what the panels ask for with what there is."""
        del cases
        return await monitoring_faults.no_such_series(instance, _traffic(instance.store.setting), ["db_connection_pool_max"])

    @demonstrates("the pool's gauges are its settings: they say the same whether all connections are in use or none")
    async def full_pool_looks_idle(self, instance: MonitoringInstance, cases: Sequence[Case]) -> str:
        """Read them in both states."""
        del cases
        return await monitoring_faults.full_pool_looks_idle(instance)

    @demonstrates("what it calls a query's duration contains the wait for a connection")
    async def counts_the_wait(self, instance: MonitoringInstance, cases: Sequence[Case]) -> str:
        """Read while all connections are taken for a moment."""
        del cases
        return await monitoring_faults.counts_the_wait(instance, _traffic(instance.store.setting))

    @demonstrates("a query that is cancelled, as by a client that went away, is counted as a success")
    async def cancelled_is_success(self, instance: MonitoringInstance, cases: Sequence[Case]) -> str:
        """Cancel one."""
        del cases
        return await monitoring_faults.cancelled_is_success(instance)

    @demonstrates("it counts calls of decorated methods, not queries: what one method sends more, or another sends, is not seen")
    async def counts_methods(self, instance: MonitoringInstance, cases: Sequence[Case]) -> str:
        """Send several statements from one method, and one from another."""
        del cases
        return await monitoring_faults.counts_methods(instance, _traffic(instance.store.setting))

    @demonstrates("the slow-query report puts many short queries before a few that take longer than all of them")
    async def ranks_by_number(self, instance: MonitoringInstance, cases: Sequence[Case]) -> str:
        """Let one table have more slow queries, and another one the longer."""
        del cases
        return await monitoring_faults.ranks_by_number(instance, _traffic(instance.store.setting))

    @demonstrates("the list of slow queries grows for ever, and is gone when the process ends")
    async def grows_for_ever(self, instance: MonitoringInstance, cases: Sequence[Case]) -> str:
        """Note very many."""
        del cases
        return await monitoring_faults.grows_for_ever(instance)

    @demonstrates("the first recommendation's listeners on the pool cannot be put on the second one's asyncio engine")
    async def refused_by_async_engine(self, instance: MonitoringInstance, cases: Sequence[Case]) -> str:
        """Try."""
        del cases
        return await monitoring_faults.refused_by_async_engine(instance)


def _traffic(setting: Setting) -> MonitoredTraffic:
    rows, stream = dataset(setting), setting.stream
    return MonitoredTraffic(datasets.prompt_ids(rows, stream, 2 * CASES), datasets.user_ids(rows, stream, CASES))
