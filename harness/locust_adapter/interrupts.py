"""The signals that ask to stop, in a process of many greenlets."""

import signal
from types import FrameType
from typing import Any

import gevent
from gevent.hub import getcurrent

from harness.runtime.signals import STOPPING, Requests, end_now


def to_this_greenlet(*, once: bool, greenlet: Any = None) -> None:
    """Have these signals raise KeyboardInterrupt in a greenlet, by default this one, which waits for the end, and nowhere else.

    Python raises it in whatever greenlet happens to run: the one that reads a worker's reports would end with a traceback, and
    Locust with the exit code of an error. A signal that was ignored before stays ignored, as SIGHUP is under nohup. A second one
    ends the process at once; with `once`, as for a worker, which its master interrupts too, it does not disturb the end that the
    first one began.
    """
    here, loop, requests = greenlet or getcurrent(), gevent.get_hub().loop, Requests()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        asked = requests.count()
        if asked == 1:
            loop.run_callback_threadsafe(here.throw, KeyboardInterrupt)
        elif asked > 1 and not once:
            end_now()

    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
