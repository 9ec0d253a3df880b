"""Probes of an operation's work in the interpreter: its function calls, and the memory that Python allocates for it.

Calls are those in Python and C and in every thread (`sys.setprofile`), exact for one minor version of the interpreter. Code that
hands work between tasks and threads is not counted: the iterations of an event loop, and whether a coroutine has to wait, depend on
timing. Garbage is not collected meanwhile, since finalisers would run at moments that do not repeat.

Allocations are those at their peak beyond what was in use before, nearly exact: the interpreter's record of its blocks
(tracemalloc), without the allocator's caches and the kernel's pages. It does not report the total number.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import dis
import gc
import inspect
import os
import queue
import selectors
import sys
import threading
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Self

_FOLDERS = (Path(asyncio.__file__).parent, Path(concurrent.futures.__file__).parent, Path(__file__).parents[1])
_FILES = (selectors.__file__, threading.__file__, queue.__file__)
NOT_COUNTED = (*(f"{folder}{os.sep}" for folder in _FOLDERS), *_FILES)
"""Code that is not part of an operation: it hands work over, depending on timing, or it measures. Its calls and their
calls of C functions are not counted."""
RESUMABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
NEVER, ANYWHERE = -2, -1
BYTES_IN_ALLOCATIONS = "bytes_in_allocations"
"""The metric of allocations."""
IDLE_S = 0.01
"""Time that a driver's thread has, before and after it is counted, to finish what it does once its answer was taken."""

_counting: Calls | None = None


def watch_new_threads() -> None:
    """Let every thread that starts from now on count while `Calls` is entered; call it before instances are opened.

    Before Python 3.12 a running thread cannot be profiled, and a driver's thread lives as long as its connection.
    """
    if sys.version_info < (3, 12):
        threading.setprofile(_count_call)


class Calls:
    """Counts `python_calls` while it is entered; one at a time in a process."""

    def __init__(self) -> None:
        self.first: dict[CodeType, int] = {}
        """Code → the instruction at which a call of it begins, ANYWHERE or NEVER."""
        self.calls = 0
        """Number of calls so far."""

    async def __aenter__(self) -> Self:
        """Start counting from zero."""
        global _counting  # noqa: PLW0603 - threads that started before have to find the current counter
        self.calls = 0
        gc.collect()
        gc.disable()
        await asyncio.sleep(IDLE_S)
        _counting = self
        _profile_all(_count_call)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop counting."""
        global _counting  # noqa: PLW0603 - as above
        await asyncio.sleep(IDLE_S)
        _profile_all(None)
        _counting = None
        gc.enable()

    def counts(self) -> Mapping[str, float]:
        """Return python_calls."""
        return {"python_calls": self.calls}


def _count_call(frame: FrameType, event: str, _argument: Any) -> None:
    """Count a call of a C function that was made in `frame`, or the call that created the frame; it is called for each event."""
    counting = _counting
    if counting is None or (event != "c_call" and event != "call"):  # noqa: PLR1714 - a set would take longer
        return
    code = frame.f_code
    first = counting.first.get(code)
    if first is None:
        first = counting.first[code] = NEVER if code.co_filename.startswith(NOT_COUNTED) else _first_instruction(code)
    if first == ANYWHERE or (first != NEVER and (event == "c_call" or first == frame.f_lasti)):
        counting.calls += 1


def _first_instruction(code: CodeType) -> int:
    """Return the offset of the instruction at which a call of `code` begins; generators and coroutines resume at others."""
    if not code.co_flags & RESUMABLE:
        return ANYWHERE
    return next((i.offset for i in dis.get_instructions(code) if i.opname == "RESUME"), ANYWHERE)


def _profile_all(profiler: Callable[[FrameType, str, Any], object] | None) -> None:
    """Set the profiler of this thread and, from Python 3.12 on, of all other threads."""
    if sys.version_info >= (3, 12):
        threading.setprofile_all_threads(profiler)
    else:
        sys.setprofile(profiler)


class Allocations:
    """Measures `bytes_in_allocations` while it is entered.

    Take the minimum of several runs, since a dictionary may grow meanwhile.
    """

    def __init__(self) -> None:
        self._before = 0
        self._highest = 0

    async def __aenter__(self) -> Self:
        """Start from the memory in use."""
        gc.collect()
        gc.disable()
        tracemalloc.start()
        tracemalloc.reset_peak()
        self._before = tracemalloc.get_traced_memory()[0]  # not unpacked, which would allocate and so change the figure
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop measuring."""
        self._highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        gc.enable()

    def counts(self) -> Mapping[str, float]:
        """Return bytes_in_allocations."""
        return {BYTES_IN_ALLOCATIONS: max(0, self._highest - self._before)}
