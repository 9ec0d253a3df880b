"""Free memory that Python's allocators keep: what an operation frees stays resident, and the next one would use it unseen.

Before an operation is measured, glibc's allocator returns what is free to the system, and the free blocks of CPython's own, which
cannot be returned, are taken. So what the operation needs is added to the resident set, whatever ran in the process before it.
"""

import ctypes
import os
import re
import sys
import tempfile
from array import array
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat

LARGEST_BLOCK, POOL_HEADER = 512, 48
"""Bytes of the largest block of CPython's allocator, and of the header of a pool of blocks."""
_CLASS = re.compile(r"^ +\d+ +(?P<size>\d+) +\d+ +\d+ +(?P<free>\d+)$", re.MULTILINE)
_POOLS = re.compile(r"^(?P<pools>\d+) unused pools \* (?P<size>\d+) bytes", re.MULTILINE)


@contextmanager
def nothing_free() -> Iterator[None]:
    """Keep Python's allocators without free memory at the beginning of the context; where they differ, nothing is done."""
    _trim()
    malloc, free = ctypes.pythonapi.PyObject_Malloc, ctypes.pythonapi.PyObject_Free
    malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    free.restype, free.argtypes = None, [ctypes.c_void_p]
    taken = [array("Q", map(malloc, repeat(size, count))) for size, count in free_blocks(_statistics())]
    try:
        yield
    finally:
        for blocks in taken:
            deque(map(free, blocks), maxlen=0)


def free_blocks(statistics: str) -> list[tuple[int, int]]:
    """Return (bytes of a block, number of free ones) from the text of `sys._debugmallocstats`; nothing from another allocator's."""
    found = [(int(each["size"]), int(each["free"])) for each in _CLASS.finditer(statistics)]
    pools = _POOLS.search(statistics)
    if pools is not None:  # a pool of any size: taken by the largest blocks
        found.append((LARGEST_BLOCK, int(pools["pools"]) * ((int(pools["size"]) - POOL_HEADER) // LARGEST_BLOCK)))
    return [(size, count) for size, count in found if count]


def _statistics() -> str:
    """Return what the interpreter writes about its allocator, which goes to the file descriptor of standard error."""
    if not hasattr(sys, "_debugmallocstats"):
        return ""
    with tempfile.TemporaryFile() as file:
        try:
            kept = os.dup(2)
        except OSError:  # the scenario has closed it
            kept = None
        os.dup2(file.fileno(), 2)
        try:
            sys._debugmallocstats()  # noqa: SLF001 - documented, for CPython alone
        finally:
            if kept is None:
                os.close(2)
            else:
                os.dup2(kept, 2)
                os.close(kept)
        file.seek(0)
        return file.read().decode(errors="replace")


def _trim() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
    if trim is not None:
        trim(0)
