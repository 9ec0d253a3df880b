"""A web application of the user as a server on loopback, in a process of its own, which never outlives the one that started it.

An ASGI application runs on uvicorn, a WSGI application on waitress, in one process each (the extra `http`). The memory and the CPU
time of that process are those of the application. The statements of its SQLAlchemy engines can be counted from outside.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
import inspect
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import msgspec

from harness.errors import HarnessError, MissingExtraError, UsageError, describe, missing_extra
from harness.network.addresses import LOOPBACK
from harness.runtime import channel
from harness.runtime.child import Child, JobFailed, child_environment, exit_description
from harness.runtime.cores import elsewhere, keep_apart

START_S = 60.0
"""Seconds that an application may take to start."""
ENDED_S = 0.5
"""Seconds in which a process that is about to end does so, once its connections are lost."""
STOP_S = 5.0
"""Seconds that it may take to stop before it is killed."""
THREADS = 8
"""Threads of a WSGI application."""
KEEP_ALIVE_S = 600
"""Seconds after which the server closes an idle connection; the harness never does."""
BACKLOG = 2048
ASGI_PARAMETERS, WSGI_PARAMETERS = 3, 2
"""Positional parameters of an application: (scope, receive, send), and (environ, start_response)."""


class ApplicationJob(msgspec.Struct, tag=True, frozen=True):
    """The first message to the process of an application."""

    name: str
    """`module:attribute`, or `module:factory(…)` with constants as arguments."""


class ServingAt(msgspec.Struct, tag=True, frozen=True):
    """The reply once it accepts connections."""

    port: int


class CountOrder(msgspec.Struct, tag=True, frozen=True):
    """An order to begin counting statements, or to end it."""

    begins: bool


class Counted(msgspec.Struct, tag=True, frozen=True):
    """The reply to an order: the counts since counting began; none without SQLAlchemy."""

    counts: dict[str, float] = {}


_Reply = ServingAt | Counted | JobFailed
_decoder: msgspec.json.Decoder[_Reply] = msgspec.json.Decoder(_Reply)


class ServedApplication:
    """An application that accepts connections."""

    def __init__(self, child: Child[_Reply], port: int) -> None:
        self.port = port
        self.pid = child.process.pid
        self._child = child

    @property
    def url(self) -> str:
        """The URL, without a slash at its end."""
        return f"http://{LOOPBACK}:{self.port}"

    def ended(self) -> str | None:
        """Return how the process ended, such as `SIGKILL`, after waiting up to `ENDED_S` for that; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._child.process.wait(ENDED_S)
            return exit_description(code) if code < 0 else self._child.ending()
        return None

    def begin_counting(self) -> None:
        """Count the statements of all SQLAlchemy engines of the process from now on."""
        self._order(begins=True)

    def end_counting(self) -> Mapping[str, float]:
        """Stop counting; return statements, rows, transactions and sets of parameters, or nothing without SQLAlchemy."""
        return self._order(begins=False)

    def _order(self, *, begins: bool) -> Mapping[str, float]:
        self._child.send(CountOrder(begins))
        try:
            reply = self._child.receive(START_S)
        except TimeoutError:
            raise UsageError(
                f"the application has not answered for {START_S:g} s; start it by hand to see where it hangs"
            ) from None
        if not isinstance(reply, Counted):
            raise UsageError(f"the application stopped: {self._child.ending()}; start it by hand to see more")
        return reply.counts


class ApplicationStatements:
    """Counts the statements of an application while it is entered: a probe, as `harness.probes.statements.Statements`."""

    def __init__(self, application: ServedApplication) -> None:
        self._application = application
        self._counts: Mapping[str, float] = {}

    async def __aenter__(self) -> Self:
        self._application.begin_counting()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._counts = self._application.end_counting()

    def counts(self) -> Mapping[str, float]:
        """Return the counts."""
        return self._counts


@contextmanager
def served_application(name: str, environment: Mapping[str, str] | None = None) -> Iterator[ServedApplication]:
    """Start the application that `module:attribute` or `module:factory(…)` names; yield it, and stop it at the end.

    It is imported with this process's import path and gets `environment` in addition to that of this process.

    Raises:
        UsageError: it cannot be imported, is not an application, or does not start in time, with the reason and its line.
    """
    with Child(
        [sys.executable, "-P", "-m", __name__],  # this process's import path alone: the folder might have other modules
        _decoder,
        environment={**child_environment(), **(environment or {})},
        cores=elsewhere(),
        exit_timeout_s=STOP_S,
    ) as child:
        keep_apart(child.process.pid)
        child.send(ApplicationJob(name))
        try:
            reply = child.receive(START_S)
        except TimeoutError:
            raise UsageError(
                f"the application {_shown(name)} was not ready within {START_S:g} s; start it by hand to see why"
            ) from None
        if isinstance(reply, JobFailed):
            raise reply.error()
        if not isinstance(reply, ServingAt):
            raise UsageError(f"the application {_shown(name)} cannot be started: {child.ending()}; start it by hand to see more")
        yield ServedApplication(child, reply.port)


def application_named(name: str) -> Any:
    """Import and return an application; of a factory, what it returns for its arguments. Raises UsageError, or what it raises."""
    module_name, colon, expression = name.partition(":")
    try:
        parsed = ast.parse(expression.strip(), mode="eval").body if colon and module_name else None
        call = parsed if isinstance(parsed, ast.Call) else None
        attribute = ast.unparse(call.func if call is not None else parsed) if parsed is not None else ""
        arguments = [ast.literal_eval(each) for each in call.args] if call is not None else []
        keywords = {each.arg or "": ast.literal_eval(each.value) for each in call.keywords} if call is not None else {}
    except (SyntaxError, ValueError):
        attribute = ""
    if not attribute.replace(".", "").replace("_", "").isalnum():
        raise UsageError(f"{_shown(name)!r} does not name an application; write module:app, or module:create_app() with constants")
    found = importlib.import_module(module_name)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found(*arguments, **keywords) if call is not None else found  # type: ignore[operator]  # not a module


def is_asgi(application: Any) -> bool:
    """Return whether an application is called as ASGI demands, and not WSGI; UsageError for what is neither."""
    try:
        parameters = inspect.signature(application).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]  # none are known
    positional = [each for each in parameters if each.kind in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD}]
    number = len([each for each in positional if each.default is each.empty])
    if number not in {ASGI_PARAMETERS, WSGI_PARAMETERS}:
        kind = type(application).__name__
        raise UsageError(
            f"an object of type {kind} is neither an ASGI nor a WSGI application; name one, or a factory with its call: "
            "module:create()"
        )
    return number == ASGI_PARAMETERS


def main() -> None:
    """Serve the application of the first message, and execute the orders that follow, until the channel ends."""
    parent = channel.connect(exit_with_parent=False)  # at the end of the channel: the thread that started it may end before
    line = parent.read_line()
    if not line:
        return
    job = msgspec.json.decode(line, type=ApplicationJob)
    try:
        application = application_named(job.name)
        serve = _serve_asgi if is_asgi(application) else _serve_wsgi
    except Exception as error:  # noqa: BLE001 - importing runs the user's code, which may raise anything
        _send(parent, JobFailed(_failure(job.name, error), UsageError.code, traceback.format_exc()))
        sys.exit(1)
    with socket.create_server((LOOPBACK, 0), backlog=BACKLOG) as listener:
        try:
            serve(application, listener, parent)
        except MissingExtraError as error:
            _send(parent, JobFailed(str(error), error.code))


def _failure(name: str, error: Exception) -> str:
    if isinstance(error, HarnessError):
        return str(error)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(("<", __file__))]
    own = [frame for frame in own if f"{os.sep}importlib{os.sep}" not in frame.filename]
    place = f" at {own[-1].filename}, line {own[-1].lineno}" if own else ""
    return f"the application {_shown(name)} cannot be imported{place}: {describe(error)}; fix that, or name another one"


def _shown(name: str) -> str:
    """Return a name without its arguments, which may have a password."""
    return name.partition("(")[0]


def _serve_asgi(application: Any, listener: socket.socket, parent: channel.Channel) -> None:
    try:
        import uvicorn  # noqa: PLC0415 - only where there is an ASGI application
    except ModuleNotFoundError as error:
        raise missing_extra(str(error.name), "http", "serving an ASGI application") from error

    class _Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if not self.should_exit:
                _ready(parent, listener)

    server = _Server(
        uvicorn.Config(
            application,
            log_level="warning",
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=1,
        )
    )
    server.run(sockets=[listener])


def _serve_wsgi(application: Any, listener: socket.socket, parent: channel.Channel) -> None:
    try:
        from waitress import create_server  # noqa: PLC0415 - only where there is a WSGI application
    except ModuleNotFoundError as error:
        raise missing_extra(str(error.name), "http", "serving a WSGI application") from error

    server = create_server(application, sockets=[listener], threads=THREADS, channel_timeout=KEEP_ALIVE_S)
    _ready(parent, listener)
    server.run()


def _ready(parent: channel.Channel, listener: socket.socket) -> None:
    _send(parent, ServingAt(listener.getsockname()[1]))
    threading.Thread(target=_obey, args=(parent,), daemon=True).start()


def _obey(parent: channel.Channel) -> None:
    """Execute orders; when the channel ends, stop the server, which may still close what it has opened."""
    counter = _Counter()
    while line := parent.read_line():
        order = msgspec.json.decode(line, type=CountOrder)
        _send(parent, Counted(counter.begin() if order.begins else counter.end()))
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(STOP_S)
    os._exit(0)


class _Counter:
    """Counts the statements of all SQLAlchemy engines of this process."""

    def __init__(self) -> None:
        self._probe: Any = None

    def begin(self) -> dict[str, float]:
        """Begin, if the application uses SQLAlchemy."""
        if "sqlalchemy" in sys.modules:
            from sqlalchemy import Engine  # noqa: PLC0415 - loaded already

            from harness.probes.statements import Statements  # noqa: PLC0415 - it needs SQLAlchemy

            self._probe = Statements(Engine)  # type: ignore[arg-type]  # listeners of the class are those of all engines
            asyncio.run(self._probe.__aenter__())
        return {}

    def end(self) -> dict[str, float]:
        """Stop, and return the counts."""
        if self._probe is None:
            return {}
        asyncio.run(self._probe.__aexit__())
        return dict(self._probe.counts())


def _send(parent: channel.Channel, message: _Reply) -> None:
    with contextlib.suppress(OSError):  # the parent has exited
        parent.write_line(msgspec.json.encode(message))


if __name__ == "__main__":
    main()
