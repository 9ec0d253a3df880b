"""A stranger's pytest-benchmark suite, in two versions, through real pytest processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.cli import main
from harness.gate.against import compare as paired

if TYPE_CHECKING:
    from tests.harness.gate.against.conftest import Toy

pytestmark = pytest.mark.slow
Said = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, toy: Toy) -> None:
    """Stand in the toy's folder, and take few process pairs."""
    monkeypatch.chdir(toy.folder)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[4]))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # what else is installed here takes seconds to import
    monkeypatch.setattr(paired, "PROCESS_PAIRS", 4)
    monkeypatch.setattr(paired, "LEAST_SLICES_S", 0.1)


def gate(said: Said, *arguments: str) -> tuple[int, dict[str, object], str]:
    """Return the exit code, the result, and what was said on standard error."""
    code = main(
        [
            "gate",
            "--against",
            "main",
            "--json",
            "--budget",
            "0.1",
            *arguments,
            "--",
            "pytest",
            "benchmarks",
            "-p",
            "pytest_benchmark.plugin",
        ]
    )
    out, err = said.readouterr()
    return code, json.loads(out) if out else {}, err


def row(result: dict[str, object], number: int = 0) -> dict[str, object]:
    """Return one row."""
    rows = result["rows"]
    assert isinstance(rows, list)
    found: dict[str, object] = rows[number]
    return found


def test_three_times_the_work_is_found_and_nothing_is_left_behind(toy: Toy, capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slower in both sets of process pairs ends with 1, in a tree that nobody committed; the worktree is gone."""
    monkeypatch.setattr(paired, "PROCESS_PAIRS", 7)  # so many show it on a machine that does something else as well
    toy.write("app.py", "def total(n):\n    return sum(i * i for i in range(3 * n))\n")
    code, result, _ = gate(capsys)
    assert code == 1, result
    assert (row(result)["scenario"], row(result)["group"]) == ("benchmarks/test_total.py", "test_total")
    assert row(result)["verdict"] == "regressed"
    change = row(result)["change"]
    assert isinstance(change, float)
    assert change > 1.2
    assert toy.worktrees == 1


def test_the_same_code_is_not_red(capsys: Said) -> None:
    """No regression, whatever else the noise of this machine lets it say."""
    code, result, _ = gate(capsys)
    assert code in {0, 3}, result
    assert row(result)["verdict"] in {"equivalent", "inconclusive", "improved"}
    assert row(result)["paired"] is True


def test_a_renamed_benchmark_is_not_comparable(toy: Toy, capsys: Said) -> None:
    """It ends with 4, and says what the new name may be."""
    file = toy.folder / "benchmarks" / "test_total.py"
    file.write_text(file.read_text().replace("test_total(", "test_the_total("))
    code, result, _ = gate(capsys)
    assert code == 4
    assert "test_total.py::test_total: missing in the new version" in str(result["sentence"])
    assert "test_total.py::test_the_total' now" in str(result["sentence"])


def test_no_benchmark_at_all_never_passes(toy: Toy, capsys: Said) -> None:
    """A suite that times nothing has nothing to compare."""
    (toy.folder / "benchmarks" / "test_total.py").write_text("def test_nothing():\n    pass\n")
    toy.commit()
    code, result, _ = gate(capsys)
    assert code == 4
    assert result["sentence"] == "there was nothing to time or to count"


def test_a_coroutine_function_is_refused(toy: Toy, capsys: Said) -> None:
    """Its call does none of its work; one line says so, and which test it is."""
    toy.write("benchmarks/test_total.py", "async def work():\n    pass\n\ndef test_it(benchmark):\n    benchmark(work)\n")
    toy.commit()
    code, _, err = gate(capsys)
    assert code == 2
    assert "benchmarks/test_total.py::test_it: benchmark was given the coroutine function 'work'" in err
    assert len(err.splitlines()) == 1


def test_a_test_that_fails_now_is_a_regression(toy: Toy, capsys: Said) -> None:
    """A benchmark that cannot run any more ends with 1, with its reason."""
    toy.write("app.py", "def total(n):\n    return -1\n")
    code, result, _ = gate(capsys)
    assert code == 1
    assert "it failed: " in str(row(result)["reason"])
    assert row(result)["kind"] == "status"


def test_pytest_that_cannot_be_used_is_named(capsys: Said) -> None:
    """A wrong option of pytest's ends with 2, in one line."""
    code = main(["gate", "--against", "main", "--", "pytest", "benchmarks", "--no-such-option"])
    err = capsys.readouterr().err
    assert code == 2
    assert "pytest of the old version" in err
    assert len(err.splitlines()) == 1
