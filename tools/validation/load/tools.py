"""Load testing tools that send requests to the server with known times, and their results."""

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

EXTRA_TIMEOUT_S = 60.0
"""The timeout of a tool, in addition to its duration."""

DRAIN_S = 60.0
"""The drain timeout of this harness; longer than any time of the server, also on a busy machine."""

WARM_UP_S = 1
"""The warm-up of this harness, as by default in `harness load`; a whole number, so that arrivals stay evenly spaced."""

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
    """A tool's result."""

    operations: int
    percentiles_ms: dict[str, float]
    failed: int = 0


RunTool = Callable[[KnownServer, Situation], ToolResult]


@dataclass(frozen=True)
class Tool:
    """A tool. `text` explains its figures, and `needs` is its program or Python package.

    `warm_up_s` is the time for which it sends requests by the same schedule before it counts.
    """

    name: str
    text: str
    run: RunTool
    needs: str
    warm_up_s: int = 0

    @property
    def is_installed(self) -> bool:
        """Whether it is installed here."""
        return find_spec(self.needs) is not None if self.needs in {"harness", "locust"} else shutil.which(self.needs) is not None


def run_harness(server: KnownServer, situation: Situation) -> ToolResult:
    """Run a load worker of this harness in the open model, as any load test does.

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
        worker = Supervisor(job)
        try:
            with _also_on(server.pid):
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


@contextmanager
def _also_on(server: int) -> Iterator[None]:
    """Let this process and its children run on the server's cores as well: a load worker pins itself to its own cores."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, own | os.sched_getaffinity(server))
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def run_locust(server: KnownServer, situation: Situation) -> ToolResult:
    """Run plain Locust from its command line, with its defaults."""
    server.begin(situation.course())
    with tempfile.TemporaryDirectory() as name:
        result, users = Path(name) / "result.json", str(situation.users)
        facts = {"VALIDATION_PER_S": str(situation.rate_per_s / situation.users), "VALIDATION_RESULT": str(result)}
        arguments = [sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE), "--host", server.url, "--headless"]
        arguments += ["--users", users, "--spawn-rate", users, "--run-time", f"{situation.seconds}s", "--loglevel", "ERROR"]
        output = _output("Locust", arguments, situation, facts, Path(name))
        if not result.is_file():
            raise ScenarioFailedError(f"Locust did not measure: {output[-300:]}")
        return _good("Locust", msgspec.json.decode(result.read_bytes(), type=ToolResult))


def run_hey(server: KnownServer, situation: Situation) -> ToolResult:
    """Run hey with the rate distributed over its workers."""
    server.begin(situation.course())
    each_per_s = round(situation.rate_per_s / situation.users)
    arguments = ["hey", "-z", f"{situation.seconds}s", "-c", str(situation.users), "-q", str(each_per_s)]
    arguments += ["-o", "csv", f"{server.url}/"]
    return _good("hey", read_hey(_output("hey", arguments, situation)))


def run_wrk(server: KnownServer, situation: Situation) -> ToolResult:
    """Run wrk, which has no rate, with one connection per request that is in flight on average."""
    server.begin(situation.course())
    with tempfile.TemporaryDirectory() as name:
        script = Path(name) / "percentiles.lua"
        script.write_text(_LUA, encoding="utf-8")
        arguments = ["wrk", "--threads", "1", "--connections", str(situation.in_flight), "--duration", f"{situation.seconds}s"]
        return read_wrk(
            _output("wrk", [*arguments, "--timeout", "30s", "--latency", "--script", str(script), f"{server.url}/"], situation)
        )


def read_hey(output: str) -> ToolResult:
    """Parse hey's table of all requests: seconds with four decimals, and the status.

    Raises:
        ScenarioFailedError: it is not such a table, or is empty.
    """
    try:
        rows = [(float(row["response-time"]) * 1e3, row["status-code"]) for row in csv.DictReader(io.StringIO(output))]
    except (KeyError, TypeError, ValueError) as error:
        raise ScenarioFailedError(f"hey wrote no table of requests: {output[:300]}") from error
    took_ms = [ms for ms, status in rows if status == _GOOD]
    if not took_ms:
        raise ScenarioFailedError(f"hey measured nothing: {output[:300]}")
    at = np.quantile(took_ms, list(QUANTILES.values()))
    return ToolResult(len(took_ms), dict(zip(QUANTILES, at.tolist(), strict=True)), len(rows) - len(took_ms))


def read_wrk(output: str) -> ToolResult:
    """Parse the line that the script makes wrk write.

    Raises:
        ScenarioFailedError: there is none, or requests failed.
    """
    found = _WRK_SEEN.search(output)
    if found is None or _WRK_FAILED.search(output):
        raise ScenarioFailedError(f"wrk did not measure: {' '.join(output.split())[-300:]}")
    return ToolResult(int(found[1]), dict(zip(QUANTILES, map(float, found[2].split()), strict=True)))


def _good(tool: str, seen: ToolResult) -> ToolResult:
    if seen.failed:
        raise ScenarioFailedError(f"{seen.failed} requests of {tool} failed, so its figures are not valid")
    return seen


def _output(
    tool: str, arguments: list[str], situation: Situation, facts: Mapping[str, str] | None = None, folder: Path | None = None
) -> str:
    """Return a command's output; in a separate folder it reads no configuration files."""
    given = {**child_environment(), **(facts or {})}
    patience_s = situation.seconds + EXTRA_TIMEOUT_S
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=patience_s, env=given, cwd=folder)
    except subprocess.TimeoutExpired:
        raise ScenarioFailedError(f"{tool} did not end in {situation.name!r}") from None
    if done.returncode:
        raise ScenarioFailedError(f"{tool} failed: {' '.join((done.stderr + done.stdout).split())[-300:]}")
    return done.stdout


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
        " digits above, and requests in flight at the stop are not counted. It shows the times of the requests that were sent.",
        run_locust,
        "locust",
    ),
    Tool(
        "hey",
        "(`-c` workers, `-q` each) uses a closed model with a limit of each worker's rate. Times count from sending, with four"
        " decimals of a second in the table read here. It shows the time of a request after sending.",
        run_hey,
        "hey",
    ),
    Tool(
        "wrk",
        "uses a closed model without a rate: each connection sends the next request at once, so that the number of requests differs"
        " from the planned one. It adds requests that it expects to have missed, by the mean time between requests, and does not"
        " count requests in flight at the end. It shows the throughput of a server with a number of connections, and its times.",
        run_wrk,
        "wrk",
    ),
)
"""In the order of the tables, this harness first."""
