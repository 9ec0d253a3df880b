"""CPU time includes all threads, and only the time within the probe."""

import threading
import time

from harness.probes.cpu import CpuTime


def burn(until_ns: int) -> None:
    """Keep this thread busy until it has used this much CPU time."""
    while time.thread_time_ns() < until_ns:
        pass


def test_other_threads_count() -> None:
    """Five milliseconds used by another thread are included."""
    with CpuTime() as cpu:
        thread = threading.Thread(target=burn, args=(5_000_000,))
        thread.start()
        thread.join()
    assert cpu.used_ns >= 5_000_000


def test_nothing_is_added_afterwards() -> None:
    """Work after the end does not count."""
    with CpuTime() as cpu:
        pass
    used_ns = cpu.used_ns
    burn(time.thread_time_ns() + 2_000_000)
    assert cpu.used_ns == used_ns
