"""Tests of the allocator's free memory: it is read from the interpreter's own text, filled, and freed again."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from harness.bench.probes.allocator import LARGEST_BLOCK, free_blocks

PROGRAM = """
import gc
from harness.bench.probes import allocator
objects = [n.to_bytes(30, "big") for n in range(300_000)]
kept = objects[::500]
del objects
gc.collect()
def free():
    return sum(size * count for size, count in allocator.free_blocks(allocator._statistics()))
before = free()
with allocator.nothing_free():
    within = free()
print(before, within, free())
"""


def test_a_closed_standard_error_is_left_closed() -> None:
    """A scenario may have closed it: its statistics are read all the same."""
    program = (
        "import os; from harness.bench.probes import allocator; os.close(1); os.close(2)\n"
        "assert allocator._statistics()\nos.fstat(2)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode != 0  # by the last line alone, whose error nothing can print
    assert not done.stderr
    assert not subprocess.run([sys.executable, "-c", program.rpartition("\n")[0]], check=False).returncode


def test_free_memory_is_taken_and_given_back() -> None:
    """Megabytes that freed objects have left are in use within the context, and free again after it."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    before, within, after = map(int, done.stdout.split())
    assert before > 5_000_000
    assert within < 0.1 * before
    assert after > 0.8 * before
    assert not done.stderr


@given(st.dictionaries(st.sampled_from(range(16, 513, 16)), st.integers(0, 10_000)), st.integers(0, 5_000))
def test_the_interpreters_text_is_read(classes: dict[int, int], pools: int) -> None:
    """Every class of blocks has its free ones, and unused pools are counted in the largest blocks."""
    lines = [f"{number:5d} {size:6d} {3:11d} {17:15d} {count:13d}" for number, (size, count) in enumerate(classes.items())]
    pooled = f"{pools} unused pools * 16384 bytes       = {pools * 16384:20,}"
    found = free_blocks("\n".join(["class   size   num pools   blocks in use  avail blocks", *lines, "", pooled, ""]))
    expected = [(size, count) for size, count in classes.items() if count]
    assert found == [*expected, *([(LARGEST_BLOCK, 31 * pools)] if pools else [])]


def test_another_allocator_has_no_free_blocks_to_take() -> None:
    """A text without classes of blocks, such as that of the C library's allocator, gives none."""
    assert free_blocks("") == []
    assert free_blocks("8 free PyDictObjects * 48 bytes each =                  384") == []
