"""The review's tenth recommendation: metrics, a slow-query report and a dashboard."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from fixtures.monitoring.facts import POLL_S, SEEN_WITHIN_S, accuracy, added_us, figure, regression_figures, report_figures
from fixtures.monitoring.faults import MonitoringFaults
from fixtures.monitoring.instance import MonitoringInstance, monitored, traffic_of
from fixtures.store import PromptScenario
from harness import Arm, Case, Group, Promise, Setting, at_most, count, measured, slowdown, works
from service.migrations import composite_indexes

CASES = 24
IN_A_ROW = 20
REQUESTS = 200  # requests for each figure of an arm: enough for a 95th percentile
CLAIM_O1 = "a bottleneck is found in minutes, not days"
CLAIM_O2 = "a regression is seen in real time"
CLAIM_O3 = "figures within 5 % of what was measured"
SLOWER_QUERIES = "slower queries (a cost, not in the review)"
ADDED_TIME = "time added to a query (a cost, not in the review)"


class RequestMonitoring(MonitoringFaults, PromptScenario[MonitoringInstance]):
    """Metrics of statements, a report of the slow ones, and a dashboard.

    The cost is the time that monitoring adds to a query: alone in a request, with fifty rows, and twenty in a row. The benefit is
    tested by injection: a slow statement in normal traffic, which the report has to list first and name; statements that become
    slower while the service runs, until the metrics show it; and the metrics' own figures, compared with an independent stopwatch.
    The review decorates each method, with the library's buckets, which begin at 5 ms. Optimised: listeners on the engine, buckets
    from 50 µs that grow by a quarter, labels looked up once, and a log with the plan of every slow kind of statement. Every arm has
    the optimised indexes.
    """

    arms = {
        "baseline": "no monitoring",
        "proposed": Arm("the review's decorator around each method", as_written=True),
        "optimised": "listeners on the engine, fine buckets, a slow-query log with plans",
    }
    groups = (
        Group("prompt", "one prompt, in a new session"),
        Group("user_prompts", "a user's fifty newest active prompts, in a new session"),
        Group("in_a_row", f"{IN_A_ROW} prompts, one after another in one session"),
    )
    promises = (
        Promise("O1", CLAIM_O1, works(), count("tops_report", ""), part="the report begins with it"),
        Promise("O1", CLAIM_O1, works(), count("report_names_statement", ""), part="the report names the statement"),
        Promise("O2", CLAIM_O2, works(), count("slow_seen", ""), part=f"120 ms, seen within {SEEN_WITHIN_S:g} s"),
        Promise("O2", CLAIM_O2, works(), count("slower_seen", ""), part=f"several times slower, seen within {SEEN_WITHIN_S:g} s"),
        Promise("O2", CLAIM_O2, measured("s"), figure("slow_seen_s"), part=f"120 ms, time until seen, read every {POLL_S:g} s"),
        Promise("O3", CLAIM_O3, at_most(0.05, "share"), figure("count_off"), part="number of queries"),
        Promise("O3", CLAIM_O3, at_most(0.05, "share"), figure("sum_off"), part="time in all"),
        Promise("O3", CLAIM_O3, at_most(0.05, "share"), figure("p95_off"), part="95th percentile"),
        Promise("O4", SLOWER_QUERIES, measured("×"), slowdown("prompt"), part="one prompt"),
        Promise("O4", SLOWER_QUERIES, measured("×"), slowdown("user_prompts"), part="fifty rows"),
        Promise("O4", ADDED_TIME, measured("µs"), added_us("prompt"), part="in a request"),
        Promise("O4", ADDED_TIME, measured("µs"), added_us("in_a_row", IN_A_ROW), part="in a row"),
    )
    tables = ("prompts",)
    migrations = dict.fromkeys(arms, composite_indexes.upgrade_optimised)

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return popular prompts and busy users."""
        traffic = traffic_of(setting)
        rows = [traffic.prompt_ids[start : start + IN_A_ROW] for start in range(0, CASES, IN_A_ROW)]
        inputs: Mapping[str, Sequence[Any]] = {
            "prompt": traffic.prompt_ids[:CASES],
            "user_prompts": traffic.user_ids[:CASES],
            "in_a_row": [row for row in rows if len(row) == IN_A_ROW],
        }
        return [Case(group, f"{group} {i}", value) for group, values in inputs.items() for i, value in enumerate(values, start=1)]

    async def open(self, arm: str, setting: Setting) -> AsyncIterator[MonitoringInstance]:
        """Open the arm's own copy, and monitor it."""
        async with self.database(arm, setting) as store:
            with monitored(store) as instance:
                yield instance

    async def run(self, instance: MonitoringInstance, case: Case) -> Any:
        """Query in one session."""
        async with instance.store.sessions() as session:
            if case.group == "in_a_row":
                return [await instance.queries["prompt"](session, prompt_id) for prompt_id in case.args]
            return await instance.queries[case.group](session, case.args)

    async def facts(self, instance: MonitoringInstance) -> Mapping[str, float]:
        """Return the figures of the monitoring; at an RTT only their accuracy, which is all that the RTT changes."""
        setting = instance.store.setting
        traffic = traffic_of(setting)
        figures = dict(await accuracy(instance, traffic, REQUESTS))
        if not setting.rtt_ms:
            figures |= await report_figures(instance, traffic, REQUESTS // 2)
            figures |= await regression_figures(instance, traffic, REQUESTS // 2)
        return figures
