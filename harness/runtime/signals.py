"""The signals that ask a command to stop: SIGINT (Ctrl-C), SIGTERM (a cancelled job) and SIGHUP (a closed terminal)."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
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
