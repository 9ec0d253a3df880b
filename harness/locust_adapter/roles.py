"""The role of each Locust process in a run: a single process, or a master that distributes the load over workers."""

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gevent
import msgspec
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner, Runner, WorkerRunner

from harness.errors import INTERRUPTED, HarnessError, ScenarioFailedError, UsageError
from harness.load.block import GIVE_UP_S, LoadBlock
from harness.load.environment import load_environment
from harness.load.results import CollectedResults, ScenarioEnvironment
from harness.load.supervisor import STOP_S, Supervisor
from harness.locust_adapter.request import RunRequest
from harness.locust_adapter.results import VerdictPage, exit_code, print_summary, write, write_report
from harness.locust_adapter.statistics import count
from harness.network.addresses import allow_remote, is_loopback
from harness.results.load import LoadModel, Tick
from harness.results.names import shortened
from harness.results.store import run_file
from harness.results.unfinished import without_run
from harness.runtime import machine
from harness.runtime.channel import refuse_exits
from harness.text import message_line

POLL_S = 0.2  # the interval at which load workers and Locust workers are polled
ALONE = "here"  # the client id of a single process

HERE, PREPARE, READY, DRAIN = "harness_here", "harness_prepare", "harness_ready", "harness_drain"
"""Messages between master and workers, in addition to Locust's own; a worker's blocks are in its reports."""

REQUEST = "harness_request"  # the name of the request among the options that the master sends to its workers; None without one
REPORT_KEY = "harness"  # the key of the harness's data in a worker's report


MOST = 2_000
"""The most characters of a message."""


def complain(problem: object) -> None:
    """Print a problem as one line on standard error."""
    sys.stderr.write(shortened(message_line(f"harness: {problem}"), MOST) + "\n")


@dataclass
class EngineHandle:
    """One load worker with the servers and data of its scenarios, from `prepare` to `release`; it can be prepared again."""

    client: str = ""
    """The client id of this Locust worker; empty with a single process."""
    request: RunRequest | None = None
    """The request that it is ready for."""
    environments: dict[str, ScenarioEnvironment] = field(default_factory=dict)
    """Scenario name → its environment, for the record."""
    facts: dict[str, str] = field(default_factory=dict)
    """Description of the load worker's process."""
    cannot_run: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(scenario, arm, group, error) of groups that an arm cannot run as written."""
    _supervisor: Supervisor | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def failed(self) -> str | None:
        """The reason why the load worker ended early, or None."""
        failed = self._supervisor.failed if self._supervisor else None
        return failed and self._named(failed)

    def prepare(self, request: RunRequest) -> None:
        """Build the data and start the load worker, unless both are ready for the same request; raise a `HarnessError` if not."""
        if self.request == request:
            return
        self.release()
        with ExitStack() as stack:
            stack.callback(refuse_exits())  # of servers that the scenario describes, and of their ends
            if request.allow_remote:
                allow_remote()
            prepared = load_environment(request.scenarios, request.settings, timeout_s=request.load.timeout_s)
            environment = stack.enter_context(prepared)
            supervisor = Supervisor(request.job(environment, self.client))
            try:
                supervisor.start()
            except ScenarioFailedError as error:
                raise ScenarioFailedError(self._named(str(error), request)) from error
            stack.callback(supervisor.close)
            self._stack = stack.pop_all()
        self.request, self._supervisor, self.environments = request, supervisor, environment.scenarios
        self.facts, self.cannot_run = supervisor.facts, supervisor.cannot_run

    def _named(self, problem: str, request: RunRequest | None = None) -> str:
        """Return a problem with the name of the only scenario; where there are several, the load worker names it."""
        request = request or self.request
        names = [loaded.name for loaded in request.scenarios] if request is not None else []
        return problem if len(names) != 1 or names[0] in problem else f"{names[0]}: {problem}"

    def load(self, users: int) -> None:
        """Set the number of users; in the open model start the schedule."""
        is_open = self.request is not None and self.request.load.model == LoadModel.OPEN
        if self._supervisor is not None and (is_open or users):
            self._supervisor.load(0 if is_open else users)

    def received(self) -> tuple[list[LoadBlock], list[Tick]]:
        """Return the blocks and the ticks received since the last call; end a load worker that hangs."""
        if self._supervisor is None:
            return [], []
        self._supervisor.check()
        return self._supervisor.received()

    def drain(self) -> tuple[list[LoadBlock], list[Tick]]:
        """Stop the load worker after its operations in flight; return the rest of its blocks and ticks."""
        if self._supervisor is not None:
            self._supervisor.stop()
        return self.received()

    def release(self) -> None:
        """End the load worker, stop the servers and remove the data."""
        self.request = self._supervisor = None
        self._stack.close()


class Role:
    """The role of one Locust process. `harness.locust_adapter` calls `ready`, `start` and `stop` on Locust's events.

    `ready` prepares in advance what would otherwise shorten a run of limited time; `stop` ends a run, if there is one.
    """

    runner: Runner
    """Locust's runner of this process."""

    def __init__(self, environment: Environment) -> None:
        assert environment.runner is not None
        self.environment, self.runner = environment, environment.runner
        self.options: Any = environment.parsed_options
        self.running = False
        self.is_ending = False
        """Whether the end of a run is at work, which keeps its results, or Locust's own end without a web UI is."""

    def give_up(self, message: str, code: int) -> None:
        """End with one line on standard error; with the web UI the run ends and the page stays."""
        complain(message)
        self.environment.process_exit_code = code
        gevent.spawn(self.runner.stop if self.environment.web_ui is not None else self.runner.quit)

    def poll(
        self, handle: EngineHandle, receive: Callable[[list[LoadBlock], list[Tick]], None], fail: Callable[[str], None]
    ) -> None:
        """Send the load worker the number of users and receive its blocks, until the run ends."""
        while self.running:
            handle.load(self.runner.user_count)
            receive(*handle.received())
            if handle.failed:
                fail(handle.failed)
                return
            gevent.sleep(POLL_S)


class Reporter(Role):
    """A role that writes the run's folder and shows the report."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.results = CollectedResults()
        self.request: RunRequest | None = None
        self.out: str = environment.parsed_options.out if environment.parsed_options is not None else ""
        """The folder of the next run; empty for one named after its time."""
        self.page = VerdictPage(environment) if environment.web_ui is not None else None
        self.unprinted: Path | None = None
        """The folder of the run whose summary is printed when Locust ends."""
        for warning in filter(None, [machine.removal_warning(), *self._open_addresses()]):
            complain(warning)

    def _open_addresses(self) -> Iterator[str]:
        """Yield a warning per address of this process that other machines can reach."""
        options = self.options
        if self.environment.web_ui is not None and not is_loopback(options.web_host) and not options.web_login:
            yield (
                f"the web UI listens at {options.web_host or '*'}, where other machines can start a load; "
                "add --web-login, or leave out --web-host"
            )
        if isinstance(self.runner, MasterRunner) and not is_loopback(options.master_bind_host):
            yield (
                f"the master listens at {options.master_bind_host} for workers, without a password; "
                "use a network of its own, or leave out --master-bind-host"
            )

    def requested(self, users: int, workers: list[str], run: int = 1) -> RunRequest:
        """Return the request of a run, validated before any process prepares for it, as is the folder that it is written to."""
        request = RunRequest.of(self.options, [c.__name__ for c in self.environment.user_classes], users, workers, run)
        self._check_folder()
        return request

    def _check_folder(self) -> None:
        """Raise UsageError if the run cannot be written to the folder of --out, or would replace another run.

        With the web UI, the second run of a process gets the folder's name with a number.
        """
        if not self.options.out:
            return
        out = Path(self.options.out)
        for number in itertools.count(2) if self.page is not None and self.results.blocks else ():
            if not run_file(out).exists():
                break
            out = Path(f"{self.options.out}-{number}")
        self.out = str(without_run(out))
        above = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            problem = "is not writable" if above.is_dir() else "is not a folder"
            raise UsageError(f"cannot write {out}: {above} {problem}; choose another folder with --out")

    def quitting(self) -> None:
        """Note whether the run was to last longer, which counts as an interruption."""
        self.results.interrupted = self.running and bool(self.options.headless and self.options.run_time)

    def finish(self, request: RunRequest) -> None:
        """Write the run and its report."""
        try:
            folder, run = write(self.results, request, self.out)
        except HarnessError as error:
            self.environment.process_exit_code = error.code
            complain(error)
            return
        code = write_report(folder) or exit_code(run, self.options.exit_code_on_error)
        if code or not self._others_failed(request):
            self.environment.process_exit_code = code
        if self.page is not None:
            self.page.show(folder, run)
            print_summary(folder)
        else:
            self.unprinted = folder

    def print_last(self) -> None:
        """Print the summary of a run without a web UI, below the tables that Locust prints as it ends."""
        folder, self.unprinted = self.unprinted, None
        if folder is not None:
            print_summary(folder)

    def _others_failed(self, request: RunRequest) -> bool:
        """Return whether users of other locustfiles failed: Locust then decides on the exit code."""
        mine = tuple(f"{scenario.name}: " for scenario in request.scenarios)
        return bool(self.runner.exceptions) or any(not error.name.startswith(mine) for error in self.runner.errors.values())


class Alone(Reporter):
    """The single process of a run without workers."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.handle = EngineHandle()

    def ready(self) -> None:
        """Prepare the load worker of a headless run."""
        if self.options.headless:
            try:
                self.handle.prepare(self.requested(self.options.num_users or 1, []))
            except HarnessError as error:
                self.handle.release()
                complain(error)
                sys.exit(error.code)

    def start(self) -> None:
        """Prepare the load worker, if it is not ready, and start the load."""
        results, handle = CollectedResults(), self.handle
        try:
            self.request = self.requested(self.options.num_users or 1, [])
            handle.prepare(self.request)
        except HarnessError as error:
            self.give_up(str(error), error.code)
            return
        results.environments, results.facts, results.cannot_run = handle.environments, handle.facts, handle.cannot_run
        self.results, self.running = results, True
        gevent.spawn(self.poll, handle, self.receive, lambda reason: self.give_up(reason, 1))

    def receive(self, blocks: list[LoadBlock], ticks: list[Tick]) -> None:
        """Add blocks to Locust's statistics and to the results."""
        self.results.add(1, blocks, ticks)
        for block in blocks:
            count(self.environment.stats, block, ALONE)

    def stop(self) -> None:
        """Drain and report."""
        was_running, self.running = self.running, False
        if was_running:
            self.receive(*self.handle.drain())
            if self.handle.failed:
                blocks = len(self.results.blocks.get(1, []))
                self.results.crashed.append(f"the load worker, after {blocks} of its blocks: {self.handle.failed}")
        self.handle.release()
        if was_running and self.request is not None:
            self.finish(self.request)


class FromWorker(msgspec.Struct):
    """The harness's part of a worker's report to the master."""

    run: int
    """The number of the run it belongs to: a report may arrive after the next run has started."""
    blocks: list[LoadBlock] = []
    """Blocks since the last report; as are `ticks`."""
    ticks: list[Tick] = []
    environments: dict[str, ScenarioEnvironment] = {}
    facts: dict[str, str] = {}
    cannot_run: list[tuple[str, str, str, str]] = []
    failed: str | None = None
    """The reason why there will be no more blocks."""
    code: int = 0
    """The exit code that belongs to `failed`."""
    done: bool = False
    """Whether these were the last blocks."""


class Master(Reporter):
    """The process that distributes the load over workers, and to which they report."""

    runner: MasterRunner

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.here: set[str] = set()
        self.prepared: set[str] = set()
        self.done: dict[str, str | None] = {}
        self.run = 0

    def ready(self) -> None:
        """Have the expected number of workers prepare for a headless run."""
        self.environment.events.worker_report.add_listener(self.receive)
        self.runner.register_message(HERE, lambda msg, **_: self.here.add(msg.node_id))
        self.runner.register_message(READY, lambda msg, **_: self.prepared.add(msg.node_id))
        if not self.options.headless:
            return
        try:
            self.requested(1, [])  # an invalid request is refused before waiting for workers
            self._wait(lambda: len(self.here) >= self.options.expect_workers, float(self.options.expect_workers_max_wait))
            workers = [worker for worker in self._workers() if worker in self.here]
            request = msgspec.to_builtins(self.requested(self.options.num_users or 1, workers))
            for worker in workers:
                self.runner.send_message(PREPARE, request, worker)
            self._wait(lambda: self.prepared >= set(workers) or any(self.done.values()))
        except HarnessError as error:
            self._leave(str(error), error.code)
        except KeyboardInterrupt:
            self._leave("stopped before the run started", INTERRUPTED)
        if failures := [reason for reason in self.done.values() if reason]:
            self._leave(failures[0], self.environment.process_exit_code or 1)
        self.done.clear()

    def start(self) -> None:
        """Distribute the load; the request is sent with Locust's own message to spawn users."""
        before = self.results
        self.results = CollectedResults(environments=before.environments, facts=before.facts, cannot_run=before.cannot_run)
        self.done = {}
        self.run += 1
        self.request = None
        setattr(self.options, REQUEST, None)
        try:
            self.request = self.requested(self.runner.target_user_count, self._workers(), self.run)
        except HarnessError as error:
            self.give_up(str(error), error.code)
            return
        setattr(self.options, REQUEST, msgspec.to_builtins(self.request))
        self.running = True

    def receive(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        """Add the harness's part of a worker's report."""
        message = msgspec.convert(data[REPORT_KEY], FromWorker) if REPORT_KEY in data else None
        if message is None or message.run != max(1, self.run):
            return
        if self.request is not None and client_id in self.request.workers:
            self.results.add(self.request.workers.index(client_id) + 1, message.blocks, message.ticks)
        self.results.environments |= message.environments
        self.results.facts |= message.facts
        self.results.cannot_run = message.cannot_run or self.results.cannot_run
        if message.failed and client_id not in self.done:
            self.done[client_id] = message.failed
            self.environment.process_exit_code = message.code
            if self.running:
                self.give_up(message.failed, message.code)
        elif message.done:
            self.done.setdefault(client_id, None)

    def stop(self) -> None:
        """Have the workers drain, note those that stopped early, and report."""
        if not self.running or self.request is None:
            return
        self.running = False
        code, request = self.environment.process_exit_code, self.request
        self.runner.send_message(DRAIN, {})
        with gevent.Timeout(request.load.drain_s + GIVE_UP_S + STOP_S, False):  # noqa: FBT003 - gevent's way to raise nothing
            while set(request.workers) - set(self.done) - self._missing():
                gevent.sleep(POLL_S)
        for number, worker in enumerate(request.workers, 1):
            reason = self.done.get(worker, "it no longer responds")
            if reason is not None:
                blocks = len(self.results.blocks.get(number, []))
                self.results.crashed.append(f"worker {number} of {len(request.workers)}, after {blocks} of its blocks: {reason}")
        self.finish(request)
        self.environment.process_exit_code = code or self.environment.process_exit_code

    def _workers(self) -> list[str]:
        return sorted((w for w in self.runner.clients if w not in self._missing()), key=self.runner.get_worker_index)

    def _missing(self) -> set[str]:
        return {client.id for client in self.runner.clients.all if client.state == STATE_MISSING}

    def _wait(self, enough: Callable[[], bool], seconds: float = 0) -> None:
        with gevent.Timeout(
            seconds or None, ScenarioFailedError("timed out waiting for workers; start more workers, or lower --expect-workers")
        ):
            while not enough():
                if missing := self._missing() & self.here:
                    raise ScenarioFailedError(f"worker {min(missing)} stopped before the run; check its output and restart it")
                gevent.sleep(POLL_S)

    def _leave(self, message: str, code: int) -> None:
        complain(message)
        self.runner.quit()
        sys.exit(code)


class Worker(Role):
    """A process that carries a share of the load and reports to its master."""

    runner: WorkerRunner

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.handle = EngineHandle(self.runner.client_id)
        self.next = FromWorker(0)
        """The next report, so far."""

    def ready(self) -> None:
        """Wait for the master's messages."""
        self.environment.events.report_to_master.add_listener(self.report)
        self.runner.register_message(PREPARE, lambda msg, **_: self.prepare(msg.data), concurrent=True)
        self.runner.register_message(DRAIN, lambda **_: self.drain(), concurrent=True)
        self.runner.send_message(HERE, {})

    def prepare(self, data: dict[str, Any]) -> None:
        """Prepare before the run, and report it."""
        try:
            request = msgspec.convert(data, RunRequest)
            self.next.run = request.run
            self.handle.prepare(request)
        except HarnessError as error:
            self.next.failed, self.next.code = str(error), error.code
        self.send_report()
        self.runner.send_message(READY, {})

    def start(self) -> None:
        """Prepare the load worker, if it is not ready, and start the load."""
        data = getattr(self.options, REQUEST)
        if data is None:
            return
        request = msgspec.convert(data, RunRequest)
        self.next = FromWorker(request.run)
        if self.runner.client_id not in request.workers:
            complain("this worker joined after the load was distributed; it takes part from the next run on")
            return
        self.running = True
        try:
            self.handle.prepare(request)
        except HarnessError as error:
            self.fail(str(error), error.code)
        else:
            gevent.spawn(self.poll, self.handle, self.receive, lambda reason: self.fail(reason, 1))

    def fail(self, reason: str, code: int) -> None:
        """Report to the master that there will be no more blocks."""
        self.next.failed, self.next.code = reason, code
        self.drain()

    def receive(self, blocks: list[LoadBlock], ticks: list[Tick]) -> None:
        """Add blocks to Locust's statistics and to the next report."""
        self.next.blocks += blocks
        self.next.ticks += ticks
        for block in blocks:
            count(self.environment.stats, block, self.runner.client_id)

    def drain(self) -> None:
        """Wait for operations in flight, and report to the master at once: a worker that quits sends no other report."""
        if self.running:
            self.running = False
            self.receive(*self.handle.drain())
            self.next.done = True
            self.send_report()

    def stop(self) -> None:
        """Drain and release the load worker."""
        self.drain()
        self.handle.release()

    def send_report(self) -> None:
        """Send a report now, as Locust does every few seconds."""
        data: dict[str, Any] = {}
        self.environment.events.report_to_master.fire(client_id=self.runner.client_id, data=data)
        self.runner.send_message("stats", data)

    def report(self, data: dict[str, Any], **_: Any) -> None:
        """Add the harness's part to a report."""
        message, handle = self.next, self.handle
        message.environments, message.facts, message.cannot_run = handle.environments, handle.facts, handle.cannot_run
        data[REPORT_KEY] = msgspec.to_builtins(message)
        message.blocks, message.ticks = [], []
