"""The request rate of HTTP clients on one core, and their latencies: `python -m tools.load_generator.bench_clients --help`.

The server is a raw ASGI echo in a separate process on a separate core. Every client is a process on another core, with a number of
concurrent users. Clients alternate, round by round, with a different first one in each. Python libraries run on
uvloop, unless another loop is named. The lean client has to send four times as many requests as Locust's FastHttpUser, and to be
within 10 % of wrk's median and within 25 % of its 99th percentile.

Clients that are not installed are left out: wrk and hey are programs on PATH; aiohttp, httpx and niquests are Python packages.
niquests replaces the installed urllib3, so install it into a separate folder (`pip install --target`) on PYTHONPATH.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

import msgspec
from rich.console import Console
from rich.table import Table

from harness.errors import HarnessError, NotMeasurableError, ScenarioFailedError, UsageError
from harness.runtime.child import kill_group
from harness.runtime.cores import choose_cores
from tools.load_generator.bench_drivers import HOST, WARM_UP_S, DriverJob, DriverResult, cpu_s

OURS, LOCUST, WRK, HEY = "ours", "FastHttpUser", "wrk", "hey"
TIMES_LOCUST = 4.0
P50_OF_WRK, P99_OF_WRK = 1.10, 1.25
MIN_USAGE = 0.8
"""The minimum usage of the busier core if nothing else runs."""

EXTRA_TIMEOUT_S = 30.0
"""The timeout of a client, in addition to its window."""

_PYTHON = {
    OURS: (OURS, "uvloop", "uvloop"),
    "ours on asyncio": (OURS, "asyncio", "httptools"),
    "aiohttp": ("aiohttp", "uvloop", "aiohttp"),
    "httpx": ("httpx", "uvloop", "httpx"),
    "niquests": ("niquests", "uvloop", "niquests"),
}
"""Client → its driver, its event loop, and the package that it needs."""

CLIENTS = (WRK, OURS, "ours on asyncio", LOCUST, "aiohttp", "httpx", "niquests", HEY)

_UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
_WRK_PERCENTILE = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m)\s*$", re.MULTILINE)
_WRK_TOTAL = re.compile(r"(\d+) requests in ([\d.]+)(us|ms|s|m),")
_WRK_FAILED = re.compile(r"Socket errors:|Non-2xx")
_HEY_PERCENTILE = re.compile(r"^\s+(50|99)%+ in ([\d.]+) secs", re.MULTILINE)
_HEY_TOTAL = re.compile(r"^\s+Total:\s+([\d.]+) secs", re.MULTILINE)
_HEY_ANSWERED = re.compile(r"^\s+\[200\]\s+(\d+) responses", re.MULTILINE)


def read_wrk(output: str, client_cpu_s: float, server_cpu_s: float) -> DriverResult:
    """Parse the output of `wrk --latency`.

    Raises:
        ScenarioFailedError: requests failed, or the output is different.
    """
    total = _WRK_TOTAL.search(output)
    at = {percentile: float(value) * _UNITS_MS[unit] for percentile, value, unit in _WRK_PERCENTILE.findall(output)}
    if total is None or len(at) != 2 or _WRK_FAILED.search(output):  # noqa: PLR2004 - the two requested percentiles
        raise ScenarioFailedError(f"wrk did not measure: {' '.join(output.split())[-300:]}")
    seconds = float(total[2]) * _UNITS_MS[total[3]] / 1e3
    return DriverResult(int(total[1]), seconds, at["50"], at["99"], client_cpu_s, server_cpu_s)


def read_hey(output: str, client_cpu_s: float, server_cpu_s: float) -> DriverResult:
    """Parse the output of `hey`; its times have four decimals of a second.

    Raises:
        ScenarioFailedError: the output is different.
    """
    total, answered = _HEY_TOTAL.search(output), _HEY_ANSWERED.search(output)
    at = {percentile: float(value) * 1e3 for percentile, value in _HEY_PERCENTILE.findall(output)}
    if total is None or answered is None or len(at) != 2:  # noqa: PLR2004 - the two requested percentiles
        raise ScenarioFailedError(f"hey did not measure: {' '.join(output.split())[-300:]}")
    return DriverResult(int(answered[1]), float(total[1]), at["50"], at["99"], client_cpu_s, server_cpu_s)


def missing(client: str) -> bool:
    """Return whether a client is not installed here."""
    if client in {WRK, HEY}:
        return shutil.which(client) is None
    return find_spec(_PYTHON[client][2] if client in _PYTHON else "locust") is None


def run(client: str, job: DriverJob) -> DriverResult:
    """Run one client for one window, on the cores that this process may use.

    Raises:
        ScenarioFailedError: it failed; the message has the end of its output.
    """
    wanted, url = msgspec.json.encode(job).decode(), f"http://{HOST}:{job.port}/"
    if client in {WRK, HEY}:
        lasts = f"{job.seconds + WARM_UP_S:g}s" if client == HEY else f"{max(1, round(job.seconds + WARM_UP_S))}s"
        arguments = {
            WRK: [WRK, "--threads", "1", "--connections", str(job.users), "--duration", lasts, "--latency", url],
            HEY: [HEY, "-c", str(job.users), "-z", lasts, url],
        }[client]
        before_s, server_s = _children_cpu_s(), cpu_s(job.server)
        output = _output(client, arguments, job)
        used = _children_cpu_s() - before_s, cpu_s(job.server) - server_s
        return read_wrk(output, *used) if client == WRK else read_hey(output, *used)
    module = [sys.executable, "-m", "tools.load_generator.bench_drivers", *_PYTHON[client][:2]] if client in _PYTHON else []
    module = module or [sys.executable, "-m", "tools.load_generator.bench_locust"]
    return msgspec.json.decode(_output(client, [*module, wanted], job), type=DriverResult)


def compare(clients: Sequence[str], users: int, rounds: int, seconds: float) -> dict[str, list[DriverResult]]:
    """Run the clients alternately on one server; return each one's results by round. Clients that are not installed have none.

    Raises:
        NotMeasurableError: there are no two cores, or no uvicorn.
        ScenarioFailedError: a client failed.
    """
    cores = choose_cores()
    if cores.coordinator is None or cores.worker is None:
        raise NotMeasurableError("the benchmark needs two cores: one for the server and one for the client")
    for package in ("uvicorn", "uvloop"):
        if find_spec(package) is None:
            raise NotMeasurableError(f"{package} is not installed; install what the trial needs: pip install -r requirements.lock")
    present = [client for client in clients if not missing(client)]
    found: dict[str, list[DriverResult]] = defaultdict(list)
    try:
        os.sched_setaffinity(0, {cores.coordinator})  # inherited by child processes
        with _echo() as (port, server):
            os.sched_setaffinity(0, {cores.worker})
            for number in range(rounds):
                turn = number % max(1, len(present))
                for client in [*present[turn:], *present[:turn]]:
                    found[client].append(run(client, DriverJob(port, server, users, seconds)))
    finally:
        os.sched_setaffinity(0, cores.all)
    return found


def judged(found: Mapping[str, Sequence[DriverResult]]) -> dict[str, tuple[float, bool]]:
    """Return the lean client's requirements: the median over rounds of its ratio to another client, and whether it suffices."""

    def median(other: str, figure: Callable[[DriverResult], float]) -> float:
        return statistics.median(figure(mine) / figure(its) for mine, its in zip(found[OURS], found[other], strict=True))

    met: dict[str, tuple[float, bool]] = {}
    if found.get(OURS) and found.get(LOCUST):
        times = median(LOCUST, lambda one: one.requests / one.seconds)
        met[f"requests/s over FastHttpUser's, at least {TIMES_LOCUST:g}"] = times, times >= TIMES_LOCUST
    if found.get(OURS) and found.get(WRK):
        p50, p99 = median(WRK, lambda one: one.p50_ms), median(WRK, lambda one: one.p99_ms)
        met[f"p50 over wrk's, at most {P50_OF_WRK:g}"] = p50, p50 <= P50_OF_WRK
        met[f"p99 over wrk's, at most {P99_OF_WRK:g}"] = p99, p99 <= P99_OF_WRK
    return met


def disturbed(found: Mapping[str, Sequence[DriverResult]]) -> list[str]:
    """Return the clients that lacked CPU time in a round: users without pauses keep one of the two cores busy."""

    def busy(one: DriverResult) -> float:
        return max(one.client_cpu_s, one.server_cpu_s) / one.seconds

    return [client for client, rounds in found.items() if min(map(busy, rounds), default=1.0) < MIN_USAGE]


def table(clients: Sequence[str], found: Mapping[str, Sequence[DriverResult]], title: str) -> Table:
    """Return a table with one client per row: the median over rounds with minimum and maximum in brackets.

    The last columns are the client's CPU time per request, and the usage of the client's and the server's core.
    """
    drawn = Table(title=title, title_justify="left")
    for heading in ("client", "requests/s", "p50 ms", "p99 ms", "CPU µs", "core", "server"):
        drawn.add_column(heading, justify="left" if heading == "client" else "right", no_wrap=True)
    for client in clients:
        rounds = found.get(client, ())
        if not rounds:
            drawn.add_row(client, "not installed")
            continue
        drawn.add_row(
            client,
            _spread([one.requests / one.seconds for one in rounds], ",.0f"),
            _spread([one.p50_ms for one in rounds], ".2f"),
            _spread([one.p99_ms for one in rounds], ".2f"),
            _spread([one.client_cpu_s / one.requests * 1e6 for one in rounds], ".0f"),
            f"{statistics.median(one.client_cpu_s / one.seconds for one in rounds):.0%}",
            f"{statistics.median(one.server_cpu_s / one.seconds for one in rounds):.0%}",
        )
    return drawn


def main() -> int:
    """Compare, print the table and the requirements; return 1 if the lean client misses one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=32, help="concurrent users, each with a connection (default 32)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each client (default 3)")
    parser.add_argument("--seconds", type=float, default=3.0, help="duration of a run (default 3)")
    parser.add_argument("--clients", default=",".join(CLIENTS), help="clients, separated by commas (default: all)")
    options = parser.parse_args()
    clients = [name.strip() for name in options.clients.split(",")]
    if min(options.users, options.rounds) < 1 or options.seconds <= 0:
        parser.error("--users and --rounds have to be at least 1, --seconds above 0")
    if unknown := set(clients) - set(CLIENTS):
        parser.error(f"unknown client in --clients: {', '.join(sorted(unknown))}; choose from {', '.join(CLIENTS)}")
    console = Console(width=None if sys.stdout.isatty() else 132)
    try:
        found = compare(clients, options.users, options.rounds, options.seconds)
    except HarnessError as error:
        sys.stderr.write(f"{error}\n")
        return error.code
    console.print(table(clients, found, f"{options.users} users, closed model; {options.rounds} rounds of {options.seconds:g} s"))
    if disturbed_clients := disturbed(found):
        console.print(
            f"neither core was busy with {', '.join(disturbed_clients)}: other processes used them; repeat on an idle machine"
        )
    required = judged(found)
    for what, (times, enough) in required.items():
        console.print(f"{'met   ' if enough else 'missed'}  {what}: {times:.2f}", highlight=False)
    return 0 if all(enough for _, enough in required.values()) else 1


@contextmanager
def _echo() -> Iterator[tuple[int, int]]:
    """Start the server; yield its port and its process id."""
    child = subprocess.Popen([sys.executable, "-m", "tools.load_generator.echo"], stdout=subprocess.PIPE, start_new_session=True)
    assert child.stdout is not None
    try:
        first = child.stdout.readline()
        if not first:
            raise UsageError("the echo server did not start; see its output above")
        yield int(first), child.pid
    finally:
        kill_group(child)
        child.stdout.close()


def _output(client: str, arguments: Sequence[str], job: DriverJob) -> str:
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=job.seconds + EXTRA_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise ScenarioFailedError(f"{client} did not end; try fewer --users") from None
    if done.returncode:
        raise ScenarioFailedError(f"{client} failed: {' '.join(done.stderr.split())[-300:]}")
    return done.stdout


def _children_cpu_s() -> float:
    used = os.times()
    return used.children_user + used.children_system


def _spread(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} \\[{min(values):{form}}, {max(values):{form}}]"


if __name__ == "__main__":
    sys.exit(main())
