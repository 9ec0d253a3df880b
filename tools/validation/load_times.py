"""Accuracy of response times under load: several tools, this harness among them, send requests to a server with known times."""

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import psutil

from harness.errors import NotMeasurableError, ScenarioFailedError
from harness.load import arrivals
from harness.load.protocol import LoadJob
from harness.load.supervisor import Supervisor
from harness.runtime.child import child_environment
from harness.runtime.clock import Clock, MonotonicClock
from harness.runtime.cores import choose_cores
from harness.scenario import Server, Setting
from harness.stats.histogram import Histogram
from harness.stats.intervals import QUANTILES
from tools.load_generator import echo_scenario, programs
from tools.load_generator.bench_drivers import cpu_s
from tools.load_generator.echo_scenario import ECHO, PID, SERVER
from tools.load_generator.programs import HEY, WRK, ToolResult
from tools.section import Requirement, Section, SectionTable
from tools.servers import pinned
from tools.validation.load.server import SITUATIONS, KnownServer, Ns, Situation, known_server, truth_ns

TITLE = "Accuracy of response times under load"

SHARE, MIN_TOLERANCE_MS, ROUNDS = 0.01, 0.5, 3
"""A percentile is right within this share or this much of the truth, whichever is more. Runs of each tool: odd, for a median."""

_TEXT = (
    "A test server holds every request for a time that depends only on a seed and the request's number, and logs its own lateness."
    " The truth is the response time of independent users who arrive at a constant rate, counted from their arrival: it is computed"
    " from the arrivals, the planned times, the stall and the server's log, for each run separately and without any client. Tools"
    " use the same server, interleaved, from a core that the server does not use. Network and client are not part of the truth: the"
    f" time that they add is the tool's error. Each figure is the median of {ROUNDS} rounds."
)
_NOTES = (
    "If other processes used a part of the cores, every tool had to wait for its core at times: repeat on an idle machine.",
    f"A percentile is right within {SHARE:.0%} of the truth or {MIN_TOLERANCE_MS} ms, whichever is more (see the last column).",
    "Another tool's error is that of reading its figure as the response time of independent users; its arithmetic may be right.",
    "p99.9 of two thousand requests is the third slowest: below a millisecond, two preemptions of a core by the host decide it.",
    "“Requests” are those that a tool counted; in the row of the truth, those that users would have sent meanwhile.",
)

WARM_UP_S = 1
"""The warm-up of this harness, as by default in `harness load`; a whole number, so that arrivals stay evenly spaced."""

DRAIN_S, IN_FLIGHT_CAP = 60.0, 10_000
"""Limits of this harness that are beyond any time of the server, also on a busy machine."""

_LOCUSTFILE = Path(__file__).parent / "load" / "plain_locust.py"


@dataclass(frozen=True)
class Tool:
    """A tool. `text` explains its figures, and `needs` is its program or Python package."""

    name: str
    text: str
    run: Callable[[KnownServer, Situation], ToolResult]
    needs: str
    warm_up_s: int = 0
    """The time for which it sends requests by the same schedule before it counts."""


def run_harness(server: KnownServer, situation: Situation) -> ToolResult:
    """Run a load worker of this harness in the open model; raise ScenarioFailedError if a request failed or was dropped."""
    own = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as name:
        known = Server(server.url, server.url, {PID: str(server.pid)})
        job = LoadJob(
            files=[echo_scenario.__file__],
            settings=[Setting(Path(name), Path(name), size="tiny", servers={SERVER: known})],
            block_s=situation.seconds,
            warm_up_s=WARM_UP_S,
            drain_s=DRAIN_S,
            arrivals=str(situation.rate_per_s),
            in_flight_limit=IN_FLIGHT_CAP,
            arms=[ECHO],
            on_request=True,
            cpus=tuple(own),
            alone=own.isdisjoint(os.sched_getaffinity(server.pid)),
        )
        worker = Supervisor(job)
        try:
            with pinned(own | os.sched_getaffinity(server.pid)):  # a load worker pins itself to its own cores
                worker.start()
            server.begin(situation.course())  # after the worker's own first request, which compares answers
            block = worker.run_block(ECHO)
        finally:
            worker.close()
    groups = list(block.groups.values())
    lost = sum(group.planned - group.operations for group in groups)
    if lost or not groups:
        raise ScenarioFailedError(f"this harness lost {lost} requests in {situation.name!r}; look at its output above")
    whole = Histogram.merged(Histogram.from_wire(group.response) for group in groups)
    at = zip(QUANTILES, whole.percentiles_ns(QUANTILES.values()), strict=True)
    return ToolResult(whole.operations, {label: ns / 1e6 for label, ns in at if ns is not None})


def _run_locust(server: KnownServer, situation: Situation) -> ToolResult:
    server.begin(situation.course())
    with tempfile.TemporaryDirectory() as name:
        result, users = Path(name) / "result.json", str(situation.users)
        facts = {"VALIDATION_PER_S": str(situation.rate_per_s / situation.users), "VALIDATION_RESULT": str(result)}
        command = [sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE), "--host", server.url, "--headless"]
        command += ["--users", users, "--spawn-rate", users, "--run-time", f"{situation.seconds}s", "--loglevel", "ERROR"]
        written = programs.output("Locust", command, situation.seconds, child_environment() | facts, Path(name))
        if not result.is_file():
            raise ScenarioFailedError(f"Locust did not measure: {written[-300:]}")
        found = msgspec.json.decode(result.read_bytes(), type=ToolResult)
    programs.refuse_failed("Locust", found.failed)
    return found


def _run_hey(server: KnownServer, situation: Situation) -> ToolResult:
    server.begin(situation.course())
    each_per_s = round(situation.rate_per_s / situation.users)
    return programs.run_hey(f"{server.url}/", situation.users, situation.seconds, each_per_s)


def _run_wrk(server: KnownServer, situation: Situation) -> ToolResult:
    server.begin(situation.course())
    return programs.run_wrk(f"{server.url}/", situation.in_flight, situation.seconds)


TOOLS = (
    Tool(
        "this harness",
        "uses the open model: every request starts when it is due, its time counts from the due time, and requests in flight at"
        " the end are waited for. This is the definition of the truth.",
        run_harness,
        "harness",
        WARM_UP_S,
    ),
    Tool(
        "Locust",
        "(FastHttpUser, `constant_throughput`, its defaults) uses a closed model: a user who waits for a response sends nothing and"
        " missed requests are not sent later. Times count from sending, are rounded to whole milliseconds below 100 ms and to two"
        " digits above, and requests in flight at the stop are not counted.",
        _run_locust,
        "locust",
    ),
    Tool(
        "hey",
        "(`-c` workers, `-q` each) uses a closed model with a limit of each worker's rate. Times count from sending, with four"
        " decimals of a second.",
        _run_hey,
        HEY,
    ),
    Tool(
        "wrk",
        "uses a closed model without a rate: each connection sends the next request at once. It adds requests that it expects to"
        " have missed, by the mean time between requests, and does not count requests in flight at the end.",
        _run_wrk,
        WRK,
    ),
)
"""In the order of the tables, this harness first."""

_IDLE = frozenset({"idle", "iowait", "guest", "guest_nice"})
"""Kinds of CPU time in which no core works; a guest's time is already counted as its host's."""


class CpuReading(NamedTuple):
    """CPU time used until a point in time, in seconds: by all processes, and by this one, its ended children and the server."""

    at_ns: int
    total_s: float
    own_s: float


def reading(server: int, clock: Clock) -> CpuReading:
    """Return the CPU time used until now; `server` is its process id."""
    total_s = sum(seconds for kind, seconds in psutil.cpu_times()._asdict().items() if kind not in _IDLE)
    return CpuReading(clock.now_ns(), total_s, sum(os.times()[:4]) + cpu_s(server))


def other_cores(before: CpuReading, after: CpuReading) -> float:
    """Return the average number of cores that other processes used: a tool that shares its core measures its own wait."""
    passed_ns, total_s, own_s = (b - a for a, b in zip(before, after, strict=True))
    return max(0.0, (total_s - own_s) / (max(1, passed_ns) / 1e9))


@dataclass(frozen=True)
class ToolAccuracy:
    """A tool's result in a situation, and the truth."""

    tool: Tool
    result: ToolResult
    truth_ms: Mapping[str, float]
    """Percentile → milliseconds."""
    planned: int
    """The number of users that would have arrived."""

    def error_ms(self, label: str) -> float:
        """Return the error of a percentile, above 0 if it is too large."""
        return self.result.percentiles_ms[label] - self.truth_ms[label]

    def error(self, label: str) -> str:
        """Return it in words: `+0.040 ms, +1.5%`."""
        error_ms = self.error_ms(label)
        return f"{error_ms:+{'.3f' if abs(error_ms) < 1 else '.1f'}} ms, {error_ms / self.truth_ms[label]:+.1%}"

    def tolerance_ms(self, label: str) -> float:
        """Return the largest error with which a percentile is right."""
        return max(MIN_TOLERANCE_MS, SHARE * self.truth_ms[label])

    def is_right(self, label: str) -> bool:
        """Return whether a percentile is right."""
        return abs(self.error_ms(label)) <= self.tolerance_ms(label)

    @property
    def right(self) -> int:
        """The number of percentiles that are right."""
        return sum(map(self.is_right, QUANTILES))


def run(effort: float) -> Section:
    """Run every installed tool in every situation, `ROUNDS` times, alternating."""
    cores = choose_cores()
    if cores.coordinator is None or cores.worker is None:
        raise NotMeasurableError("it needs two cores: one for the server and one for the tool")
    tables, lines, clock = [], [], MonotonicClock()
    installed = [tool for tool in TOOLS if programs.is_installed(tool.needs)]
    with known_server({cores.coordinator}) as server, pinned({cores.worker}):
        for situation in (one.shortened(effort) for one in SITUATIONS):
            before = reading(server.pid, clock)
            rounds = [[measure(tool, server, situation) for tool in installed] for _ in range(ROUNDS)]
            found = [middle(of_one) for of_one in zip(*rounds, strict=True)]
            others = other_cores(before, reading(server.pid, clock))
            tables.append(table(situation, found, [tool.name for tool in TOOLS if tool not in installed], others))
            lines += [(situation, line, others) for line in found]
    return Section(TITLE, _TEXT, tables, requirements(lines), [*(f"**{tool.name}** {tool.text}" for tool in TOOLS), *_NOTES])


def measure(tool: Tool, server: KnownServer, situation: Situation) -> ToolAccuracy:
    """Run one tool, and compute the truth."""
    result = tool.run(server, situation)
    late_ns: Ns = np.asarray(server.log().late_ns, dtype=np.int64)
    due_ns = arrivals.parse(str(situation.rate_per_s)).offsets_ns(tool.warm_up_s + situation.seconds, "")
    response_ns = truth_ns(due_ns, situation.course(), late_ns)[due_ns >= tool.warm_up_s * 1e9]
    truth = np.quantile(response_ns, list(QUANTILES.values())) / 1e6
    return ToolAccuracy(tool, result, dict(zip(QUANTILES, truth.tolist(), strict=True)), len(response_ns))


def middle(rounds: Sequence[ToolAccuracy]) -> ToolAccuracy:
    """Return the medians over rounds of one tool's figures and of the truth: one disturbed round has no effect."""
    first = rounds[0]
    measured = {label: statistics.median(line.result.percentiles_ms[label] for line in rounds) for label in QUANTILES}
    truth = {label: statistics.median(line.truth_ms[label] for line in rounds) for label in QUANTILES}
    operations = statistics.median_low(line.result.operations for line in rounds)
    return ToolAccuracy(first.tool, ToolResult(operations, measured), truth, first.planned)


def requirements(lines: Sequence[tuple[Situation, ToolAccuracy, float]]) -> list[Requirement]:
    """Return the requirements, for (situation, tool, other processes' cores): every percentile of this harness is right."""
    found = []
    for situation, line, others in lines:
        if line.tool is TOOLS[0]:
            worst = max(QUANTILES, key=lambda label: abs(line.error_ms(label)) / line.tolerance_ms(label))
            text = f"{situation.name}: all percentiles of {line.tool.name} are right; the worst is p{worst}, {line.error(worst)}"
            text += f" (other processes used {others:.0%} of a core)"
            found.append(Requirement(text, line.right == len(QUANTILES)))
    return found


def table(situation: Situation, lines: Sequence[ToolAccuracy], missing: Sequence[str], others: float) -> SectionTable:
    """Return one situation's figures: for each tool the truth of its run, and its result."""
    rows = []
    for line in lines:
        truth = [_ms(line.truth_ms[label]) for label in QUANTILES]
        measured = [f"{_ms(line.result.percentiles_ms[label])} ({line.error(label)})" for label in QUANTILES]
        rows.append([f"truth for {line.tool.name}", f"{line.planned}", *truth, ""])
        rows.append([f"**{line.tool.name}**", f"{line.result.operations}", *measured, f"{line.right} of {len(QUANTILES)}"])
    rows += [[f"**{name}**", "not installed", *[""] * (len(QUANTILES) + 1)] for name in missing]
    connections = f"{situation.in_flight} connection{'s' if situation.in_flight > 1 else ''}"
    stalls = "".join(f" From second {start:g} to second {end:g} it sends no response." for start, end in situation.stalls_s)
    text = (
        f"{situation.text}{stalls} {situation.rate_per_s} users arrive per second for {situation.seconds} s; Locust and hey have "
        f"{situation.users} users for this load, wrk {connections}. Times are in ms, with the error in brackets. "
        f"Other processes used {others:.0%} of a core meanwhile."
    )
    return SectionTable(situation.name, ["", "requests", *(f"p{label}" for label in QUANTILES), "right"], rows, text)


def _ms(value_ms: float) -> str:
    return f"{value_ms:.3f}" if value_ms < 10 else f"{value_ms:.1f}"  # noqa: PLR2004 - four digits are enough
