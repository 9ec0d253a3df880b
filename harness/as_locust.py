"""Scenarios as Locust users. Only this file imports Locust.

Importing Locust patches the process, and what is measured in a patched process is another program. So nothing is measured here:
Locust brings the command line, the web UI and the distribution, and each of its local or worker processes supervises one unpatched
engine process over a pipe (`harness.load`), telling it how many users there are and hearing every operation's nanoseconds.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import gevent
import locust.stats
import msgspec
from locust import User, events, task
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner
from locust.stats import RequestStats

from harness.discovery import Loaded, load, scenario_files
from harness.errors import HarnessError
from harness.load.protocol import Block
from harness.load.supervisor import Supervisor, write
from harness.measure.clock import utc_now

_files: dict[str, Path] = {}
"""Locust class name → scenario file: what `users` found."""


def users(folder: Path) -> dict[str, type[User]]:
    """Return one Locust user class a scenario in `folder`, by name, for a locustfile to put among its globals."""
    try:
        found = [load(file) for file in scenario_files(folder)]
    except HarnessError as error:
        sys.stderr.write(f"harness: {error}\n")
        sys.exit(error.code)
    classes: dict[str, type[User]] = {}
    for scenario in found:
        name = "".join(part.title() for part in scenario.name.split("_"))
        _files[name] = scenario.file
        classes[name] = type(name, (_VirtualUser,), {"__doc__": scenario.title, "__module__": __name__, "abstract": False})
    return classes


def three_digits(response_time_ms: float) -> float:
    """Return a time rounded to three significant digits; Locust's own rounding makes every sub-millisecond call 0 ms."""
    return float(f"{response_time_ms:.3g}")


class _VirtualUser(User):
    """Stands for one coroutine of the engine process, which does the work."""

    abstract = True

    @task
    def wait_to_be_stopped(self) -> None:
        """Do nothing: the engine's coroutine runs the scenario."""
        gevent.sleep(0.5)


class _Front:
    """One Locust process's side of things: its supervisor, and on a master the blocks of all workers."""

    def __init__(self) -> None:
        self.supervisor: Supervisor | None = None
        self.started_at = utc_now()
        self.unsent: list[Block] = []
        self.blocks: dict[int, list[Block]] = defaultdict(list)
        self._workers: dict[str, int] = {}

    def prepare(self, environment: Environment) -> None:
        """Build the data and start the engine process, unless that was done already."""
        if self.supervisor is not None or isinstance(environment.runner, MasterRunner):
            return
        options = environment.parsed_options
        assert options is not None
        self.supervisor = Supervisor(
            self.chosen(environment),
            options.engine,
            options.size,
            int(options.seed),
            _worker_index(environment),
            float(options.rtt),
        )
        self.supervisor.start()

    def chosen(self, environment: Environment) -> list[Loaded]:
        """Return the scenarios of the classes picked on the command line or in the web UI."""
        return [load(_files[c.__name__]) for c in environment.user_classes if c.__name__ in _files]

    def hear(self, environment: Environment) -> None:
        """Pass on every block: to Locust's own statistics, and to the harness's record."""
        assert self.supervisor is not None
        for block in self.supervisor.blocks():
            (self.unsent if isinstance(environment.runner, WorkerRunner) else self.blocks[1]).append(block)
            _count(environment.stats, block)

    def from_worker(self, client_id: str, found: list[dict[str, Any]]) -> None:
        """Take in a worker's blocks."""
        number = self._workers.setdefault(client_id, len(self._workers) + 1)
        self.blocks[number] += msgspec.convert(found, list[Block])


_front = _Front()


def _count(stats: RequestStats, block: Block) -> None:
    """Add a block to Locust's statistics in one go; its own way, an event an operation, costs more than many an operation."""
    for group, times in block.latencies_ns.items():
        times_ms = [ns / 1e6 for ns in times]
        buckets = Counter(map(three_digits, times_ms))
        for entry in (stats.entries[f"{block.scenario}: {group}", block.arm], stats.total):
            _add(entry, times_ms, buckets, time.time())  # Locust files requests under wall-clock seconds
    for message, number in block.errors.items():
        for _ in range(number):
            stats.log_request(block.arm, block.scenario, None, 0)  # type: ignore[arg-type]  # None: failed, no time
            stats.log_error(block.arm, block.scenario, RuntimeError(message))


def _add(entry: Any, times_ms: list[float], buckets: Counter[float], now: float) -> None:
    """Do for many operations what `StatsEntry.log` does for one. Typed Any: Locust says int where floats are fine."""
    if entry.use_response_times_cache and entry.last_request_timestamp and int(now) > int(entry.last_request_timestamp):
        entry._cache_response_times(int(now) - 1)  # noqa: SLF001 - the charts of the web UI are drawn from it
    entry.num_requests += len(times_ms)
    entry.total_response_time += sum(times_ms)
    entry.min_response_time = min(*times_ms, times_ms[0] if entry.min_response_time is None else entry.min_response_time)
    entry.max_response_time = max(*times_ms, entry.max_response_time)
    entry.last_request_timestamp = now
    entry.num_reqs_per_sec[int(now)] = entry.num_reqs_per_sec.get(int(now), 0) + len(times_ms)
    for bucket, number in buckets.items():
        entry.response_times[bucket] = entry.response_times.get(bucket, 0) + number


def _worker_index(environment: Environment) -> int:
    return environment.runner.worker_index if isinstance(environment.runner, WorkerRunner) else 0


@events.init_command_line_parser.add_listener
def _options(parser: Any) -> None:
    parser.add_argument("--size", default="tiny", choices=["tiny", "small", "medium", "large"], help="how much data")
    engines = sorted({engine for file in _files.values() for engine in load(file).scenario.engines} | {"sqlite"})
    parser.add_argument("--engine", default="sqlite", choices=engines, help="database engine")
    parser.add_argument("--rtt", default="0", type=_rtt, metavar="MS", help="round-trip time to the servers, in ms")
    parser.add_argument("--seed", default="0", type=_seed, help="seed of data, cases and order")
    parser.add_argument(
        "--out", default="", metavar="DIR", include_in_web_ui=False, help="folder of the run (default: runs/<UTC time>-<commit>)"
    )


def _seed(text: str) -> str:
    if not (text.isascii() and text.isdigit() and int(text) < 2**63):
        raise ValueError(text)
    return text


def _rtt(text: str) -> str:
    if not 0 <= float(text) < float("inf"):
        raise ValueError(text)
    return text


@events.init.add_listener
def _ready(environment: Environment, **_: Any) -> None:
    locust.stats.bucket_response_time = three_digits  # type: ignore[assignment]  # its keys may be floats
    options = environment.parsed_options
    if options is not None and options.headless:  # preparing must not eat into the time that -t asks for
        _guarded(environment, _front.prepare)


@events.test_start.add_listener
def _start(environment: Environment, **_: Any) -> None:
    _front.started_at = utc_now()
    if isinstance(environment.runner, MasterRunner):
        _front.blocks.clear()
        return
    if not isinstance(environment.runner, WorkerRunner):
        _front.blocks.clear()
    _guarded(environment, _front.prepare)
    if _front.supervisor is not None:
        gevent.spawn(_pump, environment)


def _pump(environment: Environment) -> None:
    """Tell the engine how many users there are, and hear its blocks, until the run ends."""
    supervisor = _front.supervisor
    while supervisor is not None and supervisor is _front.supervisor:
        assert environment.runner is not None
        supervisor.users(environment.runner.user_count)
        _front.hear(environment)
        if supervisor.failed:
            _give_up(environment, supervisor.failed)
            return
        gevent.sleep(0.2)


@events.test_stop.add_listener
def _stop(environment: Environment, **_: Any) -> None:
    supervisor = _front.supervisor
    if supervisor is not None:
        supervisor.stop()
        _front.hear(environment)
        _front.supervisor = None
        supervisor.close()
    if not isinstance(environment.runner, WorkerRunner):
        if isinstance(environment.runner, MasterRunner):
            gevent.sleep(locust.runners.WORKER_REPORT_INTERVAL + 0.5)  # the workers' last blocks come with their next report
        _guarded(environment, lambda env: _finish(env, supervisor))


def _finish(environment: Environment, supervisor: Supervisor | None) -> None:
    options = environment.parsed_options
    assert options is not None
    if supervisor is not None and supervisor.failed:
        return
    datasets = supervisor.datasets if supervisor else {}
    out, record = write(_front.chosen(environment), dict(_front.blocks), options, datasets, _front.started_at)
    if any(s.status == "failed" for s in record.scenarios):
        environment.process_exit_code = 1
    sys.stdout.flush()
    for form in ("terminal", "html"):  # tables and figures want an unpatched process
        code = subprocess.run([sys.executable, "-m", "harness", "report", str(out), "--format", form], check=False).returncode
        if code != 0:
            environment.process_exit_code = code


def _guarded(environment: Environment, deed: Any) -> None:
    try:
        deed(environment)
    except HarnessError as error:
        _give_up(environment, str(error), error.code)


def _give_up(environment: Environment, says: str, code: int = 1) -> None:
    sys.stderr.write(f"harness: {says}\n")
    environment.process_exit_code = code
    if environment.runner is not None and environment.web_ui is None:
        gevent.spawn(environment.runner.quit)


@events.report_to_master.add_listener
def _report(client_id: str, data: dict[str, Any]) -> None:
    del client_id
    data["harness_blocks"], _front.unsent = msgspec.to_builtins(_front.unsent), []


@events.worker_report.add_listener
def _merge(client_id: str, data: dict[str, Any]) -> None:
    _front.from_worker(client_id, data.get("harness_blocks", []))
