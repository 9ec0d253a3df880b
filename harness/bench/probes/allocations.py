"""How much memory Python asks for during an operation, at its highest point beyond what was in use before: nearly exact.

From the interpreter's own record of its blocks (tracemalloc), so that neither the allocator's caches nor the kernel's pages are in
it. How many blocks were asked for altogether the interpreter does not tell.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Mapping
from typing import Self


class Allocations:
    """Measures `bytes_in_allocations` while it is entered; a dictionary may grow just then, so take the least of several."""

    def __init__(self) -> None:
        self._before = 0
        self._highest = 0

    async def __aenter__(self) -> Self:
        """Start at what is in use."""
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
