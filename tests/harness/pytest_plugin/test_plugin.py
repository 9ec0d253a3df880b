"""The plugin in a project that does not request it: it costs next to nothing and changes nothing, through real pytest processes."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

LIBRARIES = {"numpy", "msgspec", "sqlalchemy", "pandas", "locust", "rich", "psutil", "asyncio"}
RECORDING = """
import json, pathlib, sys

def pytest_unconfigure(config):
    pathlib.Path("loaded.json").write_text(json.dumps(sorted(sys.modules)))
"""
SUITE = """
import asyncio, warnings
import pytest

async def work():
    pass

def test_pass(): pass
def test_fail(): assert 1 == 2
@pytest.mark.skip
def test_skip(): pass
@pytest.mark.xfail
def test_xfail(): assert 0
def test_error(no_such_fixture): pass
def test_warning(): warnings.warn("its own", UserWarning)
def test_capture(capsys): print(1); assert capsys.readouterr().out == "1\\n"
@pytest.mark.parametrize("n", range(3))
def test_parameter(n, tmp_path): assert n < 2
def test_benchmark(benchmark): assert benchmark(sum, [1, 2]) == 3
def test_failing_benchmark(benchmark): benchmark(int, "x")
"""


def loaded(project: Any) -> set[str]:
    """Return the modules that the last pytest process had loaded, of the harness and of its libraries."""
    names = json.loads((project.path / "loaded.json").read_text())
    return {name for name in names if name.startswith("harness.") or name in LIBRARIES}


def without(project: Any) -> Any:
    """Return the same project without the plugin."""
    return replace(project, plugins=tuple(name for name in project.plugins if name != "harness.pytest_plugin"))


@pytest.fixture
def foreign(project: Any) -> Any:
    """Return a project that does not request the plugin, and records the modules that are loaded."""
    project.write("pytest.ini", "[pytest]\n")
    (project.path / "pyproject.toml").unlink()
    project.write("conftest.py", RECORDING)
    return project


def test_it_loads_two_modules(foreign: Any) -> None:
    """Whether tests are collected or run; nothing else of the harness, and none of the libraries that it needs."""
    for arguments in (["--collect-only", "-q"], []):
        assert foreign.pytest("tests", *arguments).returncode == 0
        assert loaded(foreign) - LIBRARIES == {"harness.pytest_plugin", "harness.pytest_plugin.options"}
        with_it = loaded(foreign)
        assert without(foreign).pytest("tests", *arguments).returncode == 0
        assert loaded(foreign) == with_it & LIBRARIES  # what pytest-benchmark loads by itself


def test_a_benchmark_loads_its_check_only(foreign: Any) -> None:
    """A test that uses the fixture needs two more modules, of the standard library alone."""
    foreign.write("tests/test_own.py", "def test_own(benchmark): benchmark(int)\n")
    assert foreign.pytest("tests", "--benchmark-disable").returncode == 0
    expected = {"harness.answers", "harness.pytest_plugin", "harness.pytest_plugin.lazy_answers", "harness.pytest_plugin.options"}
    assert loaded(foreign) - LIBRARIES == expected


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--collect-only", "-q"], ["-W", "error", "-rA"], ["-x", "--strict-markers"]])
def test_a_foreign_suite_prints_the_same(foreign: Any, arguments: list[str]) -> None:
    """Collection, outcomes, warnings, tracebacks and the exit code: the output differs in times only."""
    foreign.write("tests/test_own.py", SUITE)
    expected = without(foreign).pytest("tests", "-v", "--benchmark-disable", *arguments)
    found = foreign.pytest("tests", "-v", "--benchmark-disable", *arguments)

    def printed(text: str) -> str:
        return re.sub(r"=* ?in [\d.]+s ?=*|0x[0-9a-f]+|pytest-\d+", "", text)

    assert printed(found.stdout) == printed(expected.stdout)
    assert (found.stderr, found.returncode) == (expected.stderr, expected.returncode)
    assert "test_pass" in found.stdout


@pytest.mark.slow
def test_a_benchmark_that_computes_nothing_passes_with_a_warning(foreign: Any) -> None:
    """It is recorded as without the plugin, even where warnings are errors; the marker silences the warning."""
    tests = (
        "import pytest\ndef rows(): yield 1\nasync def work(): pass\n"
        "def test_rows(benchmark): benchmark(rows)\n"
        "def test_coroutine(benchmark): benchmark.pedantic(work).close()\n"
        "@pytest.mark.lazy_answer\ndef test_on_purpose(benchmark): benchmark(rows)\n"
    )
    foreign.write("tests/test_own.py", tests)
    done = foreign.pytest("tests", "-W", "error", "--benchmark-json=it.json", "--benchmark-max-time=0.001")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed, 2 warnings" in done.stdout
    assert "LazyAnswerWarning: tests/test_own.py::test_rows: the benchmarked function 'rows' returned a generator" in done.stdout
    assert "LazyAnswerWarning: tests/test_own.py::test_coroutine: benchmark was given the coroutine function 'work'" in done.stdout
    assert len(json.loads((foreign.path / "it.json").read_text())["benchmarks"]) == 3


@pytest.mark.slow
def test_the_warning_of_a_parallel_worker_is_shown(foreign: Any) -> None:
    """pytest-xdist sends it to the session that prints."""
    foreign.write("tests/test_own.py", "def rows(): yield 1\ndef test_rows(benchmark): benchmark(rows)\n")
    done = foreign.pytest("tests", "-p", "xdist.plugin", "-n", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the benchmarked function 'rows' returned a generator" in done.stdout


@pytest.mark.parametrize(
    ("file", "text", "arguments"),
    [
        ("pyproject.toml", "[tool.harness]\n", []),
        ("pytest.ini", "[pytest]\n", ["--harness-seed=1"]),
    ],
    ids=["pyproject.toml", "option"],
)
def test_a_request_loads_the_rest(foreign: Any, file: str, text: str, arguments: list[str]) -> None:
    """Settings of the harness, or an option on the command line."""
    foreign.write(file, text)
    assert foreign.pytest("tests", *arguments).returncode == 0
    assert "harness.pytest_plugin.session" in loaded(foreign)


@pytest.mark.parametrize(("name", "version", "needed"), [("pytest", "6.2.5", "7.0"), ("pluggy", "1.1.0", "1.2")])
def test_a_version_that_is_too_old_is_named(foreign: Any, name: str, version: str, needed: str) -> None:
    """Where the plugin is requested; elsewhere it stays out of the way of any version."""
    foreign.write("conftest.py", f"import {name}\n\n{name}.__version__ = {version!r}\n")
    assert foreign.pytest("tests").returncode == 0
    foreign.write("pyproject.toml", "[tool.harness]\n")
    done = foreign.pytest("tests")
    assert done.returncode == 4
    assert f"scenarios need {name} {needed} or newer, not {version}; install another version with: pip install" in done.stderr


def test_an_unreadable_project_file_requests_nothing(foreign: Any) -> None:
    """A folder, or a file that is not valid, is not the plugin's concern."""
    (foreign.path / "pyproject.toml").mkdir()
    assert foreign.pytest("tests").returncode == 0
    assert "harness.pytest_plugin.session" not in loaded(foreign)


def test_the_modules_exist(tmp_path: Path) -> None:
    """A guard for the list above: a module under a new name would make it pass for the wrong reason."""
    import harness.pytest_plugin as package  # noqa: PLC0415

    assert {"options.py", "lazy_answers.py", "session.py", "settings.py"} <= {
        file.name for file in Path(package.__file__).parent.iterdir()
    }
    assert not list(tmp_path.iterdir())
