"""How many functions an operation calls, Python's and C's, in every thread it uses: exact where the interpreter's minor version is.

The interpreter tells of each call (`sys.setprofile`). What hands work between tasks and threads is left out: how often an event
loop turns, and whether a coroutine has to wait and is resumed, depends on who is quicker, and differs between repeats of an
operation through a driver's thread. Garbage is not collected meanwhile, since it calls what is finalised at moments that do not
repeat.
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
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Self

_FOLDERS = (Path(asyncio.__file__).parent, Path(concurrent.futures.__file__).parent, Path(__file__).parents[1])
_FILES = (selectors.__file__, threading.__file__, queue.__file__)
NOT_ITS_OWN = (*(f"{folder}{os.sep}" for folder in _FOLDERS), *_FILES)
"""Code that is no part of an operation: what hands over, whose turns depend on moments, and what measures. No call of it, nor any
that it makes of C, is counted."""

RESUMABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
NEVER, ANYWHERE = -2, -1

Profiler = Callable[[FrameType, str, Any], object]

_counting: Calls | None = None


def watch_new_threads() -> None:
    """Let every thread that starts from now on count, while somebody counts; call it before instances are opened.

    Before Python 3.12 a running thread cannot be told, and a driver's thread lives as long as its connection.
    """
    if sys.version_info < (3, 12):
        threading.setprofile(_relay)


class Calls:
    """Counts `python_calls` while it is entered; one at a time in a process."""

    def __init__(self) -> None:
        self._begins: dict[CodeType, int] = {}
        self._calls = 0

    async def __aenter__(self) -> Self:
        """Start counting from zero."""
        global _counting  # noqa: PLW0603 - threads that started long ago have to find who counts now
        self._calls = 0
        gc.collect()
        gc.disable()
        _counting = self
        _profile_all(_relay)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop counting."""
        global _counting  # noqa: PLW0603 - as above
        _profile_all(None)
        _counting = None
        gc.enable()

    def counts(self) -> Mapping[str, float]:
        """Return python_calls."""
        return {"python_calls": self._calls}

    def note(self, frame: FrameType, event: str) -> None:
        """Count a call of C's that was made in `frame`, or the call that began it."""
        code = frame.f_code
        begins = self._begins.get(code)
        if begins is None:
            begins = self._begins[code] = NEVER if code.co_filename.startswith(NOT_ITS_OWN) else _beginning(code)
        self._calls += begins != NEVER and (event == "c_call" or begins in {ANYWHERE, frame.f_lasti})


def _relay(frame: FrameType, event: str, _argument: Any) -> None:
    counting = _counting
    if counting is not None and event in {"call", "c_call"}:
        counting.note(frame, event)


def _beginning(code: CodeType) -> int:
    """Return the instruction at which a call of `code` begins; a generator or a coroutine is resumed at others."""
    if not code.co_flags & RESUMABLE:
        return ANYWHERE
    return next((i.offset for i in dis.get_instructions(code) if i.opname == "RESUME"), ANYWHERE)


def _profile_all(profiler: Profiler | None) -> None:
    """Set the profiler of this thread and, from Python 3.12 on, of all the others."""
    if sys.version_info >= (3, 12):
        threading.setprofile_all_threads(profiler)
    else:
        sys.setprofile(profiler)
