"""Functions that return before their work is done, given to `benchmark`, through real pytest processes."""

import json
from pathlib import Path
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
    """It fails in every form, timed or not, where the harness is in use; a function that runs it to completion passes."""
    project.write("pytest.ini", "[pytest]\n")
    project.write("pyproject.toml", "[tool.harness]\n")
    project.write("tests/test_own.py", TESTS)
    done = project.pytest("tests", option)
    assert done.returncode == 1
    assert "6 failed, 1 passed" in done.stdout
    assert "benchmark was given the coroutine function 'work'" in done.stdout
    assert "benchmark was given the coroutine function 'Worker'" in done.stdout
    assert "'test_lambda.<locals>.<lambda>' returned a coroutine: nothing was computed" in done.stdout
    assert "never awaited" not in done.stdout
    assert "Name (time in" not in done.stdout or "1 tests" in done.stdout


LAZY = """
import functools, pytest

def rows(n=3):
    yield from range(n)

def names():
    return {"page": {"rows": map(str, [1, 2])}}

class Rows:
    def __iter__(self):
        return rows()
    def all(self):
        return rows()

@pytest.fixture
def late(benchmark):
    return benchmark

def test_function(benchmark): benchmark(rows, 3)
def test_partial(benchmark): benchmark(functools.partial(rows, 3))
def test_method(benchmark): benchmark(Rows().all)
def test_lambda(benchmark): benchmark(lambda: iter([1]))
def test_inside(benchmark): benchmark(names)
def test_setup(benchmark): benchmark.pedantic(rows, setup=lambda: ((3,), {}), rounds=2)
def test_iterations(benchmark): benchmark.pedantic(rows, args=(3,), rounds=2, iterations=3, warmup_rounds=1)
def test_another_fixture(late): late(rows)
def test_decorator(benchmark):
    @benchmark
    def made():
        return (n for n in range(3))

@pytest.mark.parametrize("n", [1, 1])
def test_parameter(benchmark, n): benchmark(rows, n)

@pytest.mark.lazy_answer
def test_on_purpose(benchmark): benchmark(rows)

def test_consumed(benchmark): benchmark(lambda: list(rows(3)))
def test_object(benchmark): benchmark(Rows)
def test_nothing(benchmark): benchmark(int)
def test_buffer(benchmark): benchmark(lambda: [range(3), {"a": (1, 2)}.items(), b"x"])
"""


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--benchmark-json=it.json", "--benchmark-disable"])
def test_a_function_that_computes_nothing_fails_everywhere(project: Any, option: str) -> None:
    """A generator, an iterator, or one inside of the answer fails with the remedy, however it is passed, and is not recorded."""
    project.write("pytest.ini", "[pytest]\n")
    project.write("pyproject.toml", "[tool.harness]\n")
    project.write("tests/test_own.py", LAZY)
    done = project.pytest("tests", option, "--benchmark-max-time=0.001", "--strict-markers", "-rf")
    assert done.returncode == 1
    assert "11 failed, 5 passed" in done.stdout
    assert (
        "the benchmarked function 'rows' returned a generator: nothing was computed, so the time would be meaningless; "
        "consume it: benchmark(lambda: list(rows(…))) (on purpose: @pytest.mark.lazy_answer)"
    ) in done.stdout
    assert "returned an iterator (map) at ['page']['rows']: its work is not done" in done.stdout
    assert "consume it: benchmark(lambda: list(all(…)))" in done.stdout
    assert "consume it: benchmark(lambda: list(…))" in done.stdout
    passed = {"test_on_purpose", "test_consumed", "test_object", "test_nothing", "test_buffer"}
    assert not {name for name in passed if f"FAILED tests/test_own.py::{name} " in done.stdout}
    if option != "--benchmark-disable":
        saved = json.loads((project.path / "it.json").read_text())["benchmarks"]
        assert {benchmark["name"] for benchmark in saved} == passed
        assert "benchmark: 5 tests" in done.stdout


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


@pytest.mark.slow
def test_a_foreign_suite_with_a_generator_function_has_one_failure(project: Any) -> None:
    """Its other tests, parametrised ones with repeated values included, are timed as before."""
    project.write("pytest.ini", "[pytest]\n")
    project.write("pyproject.toml", "[tool.harness]\n")
    project.write("tests/test_own.py", (Path(__file__).parents[2] / "cases" / "foreign_generator.py").read_text())
    done = project.pytest("tests", "--benchmark-max-time=0.1")
    assert done.returncode == 1
    assert "1 failed, 6 passed" in done.stdout
    assert "the benchmarked function 'rows' returned a generator: nothing was computed" in done.stdout
