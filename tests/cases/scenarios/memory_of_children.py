"""Memory of children."""

import subprocess
import sys
from contextlib import asynccontextmanager

from harness import Case, Group, Promise, Scenario, cut, memory_cut

BIG = "b = bytearray(b'x' * 300_000_000); print(len(b))"


class MemChild(Scenario):
    """The optimised arm moves its 300 MB into a child process."""

    arms = {"baseline": "in this process", "optimised": "in a child"}
    groups = [Group("g", "make 300 MB")]
    promises = [Promise("MC", "half the memory", cut(0.5), memory_cut("g"))]

    def cases(self, setting):
        return [Case("g", f"n {n}", n) for n in range(1)]

    @asynccontextmanager
    async def open(self, arm, setting):
        yield arm

    async def run(self, instance, case):
        if instance == "baseline":
            b = bytearray(b"x" * 300_000_000)
            return len(b)
        return int(subprocess.run([sys.executable, "-c", BIG], capture_output=True).stdout)
