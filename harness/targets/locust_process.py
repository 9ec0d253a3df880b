"""The parent's side of a process of Locust users: start it, order operations, and wait for their ends."""

import asyncio
import itertools
import threading
from types import TracebackType
from typing import Self

import msgspec

from harness.errors import ScenarioFailedError, UsageError
from harness.runtime.child import Child, JobFailed, child_environment, python_module
from harness.runtime.cores import elsewhere, keep_apart
from harness.targets.locust_messages import CancelTask, RunTask, TaskEnded, UsersFound, UsersJob, UsersReady, UsersReport

EXIT_S = 5.0
"""Seconds that a process may take to run `on_stop` of its users."""
SKIPS_PATCH = "LOCUST_SKIP_MONKEY_PATCH"
"""The variable that keeps Locust from patching a process; users need it to."""
_decoder: msgspec.json.Decoder[UsersReport] = msgspec.json.Decoder(UsersReport)


class LocustTaskError(Exception):
    """A task, or one of its requests, that failed."""


class LocustUsers:
    """A process of users, from `start` to `close`; its operations belong to one event loop."""

    def __init__(self, job: UsersJob) -> None:
        self.server = 0
        """Process id of the server that they load; 0 if it is not known."""
        self._job = job
        self._waiting: dict[int, asyncio.Future[TaskEnded]] = {}
        self._numbers = itertools.count()
        self._child: Child[UsersReport] | None = None
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._child is not None
        return self._child.process.pid

    def start(self, timeout_s: float | None = None) -> UsersFound:
        """Start the process and wait until its users are ready; return the user classes of the locustfile.

        Raises:
            UsageError: the locustfile cannot be imported or has no users.
            ScenarioFailedError: a user cannot start, or the process ends or does not get ready in time.
        """
        environment = {name: value for name, value in child_environment().items() if name != SKIPS_PATCH}
        command = python_module("harness.targets.locust_users")
        self._child = Child(command, _decoder, environment=environment, cores=elsewhere(), exit_timeout_s=EXIT_S)
        keep_apart(self._child.process.pid)
        self._child.send(self._job)
        found = self._receive(UsersFound, timeout_s, "importing the locustfile")
        if self._job.users:
            self._receive(UsersReady, timeout_s, "starting its users")
        return found

    async def run(self, user: str, index: int) -> TaskEnded:
        """Have a user run a task and return its outcome; raise LocustTaskError if it fails."""
        ended = await self.tried(user, index)
        if ended.error:
            raise LocustTaskError(ended.error)
        return ended

    async def tried(self, user: str, index: int) -> TaskEnded:
        """Have a user run a task and return its outcome, whatever that is."""
        assert self._child is not None
        if self._reader is None:
            self._reader = threading.Thread(target=self._read, args=(asyncio.get_running_loop(),), daemon=True)
            self._reader.start()
        number = next(self._numbers)
        future: asyncio.Future[TaskEnded] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            if not self._child.send(RunTask(number, user, index)):
                raise LocustTaskError("the process of the Locust users has exited")
            return await future
        except asyncio.CancelledError:
            self._child.send(CancelTask(number))
            raise
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """Let the users stop, and end the process."""
        if self._child is None:
            return
        self._child.end()
        if self._reader is not None:
            self._reader.join()
        self._child.close()

    def __enter__(self) -> Self:
        """Return the users, which are still to be started."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close."""
        self.close()

    def _receive(self, kind: type[UsersFound | UsersReady], timeout_s: float | None, step: str) -> UsersFound:
        """Wait for a report; raise the error of the process if it gives up."""
        assert self._child is not None
        try:
            report = self._child.receive(timeout_s)
        except TimeoutError:
            raise ScenarioFailedError(f"{step} did not end within {timeout_s:g} s; see --timeout") from None
        if isinstance(report, JobFailed):
            raise UsageError(report.message) if report.code == UsageError.code else ScenarioFailedError(report.message)
        if not isinstance(report, kind):
            raise ScenarioFailedError(f"the process of the Locust users ended while {step}: {self._child.ending()}")
        return report  # type: ignore[return-value]  # the caller knows which of the two it waits for

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._child is not None
        while (report := self._child.receive()) is not None:
            if isinstance(report, TaskEnded):
                try:
                    loop.call_soon_threadsafe(self._ended, report)
                except RuntimeError:  # the loop is closed
                    return
        try:
            loop.call_soon_threadsafe(self._lost)
        except RuntimeError:
            return

    def _ended(self, report: TaskEnded) -> None:
        future = self._waiting.get(report.number)
        if future is not None and not future.done():
            future.set_result(report)

    def _lost(self) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LocustTaskError("the process of the Locust users exited unexpectedly"))
