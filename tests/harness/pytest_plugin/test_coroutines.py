"""The guard of the `benchmark` fixture, through real pytest processes."""

from typing import Any

import pytest

TESTS = """
import asyncio, functools

async def work(*args):
    await asyncio.sleep(0)

class Worker:
    async def __call__(self):
        pass

async def stream():
    yield 1

def test_function(benchmark): benchmark(work)
def test_partial(benchmark): benchmark(functools.partial(work, 1))
def test_object(benchmark): benchmark(Worker())
def test_stream(benchmark): benchmark(stream)
def test_pedantic(benchmark): benchmark.pedantic(work, rounds=3)
def test_lambda(benchmark): benchmark.pedantic(lambda: work(), rounds=1)

def test_right(benchmark):
    with asyncio.Runner() as runner:
        benchmark.pedantic(lambda: runner.run(work()), rounds=3)
"""


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--benchmark-json=it.json", "--benchmark-disable"])
def test_a_coroutine_function_fails_everywhere(project: Any, option: str) -> None:
    """It fails in every form, timed or not, in a project without scenarios; a function that runs it to completion passes."""
    project.write("pytest.ini", "[pytest]\n")
    project.write("tests/test_own.py", TESTS)
    done = project.pytest("tests", option)
    assert done.returncode == 1
    assert "6 failed, 1 passed" in done.stdout
    assert "benchmark was given the coroutine function 'work'" in done.stdout
    assert "benchmark was given the coroutine function 'Worker'" in done.stdout
    assert "which returns a coroutine to be awaited" in done.stdout
    assert "never awaited" not in done.stdout
    assert "Name (time in" not in done.stdout or "1 tests" in done.stdout


CODSPEED = """
import pytest

class Benchmark:
    @property
    def __class__(self):
        from pytest_benchmark.fixture import BenchmarkFixture
        return BenchmarkFixture

    def __init__(self):
        self.extra_info = {}

    def __call__(self, target, *args, **kwargs):
        return target(*args, **kwargs)

    def pedantic(self, target, args=(), kwargs=None, **_):
        raise AssertionError("timed nothing")

@pytest.fixture
def benchmark():
    return Benchmark()

@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    config.option.benchmark_disable = True
    config.pluginmanager.set_blocked("pytest_benchmark.plugin")
"""


@pytest.mark.slow
def test_another_plugins_fixture_is_guarded_and_given_nothing_to_time(project: Any) -> None:
    """Like pytest-codspeed, the plugin has a fixture that pretends to be pytest-benchmark's, which is switched off."""
    project.write("conftest.py", CODSPEED)
    project.write(
        "tests/test_own.py", "async def f(): ...\ndef test_f(benchmark): benchmark(f)\ndef test_g(benchmark): benchmark(int)\n"
    )
    done = project.pytest()
    assert done.returncode == 1
    assert "1 failed, 4 passed" in done.stdout, done.stdout
    assert "benchmark was given the coroutine function 'f'" in done.stdout


@pytest.mark.slow
def test_pytest_codspeed_works_with_it(project: Any) -> None:
    """The arms run, and pytest-codspeed has no function of them to time."""
    pytest.importorskip("pytest_codspeed", reason="pytest-codspeed is not installed")
    project.write("tests/test_own.py", "def test_own(benchmark):\n    assert benchmark(sum, [1, 2]) == 3\n")
    done = project.pytest("-p", "pytest_codspeed.plugin", "--codspeed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout or "4 benchmarked" in done.stdout
