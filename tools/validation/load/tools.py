"""Load testing tools that send requests to the server with known times, and their results."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import msgspec

from harness.errors import ScenarioFailedError
from harness.load.protocol import LoadJob
from harness.load.supervisor import Supervisor
from harness.runtime.child import child_environment
from harness.scenario import Server, Setting
from harness.stats.histogram import Histogram
from harness.stats.intervals import QUANTILES
from tools.load_generator import echo_scenario, programs
from tools.load_generator.echo_scenario import ECHO, PID, SERVER
from tools.load_generator.programs import HEY, WRK
from tools.validation.load.server import KnownServer, Situation

DRAIN_S = 60.0
"""The drain timeout of this harness; longer than any time of the server, also on a busy machine."""

WARM_UP_S = 1
"""The warm-up of this harness, as by default in `harness load`; a whole number, so that arrivals stay evenly spaced."""

IN_FLIGHT_CAP = 10_000
_LOCUSTFILE = Path(__file__).with_name("plain_locust.py")


class ToolResult(msgspec.Struct, frozen=True):
    """A tool's result."""

    operations: int
    percentiles_ms: dict[str, float]
    failed: int = 0


@dataclass(frozen=True)
class Tool:
    """A tool. `text` explains its figures, and `needs` is its program or Python package."""

    name: str
    text: str
    run: Callable[[KnownServer, Situation], ToolResult]
    needs: str
    warm_up_s: int = 0
    """The time for which it sends requests by the same schedule before it counts."""

    @property
    def is_installed(self) -> bool:
        """Whether it is installed here."""
        return find_spec(self.needs) is not None if self.needs in {"harness", "locust"} else shutil.which(self.needs) is not None


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
        command = [sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE), "--host", server.url, "--headless"]
        command += ["--users", users, "--spawn-rate", users, "--run-time", f"{situation.seconds}s", "--loglevel", "ERROR"]
        written = programs.output("Locust", command, situation.seconds, child_environment() | facts, Path(name))
        if not result.is_file():
            raise ScenarioFailedError(f"Locust did not measure: {written[-300:]}")
        found = msgspec.json.decode(result.read_bytes(), type=ToolResult)
    programs.refuse_failed("Locust", found.failed)
    return found


def run_hey(server: KnownServer, situation: Situation) -> ToolResult:
    """Run hey with the rate distributed over its workers."""
    server.begin(situation.course())
    each_per_s = round(situation.rate_per_s / situation.users)
    found = programs.run_hey(f"{server.url}/", situation.users, situation.seconds, each_per_s)
    return ToolResult(found.requests, found.percentiles_ms)


def run_wrk(server: KnownServer, situation: Situation) -> ToolResult:
    """Run wrk, which has no rate, with one connection per request that is in flight on average."""
    server.begin(situation.course())
    found = programs.run_wrk(f"{server.url}/", situation.in_flight, situation.seconds)
    return ToolResult(found.requests, found.percentiles_ms)


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
        run_locust,
        "locust",
    ),
    Tool(
        "hey",
        "(`-c` workers, `-q` each) uses a closed model with a limit of each worker's rate. Times count from sending, with four"
        " decimals of a second.",
        run_hey,
        HEY,
    ),
    Tool(
        "wrk",
        "uses a closed model without a rate: each connection sends the next request at once. It adds requests that it expects to"
        " have missed, by the mean time between requests, and does not count requests in flight at the end.",
        run_wrk,
        WRK,
    ),
)
"""In the order of the tables, this harness first."""
