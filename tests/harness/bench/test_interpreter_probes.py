"""Tests of the probes of calls, allocations and instructions: they count the work of every thread, and repeat."""

import asyncio
import functools
import gc
import shutil
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.bench.probes import instructions
from harness.bench.probes.interpreter import Allocations, Calls, watch_new_threads
from harness.bench.process import COUNTING_HASH_SEED
from harness.errors import NotMeasurableError
from harness.runtime.child import child_environment

ROUNDS = tuple(range(10))


def _inner() -> int:
    return len("four")


def _work(times: int) -> int:
    return sum([_inner() for _ in range(times)])


async def _turns(times: int) -> None:
    for _ in ROUNDS[:times]:
        await asyncio.sleep(0)


async def _count(probe: Calls | Allocations, operation: Callable[[], Awaitable[object]]) -> float:
    async with probe:
        answer = await operation()
    (value,) = probe.counts().values()
    del answer
    return value


def test_calls_of_python_and_c_functions_are_counted() -> None:
    """Ten more rounds are ten more calls of the function and ten more of `len` in it."""

    async def ten() -> int:
        return _work(10)

    async def twenty() -> int:
        return _work(20)

    async def both() -> tuple[float, float, float]:
        return await _count(Calls(), ten), await _count(Calls(), twenty), await _count(Calls(), ten)

    few, many, again = asyncio.run(both())
    assert (many - few, again) == (20, few)


def test_calls_in_another_thread_are_counted_without_the_hand_over() -> None:
    """The thread lives longer than the count; calls of the event loop and the executor are not counted."""
    watch_new_threads()
    try:

        async def compare() -> list[float]:
            loop = asyncio.get_running_loop()
            with ThreadPoolExecutor(1) as pool:
                await loop.run_in_executor(pool, _inner)  # the thread starts before the count

                def through(times: int) -> Callable[[], Awaitable[int]]:
                    return lambda: loop.run_in_executor(pool, _work, times)

                return [await _count(Calls(), through(times)) for times in (50, 50, 50, 60)]

        few, again, once_more, many = asyncio.run(compare())
        assert few == again == once_more
        assert many - few == 20
        assert 100 <= few < 110
    finally:
        if sys.version_info < (3, 12):
            threading.setprofile(None)  # removes the profiler


def test_a_resumed_coroutine_is_not_another_call() -> None:
    """A coroutine that waits ten times is called once, as one that waits once."""

    async def compare() -> set[float]:
        async def waits(times: int) -> None:
            await _turns(times)

        return {await _count(Calls(), functools.partial(waits, times)) for times in (1, 10)}

    (calls,) = asyncio.run(compare())
    assert calls >= 2


def test_probes_restore_the_profiler_and_the_garbage_collector() -> None:
    """Also if the operation raises."""

    async def fails() -> None:
        raise RuntimeError

    for probe in (Calls(), Allocations()):
        with pytest.raises(RuntimeError):
            asyncio.run(_count(probe, fails))
        assert gc.isenabled()
        assert sys.getprofile() is None
        assert not tracemalloc.is_tracing()


def test_allocations_are_the_peak_of_an_operation() -> None:
    """Memory that is freed before the end counts, memory in use before the start does not."""
    before = [bytes(1_000_000)]

    async def holds(size: int) -> int:
        first = bytes(size)
        del first
        return len(bytes(size // 2))

    async def compare() -> tuple[float, float]:
        return await _count(Allocations(), lambda: holds(200_000)), await _count(Allocations(), lambda: holds(400_000))

    few, many = asyncio.run(compare())
    assert 200_000 <= few < 220_000
    assert many - few == pytest.approx(200_000, abs=2_000)
    assert before


def test_the_total_of_the_last_callgrind_file_is_read(tmp_path: Path) -> None:
    """Files are ordered by number and not by name, and only the first event counts."""
    for number, total in ((2, "7"), (10, "12345 6"), (9, "8")):
        (tmp_path / f"callgrind.out.{number}").write_text(f"version: 1\nevents: Ir\nfn=(1) f\n0 5\nsummary: {total}\n")
    (tmp_path / "callgrind.out").write_text("")
    assert instructions.newest(tmp_path).name == "callgrind.out.10"
    assert instructions.total(instructions.newest(tmp_path)) == 12345


def test_a_missing_total_is_not_measurable(tmp_path: Path) -> None:
    """Neither a missing file nor one without a total is a count of zero."""
    with pytest.raises(NotMeasurableError, match="wrote nothing"):
        instructions.newest(tmp_path)
    (tmp_path / "callgrind.out.1").write_text("version: 1\n")
    with pytest.raises(NotMeasurableError, match="no total"):
        instructions.total(tmp_path / "callgrind.out.1")


def test_without_valgrind_the_reason_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It names the missing program."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(NotMeasurableError, match="need valgrind"):
        instructions.command(tmp_path)


PROGRAM = """
import asyncio, sys
from pathlib import Path
from harness.bench.probes.instructions import per_operation
async def short():
    sum(i for i in range(1000))
async def long():
    sum(i for i in range(2000))
async def main():
    for operation in (short, short, long):
        await operation()
        print(await per_operation(operation, Path(sys.argv[1])))
asyncio.run(main())
"""


@pytest.mark.slow
def test_instructions_repeat_and_grow_with_the_work(tmp_path: Path) -> None:
    """Twice the work is twice the instructions, in a real process under callgrind."""
    try:
        prefix = instructions.command(tmp_path)
    except NotMeasurableError as reason:
        pytest.skip(str(reason))
    command = [*prefix, sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**child_environment(), "PYTHONHASHSEED": str(COUNTING_HASH_SEED)}, check=False
    )
    if done.returncode:
        pytest.skip(f"valgrind cannot run here: {done.stderr.strip()[-200:]}")
    first, second, twice = map(float, done.stdout.split())
    assert second == pytest.approx(first, rel=instructions.SAME)
    assert twice == pytest.approx(2 * first, rel=0.1)
