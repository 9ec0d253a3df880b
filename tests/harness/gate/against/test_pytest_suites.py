"""A pytest-benchmark suite in two versions, through real pytest processes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.cli import main
from harness.gate.against import allocation, verdicts
from harness.gate.against.gate_folder import PAIRS_FILE
from harness.gate.against.pytest_suites import RECORDING
from harness.stats import process_pairs

if TYPE_CHECKING:
    from tests.harness.gate.against.conftest import Toy

pytestmark = pytest.mark.slow
Captured = pytest.CaptureFixture[str]
FIRST = "comparing the dependencies of both versions"
STEPS = ([FIRST], *([FIRST, step] for step in ("collecting the benchmarks of both versions", RECORDING)))
"""The lines on standard error before the benchmarks are timed: the second one is not due if the first was short."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, toy: Toy) -> None:
    """Change to the toy's folder, and decide by few and short process pairs."""
    monkeypatch.chdir(toy.folder)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[4]))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # other installed plugins take seconds to import
    monkeypatch.setattr(process_pairs, "ALPHA", 0.2)
    monkeypatch.setattr(verdicts, "FIRST_ROUND", 4)
    monkeypatch.setattr(allocation, "MIN_SLICES_S", 0.05)
    monkeypatch.setattr(allocation, "MAX_SLICES_S", 0.05)


def gate(captured: Captured, *arguments: str) -> tuple[int, dict[str, object], str]:
    """Return the exit code, the result, and the text on standard error."""
    code = main(
        [
            "gate",
            "--against",
            "main",
            "--json",
            "--margin",
            "100%",
            *arguments,
            "--",
            "pytest",
            "benchmarks",
            "-p",
            "pytest_benchmark.plugin",
        ]
    )
    out, err = captured.readouterr()
    return code, json.loads(out) if out else {}, err


def row(result: dict[str, object], number: int = 0) -> dict[str, object]:
    """Return one row."""
    rows = result["rows"]
    assert isinstance(rows, list)
    found: dict[str, object] = rows[number]
    return found


def test_three_times_the_work_is_found_and_nothing_is_left_behind(
    toy: Toy, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slower in both sets of process pairs exits with 1, for uncommitted changes too; the worktree is removed."""
    toy.write("app.py", "def total(n):\n    return sum(i * i for i in range(3 * n))\n")
    code, result, _ = gate(capsys)
    assert code == 1, result
    assert (row(result)["scenario"], row(result)["group"]) == ("benchmarks/test_total.py", "test_total")
    assert row(result)["verdict"] == "regressed"
    change = row(result)["change"]
    assert isinstance(change, float)
    assert change > 1.2
    assert toy.worktrees == 1


def test_the_same_code_does_not_fail(toy: Toy, capsys: Captured) -> None:
    """The same code is never a regression, however noisy the machine is."""
    toy.write("notes.txt", "a file that no benchmark uses")
    code, result, _ = gate(capsys, "--time-all")
    assert code in {0, 3}, result
    assert row(result)["verdict"] in {"equivalent", "inconclusive", "improved"}
    assert row(result)["paired"] is True


def test_benchmarks_that_a_change_cannot_touch_are_not_timed(toy: Toy, capsys: Captured) -> None:
    """They pass with the reason; and only the one that runs the changed function is timed."""
    toy.write("benchmarks/test_other.py", "def test_other(benchmark):\n    benchmark(int)\n")
    toy.commit()
    toy.write("notes.txt", "a file that no benchmark uses")
    code, result, err = gate(capsys)
    assert code == 0
    assert result["sentence"] == "2 benchmarks unchanged and not timed"
    assert str(row(result)["reason"]).startswith("unchanged code: not timed; the same in both versions: the code that runs (")
    assert "process pair" not in err
    toy.write("app.py", (toy.folder / "app.py").read_text().replace("sum(", "max("))
    code, result, _ = gate(capsys)
    assert [(row(result, n)["group"], "not timed" in str(row(result, n)["reason"])) for n in range(2)] == [
        ("test_other", True),
        ("test_total", False),
    ]


def test_explain_lists_what_differs(toy: Toy, capsys: Captured) -> None:
    """It times nothing, and names what the change touches, or why there is nothing to time."""
    explain = ["gate", "--against", "main", "--explain", "*total", "--", "pytest", "benchmarks", "-p", "pytest_benchmark.plugin"]
    assert main(explain) == 0
    assert capsys.readouterr().out.startswith("benchmarks/test_total.py::test_total: unchanged code: not timed; ")
    toy.write("app.py", (toy.folder / "app.py").read_text().replace("i * i", "i"))
    assert main(explain) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "benchmarks/test_total.py::test_total: timed, 2 differences",
        "  total in app.py differs",
    ]
    named = "@pytest.mark.parametrize('n', [1, 2], ids=['one [1]', 'two [2]'])\ndef test_named(benchmark, n):\n    benchmark(int)\n"
    toy.write("benchmarks/test_named.py", f"import pytest\n\n\n{named}")
    toy.commit()
    for pattern in ("benchmarks/test_named.py::test_named[one [1]]", "*[one [1]]", "*[one*"):
        assert main([*explain[:4], pattern, *explain[5:], "-k", "named"]) == 0
        out = capsys.readouterr().out
        assert out.startswith("benchmarks/test_named.py::test_named[one [1]]: ")
        assert "two" not in out
    assert main(["gate", "--explain", "*", "--", "pytest", "benchmarks"]) == 2
    assert "--explain is about benchmarks of two versions: use --against REF" in capsys.readouterr().err


def test_a_benchmark_that_works_once_only_does_not_fail_by_being_recorded(toy: Toy, capsys: Captured) -> None:
    """It is timed, as what cannot be recorded is, and its assertion about one call is no failure of either version."""
    once = "def test_once(benchmark):\n    made = []\n    benchmark(made.append, 1)\n    assert len(made) == 1\n"
    toy.write("benchmarks/test_total.py", once)
    toy.commit()
    toy.write("notes.txt", "a file that no benchmark uses")
    _, result, _ = gate(capsys)
    assert result["incomparable"] == []
    assert "not timed" not in str(row(result)["reason"])


def test_identical_versions_are_not_timed(toy: Toy, capsys: Captured) -> None:
    """A clean tree of the same content passes and says that nothing was timed, also with another commit."""
    toy.git("commit", "--quiet", "--allow-empty", "--message", "nothing new")
    toy.git("branch", "before", "HEAD~1")
    code, result, _ = gate(capsys, "--against", "before")
    assert code == 0
    assert re.fullmatch(r"before \(\w+\) and \w+ are identical, so nothing was timed", str(result["sentence"]))
    assert (row(result)["verdict"], row(result)["group"], row(result)["change"]) == ("equivalent", "test_total", None)


def test_a_renamed_benchmark_is_not_comparable(toy: Toy, capsys: Captured) -> None:
    """It exits with 4, and suggests the new name."""
    file = toy.folder / "benchmarks" / "test_total.py"
    file.write_text(file.read_text().replace("test_total(", "test_the_total("))
    code, result, _ = gate(capsys)
    assert code == 4
    assert "test_total.py::test_total: missing in the new version" in str(result["sentence"])
    assert "renamed to 'benchmarks/test_total.py::test_the_total'" in str(result["sentence"])


def test_a_suite_without_benchmarks_never_passes(toy: Toy, capsys: Captured) -> None:
    """A suite without benchmarks is not comparable."""
    (toy.folder / "benchmarks" / "test_total.py").write_text("def test_nothing():\n    pass\n")
    toy.commit()
    code, result, _ = gate(capsys)
    assert code == 4
    assert result["sentence"] == "baseline and candidate have no figure in common: nothing was compared"


def test_a_coroutine_function_is_refused(toy: Toy, capsys: Captured) -> None:
    """Its call does not run it; one line names the test and the reason."""
    toy.write("benchmarks/test_total.py", "async def work():\n    pass\n\ndef test_it(benchmark):\n    benchmark(work)\n")
    toy.commit()
    code, _, err = gate(capsys)
    assert code == 2
    *steps, error = err.splitlines()
    assert "benchmarks/test_total.py::test_it: benchmark was given the coroutine function 'work'" in error
    assert steps in STEPS


def test_a_test_that_fails_now_is_a_regression(toy: Toy, capsys: Captured) -> None:
    """A benchmark that no longer runs exits with 1, with its reason."""
    toy.write("app.py", "def total(n):\n    return -1\n")
    code, result, _ = gate(capsys)
    assert code == 1
    assert "it failed: " in str(row(result)["reason"])
    assert row(result)["kind"] == "status"


BROKEN = "import nothing_there\n"


def test_a_file_that_neither_version_can_import_is_a_usage_error(toy: Toy, capsys: Captured) -> None:
    """It is no regression: one line names the file and the import error."""
    toy.write("benchmarks/test_broken.py", BROKEN)
    toy.commit()
    code, _, err = gate(capsys)
    assert code == 2
    assert "benchmarks/test_broken.py cannot be imported: ModuleNotFoundError: No module named 'nothing_there'" in err
    assert err.splitlines()[:-1] in STEPS


def test_a_file_that_one_version_cannot_import_names_the_error(toy: Toy, capsys: Captured) -> None:
    """In the new version it is a failure, in the old one it is not comparable; tests that pytest did not run are not missing."""
    toy.write("benchmarks/test_broken.py", BROKEN)
    code, result, _ = gate(capsys)
    assert code == 1
    assert row(result)["reason"] == "it failed: ModuleNotFoundError: No module named 'nothing_there'"
    assert result["incomparable"] == []
    toy.commit()
    (toy.folder / "benchmarks" / "test_broken.py").unlink()
    code, result, _ = gate(capsys)
    assert code == 4
    assert "test_broken.py: it fails in the old version: ModuleNotFoundError" in str(result["sentence"])


def test_a_test_that_fails_in_both_versions_is_a_usage_error(toy: Toy, capsys: Captured) -> None:
    """It has not regressed: one line has pytest's reason, and how to leave it out."""
    toy.write("benchmarks/test_wrong.py", "def test_wrong(benchmark):\n    assert benchmark(lambda: 1) == 2\n")
    toy.commit()
    code, _, err = gate(capsys)
    assert code == 2
    assert err.splitlines()[-1] == (
        "harness: benchmarks/test_wrong.py::test_wrong fails in both versions: assert 1 == 2; fix it, or leave it out: "
        "--deselect 'benchmarks/test_wrong.py::test_wrong'"
    )


def test_the_first_benchmarks_of_a_project_pass(toy: Toy, capsys: Captured) -> None:
    """The old version lacks the folder that is named: nothing can have regressed, and the result says so."""
    toy.git("rm", "-r", "--quiet", "benchmarks")
    toy.git("commit", "--quiet", "--message", "no benchmarks")
    toy.write("benchmarks/test_first.py", "def test_first(benchmark):\n    benchmark(sum, [1])\n")
    code, result, _ = gate(capsys)
    assert code == 0
    assert (
        result["sentence"]
        == "the old version has none of these benchmarks, so that nothing is compared yet; 1 benchmark of the new one ran"
    )
    toy.write("benchmarks/test_first.py", "def test_first(benchmark):\n    assert benchmark(sum, [1]) == 2\n")
    code, result, _ = gate(capsys)
    assert code == 1


def test_benchmarks_that_pytest_skips_are_named(toy: Toy, capsys: Captured) -> None:
    """A suite that needs another plugin has no benchmark; one line has the reason."""
    toy.write("benchmarks/test_total.py", "import pytest\n\npytest.importorskip('nothing_there')\n")
    toy.commit()
    toy.write("app.py", "def total(n):\n    return n\n")
    code, _, err = gate(capsys)
    assert code == 2
    assert "there is no benchmark to compare; pytest skips benchmarks/test_total.py: could not import 'nothing_there'" in err


SETTINGS = """\
[pytest]
addopts = --benchmark-skip --maxfail=1 --junitxml=results.xml --durations=3 --strict-markers
filterwarnings = error
"""
EVERY_FORM = """\
import pytest
from app import total


@pytest.fixture(scope="session")
def whole():
    return [1]


@pytest.fixture(scope="module", params=["a", "b"])
def module(request, whole):
    return whole * len(request.param)


@pytest.fixture(scope="class")
def shared(module):
    yield module


class TestForms:
    @pytest.mark.parametrize("n", [10, 20])
    def test_parametrised(self, benchmark, shared, n):
        benchmark.extra_info["n"] = n
        assert benchmark(total, n) > 0

    @pytest.mark.benchmark(group="pedantic")
    def test_pedantic(self, benchmark, shared):
        assert benchmark.pedantic(total, setup=lambda: ((3,), {}), teardown=lambda n: None, rounds=5, iterations=1) > 0
"""


def test_every_form_of_a_benchmark_runs_whatever_the_settings_say(toy: Toy, capsys: Captured) -> None:
    """Classes, parameters and fixtures of every scope; options that would skip them, stop, or leave files do not count."""
    toy.write("pytest.ini", SETTINGS)
    toy.write("benchmarks/test_forms.py", EVERY_FORM)
    toy.commit()
    toy.write("app.py", "def total(n):\n    return sum(i * i for i in range(n + 1))\n")
    code = main(["gate", "--against", "main", "--explain", "*", "--", "pytest", "benchmarks", "-p", "pytest_benchmark.plugin"])
    out = capsys.readouterr().out
    assert code == 0
    names = [line.partition(": ")[0] for line in out.splitlines() if not line.startswith(" ")]
    assert len(names) == 7
    assert "benchmarks/test_forms.py::TestForms::test_parametrised[a-10]" in names
    assert not (toy.folder / "results.xml").exists()


COVERAGE = """\
import sys
from pathlib import Path

import pytest


def pytest_addoption(parser):
    parser.addoption("--cov", action="append")
    parser.addoption("--no-cov", action="store_true")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config):
    if not early_config.known_args_namespace.no_cov:
        sys.setprofile(lambda *_: None)
        Path(__file__).with_name("measured").touch()
"""


def test_no_coverage_is_measured_of_what_is_recorded_and_timed(
    toy: Toy, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin with the options of pytest-cov in the settings is turned off, so that unchanged benchmarks need not be timed."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "covering.py").write_text(COVERAGE)
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parents[4]}:{tmp_path / 'plugins'}")
    toy.write("pytest.ini", "[pytest]\naddopts = -p covering --cov=app\n")
    toy.commit()
    toy.write("notes.txt", "a file that no benchmark uses")
    code, result, _ = gate(capsys)
    assert (code, result["sentence"]) == (0, "1 benchmark unchanged and not timed")
    assert not (tmp_path / "plugins" / "measured").exists()


def test_a_usage_error_of_pytest_is_reported(capsys: Captured) -> None:
    """A wrong option of pytest exits with 2, in one line."""
    code = main(["gate", "--against", "main", "--", "pytest", "benchmarks", "--no-such-option"])
    err = capsys.readouterr().err
    assert code == 2
    *steps, error = err.splitlines()
    assert "pytest of both versions: " in error
    assert "unrecognized arguments: --no-such-option" in error
    assert steps in STEPS


def hanging(toy: Toy) -> None:
    """Let a benchmark of the toy hang."""
    toy.write("app.py", "import threading\n\ndef total(n):\n    threading.Event().wait()\n")


def test_a_benchmark_that_hangs_now_is_a_regression(toy: Toy, capsys: Captured) -> None:
    """It is named with the version and the line, and exits with 1."""
    hanging(toy)
    code, result, _ = gate(capsys, "--timeout", "3s")
    assert code == 1, result
    assert "test_total did not finish within 3 s (warming up), at app.py:4; raise --timeout" in str(row(result)["reason"])
    assert row(result)["group"] == "test_total"


def test_a_benchmark_that_hangs_in_both_versions_is_not_comparable(toy: Toy, capsys: Captured) -> None:
    """What hung before is no regression: the old version gives nothing to compare with."""
    hanging(toy)
    toy.commit()
    code, result, _ = gate(capsys, "--timeout", "3s")
    assert code == 4
    assert "old: benchmarks/test_total.py::test_total did not finish within 3 s" in str(result["sentence"])


def test_pytest_s_own_message_is_passed_on(toy: Toy, capsys: Captured) -> None:
    """A path that does not exist, a conftest.py and a file that cannot be imported have the reason that pytest gives."""
    assert main(["gate", "--against", "main", "--", "pytest", "nowhere"]) == 2
    assert "pytest of both versions: ERROR: file or directory not found: nowhere" in capsys.readouterr().err
    toy.write("benchmarks/test_total.py", "import nothing_there\n")
    _, result, _ = gate(capsys)
    assert "ModuleNotFoundError: No module named 'nothing_there'" in str(result)


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("benchmarks/conftest.py", "raise RuntimeError('no database')\n", "RuntimeError: no database"),
        ("pytest.ini", "[pytest]\naddopts = --no-such-option\n", "unrecognized arguments: --no-such-option"),
    ],
    ids=["conftest", "options"],
)
def test_a_version_that_pytest_cannot_run(toy: Toy, capsys: Captured, file: str, text: str, reason: str) -> None:
    """Only the new one has failed; with only the old one nothing is comparable, which is said; with neither it is a usage error."""
    toy.write(file, text)
    code, result, _ = gate(capsys)
    assert code == 1
    assert reason in str(row(result)["reason"])
    assert str(row(result)["reason"]).startswith("it failed: pytest cannot run: ")
    toy.commit()
    code, _, err = gate(capsys)
    assert code == 2
    assert "\nharness: pytest of both versions: " in err
    assert reason in err
    (toy.folder / file).unlink()
    code, result, _ = gate(capsys)
    assert code == 4
    assert str(result["sentence"]).startswith("old: pytest cannot run: ")
    assert reason in str(result["sentence"])


def interrupted(toy: Toy, number: int, *, after: int) -> tuple[int, str]:
    """Start a gate, send it a signal after a number of process pairs; return its exit code and standard error."""
    command = [sys.executable, "-m", "harness", "gate", "--against", "main", "--time-all", "--margin", "100%", "--out", "kept"]
    suite = [
        "--junit",
        "gate.xml",
        "--markdown",
        "gate.md",
        "--html",
        "gate.html",
        "--",
        "pytest",
        "benchmarks",
        "-p",
        "pytest_benchmark.plugin",
    ]
    with subprocess.Popen([*command, *suite], cwd=toy.folder, stdout=-1, stderr=-1, text=True) as running:
        stored, deadline = toy.folder / "kept" / PAIRS_FILE, time.monotonic() + 120
        while (not stored.exists() or stored.read_bytes().count(b"\n") < after) and time.monotonic() < deadline:
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(number)
        _, err = running.communicate(timeout=60)
    return running.returncode, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_gate_writes_every_output(toy: Toy, number: int) -> None:
    """It says that it is unfinished, and never passes."""
    toy.write("notes.txt", "a file that no benchmark uses")
    code, err = interrupted(toy, number, after=1)
    assert code == 3, err
    for name in ("gate.xml", "gate.md", "gate.html", "kept/gate.xml", "kept/gate.md", "kept/gate.html", "kept/gate.json"):
        assert "unfinished: interrupted" in (toy.folder / name).read_text(), name
    assert "benchmarks/test_total.py" in (toy.folder / "gate.xml").read_text()
    assert toy.worktrees == 1


def test_a_killed_gate_is_resumed(toy: Toy, capsys: Captured) -> None:
    """After SIGKILL the process pairs that it stored count; another margin, or another version, is refused with the reason."""
    toy.write("notes.txt", "a file that no benchmark uses")
    interrupted(toy, signal.SIGKILL, after=2)
    toy.git("worktree", "prune")
    assert gate(capsys, "--time-all", "--resume", "kept", "--margin", "50%")[0] == 2
    again = ["gate", "--against", "main", "--time-all", "--margin", "100%", "--resume", "kept", "--json"]
    suite = ["--", "pytest", "benchmarks", "-p", "pytest_benchmark.plugin"]
    before = (toy.folder / "kept" / PAIRS_FILE).read_bytes()
    assert main([*again, *suite]) in {0, 3}
    result = json.loads(capsys.readouterr().out)
    assert (toy.folder / "kept" / PAIRS_FILE).read_bytes().startswith(before)
    assert result["timing"]["process_pairs"] == (toy.folder / "kept" / PAIRS_FILE).read_bytes().count(b"\n")
    toy.write("app.py", "def total(n):\n    return n\n")
    assert main([*again, *suite]) == 2
    assert "kept cannot be resumed, because it is of another gate (this version's files: " in capsys.readouterr().err
