"""Ctrl-C in a process of many greenlets."""

import signal
import time
from types import FrameType

import gevent
from gevent.hub import getcurrent

from harness.runtime.signals import REPEAT_S


def to_this_greenlet(*, once: bool) -> None:
    """Have Ctrl-C and a closed terminal raise KeyboardInterrupt in this greenlet, which waits for the end, and nowhere else.

    Python raises it in whatever greenlet happens to run: the one that reads a worker's reports would end with a traceback, and
    Locust with the exit code of an error. A signal that was ignored before stays ignored, as SIGHUP is under nohup. With `once`,
    as for a worker, which its master interrupts too, a second one does not disturb the end that the first one began.
    """
    here, loop = getcurrent(), gevent.get_hub().loop
    at_s: list[float] = []

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if not at_s or (not once and time.monotonic() - at_s[-1] > REPEAT_S):
            loop.run_callback_threadsafe(here.throw, KeyboardInterrupt)
        at_s.append(time.monotonic())

    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
