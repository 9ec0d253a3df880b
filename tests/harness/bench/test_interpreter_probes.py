"""Calls, allocations and instructions: they count what is done, in every thread, the same each time."""

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
from harness.bench.worker import COUNTING_HASH_SEED
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


def test_each_call_is_counted_python_s_and_c_s() -> None:
    """Ten more rounds are ten more calls of the function and ten more of `len` in it."""

    async def ten() -> int:
        return _work(10)

    async def twenty() -> int:
        return _work(20)

    async def both() -> tuple[float, float, float]:
        return await _count(Calls(), ten), await _count(Calls(), twenty), await _count(Calls(), ten)

    few, many, again = asyncio.run(both())
    assert (many - few, again) == (20, few)


def test_work_in_a_driver_s_thread_is_counted_and_handing_over_is_not() -> None:
    """Through a thread that lives longer than the count: the loop and the executor between are no part of it."""
    watch_new_threads()
    try:

        async def compare() -> list[float]:
            loop = asyncio.get_running_loop()
            with ThreadPoolExecutor(1) as pool:
                await loop.run_in_executor(pool, _inner)  # the thread starts before anybody counts

                def through(times: int) -> Callable[[], Awaitable[int]]:
                    return lambda: loop.run_in_executor(pool, _work, times)

                return [await _count(Calls(), through(times)) for times in (50, 50, 50, 60)]

        few, again, once_more, many = asyncio.run(compare())
        assert few == again == once_more
        assert many - few == 20
        assert 100 <= few < 110
    finally:
        if sys.version_info < (3, 12):
            threading.setprofile(None)  # which takes it away again


def test_being_resumed_is_no_call() -> None:
    """Whether a coroutine waits once or ten times, it was called once."""

    async def compare() -> set[float]:
        async def waits(times: int) -> None:
            await _turns(times)

        return {await _count(Calls(), functools.partial(waits, times)) for times in (1, 10)}

    (calls,) = asyncio.run(compare())
    assert calls >= 2


def test_after_counting_nobody_is_profiled_and_garbage_is_collected_again() -> None:
    """Also where the operation raised."""

    async def fails() -> None:
        raise RuntimeError

    for probe in (Calls(), Allocations()):
        with pytest.raises(RuntimeError):
            asyncio.run(_count(probe, fails))
        assert gc.isenabled()
        assert sys.getprofile() is None
        assert not tracemalloc.is_tracing()


def test_memory_is_what_an_operation_holds_at_most() -> None:
    """What is dropped before the end counts, what was there before does not."""
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


def test_the_file_that_callgrind_wrote_last_is_read_to_its_sum(tmp_path: Path) -> None:
    """By number and not by name, and only the first event counts."""
    for number, sum_of in ((2, "7"), (10, "12345 6"), (9, "8")):
        (tmp_path / f"callgrind.out.{number}").write_text(f"version: 1\nevents: Ir\nfn=(1) f\n0 5\nsummary: {sum_of}\n")
    (tmp_path / "callgrind.out").write_text("")
    assert instructions.newest(tmp_path).name == "callgrind.out.10"
    assert instructions.total(instructions.newest(tmp_path)) == 12345


def test_nothing_written_down_is_not_measurable(tmp_path: Path) -> None:
    """Neither a missing file nor one without a sum is a count of zero."""
    with pytest.raises(NotMeasurableError, match="wrote nothing"):
        instructions.newest(tmp_path)
    (tmp_path / "callgrind.out.1").write_text("version: 1\n")
    with pytest.raises(NotMeasurableError, match="no total"):
        instructions.total(tmp_path / "callgrind.out.1")


def test_without_valgrind_there_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It names what is missing."""
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
def test_instructions_repeat_and_twice_the_work_is_twice_as_many(tmp_path: Path) -> None:
    """In a real process under callgrind."""
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
