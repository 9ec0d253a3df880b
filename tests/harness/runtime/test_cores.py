"""Which core whose work runs on."""

from __future__ import annotations

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
SETTLES = """
import os, subprocess, sys
from harness.runtime.cores import elsewhere, settle
say = lambda *words: print(*words, flush=True)
say(*elsewhere())
settle({int(sys.argv[1])})
say(*os.sched_getaffinity(0))
say(*sorted(elsewhere()))
"""
THREE = Cores(0, 2, (0, 1, 2))


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """Return where everybody is moved, and move nobody."""
    seen: list[set[int]] = []

    def note(cores: Collection[int]) -> None:
        seen.append(set(cores))

    monkeypatch.setattr(module, "keep_to", note)
    return seen


def test_workers_and_coordinator_get_different_cores() -> None:
    """Where there are two cores, they are not the same one."""
    cores = choose_cores()
    assert cores.worker is None or cores.worker != cores.coordinator


@pytest.mark.skipif(len(CORES) < 2, reason="there are no two cores to choose from")
def test_what_has_been_started_moves_along_and_back() -> None:
    """A process's children and theirs go to its cores with it, and return to all of them."""
    with subprocess.Popen([sys.executable, "-c", GRANDCHILD], stdin=subprocess.PIPE) as child:
        try:
            family = psutil.Process(child.pid)
            while not family.children():
                assert child.poll() is None, "the child has ended"
            everybody = [0, child.pid, family.children()[0].pid]
            keep_to({CORES[0]})
            assert [os.sched_getaffinity(pid) for pid in everybody] == [{CORES[0]}] * 3
            keep_to(CORES)
            assert [os.sched_getaffinity(pid) for pid in everybody] == [set(CORES)] * 3
        finally:
            keep_to(CORES)
            child.communicate(b"\n")


@pytest.mark.skipif(len(CORES) < 2, reason="there is no other core")
def test_who_has_settled_serves_itself_from_elsewhere() -> None:
    """A server's place is where its starter ran before, less the starter's core; before that, wherever the starter runs."""
    asked = [sys.executable, "-c", SETTLES, str(CORES[-1])]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [[int(core) for core in line.split()] for line in said] == [[], [CORES[-1]], CORES[:-1]]


def test_who_is_timed_alone_has_the_workers_core_and_the_others_step_aside(moves: list[set[int]]) -> None:
    """The coordinator and the servers keep to its core while pairs are timed, and are let go afterwards."""
    seats = CoreAllocator(THREE)
    with seats.seat(Isolation.ANY) as cpus:
        assert cpus == (0, 1, 2)
    for _ in range(2):
        with seats.seat(Isolation.NONE) as cpus:
            assert cpus == (2,)
    seats.leave()
    assert moves == [{0}, {0, 1, 2}]


def test_those_timed_side_by_side_have_a_core_each(moves: list[set[int]]) -> None:
    """No two of them share one, and a core that is left is given again."""
    seats = CoreAllocator(THREE)
    for _ in range(2):
        with ExitStack() as stack:
            taken = [stack.enter_context(seats.seat(Isolation.TIMED)) for _ in THREE.all]
            assert sorted(taken) == [(0,), (1,), (2,)]
    assert moves == [{0}]


def test_whoever_comes_second_moves_nobody_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that begin at once, one moves the others aside and the second waits: it would move the first one as well."""
    seen: list[set[int]] = []
    moving, go_on = threading.Event(), threading.Event()

    def slowly(cores: Collection[int]) -> None:
        seen.append(set(cores))
        moving.set()
        assert go_on.wait(10)

    monkeypatch.setattr(module, "keep_to", slowly)
    seats = CoreAllocator(THREE)

    def sit() -> None:
        with seats.seat(Isolation.TIMED):
            pass

    first, second = threading.Thread(target=sit), threading.Thread(target=sit)
    first.start()
    assert moving.wait(10)
    second.start()
    second.join(0.2)  # as long as it would take to move everybody, were it not made to wait
    go_on.set()
    first.join()
    second.join()
    assert seen == [{0}]


def test_an_unknown_machine_is_left_alone(moves: list[set[int]]) -> None:
    """Where cores cannot be chosen, nobody is moved and every child runs anywhere."""
    seats = CoreAllocator(Cores(None, None))
    for company in Isolation:
        with seats.seat(company) as cpus:
            assert cpus == ()
    assert not moves
