"""The signals that ask a command to stop: SIGINT (Ctrl-C), SIGTERM (a cancelled job) and SIGHUP (a closed terminal)."""

import atexit
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType

from harness.runtime.channel import leave

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
END_S = 5.0
"""The longest wait for threads at the end of a command, in seconds."""
REPEAT_S = 0.3
"""Seconds after a signal in which another one is not a new request: `timeout` and terminals send theirs twice."""


@contextmanager
def as_interrupts() -> Iterator[None]:
    """Let SIGTERM and SIGHUP do what SIGINT does meanwhile, except one that was ignored before, as SIGHUP is under nohup.

    Where SIGINT is ignored, as in a shell's background job, they raise KeyboardInterrupt. Without effect in another thread than
    the main one, which alone handles signals.
    """
    last_s = -math.inf

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal last_s
        repeated = time.monotonic() - last_s < REPEAT_S
        last_s = time.monotonic()
        if not repeated:
            current = signal.getsignal(signal.SIGINT)  # asyncio has its own while it runs
            (current if callable(current) else signal.default_int_handler)(number, frame)

    asked = [number for number in STOPPING if number != signal.SIGINT and signal.getsignal(number) is not signal.SIG_IGN]
    with _handled(dict.fromkeys(asked, interrupt)):
        yield


def end_at_once(code: int) -> None:
    """Let these signals end the process with an exit code from now on, when all is done but the interpreter's own end.

    They end it while it waits for threads, for which it waits END_S at most: those of foreign code may never end. After that they
    are ignored: the interpreter would reset them, and they would kill it.
    """
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: leave(code))
            atexit.register(signal.signal, number, signal.SIG_IGN)
    sys.unraisablehook = lambda _: None  # of what foreign code does at the end, such as exiting with another code

    def leave_late() -> None:
        time.sleep(END_S)
        leave(code)

    with suppress(RuntimeError):  # no thread can be started any more
        threading.Thread(target=leave_late, daemon=True).start()


@contextmanager
def deferred() -> Iterator[None]:
    """Defer these signals to the end of the context, which must be short: something made or removed must not be left half done."""
    received: list[signal.Signals] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        received.append(signal.Signals(number))

    try:
        with _handled({number: remember for number in STOPPING if callable(signal.getsignal(number))}):
            yield
    finally:
        if received:
            signal.raise_signal(received[0])


@contextmanager
def _handled(handlers: Mapping[signal.Signals, Callable[[int, FrameType | None], object]]) -> Iterator[None]:
    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                stack.callback(signal.signal, number, signal.getsignal(number))
                signal.signal(number, handler)
        yield
