"""The process of the users of a locustfile: real Locust users, whose tasks start when the load generator orders it.

Importing Locust patches a process, so that users are greenlets, as in Locust itself. Each has its own client and has run `on_start`
before its first task. An order goes to a free user of its class; if none is free, it waits, and a further user starts. Users never
wait between tasks: `wait_time` and load shapes are not used, because arrivals are the load generator's.
"""

import contextlib
import os
import random
import re
import sys
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

try:
    import locust
except ModuleNotFoundError:
    locust = None  # type: ignore[assignment]  # an extra; the parent gets the command that installs it
else:
    import gevent
    from gevent.event import AsyncResult
    from locust.env import Environment
    from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopUser
    from locust.user.task import LOCUST_STATE_RUNNING, DefaultTaskSet, TaskSet
    from locust.util.load_locustfile import load_locustfile

import msgspec

from harness.discovery import import_refusal
from harness.errors import HarnessError, ScenarioFailedError, UsageError, describe, missing_extra, text_of
from harness.network.addresses import LOOPBACK, is_loopback, is_remote_allowed
from harness.redaction import redacted
from harness.runtime import channel
from harness.runtime.child import JobFailed, decode_path
from harness.targets.locust_messages import (
    FoundTask,
    FoundUser,
    RunTask,
    TaskEnded,
    UsersFound,
    UsersJob,
    UsersOrder,
    UsersReady,
    UsersReport,
)
from harness.text import encode_json

SPARE = 2
"""Free users of a class below which a further one starts."""
STOP_S = 3.0
"""Seconds that `on_stop` of all users may take."""
MAX_INTERRUPTS = 50
"""Times that a set may be interrupted in one operation."""
MAX_MESSAGE = 200
"""Characters of an error."""
_REFUSED = ("Connection refused", "Failed to establish a new connection", "Name or service not known", "No address")
_ERRNO = re.compile(r"\[Errno -?\d+\] ([^'\")\]]+)")
_NEW_CONNECTION = re.compile(r"Failed to establish a new connection: ([^'\"]+?)[)'\"]*$")
_URL = re.compile(r" for url: \S+")
_decoder: msgspec.json.Decoder[UsersOrder] = msgspec.json.Decoder(UsersOrder)


@dataclass
class OrderedTask:
    """An order while it is carried out."""

    order: RunTask
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    is_refused: bool = False
    user: "LocustUser | None" = None

    def fail(self, error: BaseException, what: str = "") -> None:
        """Note a failure."""
        text = error_text(error)
        self.is_refused = self.is_refused or any(part in text_of(error) for part in _REFUSED)
        self.errors.append(f"{what}: {text}" if what else text)

    @property
    def ended(self) -> TaskEnded:
        """The report."""
        number, error = self.order.number, redacted(self.errors[0])[:MAX_MESSAGE] if self.errors else ""
        return TaskEnded(number, error, self.is_refused, list(dict.fromkeys(self.requests)))


def error_text(error: BaseException) -> str:
    """Return an error in one line, without the URL and the objects that HTTP clients put into it."""
    text = " ".join(text_of(error).split())
    found = _ERRNO.search(text) or _NEW_CONNECTION.search(text)
    text = found[1].strip() if found else _URL.sub("", text)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class LocustUser:
    """One user: a greenlet that starts it and then runs one task after another."""

    def __init__(self, pool: "UserPool", kind: Any) -> None:
        self.pool, self.kind = pool, kind
        self.current: OrderedTask | None = None
        self.sets: dict[Any, Any] = {}
        self.interrupts = 0
        self.next: Any = AsyncResult()
        self.greenlet: Any = gevent.spawn(self._live)
        self.greenlet.harness_user = self

    def _live(self) -> None:
        try:
            user = self.user = self.kind(self.pool.environment)
            user._state = LOCUST_STATE_RUNNING  # noqa: SLF001 - as Locust does in `run`, which this stands for
            user._greenlet, user._taskset_instance = gevent.getcurrent(), DefaultTaskSet(user)  # noqa: SLF001 - as above
            user.on_start()
        except Exception as error:  # noqa: BLE001 - the user's own code
            self.pool.failed_to_start(self, error)
            return
        self.pool.free(self)
        while True:
            operation = self.next.get()
            self.next, self.current, operation.user = AsyncResult(), operation, self
            self.interrupts = 0
            lives = self._run(operation)
            self.current = None
            self.pool.send(operation.ended)
            if not lives:
                self.pool.left(self)
                return
            self.pool.free(self)

    def _run(self, operation: OrderedTask) -> bool:
        """Run one task and return whether the user goes on."""
        try:
            self._step(self.user, self.kind.tasks[operation.order.index])
        except (RescheduleTask, RescheduleTaskImmediately, InterruptTaskSet):
            return True
        except StopUser:
            return False
        except Exception as error:  # noqa: BLE001 - the user's own code
            operation.fail(error, f"{self.kind.__name__}{_line(error, self.pool.file)}")
        return True

    def _step(self, parent: Any, task: Any) -> None:
        """Run a task; of a set, its next task. A set goes on at the next operation until it is interrupted.

        A task that does nothing but interrupt its set is not an operation: the set begins again with its next task.
        """
        if not (isinstance(task, type) and issubclass(task, TaskSet)):
            if isinstance(parent, TaskSet):
                parent.execute_task(task)
            else:
                task(parent)
            return
        while not self._step_set(parent, task):
            operation, self.interrupts = self.current, self.interrupts + 1
            if operation is None or operation.requests or self.interrupts == MAX_INTERRUPTS:
                return

    def _step_set(self, parent: Any, kind: Any) -> bool:
        """Run the next task of a set, and return whether the set goes on; it ends where it is interrupted."""
        if kind not in self.sets:
            self.sets[kind] = made = kind(parent)
            made.on_start()
        current = self.sets[kind]
        queue = current._task_queue  # noqa: SLF001 - of `schedule_task`, which users call
        try:
            self._step(current, queue.popleft() if queue else current.get_next_task())
        except InterruptTaskSet:
            del self.sets[kind]
            current.on_stop()
            return False
        return True


class UserPool:
    """The users of all classes."""

    def __init__(self, environment: Any, job: UsersJob, file: Path, send: Any) -> None:
        self.environment, self.file, self.send = environment, file, send
        self._limit = job.max_users
        self._kinds = {kind.__name__: kind for kind in environment.user_classes}
        self._free: dict[Any, deque[LocustUser]] = {kind: deque() for kind in self._kinds.values()}
        self._waiting: dict[Any, deque[OrderedTask]] = {kind: deque() for kind in self._kinds.values()}
        self._starting: dict[Any, int] = dict.fromkeys(self._kinds.values(), 0)
        self._users: set[LocustUser] = set()
        self._operations: dict[int, OrderedTask] = {}
        self._failed: tuple[Any, BaseException] | None = None
        environment.events.request.add_listener(self._requested)

    def prepare(self, numbers: dict[str, int]) -> int:
        """Start users and return their number when all are ready; raise ScenarioFailedError if one cannot start."""
        for name, number in numbers.items():
            for _ in range(number):
                self._start(self._kinds[name])
        while any(self._starting.values()) and self._failed is None:
            gevent.sleep(0.01)
        if self._failed is not None:
            kind, error = self._failed
            raise ScenarioFailedError(f"{kind.__name__}: on_start{_line(error, self.file)} failed: {error_text(error)}")
        return len(self._users)

    def run(self, order: RunTask) -> None:
        """Have a user carry out an order, now or as soon as one is free."""
        kind, operation = self._kinds[order.user], OrderedTask(order)
        self._operations[order.number] = operation
        if self._free[kind]:
            self._free[kind].pop().next.set(operation)
        else:
            self._waiting[kind].append(operation)
        if len(self._free[kind]) + self._starting[kind] < SPARE + len(self._waiting[kind]) and len(self._users) < self._limit:
            self._start(kind)

    def cancel(self, number: int) -> None:
        """End an operation."""
        operation = self._operations.pop(number, None)
        if operation is None:
            return
        if operation.user is None:
            with contextlib.suppress(ValueError):
                self._waiting[self._kinds[operation.order.user]].remove(operation)
        elif operation.user.current is operation:
            user = operation.user
            user.greenlet.kill(block=False)
            self.left(user)

    def free(self, user: LocustUser) -> None:
        """Give a user that has become free the next order, if one waits."""
        self._ready(user)
        if self._waiting[user.kind]:
            user.next.set(self._waiting[user.kind].popleft())
        else:
            self._free[user.kind].append(user)

    def failed_to_start(self, user: LocustUser, error: BaseException) -> None:
        """Fail the order for which a user was to start."""
        self._ready(user)
        self.left(user)
        self._failed = self._failed or (user.kind, error)
        if self._waiting[user.kind]:
            operation = self._waiting[user.kind].popleft()
            operation.fail(error, f"on_start of {user.kind.__name__}{_line(error, self.file)}")
            self.ended(operation)

    def ended(self, operation: OrderedTask) -> None:
        """Report an operation without a user."""
        self._operations.pop(operation.order.number, None)
        self.send(operation.ended)

    def left(self, user: LocustUser) -> None:
        """Forget a user that has stopped."""
        self._users.discard(user)

    def stop(self) -> None:
        """Run `on_stop` of every user, for a limited time."""
        stopping = [gevent.spawn(user.user.on_stop) for user in self._users if hasattr(user, "user")]
        gevent.joinall(stopping, timeout=STOP_S)

    def _start(self, kind: Any) -> None:
        self._starting[kind] += 1
        self._users.add(LocustUser(self, kind))

    def _ready(self, user: LocustUser) -> None:
        if not getattr(user, "is_ready", False):
            user.is_ready = True  # type: ignore[attr-defined]
            self._starting[user.kind] -= 1

    def _requested(self, request_type: str, name: str, exception: BaseException | None = None, **_: Any) -> None:
        """Note a request of the operation that made it."""
        operation = _operation()
        if operation is None:
            return
        operation.requests.append(f"{request_type} {redacted(str(name))}")
        if exception is not None:
            operation.fail(exception, operation.requests[-1])


def _operation() -> OrderedTask | None:
    """Return the operation of this greenlet, or of the one that spawned it."""
    greenlet: Any = gevent.getcurrent()
    while greenlet is not None:
        user = getattr(greenlet, "harness_user", None)
        if isinstance(user, LocustUser):
            return user.current
        spawned_by = getattr(greenlet, "spawning_greenlet", None)
        greenlet = spawned_by() if callable(spawned_by) else None
    return None


def _line(error: BaseException, file: Path) -> str:
    """Return the line of the locustfile at which an error was raised; empty if it was not raised there."""
    lines = [frame.lineno for frame in traceback.extract_tb(_trace(error)) if frame.filename == str(file)]
    return f" at {file.name}, line {lines[-1]}" if lines else ""


def _trace(error: BaseException) -> TracebackType | None:
    return error.__traceback__


def found_users(classes: dict[str, Any]) -> list[FoundUser]:
    """Return the user classes of a locustfile with their tasks."""
    return [
        FoundUser(
            name=name,
            host=kind.host,
            weight=float(kind.fixed_count or kind.weight),
            needs_host=hasattr(kind, "client") or issubclass(kind, locust.HttpUser | locust.FastHttpUser),
            tasks=list(_tasks(kind.tasks)),
            waits=kind.wait_time is not locust.User.wait_time,
        )
        for name, kind in classes.items()
    ]


def _tasks(tasks: list[Any]) -> Iterator[FoundTask]:
    for index, task in enumerate(tasks):
        if tasks.index(task) == index:
            is_set = isinstance(task, type)
            yield FoundTask(index, getattr(task, "__name__", str(task)), tasks.count(task), is_set)


def refuse_remote_addresses() -> None:
    """Let every connection of this process to another machine fail, before its name is looked up."""

    def check(event: str, arguments: tuple[Any, ...]) -> None:
        if event in {"socket.connect", "socket.sendto"} and isinstance(arguments[1], tuple):
            host = arguments[1][0]
        elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
            host = arguments[0]
        else:
            return
        name = host.decode(errors="replace") if isinstance(host, bytes) else host or LOOPBACK
        if not is_loopback(name):
            raise ConnectionError(f"{name} is not this machine, add --allow-remote")

    sys.addaudithook(check)


def _imported(file: Path) -> tuple[dict[str, Any], bool]:
    """Return the user classes of a locustfile, and whether it has a load shape; raise UsageError if it cannot be used."""
    try:
        classes, shapes = load_locustfile(str(file))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise UsageError(import_refusal(file, error)) from error
    if "harness.locust_adapter" in sys.modules:
        raise UsageError(f"{file} is a locustfile of scenarios; name a scenario: harness load SCENARIO")
    if not classes:
        raise UsageError(f"{file} has no user class; write a subclass of locust.HttpUser with tasks")
    empty = next((name for name, kind in classes.items() if not kind.tasks), None)
    if empty:
        raise UsageError(f"{file}: {empty} has no tasks; mark its methods with @task")
    return classes, bool(shapes)


def main() -> None:
    """Receive a job, prepare users, then run tasks under the orders that follow."""
    supervisor = channel.connect()
    line = supervisor.read_line()
    if not line:
        return

    def send(report: UsersReport) -> None:
        with contextlib.suppress(OSError):  # the parent has exited
            supervisor.write_line(encode_json(report))

    try:
        _serve(msgspec.json.decode(line, type=UsersJob), supervisor, send)
    except HarnessError as error:
        send(JobFailed(str(error), error.code, kind=type(error).__name__))
    except BaseException as error:  # noqa: BLE001 - a locustfile's own code may raise anything
        send(JobFailed(describe(error), detail=traceback.format_exc(), kind=type(error).__name__))
    os._exit(0)  # greenlets and threads of the locustfile must not keep the process alive


def _serve(job: UsersJob, supervisor: channel.Channel, send: Any) -> None:
    if locust is None:
        raise missing_extra("locust", "locust", "a locustfile")
    file = decode_path(Path, job.file)
    if not is_remote_allowed():
        refuse_remote_addresses()
    random.seed(job.seed)
    classes, has_shape = _imported(file)
    send(UsersFound(found_users(classes), has_shape))
    if not job.users:
        return
    environment = Environment(
        user_classes=[classes[name] for name in job.users], events=locust.events, host=job.host or None, locustfile=file.name
    )
    with contextlib.suppress(SystemExit, Exception):  # without it a locustfile sees None, as under Locust as a library
        from locust.argument_parser import get_parser  # noqa: PLC0415 - needed here only

        environment.parsed_options = get_parser(default_config_files=[]).parse_args(["-f", str(file), "--headless"])
    for kind in classes.values() if job.host else ():
        kind.host = job.host
    runner = environment.create_local_runner()
    environment.events.init.fire(environment=environment, runner=runner, web_ui=None)
    environment.events.test_start.fire(environment=environment)
    pool = UserPool(environment, job, file, send)
    send(UsersReady(pool.prepare(job.users)))
    while line := supervisor.read_line():
        order = _decoder.decode(line)
        if isinstance(order, RunTask):
            pool.run(order)
        else:
            pool.cancel(order.number)
    pool.stop()
    environment.events.test_stop.fire(environment=environment)


if __name__ == "__main__":
    main()
