"""Probe of the memory that Python allocates during an operation, at its peak beyond what was in use before: nearly exact.

It comes from the interpreter's record of its blocks (tracemalloc) and so does not include the allocator's caches or the kernel's
pages. The interpreter does not report the total number of allocations.
"""

import gc
import tracemalloc
from collections.abc import Mapping
from typing import Self


class Allocations:
    """Measures `bytes_in_allocations` while it is entered.

    A dictionary may happen to grow meanwhile: take the minimum of several runs.
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
        self._before = tracemalloc.get_traced_memory()[0]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop measuring."""
        self._highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        gc.enable()

    def counts(self) -> Mapping[str, float]:
        """Return bytes_in_allocations."""
        return {"bytes_in_allocations": max(0, self._highest - self._before)}
