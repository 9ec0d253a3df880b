"""Linux's timer that is a file: readable once its moment has come. By ctypes, because `os` has it from Python 3.13 only."""

from __future__ import annotations

import ctypes
import os
import time
from contextlib import suppress

_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE = 1
_EXPIRATIONS_BYTES = 8

# PyDLL keeps the interpreter's lock: both calls return at once, and whoever took the lock meanwhile might keep it for milliseconds.
_libc = ctypes.PyDLL(None, use_errno=True)


class _Spec(ctypes.Structure):
    """`struct itimerspec`: an interval, which stays zero so that the timer goes off once, and the moment."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class TimerFd:
    """One timer on the monotonic clock. `fileno` becomes readable when the moment set last has come."""

    def __init__(self) -> None:
        self.fileno: int = _libc.timerfd_create(time.CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self.fileno < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._spec = _Spec()
        self._at = ctypes.byref(self._spec)

    def set(self, at_ns: int) -> None:
        """Go off at a moment of the monotonic clock, in nanoseconds, and at none set before; at once where it has passed."""
        # A moment of zero would mean never.
        self._spec.value_s, self._spec.value_ns = divmod(max(1, at_ns), 1_000_000_000)
        if _libc.timerfd_settime(self.fileno, _ABSOLUTE, self._at, None) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def clear(self) -> None:
        """Stop being readable until set again."""
        with suppress(BlockingIOError):  # set anew since it went off
            os.read(self.fileno, _EXPIRATIONS_BYTES)

    def close(self) -> None:
        """Give the file back."""
        os.close(self.fileno)
