"""Tests of the memory probe, in separate processes: the kernel's peak has what sampling misses, and a limit ends an operation."""

import subprocess
import sys

import pytest

from harness.bench.probes.memory import CURVE_POINTS, ChildMemory, TreeSample, peak_bytes, thin

PROGRAM = """
import multiprocessing, os, subprocess, sys, time
from harness.runtime.clock import MonotonicClock
from harness.bench.probes import memory
calls = []
memory.adopt_orphans()
{before}
def operation():
    calls.append(1)
    {body}
    return 42
try:
    used, answer = memory.{call}
except MemoryError:
    print("MemoryError")
else:
    print(answer, len(calls), used.peak_bytes - used.idle_bytes, len(used.curve))
"""


def measured(body: str, call: str = "measure(operation, MonotonicClock())", before: str = "") -> list[str]:
    """Run the probe in a fresh process and return the words it printed."""
    program = PROGRAM.format(body=body, call=call, before=before)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_short_spike_is_in_the_peak() -> None:
    """Eighty megabytes that are gone at once are in the kernel's high-water mark, whatever the sampler saw."""
    answer, calls, added, _ = measured("x = bytearray(80_000_000); x[::4096] = b'x' * len(x[::4096]); del x")
    assert (answer, calls) == ("42", "1")
    assert 75_000_000 < int(added) < 120_000_000


def test_a_quick_operation_runs_once() -> None:
    """memory-profiler repeats short functions unless told not to, which would write twice."""
    assert measured("pass")[:2] == ["42", "1"]


def test_only_a_tight_limit_ends_an_operation() -> None:
    """The same operation raises MemoryError under a tight limit, and completes under a wide one."""
    body = "bytearray(80_000_000)"
    assert measured(body, "measure(operation, MonotonicClock(), 40_000_000)") == ["MemoryError"]
    assert measured(body, "measure(operation, MonotonicClock(), 160_000_000)")[0] == "42"


HOLD = "b = bytearray(b'x' * 80_000_000)"
SLOW_HOLD = f"import time; {HOLD}; print(1, flush=True); time.sleep(1)"
SHELL = "subprocess.run(['sh', '-c', {!r}, sys.executable, " + repr(SLOW_HOLD) + "], check=True, stdout=-3)"
HELD = 80_000_000
LOW, HIGH = 0.9 * HELD, 1.6 * HELD
"""The range of a figure for `HELD`, with an interpreter's own memory; the second copy that building it needs is its peak."""


def added(body: str, before: str = "") -> int:
    """Return the bytes that an operation adds."""
    answer, _, found, _ = measured(body, before=before)
    assert answer == "42"
    return int(found)


@pytest.mark.parametrize(
    "body",
    [
        f"subprocess.run([sys.executable, '-c', {SLOW_HOLD!r}], check=True, stdout=-3)",
        f"subprocess.run([sys.executable, '-c', {SLOW_HOLD!r}], check=True, stdout=-3, start_new_session=True)",
        SHELL.format('"$0" -c "$1" & wait'),
        SHELL.format('setsid "$0" -c "$1" &').replace("run(", "Popen(").replace("check=True, stdout=-3", "stdout=-1")
        + ".stdout.read(1)",
    ],
    ids=["a child", "a session of its own", "a grandchild", "a daemon, whose parent has exited"],
)
def test_memory_of_processes_that_the_operation_starts_counts(body: str) -> None:
    """It is the same operation, wherever its memory is: twice the bytes while the array is built."""
    assert 2 * LOW < added(body) < 2 * HIGH


FORK = """
context = multiprocessing.get_context("fork")
def fork(count, work, *args):
    children = [context.Process(target=work, args=args) for _ in range(count)]
    [child.start() for child in children]
    [child.join() for child in children]
def hold():
    held = bytearray(40_000_000)
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(0.5)
"""


def test_memory_shared_after_a_fork_counts_once() -> None:
    """Forked workers that do nothing add next to nothing, though each of them maps all that their parent has."""
    assert added("fork(3, time.sleep, 0.3)", HOLD + FORK) < 0.5 * HELD


def test_memory_that_forked_workers_add_counts() -> None:
    """Each worker's own memory is added up, as they run at the same time."""
    assert LOW < added("fork(2, hold)", FORK) < HIGH


SERVER = """
program = '''import sys
b = bytearray(b"x" * 80_000_000)
print("ready", flush=True)
sys.stdin.readline()
c = bytearray(b"x" * 40_000_000)
print("done", flush=True)
sys.stdin.readline()
'''
server = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
server.stdout.readline()
def ask():
    server.stdin.write(chr(10))
    server.stdin.flush()
    server.stdout.readline()
"""


def test_a_server_that_was_running_before_is_idle_memory() -> None:
    """Only what it adds during the operation counts."""
    assert 0.45 * HELD < added("ask()", SERVER) < 1.3 * HELD


def test_an_operation_that_raises_leaves_other_processes_running() -> None:
    """The exception arrives, and a process that was running before still runs."""
    before = "other = subprocess.Popen(['sleep', '60'])"
    call = "measure(lambda: [][0], MonotonicClock())"
    program = PROGRAM.format(body="pass", call=call, before=before).replace("except MemoryError", "except IndexError")
    program = program.replace('print("MemoryError")', "print(other.poll()); other.kill()")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["None"]


def tree(own: int, **children: tuple[int, int, int]) -> TreeSample:
    """Return a sample of a tree; the children are named by their process id."""
    return TreeSample(0.0, own, {int(name[1:]): ChildMemory(*figures) for name, figures in children.items()})


@pytest.mark.parametrize(
    ("samples", "own_peak", "exited", "expected"),
    [
        ([], 100, 0, 100),
        ([], 180, 0, 180),
        ([tree(100, p1=(50, 60, 10))], 100, 0, 150),
        ([tree(100, p1=(50, 90, 10))], 100, 0, 180),  # its own peak, less what it shares
        ([tree(100, p1=(50, 60, 10), p2=(30, 40, 10))], 100, 0, 180),
        ([tree(100, p1=(50, 60, 10))], 100, 90, 150),  # not larger than this process, from which it was forked
        ([tree(100, p1=(50, 60, 10))], 100, 300, 390),  # the child rose after its last sample
        ([], 100, 300, 300),  # a child that no sample has, of which this process's size may be shared
    ],
)
def test_the_peak_is_the_highest_that_is_certain(samples: list[TreeSample], own_peak: int, exited: int, expected: int) -> None:
    """Samples and high-water marks together."""
    assert peak_bytes(tree(100), samples, own_peak, exited) == expected


def test_the_idle_memory_of_a_server_is_in_the_peak_once() -> None:
    """A server of 50 that rises to 80 between two samples adds 30."""
    assert peak_bytes(tree(100, p1=(50, 50, 0)), [tree(100, p1=(50, 80, 0))], 100, 0) == 180
    assert peak_bytes(tree(100, p1=(50, 50, 0)), [tree(100, p1=(50, 50, 0))], 130, 0) == 180


@pytest.mark.parametrize("length", [0, 1, CURVE_POINTS, CURVE_POINTS + 1, 10 * CURVE_POINTS + 7])
def test_a_long_curve_is_thinned_and_keeps_its_peak(length: int) -> None:
    """Never many more points than asked for; the highest and the last stay."""
    curve = [(i / 100, (i * 7919) % 10_007) for i in range(length)]
    kept = thin(curve)
    assert len(kept) <= CURVE_POINTS + 1
    if curve:
        assert max(b for _, b in kept) == max(b for _, b in curve)
        assert kept[-1] == curve[-1]
