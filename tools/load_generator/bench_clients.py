"""The request rate of HTTP clients on one core, and their latencies: `python -m tools.load_generator.bench_clients --help`.

The server is a raw ASGI echo on another core. Every client is a process with a number of concurrent users; clients alternate, round
by round, with a different first one in each. Python libraries run on uvloop, unless another loop is named. The lean client has to
send four times as many requests as Locust's FastHttpUser, and to be within 10 % of wrk's median and 25 % of its 99th percentile.

Clients that are not installed are left out: wrk and hey are programs on PATH; aiohttp, httpx and niquests are Python packages.
niquests replaces the installed urllib3, so install it into a separate folder (`pip install --target`) on PYTHONPATH.
"""

import argparse
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import msgspec
from rich.console import Console
from rich.table import Table

from harness.errors import NotMeasurableError
from harness.runtime.child import python_module
from harness.runtime.cores import choose_cores
from tools import exit_code
from tools.load_generator import options, spread
from tools.load_generator.bench_drivers import WARM_UP_S, DriverJob, DriverResult, cpu_s
from tools.load_generator.programs import HEY, WRK, is_installed, output, run_hey, run_wrk
from tools.servers import HOST, pinned, served

OURS, LOCUST = "ours", "FastHttpUser"
TIMES_LOCUST, P50_OF_WRK, P99_OF_WRK = 4.0, 1.10, 1.25
MIN_USAGE = 0.8
"""The minimum usage of the busier core if nothing else runs."""

_MODULE = "tools.load_generator.bench_drivers"
_PYTHON = {
    OURS: ("uvloop", python_module(_MODULE, OURS, "uvloop")),
    "ours on asyncio": ("httptools", python_module(_MODULE, OURS, "asyncio")),
    LOCUST: ("locust", python_module("tools.load_generator.bench_locust")),
    **{name: (name, python_module(_MODULE, name, "uvloop")) for name in ("aiohttp", "httpx", "niquests")},
}
"""Client → the package that it needs, and its command without the job."""

CLIENTS = (WRK, *_PYTHON, HEY)


def run(client: str, job: DriverJob) -> DriverResult:
    """Run one client for one window, on the cores that this process may use; raise ScenarioFailedError if it fails."""
    if client in _PYTHON:
        command = [*_PYTHON[client][1], msgspec.json.encode(job).decode()]
        return msgspec.json.decode(output(client, command, job.seconds), type=DriverResult)
    url, lasts_s = f"http://{HOST}:{job.port}/", job.seconds + WARM_UP_S
    before, server_s = os.times(), cpu_s(job.server)
    found = run_hey(url, job.users, lasts_s) if client == HEY else run_wrk(url, job.users, max(1, round(lasts_s)))
    after, at_ms = os.times(), found.percentiles_ms
    used_s = after.children_user + after.children_system - before.children_user - before.children_system
    return DriverResult(found.operations, found.seconds, at_ms["50"], at_ms["99"], used_s, cpu_s(job.server) - server_s)


def compare(clients: Sequence[str], users: int, rounds: int, seconds: float) -> dict[str, list[DriverResult]]:
    """Run the clients alternately on one server; return the results of those that are installed, by round."""
    cores = choose_cores()
    if cores.coordinator is None or cores.worker is None:
        raise NotMeasurableError("the benchmark needs two cores: one for the server and one for the client")
    present = [client for client in clients if is_installed(_PYTHON[client][0] if client in _PYTHON else client)]
    found: dict[str, list[DriverResult]] = defaultdict(list)
    with served("tools.load_generator.echo", {cores.coordinator}) as (port, child), pinned({cores.worker}):
        for number in range(rounds):
            turn = number % max(1, len(present))
            for client in [*present[turn:], *present[:turn]]:
                found[client].append(run(client, DriverJob(port, child.process.pid, users, seconds)))
    return found


def judged(found: Mapping[str, Sequence[DriverResult]]) -> dict[str, tuple[float, bool]]:
    """Return the lean client's requirements: the median over rounds of its ratio to another client, and whether it suffices."""

    def median(other: str, figure: Callable[[DriverResult], float]) -> float:
        return statistics.median(figure(mine) / figure(its) for mine, its in zip(found[OURS], found[other], strict=True))

    met: dict[str, tuple[float, bool]] = {}
    if found.get(OURS) and found.get(LOCUST):
        times = median(LOCUST, lambda one: one.per_s)
        met[f"requests/s over FastHttpUser's, at least {TIMES_LOCUST:g}"] = times, times >= TIMES_LOCUST
    if found.get(OURS) and found.get(WRK):
        p50, p99 = median(WRK, lambda one: one.p50_ms), median(WRK, lambda one: one.p99_ms)
        met[f"p50 over wrk's, at most {P50_OF_WRK:g}"] = p50, p50 <= P50_OF_WRK
        met[f"p99 over wrk's, at most {P99_OF_WRK:g}"] = p99, p99 <= P99_OF_WRK
    return met


def disturbed(found: Mapping[str, Sequence[DriverResult]]) -> list[str]:
    """Return the clients that lacked CPU time in a round: users without pauses keep one of the two cores busy."""
    return [client for client, rounds in found.items() if any(max(one.usage) < MIN_USAGE for one in rounds)]


def table(clients: Sequence[str], found: Mapping[str, Sequence[DriverResult]], title: str) -> Table:
    """Return a table with one client per row: medians, minimum and maximum, CPU time per request, and usage of both cores."""
    drawn = Table(title=title, title_justify="left")
    for heading in ("client", "requests/s", "p50 ms", "p99 ms", "CPU µs", "core", "server"):
        drawn.add_column(heading, justify="left" if heading == "client" else "right", no_wrap=True)
    for client in clients:
        rounds = found.get(client, ())
        if not rounds:
            drawn.add_row(client, "not installed")
            continue
        figures = [(one.per_s, one.p50_ms, one.p99_ms, one.client_cpu_s / one.requests * 1e6) for one in rounds]
        cells = [spread(each, form) for each, form in zip(zip(*figures, strict=True), (",.0f", ".2f", ".2f", ".0f"), strict=True)]
        usage = (f"{statistics.median(of_core):.0%}" for of_core in zip(*(one.usage for one in rounds), strict=True))
        drawn.add_row(client, *cells, *usage)
    return drawn


def main() -> int:
    """Compare, print the table and the requirements; return 1 if the lean client misses one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", default=",".join(CLIENTS), help="clients, separated by commas (default: all)")
    given = options(parser, "client")
    clients = [name.strip() for name in given.clients.split(",")]
    if unknown := set(clients) - set(CLIENTS):
        parser.error(f"unknown client in --clients: {', '.join(sorted(unknown))}; choose from {', '.join(CLIENTS)}")
    console = Console(width=None if sys.stdout.isatty() else 132)
    found = compare(clients, given.users, given.rounds, given.seconds)
    console.print(table(clients, found, f"{given.users} users, closed model; {given.rounds} rounds of {given.seconds:g} s"))
    if few := disturbed(found):
        console.print(f"neither core was busy with {', '.join(few)}: other processes used them; repeat on an idle machine")
    required = judged(found)
    for what, (times, enough) in required.items():
        console.print(f"{'met   ' if enough else 'missed'}  {what}: {times:.2f}", highlight=False)
    return 0 if all(enough for _, enough in required.values()) else 1


if __name__ == "__main__":
    sys.exit(exit_code(main))
