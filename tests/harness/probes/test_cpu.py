"""CPU time is that of all threads, and of the time inside only."""

from __future__ import annotations

import threading
import time

from harness.probes.cpu import CpuTime


def burn(until_ns: int) -> None:
    """Keep this thread busy until it has used so much CPU time."""
    while time.thread_time_ns() < until_ns:
        pass


def test_another_threads_work_counts() -> None:
    """Five milliseconds that another thread burns are in the figure."""
    with CpuTime() as cpu:
        thread = threading.Thread(target=burn, args=(5_000_000,))
        thread.start()
        thread.join()
    assert cpu.used_ns >= 5_000_000


def test_the_figure_stands_still_afterwards() -> None:
    """Work after the end adds nothing."""
    with CpuTime() as cpu:
        pass
    used_ns = cpu.used_ns
    burn(time.thread_time_ns() + 2_000_000)
    assert cpu.used_ns == used_ns
