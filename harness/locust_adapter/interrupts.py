"""The signals that ask to stop, in a process of many greenlets."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

import gevent
from gevent.hub import getcurrent

from harness.runtime.signals import STOPPING, Requests, end_now

POLL_S = 0.1
"""Seconds between two looks at whether the end of a run is over."""


def to_this_greenlet(*, once: bool, greenlet: Any = None, is_ending: Callable[[], bool] = lambda: False) -> None:
    """Have these signals raise KeyboardInterrupt in a greenlet, by default this one, which waits for the end, and nowhere else.

    Python raises it in whatever greenlet happens to run: the one that reads a worker's reports would end with a traceback, and
    Locust with the exit code of an error. A signal that was ignored before stays ignored, as SIGHUP is under nohup. A second one
    ends the process at once; with `once`, as for a worker, which its master interrupts too, it does not disturb the end that the
    first one began. While the end of a run `is_ending`, as its time is over, the first one waits for it: nothing would be kept.
    """
    here, loop, requests = greenlet or getcurrent(), gevent.get_hub().loop, Requests()

    def throw() -> None:
        gevent.spawn(throw_later) if is_ending() else here.throw(KeyboardInterrupt)

    def throw_later() -> None:
        while is_ending():
            gevent.sleep(POLL_S)
        loop.run_callback(here.throw, KeyboardInterrupt)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        asked = requests.count()
        if asked == 1:
            loop.run_callback_threadsafe(throw)
        elif asked > 1 and not once:
            end_now()

    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
