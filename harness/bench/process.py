"""The parent's side of a bench worker: a fresh process for each job, its messages, and its end.

Always a fresh interpreter, so that hash seed, memory layout and caches differ between processes as they do in production.
"""

import contextlib
import signal
import subprocess
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

import msgspec

from harness.bench.job import COUNTING, BenchJob, JobDone, Message, ReadyToTime, TimePairs
from harness.runtime.child import Child, JobFailed, child_environment, last_error_line, python_module
from harness.runtime.watch import ActivityWatch, Lasting, place_of

COUNTING_HASH_SEED = 0
"""Hash seed of processes that count work: the order of sets decides which functions are called, and how often."""


class LeftRunning(msgspec.Struct, frozen=True):
    """Seen by the parent: the worker did not exit after its job, or processes that it started did not, and were ended."""

    names: list[str]
    """Names of the threads and processes, with the line of a thread."""


Event = Message | LeftRunning
"""A message of a worker, or what its parent sees of it."""

LATE_S = 0.001
"""Seconds to wait for a message of a process that has exited."""
CRASHES = (-signal.SIGSEGV, -signal.SIGFPE, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL)
"""Return codes of a process that has crashed, which writes where."""

_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
_running: set[Child[Message]] = set()


def run_job(
    job: BenchJob, waiting: Callable[[Lasting], bool | None] = lambda _: None, turn: Callable[[], TimePairs] = lambda: TimePairs({})
) -> Generator[Event, None, None]:
    """Run a job in a fresh process and yield its messages as they arrive; `waiting` receives its activity while it sends none.

    If that returns True, the activity is ended as one whose timeout is over.

    After a `ReadyToTime` it waits until the generator is resumed, and then times what `turn` returns.

    The last one is a `JobDone` or a `JobFailed`; that of a process that exits before has its signal or exit code, that of one that
    hangs the arm, the case and the line. Closing the generator, or an exception in the caller, ends the process and everything it
    started.
    """
    command = python_module("harness.bench.worker")
    hash_seed = COUNTING_HASH_SEED if job.task in COUNTING else None
    environment = child_environment(temporary=job.setting.folder)
    with Child(command, _decoder, prefix=job.prefix, environment=environment, cores=job.cpus, hash_seed=hash_seed) as child:
        _running.add(child)
        try:
            child.send(job)
            watch, last = ActivityWatch(child.activity, job.timeout_s), None
            while not isinstance(last, JobDone | JobFailed):
                try:
                    last = child.receive(watch.poll_s)
                except TimeoutError:
                    if child.process.poll() is None:
                        lasting = watch.look()
                        if lasting.is_over:
                            yield _hanging(child, lasting, job.file)
                            return
                        if waiting(lasting):
                            yield _hanging(child, replace(lasting, limit_s=lasting.seconds), job.file)
                            return
                        continue
                    last = _late(child)  # a process that it has forked may keep the channel open
                if last is None:
                    yield _ended(child, job.file)
                    return
                if not isinstance(last, JobDone | JobFailed):
                    yield last
                if isinstance(last, ReadyToTime):
                    child.send(turn())  # one that has exited meanwhile is noticed when the next message is expected
                watch.moved()
            yield from _exit(child, last, job)
        finally:
            _running.discard(child)


def _ended(child: Child[Message], file: Path) -> JobFailed:
    """Return the failure of a worker that sends nothing more, with what it was doing, and the line where it crashed if it did."""
    how, output = child.exit_description(), child.output()
    place = place_of(child.stacks(), file) if child.process.returncode in CRASHES else ""
    activity = child.activity()
    during = f" while {activity}" if activity.number else ""
    error = last_error_line(output) if child.process.returncode > 0 else ""
    reason = f"{how}: {error[:200]}" if error else how
    message = f"worker exited unexpectedly ({reason}){during}{_at(place)}"
    return JobFailed(message, detail=output, during=activity.phase)


def _hanging(child: Child[Message], lasting: Lasting, file: Path) -> JobFailed:
    """Return the failure of a worker whose operation takes too long, with the line in the scenario's file where that is known."""
    stopped = child.stopped()
    stacks = [] if stopped else child.stacks()
    detail = "\n".join(f"{stack.title}: {name}, line {line}" for stack in stacks for name, line in stack.places)
    message = lasting.failure(place_of(stacks, file), stopped)
    return JobFailed(message, detail=detail + "\n" + child.output(), during=lasting.activity.phase)


def _exit(child: Child[Message], outcome: JobDone | JobFailed, job: BenchJob) -> Generator[Event, None, None]:
    """Yield what a worker left running after its job, if that keeps it from exiting or outlives it, and the outcome."""
    if isinstance(outcome, JobDone):
        child.started = outcome.started
    try:
        code = child.process.wait(job.exit_s)
    except subprocess.TimeoutExpired:
        stacks = child.stacks()
        left = [f"{stack.title}{_at(place_of([stack], job.file))}" for stack in stacks if stack.keeps_process]
        unknown = [f"its own exit{_at(place_of(stacks, job.file))}"]
    else:
        left, unknown = [], []
        if isinstance(outcome, JobDone) and code != 0:
            yield _ended(child, job.file)
            return
    if names := [*left, *child.left()] or unknown:
        yield LeftRunning(names)
    while (late := _late(child)) is not None:  # from a process that the worker has forked
        if isinstance(late, JobFailed):
            outcome = late
    yield outcome


def _late(child: Child[Message]) -> Message | None:
    """Return the next message of a worker that has exited; None if it has sent no more."""
    with contextlib.suppress(TimeoutError):
        return child.receive(LATE_S)
    return None


def _at(place: str) -> str:
    return f" at {place}" if place else ""


def end_all() -> None:
    """Kill every worker, whichever thread receives its messages; each of them receives a `JobFailed`."""
    for child in list(_running):
        child.kill()
