"""Tests of the memory probe, in separate processes: the kernel's peak has what sampling misses, and a limit ends an operation."""

import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bench.probes import memory
from harness.bench.probes.memory import (
    CURVE_POINTS,
    OWN_CURVE,
    MemoryUse,
    ProcessMemory,
    TreeSample,
    curve,
    peak_bytes,
    thin,
    tree_sample,
    unreadable,
)

PROGRAM = """
import multiprocessing, os, subprocess, sys, time
from harness.bench.probes import memory
calls, answer, servers = [], None, {{}}
{before}
def operation():
    calls.append(1)
    {body}
    return 42
with memory.MemoryMeter(limit_bytes={limit}) as meter:
    meter.servers = servers
    try:
        with meter.sampling():
            for _ in range({repetitions}):
                with meter.measuring():
                    answer = operation()
    except (MemoryError, IndexError) as error:
        print(type(error).__name__)
    for used in meter.uses():
        print(answer, len(calls), used.peak_bytes - used.idle_bytes, len(used.samples), used.servers.get("server"))
{after}
"""


def measured(
    body: str, *, before: str = "", limit: int | None = None, repetitions: int = 1, after: str = "", pass_fds: tuple[int, ...] = ()
) -> list[list[str]]:
    """Run the probe in a fresh process and return the words of each line that it printed, a line per operation."""
    program = PROGRAM.format(body=body, before=before, limit=limit, repetitions=repetitions, after=after)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120, pass_fds=pass_fds
    )
    return [line.split() for line in done.stdout.splitlines()]


def test_a_short_spike_is_in_the_peak() -> None:
    """Eighty megabytes that are gone at once are in the kernel's high-water mark, whatever the sampler saw."""
    ((answer, calls, added, _, _),) = measured("x = bytearray(80_000_000); x[::4096] = b'x' * len(x[::4096]); del x")
    assert (answer, calls) == ("42", "1")
    assert 75_000_000 < int(added) < 120_000_000


def test_a_quick_operation_runs_once() -> None:
    """memory-profiler repeats short functions by itself, which would write twice."""
    assert measured("pass")[0][:2] == ["42", "1"]


@pytest.mark.parametrize(
    "body",
    [
        "x = bytearray(b'x' * 64_000_000); time.sleep(0.2)",
        "x = [n.to_bytes(30, 'big') for n in range(900_000)]",  # small objects, whose memory Python's own allocator keeps
    ],
    ids=["one block", "small objects"],
)
def test_repetitions_add_the_same(body: str) -> None:
    """What the first one leaves in the allocators is filled before the next one, so that it does not hide what that needs."""
    added = [int(line[2]) for line in measured(body, repetitions=3)]
    assert min(added) > 50_000_000
    assert max(added) - min(added) < 0.15 * max(added)


def test_a_small_operation_after_a_large_one_is_measured() -> None:
    """Three megabytes of small objects are seen in a process that has freed ninety."""
    before = "large = [n.to_bytes(30, 'big') for n in range(1_200_000)]; keep = large[::500]; del large"
    added = [int(line[2]) for line in measured("x = [n.to_bytes(30, 'big') for n in range(40_000)]", before=before, repetitions=2)]
    assert all(2_000_000 < each < 5_000_000 for each in added)


def test_a_long_operation_has_samples_of_its_own() -> None:
    """The samples of an operation of 0.3 s are taken meanwhile, and those of another repetition are not among them."""
    lines = measured("x = bytearray(b'x' * (64_000_000 if len(calls) == 1 else 1)); time.sleep(0.3)", repetitions=2)
    assert [int(line[3]) > 5 for line in lines] == [True, True]
    assert [int(line[2]) > 50_000_000 for line in lines] == [True, False]


def test_only_a_tight_limit_ends_an_operation() -> None:
    """The same operation raises MemoryError under a tight limit, and completes under a wide one; afterwards there is no limit."""
    body = "bytearray(80_000_000)"
    after = "print(len(bytearray(80_000_000)))"
    assert measured(body, limit=40_000_000, after=after) == [["MemoryError"], ["80000000"]]
    assert measured(body, limit=160_000_000)[0][0] == "42"


HOLD = "b = bytearray(b'x' * 80_000_000)"
SLOW_HOLD = f"import time; {HOLD}; print(1, flush=True); time.sleep(1)"
SHELL = "subprocess.run(['sh', '-c', {!r}, sys.executable, " + repr(SLOW_HOLD) + "], check=True, stdout=-3)"
HELD = 80_000_000
LOW, HIGH = 0.9 * HELD, 1.6 * HELD
"""The range of a figure for `HELD`, with an interpreter's own memory; the second copy that building it needs is its peak."""


def added(body: str, before: str = "") -> int:
    """Return the bytes that an operation adds."""
    ((answer, _, found, _, _),) = measured(body, before=before)
    assert answer == "42"
    return int(found)


def test_each_repetition_has_the_processes_that_it_starts() -> None:
    """A process as large as that of the repetition before is part of the peak, though the kernel's mark of exited ones stays."""
    body = f"subprocess.run([sys.executable, '-c', {HOLD!r}], check=True, stdout=-3)"
    assert all(LOW < int(line[2]) < 2 * HIGH for line in measured(body, repetitions=3))


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


SERVING = """import sys
b = bytearray(b"x" * 80_000_000)
print("ready", flush=True)
sys.stdin.readline()
c = bytearray(b"x" * 40_000_000)
print("done", flush=True)
sys.stdin.readline()
"""
SERVER = f"""
server = subprocess.Popen([sys.executable, "-c", {SERVING!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
server.stdout.readline()
def ask():
    server.stdin.write(chr(10))
    server.stdin.flush()
    server.stdout.readline()
"""


def test_a_server_that_was_running_before_is_idle_memory() -> None:
    """Only what it adds during the operation counts."""
    assert 0.45 * HELD < added("ask()", SERVER) < 1.3 * HELD


def test_a_server_outside_the_tree_is_part_of_the_figures() -> None:
    """A server that another process has started, such as one that the arms share, counts with what the operation adds to it."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", SERVING], **pipes) as server:  # type: ignore[call-overload]  # two streams
        try:
            assert server.stdout.readline() == b"ready\n"
            ends = server.stdin.fileno(), server.stdout.fileno()
            ask = f"os.write({ends[0]}, bytes([10])); os.read({ends[1]}, 10)"
            ((answer, _, found, _, of_server),) = measured(ask, before=f"servers = {{'server': {server.pid}}}", pass_fds=ends)
        finally:
            server.kill()
    assert answer == "42"
    assert 0.45 * HELD < int(found) < 1.3 * HELD
    assert 0.45 * HELD < int(of_server) < 1.3 * HELD


def test_an_operation_that_raises_leaves_other_processes_running() -> None:
    """The exception arrives, and a process that was running before still runs."""
    before, after = "other = subprocess.Popen(['sleep', '60'])", "print(other.poll()); other.kill()"
    assert measured("[][0]", before=before, after=after) == [["IndexError"], ["None"]]


def test_a_process_that_cannot_be_read_has_a_reason() -> None:
    """One's own process can be measured, and one that has exited cannot."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert unreadable(os.getpid()) == ""
    assert unreadable(done.pid).startswith(f"process {done.pid} has exited")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process that may not read another one")
def test_a_process_of_another_user_has_a_reason() -> None:
    """A user without rights is told whose process it is, and nothing of it is measured."""
    script = (
        "import os; os.setgid(65534); os.setuid(65534); from harness.bench.probes.memory import unreadable; print(unreadable(1))"
    )
    program = f"from harness.bench.probes import memory; {script}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "process 1 belongs to another user"


def test_what_exits_while_it_is_sampled_is_left_out() -> None:
    """A sample of this process has its own memory, and a server that has exited is not part of it."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    sample = tree_sample(os.getpid(), {"gone": done.pid}, set())
    assert sample.own_bytes > 1_000_000
    assert done.pid not in sample.others


@pytest.mark.parametrize("lists", [True, False])
def test_processes_below_are_found_with_and_without_the_kernels_lists(monkeypatch: pytest.MonkeyPatch, *, lists: bool) -> None:
    """A child that a thread has started and the child's own children belong to a sample; what other processes started does not."""
    if lists and not memory.LISTS_CHILDREN:
        pytest.skip("this kernel has no such lists")
    monkeypatch.setattr(memory, "LISTS_CHILDREN", lists)
    script = (
        "import subprocess, sys; inner = subprocess.Popen(['sleep', '60']); print(inner.pid, flush=True); "
        "sys.stdin.read(); inner.kill()"
    )
    started = list[subprocess.Popen[bytes]]()
    thread = threading.Thread(
        target=lambda: started.append(
            subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )
    )
    thread.start()
    thread.join()
    with started[0] as child:
        assert child.stdout is not None
        inner = int(child.stdout.readline())
        sample = tree_sample(os.getpid(), {}, set())
        below = tree_sample(child.pid, {}, set())
        child.communicate()
    assert {child.pid, inner} <= set(sample.others)
    assert set(below.others) == {inner}


def tree(own: int, **others: tuple[int, int, int]) -> TreeSample:
    """Return a sample of a tree; the other processes are named by their process id."""
    return TreeSample(0.0, 0.0, own, {int(name[1:]): ProcessMemory(*figures) for name, figures in others.items()})


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


MEMORY = st.builds(
    lambda private, spike, shared: ProcessMemory(private, private + shared + spike, shared), *[st.integers(0, 500)] * 3
)
TREES = st.builds(
    lambda own, others: TreeSample(0.0, 0.0, own, others), st.integers(0, 500), st.dictionaries(st.integers(1, 4), MEMORY)
)


def use(idle: int, *samples: tuple[float, int]) -> MemoryUse:
    """Return the use of an operation with these samples, each at a time."""
    return MemoryUse(idle, idle, 0.1, {}, [TreeSample(at_s, at_s, size, {}) for at_s, size in samples])


def test_the_curve_of_a_quick_operation_is_of_all_its_repetitions() -> None:
    """They follow each other without the time between them, all above the same idle memory."""
    first, second = use(100, (5.0, 100), (5.1, 130)), use(120, (7.0, 120), (7.2, 140))
    assert curve(first, [first, second]) == [(0.0, 100), (0.1, 130), (0.1, 100), (0.3, 120)]
    long = use(100, *((i / 10, 100 + i) for i in range(OWN_CURVE)))
    assert curve(long, [first, long]) == [(i / 10, 100 + i) for i in range(OWN_CURVE)]


@given(TREES, st.lists(TREES, max_size=4), st.integers(0, 600), st.integers(0, 600))
def test_the_peak_is_at_least_every_sample(before: TreeSample, samples: list[TreeSample], own_peak: int, exited: int) -> None:
    """It is never below what was sampled, nor below the memory before; further samples never lower it."""
    own_peak = max([own_peak, before.own_bytes, *(sample.own_bytes for sample in samples)])
    peak = peak_bytes(before, samples, own_peak, exited)
    assert peak >= max([before.bytes, *(sample.bytes for sample in samples)])
    assert peak >= peak_bytes(before, samples[:-1], own_peak, 0)


@pytest.mark.parametrize("length", [0, 1, CURVE_POINTS, CURVE_POINTS + 1, 10 * CURVE_POINTS + 7])
def test_a_long_curve_is_thinned_and_keeps_its_peak(length: int) -> None:
    """Never many more points than asked for; the highest and the last stay."""
    curve = [(i / 100, (i * 7919) % 10_007) for i in range(length)]
    kept = thin(curve)
    assert len(kept) <= CURVE_POINTS + 1
    if curve:
        assert max(b for _, b in kept) == max(b for _, b in curve)
        assert kept[-1] == curve[-1]
