"""The signals that ask a command to stop: SIGINT (Ctrl-C), SIGTERM (a cancelled job) and SIGHUP (a closed terminal).

All three do the same. The first one raises KeyboardInterrupt where the command keeps what it has; another one, while it does that,
ends it at once. A signal that was ignored before stays ignored, as SIGHUP is under nohup and SIGINT in a shell's background job.
"""

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

from harness.runtime.channel import leave

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
END_S = 5.0
"""The longest wait for threads at the end of a command, in seconds."""
REPEAT_S = 0.2
"""Seconds after a signal in which another one is not a new request: `timeout` and terminals send theirs twice."""
AGAIN_S = 0.05
"""Seconds after which an interrupt is raised again that was raised where Python drops it, such as while an object is destroyed."""
CODE = 3
"""The exit code of a command that was interrupted."""


@dataclass
class Requests:
    """The requests to stop since a command began."""

    last_s: float | None = None
    """The time of the last signal."""
    number: int = 0

    def count(self) -> int:
        """Note a signal; return the number of requests so far, 0 for a repetition of the last one."""
        now_s = time.monotonic()
        is_repeated = self.last_s is not None and now_s - self.last_s < REPEAT_S
        self.last_s = now_s
        self.number += not is_repeated
        return 0 if is_repeated else self.number


_requests: list[Requests] = []
"""Those of the commands that run in this process, the innermost last; none where signals do what they did before."""


@contextmanager
def as_interrupts() -> Iterator[Requests]:
    """Let each of these signals raise KeyboardInterrupt meanwhile, and a further one end the process; yield the requests.

    Without effect in another thread than the main one, which alone handles signals.
    """
    requests, before = Requests(), signal.getsignal(signal.SIGINT)
    outer = list(_requests)
    is_own = before is _end or bool(outer)

    def interrupt(number: int, frame: FrameType | None) -> None:
        asked = requests.count()
        for each in outer if asked else ():
            each.number += 1
        if asked == 1:
            (before if callable(before) and not is_own else signal.default_int_handler)(number, frame)
        elif asked > 1:
            end_now()

    handled = dict.fromkeys(filter(_is_heeded, STOPPING), interrupt)
    with _handled(handled), _redelivered(requests):
        _requests.append(requests)
        try:
            yield requests
        finally:
            _requests.remove(requests)


def end_when_asked() -> None:
    """Let each of these signals end the process from now on: before a command has anything to keep."""
    for number in filter(_is_heeded, STOPPING):
        signal.signal(number, _end)


def end_at_once(code: int) -> None:
    """Let these signals end the process with an exit code from now on, when all is done but the interpreter's own end.

    They end it while it waits for threads, for which it waits END_S at most: those of foreign code may never end. After that they
    are ignored: the interpreter would reset them, and they would kill it.
    """
    forget_interrupt()
    for number in filter(_is_heeded, STOPPING):
        signal.signal(number, lambda *_: leave(code))
    ignore_at_exit()
    sys.unraisablehook = lambda _: None  # of what foreign code does at the end, such as exiting with another code

    def leave_late() -> None:
        time.sleep(END_S)
        leave(code)

    with suppress(RuntimeError):  # no thread can be started any more
        threading.Thread(target=leave_late, daemon=True).start()


def forget_interrupt() -> None:
    """Let Python end as it would; after an interrupt in the `eval` of a text, such as namedtuple's, it would end by SIGINT."""
    eval("0")  # noqa: S307 - which resets that


def ignore_at_exit() -> None:
    """Ignore these signals from the interpreter's own end on, which would reset them, so that they would kill it."""
    for number in STOPPING:
        atexit.register(signal.signal, number, signal.SIG_IGN)


def end_now() -> None:
    """End the process with the exit code of an interrupted one, with all processes and folders that it has made."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):  # the terminal may have closed
        os.write(2, b"harness: interrupted\n")
    try:
        if found := sys.modules.get("harness.runtime.leftovers"):  # else nothing was made yet
            found.clear_now()
    finally:
        leave(CODE)


@contextmanager
def deferred() -> Iterator[None]:
    """Defer the first of these signals to the end of the context, which must be short: nothing must be left half done in it."""
    received: list[signal.Signals] = []
    now = Requests()

    def remember(number: int, _frame: FrameType | None) -> None:
        asked = now.count()
        if asked and _requests and (asked > 1 or _requests[-1].number):
            end_now()
        received.append(signal.Signals(number))

    try:
        with _handled({number: remember for number in STOPPING if callable(signal.getsignal(number))}):
            yield
    finally:
        if received:
            signal.raise_signal(received[0])


def _end(_number: int, _frame: FrameType | None) -> None:
    end_now()


def _is_heeded(number: signal.Signals) -> bool:
    return signal.getsignal(number) is not signal.SIG_IGN


@contextmanager
def _redelivered(requests: Requests) -> Iterator[None]:
    """Raise an interrupt again that was raised where Python prints exceptions and goes on; print every other one as before."""
    before, main = sys.unraisablehook, threading.main_thread().ident

    def again() -> None:
        requests.last_s, requests.number = None, 0
        if main is not None and requests in _requests:
            signal.pthread_kill(main, signal.SIGTERM)

    def hook(found: Any) -> None:
        if issubclass(found.exc_type, KeyboardInterrupt) and requests.number and _is_heeded(signal.SIGTERM):
            threading.Timer(AGAIN_S, again).start()
        else:
            before(found)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        if sys.unraisablehook is hook:
            sys.unraisablehook = before


@contextmanager
def _handled(handlers: Mapping[signal.Signals, Callable[[int, FrameType | None], object]]) -> Iterator[None]:
    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                stack.callback(signal.signal, number, signal.getsignal(number))
                signal.signal(number, handler)
        yield
