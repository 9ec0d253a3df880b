"""Tests of the cores that processes run on."""

import os
import subprocess
import sys
import threading
from collections.abc import Collection
from contextlib import ExitStack

import psutil
import pytest

from harness.runtime import cores as module
from harness.runtime.cores import CoreAllocator, Cores, Isolation, choose_cores, keep_to

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
GRANDCHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'], stdin=sys.stdin)"
PINS_ITSELF = """
import os, sys
from harness.runtime import channel
from harness.runtime.cores import elsewhere
print(*elsewhere())
os.environ[channel.CORES] = sys.argv[1]
channel.pin()
print(*os.sched_getaffinity(0))
print(*sorted(elsewhere()))
"""
MOVES = """
import os, subprocess, sys, threading
from harness.runtime import channel, cores
first, last = sys.argv[1:]
channel.cores_before = frozenset(os.sched_getaffinity(0))
os.sched_setaffinity(0, {int(first)})
over = threading.Event()
thread = threading.Thread(target=over.wait)
thread.start()
wait = [sys.executable, "-c", "input()"]
with subprocess.Popen(wait, stdin=subprocess.PIPE) as child, subprocess.Popen(wait, stdin=subprocess.PIPE) as server:
    cores.keep_apart(server.pid)
    cores.move_to({int(last)})
    for pid in (0, thread.native_id, child.pid, server.pid):
        print(*sorted(os.sched_getaffinity(pid)))
    over.set()
    child.communicate(b"\\n")
    server.communicate(b"\\n")
"""
THREE = Cores(0, 2, (0, 1, 2))


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """Return the cores that processes are moved to, and move none."""
    seen: list[set[int]] = []

    def note(cores: Collection[int]) -> None:
        seen.append(set(cores))

    monkeypatch.setattr(module, "keep_to", note)
    return seen


def test_workers_and_coordinator_get_different_cores() -> None:
    """With two cores, the worker's is not the coordinator's."""
    cores = choose_cores()
    assert cores.worker is None or cores.worker != cores.coordinator


@pytest.mark.skipif(len(CORES) < 2, reason="there are no two cores to choose from")
def test_descendants_move_with_their_process_and_back() -> None:
    """A process's children and grandchildren move to its cores with it, and back to all cores."""
    with subprocess.Popen([sys.executable, "-c", GRANDCHILD], stdin=subprocess.PIPE) as child:
        try:
            family = psutil.Process(child.pid)
            while not family.children():
                assert child.poll() is None, "the child has exited"
            processes = [0, child.pid, family.children()[0].pid]
            keep_to({CORES[0]})
            assert [os.sched_getaffinity(pid) for pid in processes] == [{CORES[0]}] * 3
            keep_to(CORES)
            assert [os.sched_getaffinity(pid) for pid in processes] == [set(CORES)] * 3
        finally:
            keep_to(CORES)
            child.communicate(b"\n")


@pytest.mark.skipif(len(CORES) < 2, reason="there is no other core")
def test_servers_of_a_pinned_process_run_on_the_other_cores() -> None:
    """A server's cores are those of its starter before it was pinned, without the starter's own core."""
    command = [sys.executable, "-c", PINS_ITSELF, str(CORES[-1])]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [[int(core) for core in line.split()] for line in lines] == [[], [CORES[-1]], CORES[:-1]]


def test_a_process_timed_on_its_own_has_the_workers_core(moves: list[set[int]]) -> None:
    """The coordinator and the servers run on the coordinator's core while pairs are timed, and anywhere afterwards."""
    allocator = CoreAllocator(THREE)
    with allocator.allocate(Isolation.SHARED) as cores:
        assert cores == (0, 1, 2)
    for _ in range(2):
        with allocator.allocate(Isolation.MACHINE) as cores:
            assert cores == (2,)
    allocator.release()
    assert moves == [{0}, {0, 1, 2}]


def test_processes_timed_side_by_side_have_a_core_each(moves: list[set[int]]) -> None:
    """No two of them share one, and a core that was returned is allocated again."""
    allocator = CoreAllocator(THREE)
    for _ in range(2):
        with ExitStack() as stack:
            taken = [stack.enter_context(allocator.allocate(Isolation.CORE)) for _ in THREE.all]
            assert sorted(taken) == [(0,), (1,), (2,)]
    assert moves == [{0}]


def test_a_second_process_moves_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that start at once, one moves the others and the second waits, since it would move the first one as well."""
    seen: list[set[int]] = []
    moving, go_on = threading.Event(), threading.Event()

    def slowly(cores: Collection[int]) -> None:
        seen.append(set(cores))
        moving.set()
        assert go_on.wait(10)

    monkeypatch.setattr(module, "keep_to", slowly)
    allocator = CoreAllocator(THREE)

    def allocate() -> None:
        with allocator.allocate(Isolation.CORE):
            pass

    first, second = threading.Thread(target=allocate), threading.Thread(target=allocate)
    first.start()
    assert moving.wait(10)
    second.start()
    second.join(0.2)  # as long as moving would take if it did not wait
    go_on.set()
    first.join()
    second.join()
    assert seen == [{0}]


def test_unknown_cores_are_left_to_the_system(moves: list[set[int]]) -> None:
    """If cores cannot be chosen, nothing is moved and every child runs anywhere."""
    allocator = CoreAllocator(Cores(None, None))
    for isolation in Isolation:
        with allocator.allocate(isolation) as cores:
            assert cores == ()
    assert not moves


@pytest.mark.skipif(len(CORES) < 2, reason="there is no other core")
def test_a_process_moves_with_what_it_started_and_its_servers_to_the_other_cores() -> None:
    """Its threads and its other children get its new core, its servers the cores that it was started on without that one."""
    command = [sys.executable, "-c", MOVES, str(CORES[0]), str(CORES[-1])]
    found = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    others = " ".join(map(str, CORES[:-1]))
    assert found == [str(CORES[-1]), str(CORES[-1]), str(CORES[-1]), others]
