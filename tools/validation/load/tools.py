"""Load testing tools, each asking the server with known times, and what each says that its users saw."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np

from harness.errors import ScenarioFailedError
from harness.load.protocol import LoadJob
from harness.load.supervisor import Supervisor
from harness.runtime.child import child_environment
from harness.scenario import Server, Setting
from harness.stats.histogram import Histogram
from harness.stats.intervals import QUANTILES
from tools.load_generator import echo_scenario
from tools.load_generator.echo_scenario import ECHO, PID, SERVER
from tools.validation.load.known import KnownServer
from tools.validation.load.situations import Situation

PATIENCE_S = 60.0
"""How much longer than its load a tool may take."""

DRAIN_S = 10.0
"""How long this harness waits for answers at the end; longer than anything that the server does."""

WARM_UP_S = 1
"""How long this harness warms up, as `harness load` does by default; whole, so that the plan goes on evenly."""

IN_FLIGHT_CAP = 10_000
_LOCUSTFILE = Path(__file__).with_name("plain_locust.py")
_LUA = """done = function(summary, latency, requests)
  io.write(string.format("SEEN %d", summary.requests))
  for _, p in ipairs({50, 90, 95, 99, 99.9}) do io.write(string.format(" %.3f", latency:percentile(p) / 1000)) end
  io.write("\\n")
end
"""
_WRK_SEEN = re.compile(r"^SEEN (\d+)((?: [\d.]+){5})$", re.MULTILINE)
_WRK_FAILED = re.compile(r"Non-2xx|Socket errors: connect (?!0, read 0, write 0)")
_GOOD = "200"


class ToolResult(msgspec.Struct, frozen=True):
    """What a tool says: how many requests it counted, how many failed, and its percentiles in milliseconds by label."""

    operations: int
    percentiles_ms: dict[str, float]
    failed: int = 0


Ask = Callable[[KnownServer, Situation], ToolResult]


@dataclass(frozen=True)
class Tool:
    """A tool: what its number means, and how it is run. `needs` is the program or the Python package it is.

    `warm_up_s` is how long it asks by the same plan before it counts.
    """

    name: str
    says: str
    ask: Ask
    needs: str
    warm_up_s: int = 0

    @property
    def is_installed(self) -> bool:
        """Whether it can run here."""
        return find_spec(self.needs) is not None if self.needs in {"harness", "locust"} else shutil.which(self.needs) is not None


def ask_ours(server: KnownServer, situation: Situation) -> ToolResult:
    """Have this harness's engine play the plan in the open model, in a process of its own, as any run under load does.

    Raises:
        ScenarioFailedError: a request failed, was dropped or was given up.
    """
    own = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as name:
        known = Server(server.url, server.url, {PID: str(server.pid)})
        setting = Setting(Path(name), Path(name), size="tiny", servers={SERVER: known})
        job = LoadJob(
            files=[echo_scenario.__file__],
            settings=[setting],
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
        engine = Supervisor(job)
        try:
            with _also_on(server.pid):
                engine.start()
            server.begin(situation.course())  # it has asked once, to see that it can
            block = engine.run_block(ECHO)
        finally:
            engine.close()
    groups = list(block.groups.values())
    lost = sum(group.planned - group.operations for group in groups)
    if lost or not groups:
        raise ScenarioFailedError(f"this harness lost {lost} requests in {situation.name!r}; look at its output above")
    whole = Histogram.merged(Histogram.from_wire(group.response) for group in groups)
    at = zip(QUANTILES, whole.percentiles_ns(QUANTILES.values()), strict=True)
    return ToolResult(whole.operations, {label: ns / 1e6 for label, ns in at if ns is not None})


@contextmanager
def _also_on(server: int) -> Iterator[None]:
    """Let this process, and what it starts, run on the server's cores as well: an engine keeps to its own by itself."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, own | os.sched_getaffinity(server))
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def ask_locust(server: KnownServer, situation: Situation) -> ToolResult:
    """Run plain Locust from its command line, with its defaults."""
    server.begin(situation.course())
    with tempfile.TemporaryDirectory() as name:
        seen, users = Path(name) / "seen.json", str(situation.users)
        facts = {"CONFORMANCE_PER_S": str(situation.rate_per_s / situation.users), "CONFORMANCE_SEEN": str(seen)}
        words = [sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE), "--host", server.url, "--headless"]
        words += ["--users", users, "--spawn-rate", users, "--run-time", f"{situation.seconds}s", "--loglevel", "ERROR"]
        said = _said("Locust", words, situation, facts, Path(name))
        if not seen.is_file():
            raise ScenarioFailedError(f"Locust did not measure: {said[-300:]}")
        return _good("Locust", msgspec.json.decode(seen.read_bytes(), type=ToolResult))


def ask_hey(server: KnownServer, situation: Situation) -> ToolResult:
    """Run hey with the plan's rate, shared out over its workers."""
    server.begin(situation.course())
    each_per_s = round(situation.rate_per_s / situation.users)
    words = ["hey", "-z", f"{situation.seconds}s", "-c", str(situation.users), "-q", str(each_per_s), "-o", "csv", f"{server.url}/"]
    return _good("hey", read_hey(_said("hey", words, situation)))


def ask_wrk(server: KnownServer, situation: Situation) -> ToolResult:
    """Run wrk with as many connections as the plan has requests under way on average: it knows no rate."""
    server.begin(situation.course())
    with tempfile.TemporaryDirectory() as name:
        script = Path(name) / "percentiles.lua"
        script.write_text(_LUA, encoding="utf-8")
        words = ["wrk", "--threads", "1", "--connections", str(situation.under_way), "--duration", f"{situation.seconds}s"]
        return read_wrk(
            _said("wrk", [*words, "--timeout", "30s", "--latency", "--script", str(script), f"{server.url}/"], situation)
        )


def read_hey(said: str) -> ToolResult:
    """Read the table of all requests that hey writes: seconds with four decimals, and the status.

    Raises:
        ScenarioFailedError: it is no such table, or an empty one.
    """
    try:
        rows = [(float(row["response-time"]) * 1e3, row["status-code"]) for row in csv.DictReader(io.StringIO(said))]
    except (KeyError, TypeError, ValueError) as error:
        raise ScenarioFailedError(f"hey wrote no table of requests: {said[:300]}") from error
    took_ms = [ms for ms, status in rows if status == _GOOD]
    if not took_ms:
        raise ScenarioFailedError(f"hey measured nothing: {said[:300]}")
    at = np.quantile(took_ms, list(QUANTILES.values()))
    return ToolResult(len(took_ms), dict(zip(QUANTILES, at.tolist(), strict=True)), len(rows) - len(took_ms))


def read_wrk(said: str) -> ToolResult:
    """Read the line that the script has wrk write.

    Raises:
        ScenarioFailedError: there is none, or requests failed.
    """
    found = _WRK_SEEN.search(said)
    if found is None or _WRK_FAILED.search(said):
        raise ScenarioFailedError(f"wrk did not measure: {' '.join(said.split())[-300:]}")
    return ToolResult(int(found[1]), dict(zip(QUANTILES, map(float, found[2].split()), strict=True)))


def _good(tool: str, seen: ToolResult) -> ToolResult:
    if seen.failed:
        raise ScenarioFailedError(f"{seen.failed} requests of {tool} failed; nothing can be said about the others")
    return seen


def _said(
    tool: str, words: list[str], situation: Situation, facts: Mapping[str, str] | None = None, folder: Path | None = None
) -> str:
    """Return what a command writes; in a folder of its own it reads nobody's settings."""
    given = {**child_environment(), **(facts or {})}
    patience_s = situation.seconds + PATIENCE_S
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=patience_s, env=given, cwd=folder)
    except subprocess.TimeoutExpired:
        raise ScenarioFailedError(f"{tool} did not end in {situation.name!r}") from None
    if done.returncode:
        raise ScenarioFailedError(f"{tool} failed: {' '.join((done.stderr + done.stdout).split())[-300:]}")
    return done.stdout


TOOLS = (
    Tool(
        "this harness",
        "asks in the open model: every request begins when it is due, its time counts from that moment, and what is under way at"
        " the end is waited for. That is the question which the truth answers.",
        ask_ours,
        "harness",
        WARM_UP_S,
    ),
    Tool(
        "Locust",
        "(FastHttpUser, `constant_throughput`, its defaults) is a closed model: a user who waits for an answer asks nothing, and"
        " what was missed is not made up for. Times count from sending, are rounded to whole milliseconds below 100 ms and to two"
        " digits above, and what is under way at the stop is not counted. It tells what the requests that its users sent took.",
        ask_locust,
        "locust",
    ),
    Tool(
        "hey",
        "(`-c` workers, `-q` each) is a closed model with a most for each worker's rate. Times count from sending, with four"
        " decimals of a second in the table read here. It tells what a request took once it was sent.",
        ask_hey,
        "hey",
    ),
    Tool(
        "wrk",
        "is a closed model without a rate: each connection asks again at once, so that it sends another number of requests than"
        " was planned. It fills in requests that it expects to have missed, by the mean time between requests, and does not count"
        " what is under way at the end. It tells how much a server answers on so many connections, and what that takes.",
        ask_wrk,
        "wrk",
    ),
)
"""In the order of the tables; this harness first."""
