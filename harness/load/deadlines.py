"""Deadlines inside a load worker: nothing that a scenario does may keep a run waiting for ever.

An operation that waits is cancelled. One that blocks the event loop cannot be: the watchdog, a thread, names it, and the process
ends. An operation in a thread cannot be cancelled either, and would take its core from the arms that follow: the worker ends.
The supervisor has a deadline for every step of the worker as well, for code that lets no other thread run.
"""

import asyncio
import copy
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any, ParamSpec, Self, TypeVar

from harness.errors import ScenarioFailedError
from harness.load.block import InFlight
from harness.load.protocol import StepStarted
from harness.runnable import RunnableScenario
from harness.runtime.channel import end_if_forked
from harness.runtime.clock import Clock
from harness.scenario import Case

CHECK_S = 0.25  # the interval at which the watchdog looks for a turn of the loop, and at which threads are checked
LIMITED = ("run", "state", "reset", "settle")  # methods of an instance that are awaited outside of a block

POOL_NAME = "synchronous run"
"""The beginning of the names of the threads of a synchronous scenario."""

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class OperationHangsError(ScenarioFailedError):
    """An arm that keeps the process from going on; the message names it."""


class OperationThreads(ThreadPoolExecutor):
    """The pool of threads of a synchronous scenario, with the number of calls that run."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit, POOL_NAME)
        self.running = 0
        self._counting = threading.Lock()

    def submit(self, call: Callable[Arguments, Answer], /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Future[Answer]:
        """Run a call in a thread."""

        def counted() -> Answer:
            with self._counting:
                self.running += 1
            try:
                return call(*args, **kwargs)
            except StopIteration as error:  # no future can have it: the one that awaits it would wait for ever
                raise RuntimeError("it raised StopIteration") from error
            finally:
                end_if_forked()
                with self._counting:
                    self.running -= 1

        return super().submit(counted)

    def leave(self) -> None:
        """Take no more calls, and do not wait for those that run."""
        self.shutdown(wait=False, cancel_futures=True)


def named(arm: str, case: Case) -> str:
    """Return an operation's name for messages."""
    return f"{arm}, case {case.name!r} of group {case.group!r}"


def limited(
    scenario: RunnableScenario,
    instances: Mapping[str, Any],
    timeout_s: float,
    begin: Callable[[StepStarted], None],
    is_busy: Callable[[], bool] = lambda: False,
) -> RunnableScenario:
    """Return the scenario with a timeout for each call of an instance's methods; `begin` gets every call before it starts.

    `is_busy` returns whether a thread of the scenario still runs: after a timeout nothing but the end of the process stops it.
    """
    arms: dict[int, str] = {}
    for arm, instance in instances.items():  # arms may share an instance
        arms[id(instance)] = " or ".join(filter(None, (arms.get(id(instance)), arm)))
    made = copy.copy(scenario)
    for name in LIMITED:
        setattr(made, name, _limited(name, getattr(scenario, name), arms, timeout_s, begin, is_busy))
    return made


def _limited(
    name: str,
    method: Callable[..., Awaitable[Any]],
    arms: Mapping[int, str],
    timeout_s: float,
    begin: Callable[[StepStarted], None],
    is_busy: Callable[[], bool],
) -> Callable[..., Awaitable[Any]]:
    async def call(instance: Any, *args: Any) -> Any:
        arm = arms.get(id(instance), "an arm")
        case = args[0] if args else None
        step = named(arm, case) if case is not None else arm
        begin(StepStarted(step if name == "run" else f"{step}: {name}()", arm, timeout_s))
        limit = asyncio.timeout(timeout_s)
        try:
            async with limit:
                return await method(instance, *args)
        except TimeoutError as error:
            if not limit.expired():
                raise
            what = "no answer" if name == "run" else f"{name}() did not end"
            group = f" in group {case.group!r}" if case is not None else ""
            message = f"{what} within {timeout_s:g} s{group}; see --timeout"
            if is_busy():  # its thread goes on and would disturb the other arms
                raise OperationHangsError(f"{step}: {message}") from None
            raise TimeoutError(message) from error
        finally:
            end_if_forked()

    return call


class Watchdog:
    """Watches the running loop and calls `fail`, in a thread, if it takes no turn for longer than a timeout. A context manager."""

    def __init__(self, timeout_s: float, clock: Clock, fail: Callable[[OperationHangsError], None]) -> None:
        self.step = StepStarted("the load worker", "", timeout_s)
        """The step of the worker that runs."""
        self.limit_s = timeout_s
        """The longest time without a turn of the loop in it."""
        self.in_flight: Callable[[], list[InFlight]] = list
        """Returns the operations in flight of the current block."""
        self.files: list[Path] = []
        """Scenario files, of which the line that blocks is named."""
        self._clock, self._fail = clock, fail
        self._ended = threading.Event()
        self._turned = threading.Event()

    def __enter__(self) -> Self:
        """Start the thread."""
        self._loop, self._main = asyncio.get_running_loop(), threading.get_ident()
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Let the thread end."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(CHECK_S):
            self._turned.clear()
            limit_s, asked_ns = self.limit_s, self._clock.now_ns()
            try:
                self._loop.call_soon_threadsafe(self._turned.set)
            except RuntimeError:  # the loop was closed
                return
            while not self._turned.wait(CHECK_S) and not self._ended.is_set():
                if (self._clock.now_ns() - asked_ns) / 1e9 > limit_s:
                    self._fail(OperationHangsError(self.description()))
                    return

    def description(self) -> str:
        """Return which operation, or else which step, blocks the loop, where in the scenario, and for how long at least."""
        task = asyncio.current_task(self._loop)
        blocking = next((o for o in self.in_flight() if task is not None and o.task is task), None)
        name = self.step.step if blocking is None else named(self.step.arm, blocking.case)
        line = blocked_line(sys._current_frames().get(self._main), self.files)  # noqa: SLF001 - documented for debuggers
        where = f" ({line})" if line else ""
        return f"{name} blocks the event loop{where}: no answer within {self.limit_s:g} s; see --timeout"


def blocked_line(frame: FrameType | None, files: list[Path]) -> str:
    """Return the innermost line of the scenarios' files in a stack, as `member.py, line 7`; empty if there is none."""
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if any(file.name == known.name and file.resolve() == known.resolve() for known in files):
            return f"{file.name}, line {frame.f_lineno}"
        frame = frame.f_back
    return ""
