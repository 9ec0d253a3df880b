"""A loop that never sleeps: a core that does takes its time to wake up, a tenth of a millisecond in a virtual machine.

A generator's own waking up would be in the times it takes. So the loop turns with nothing to do, as packet generators poll. It
takes a whole core, and is for whoever has one alone. Idle turns are told apart, so that it is still known how busy the process was.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

from harness.runtime.clock import Clock

IDLE_TURN_NS = 20_000
"""A turn of the loop that takes no longer had nothing to do: answering anybody takes longer."""


class Awake:
    """Keeps the running loop turning while it is entered and `wanted`; an async context manager.

    `idle_ns` is how long turns took in which nothing happened, since it was made.
    """

    def __init__(self, clock: Clock, *, wanted: bool = True) -> None:
        self.idle_ns = 0
        self._now_ns, self._wanted = clock.now_ns, wanted
        self._turning: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start turning."""
        if self._wanted:
            self._turning = asyncio.get_running_loop().create_task(self._turn())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Let the loop sleep again."""
        if self._turning is not None:
            self._turning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._turning

    async def _turn(self) -> None:
        before_ns = self._now_ns()
        while True:
            await asyncio.sleep(0)
            now_ns = self._now_ns()
            if now_ns - before_ns <= IDLE_TURN_NS:
                self.idle_ns += now_ns - before_ns
            before_ns = now_ns
