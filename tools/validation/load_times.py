"""Do response times under load say what users met? Several tools ask a server whose times are known, this harness among them."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from harness.errors import NotMeasurableError
from harness.load import arrivals
from harness.runtime.clock import MonotonicClock
from harness.runtime.cores import choose_cores
from harness.stats.intervals import QUANTILES
from tools.validation.load.company import others_cores, reading
from tools.validation.load.known import KnownServer, known_server
from tools.validation.load.situations import SITUATIONS, Ns, Situation
from tools.validation.load.tools import TOOLS, Tool, ToolResult
from tools.validation.load.truth import truth_ns
from tools.validation.section import Requirement, Section, SectionTable

TITLE = "Do response times under load say what users met?"

SHARE, LEAST_MS = 0.01, 0.5
"""A percentile is right if it lies within this share of the truth or within this much, whichever is more."""

ROUNDS = 3
"""How often each tool has its turn. Odd, so that a median is something that was measured."""

_SAYS = (
    "A server of our own holds every request for a time that only a seed and the request's number decide, and notes on the"
    " machine's clock how late it was itself. The truth is what independent users meet who come at a constant rate, counted from"
    " the moment that they come: computed from the arrivals, the planned times, the stall and the server's notes, without any"
    " client. Every tool asks the same server, one after the other, from a core that the server does not use. Each has a truth of"
    " its own, because the server is late by other microseconds each time. Network and client are no part of the truth: what they"
    " add is the tool's error."
    f" Each figure is the median of {ROUNDS} rounds, in which tools took turns."
)
_NOTES = (
    "Where other processes had a part of the cores, every tool waited for its core at times: try again on an idle machine.",
    f"A percentile is right within {SHARE:.0%} of the truth or {LEAST_MS} ms, whichever is more; the last column counts those.",
    (
        "Only this harness and the truth ask the same question. Another tool's distance from the truth is no fault in its"
        " arithmetic where its model asks another one; it is what somebody gets wrong who reads its number as what users met."
    ),
    (
        "p99.9 of two thousand requests is the third slowest: below a millisecond, a host that takes a core away for a millisecond"
        " or two, twice within five seconds, decides it. It is wrk's error there as well."
    ),
    "“Requests” are those that a tool counted; in the line of the truth, those that users would have sent meanwhile.",
)


@dataclass(frozen=True)
class ToolAccuracy:
    """What a tool said in a situation, and what was true. `planned` is how many users would have come."""

    tool: Tool
    seen: ToolResult
    truth_ms: Mapping[str, float]
    planned: int

    def error_ms(self, label: str) -> float:
        """Return by how much it says too much at a percentile."""
        return self.seen.percentiles_ms[label] - self.truth_ms[label]

    def is_right(self, label: str) -> bool:
        """Whether a percentile is right."""
        return abs(self.error_ms(label)) <= max(LEAST_MS, SHARE * self.truth_ms[label])

    @property
    def right(self) -> int:
        """How many percentiles are."""
        return sum(self.is_right(label) for label in QUANTILES)


def run(effort: float) -> Section:
    """Have every tool that is installed ask in every situation, in turn, `ROUNDS` times.

    Raises:
        NotMeasurableError: there are no two cores, or the server does not start.
        ScenarioFailedError: a tool failed.
    """
    cores = choose_cores()
    if cores.coordinator is None or cores.worker is None:
        raise NotMeasurableError("it needs two cores: one for the server and one for whoever asks")
    tables, lines, clock = [], [], MonotonicClock()
    try:
        with known_server(frozenset({cores.coordinator})) as server:
            os.sched_setaffinity(0, {cores.worker})  # what is started stays there
            for situation in (one.shortened(effort) for one in SITUATIONS):
                before = reading(server.pid, clock)
                rounds = [[ask(tool, server, situation) for tool in TOOLS if tool.is_installed] for _ in range(ROUNDS)]
                found = [middle(of_one) for of_one in zip(*rounds, strict=True)]
                others = others_cores(before, reading(server.pid, clock))
                tables.append(table(situation, found, [tool.name for tool in TOOLS if not tool.is_installed], others))
                lines += [(situation, line, others) for line in found]
    finally:
        os.sched_setaffinity(0, cores.all)
    notes = [*(f"**{tool.name}** {tool.says}" for tool in TOOLS), *_NOTES]
    return Section(TITLE, _SAYS, tables, requirements(lines), notes)


def ask(tool: Tool, server: KnownServer, situation: Situation) -> ToolAccuracy:
    """Have one tool ask, and work out what was true."""
    seen = tool.ask(server, situation)
    late_ns: Ns = np.asarray(server.log().late_ns, dtype=np.int64)
    due_ns = arrivals.parse(str(situation.rate_per_s)).offsets_ns(tool.warm_up_s + situation.seconds, "")
    met_ns = truth_ns(due_ns, situation.course(), late_ns)[due_ns >= tool.warm_up_s * 1e9]
    truth = np.quantile(met_ns, list(QUANTILES.values())) / 1e6
    return ToolAccuracy(tool, seen, dict(zip(QUANTILES, truth.tolist(), strict=True)), len(met_ns))


def middle(rounds: Sequence[ToolAccuracy]) -> ToolAccuracy:
    """Return the medians over rounds of what one tool said and of what was true: one disturbed round changes nothing."""
    first = rounds[0]
    said = {label: statistics.median(line.seen.percentiles_ms[label] for line in rounds) for label in QUANTILES}
    truth = {label: statistics.median(line.truth_ms[label] for line in rounds) for label in QUANTILES}
    operations = statistics.median_low(line.seen.operations for line in rounds)
    return ToolAccuracy(first.tool, ToolResult(operations, said), truth, first.planned)


def requirements(lines: Sequence[tuple[Situation, ToolAccuracy, float]]) -> list[Requirement]:
    """Return what this harness has to show in each situation: every percentile right. Nothing is required of other tools.

    The third of each line is how many cores other processes used meanwhile: who misses on a busy machine has to see it.
    """
    found = []
    for situation, line, others in lines:
        if line.tool is TOOLS[0]:
            worst = max(QUANTILES, key=partial(_excess, line))
            says = f"{situation.name}: all percentiles of {line.tool.name} are right; the worst is p{worst}, {_error(line, worst)}"
            says += f" (other processes used {others:.0%} of a core)"
            found.append(Requirement(says, line.right == len(QUANTILES)))
    return found


def table(situation: Situation, lines: Sequence[ToolAccuracy], missing: Sequence[str], others: float) -> SectionTable:
    """Return one situation's figures: for each tool what was true while it asked, and what it said."""
    rows = []
    for line in lines:
        truth = [_ms(line.truth_ms[label]) for label in QUANTILES]
        said = [f"{_ms(line.seen.percentiles_ms[label])} ({_error(line, label)})" for label in QUANTILES]
        rows.append([f"truth for {line.tool.name}", f"{line.planned}", *truth, ""])
        rows.append([f"**{line.tool.name}**", f"{line.seen.operations}", *said, f"{line.right} of {len(QUANTILES)}"])
    rows += [[f"**{name}**", "not installed", *[""] * (len(QUANTILES) + 1)] for name in missing]
    connections = f"{situation.under_way} connection{'s' if situation.under_way > 1 else ''}"
    stalls = "".join(f" From second {start:g} to second {end:g} it answers nobody." for start, end in situation.stalls_s)
    says = (
        f"{situation.says}{stalls} Users come {situation.rate_per_s} times a second for {situation.seconds} s; Locust and hey have "
        f"{situation.users} users for that, wrk {connections}. Times in ms, and in brackets how much too much. "
        f"Other processes used {others:.0%} of a core meanwhile."
    )
    return SectionTable(situation.name, ["", "requests", *(f"p{label}" for label in QUANTILES), "right"], rows, says)


def _excess(line: ToolAccuracy, label: str) -> float:
    return abs(line.error_ms(label)) / max(LEAST_MS, SHARE * line.truth_ms[label])


def _error(line: ToolAccuracy, label: str) -> str:
    error_ms = line.error_ms(label)
    return f"{error_ms:+{'.3f' if abs(error_ms) < 1 else '.1f'}} ms, {error_ms / line.truth_ms[label]:+.1%}"


def _ms(value_ms: float) -> str:
    return f"{value_ms:.3f}" if value_ms < 10 else f"{value_ms:.1f}"  # noqa: PLR2004 - four digits say enough
