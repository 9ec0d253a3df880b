"""`harness capacity`, as a person types it: its help, one toy from start to end, and every way of getting it wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.cli import EXIT_CODES, main
from harness.cli.capacity import exit_code
from harness.results.load import CapacityKind, LoadModel, LoadResult
from harness.results.run import Run, RunKind, RunSettings, ScenarioResult, ScenarioStatus
from harness.results.store import read_run

ROOT = Path(__file__).parents[3]
TOYS = ROOT / "tests" / "toys"
COMMAND = [sys.executable, "-m", "harness", "capacity"]

HELP = f"""\
usage: harness capacity [-h] --slo OBJECTIVE [--kind KIND[,KIND]] [--arms ARM[,ARM]] [--step T] [--warm-up T]
                        [--budget T] [--max-users N] [--engine ENGINE] [--size SIZE] [--seed N] [--rtt MS]
                        [--allow-remote] [--out DIR] [--scenarios DIR] [--json]
                        SCENARIO

Search the most load at which each arm holds an objective, in operations a second and in users at once.

SCENARIO is the name of a file in the scenarios folder, a scenario file, or a folder with one. A level is tried for a few seconds;
levels double until one fails, then the search closes in on the highest that holds, to a tenth, and tries both ends again. Arms take
turns step by step. Rates are offered at random moments (the open model: response time counts from when an operation was due, and
98 % of what is offered has to be answered); users ask again once answered (the closed model).

An objective bounds response times and errors: "p95 < 150ms", "p99 < 1s, errors < 0.1%", "mean < 20ms, max < 2s". At most 1 % of the
operations may fail where it does not say. The run is a folder: run.json and report.html. Ctrl-C keeps what was found.

positional arguments:
  SCENARIO            a name, a file or a folder with one scenario

options:
  -h, --help          show this help message and exit
  --slo OBJECTIVE     what has to hold, such as "p95 < 150ms, errors < 0.1%"
  --kind KIND[,KIND]  rate, users (default: both)
  --arms ARM[,ARM]    arms that are searched (default: all)
  --step T            measured time of a step, or more (default: 3s)
  --warm-up T         load before it, not recorded (default: 1s)
  --budget T          time for each arm and kind (default: 120s)
  --max-users N       most users that are tried (default: 2000)
  --engine ENGINE     database engine (default: sqlite)
  --size SIZE         how much data: tiny, small, medium, large (default: small)
  --seed N            seed of data, cases and order (default: 0)
  --rtt MS            round-trip time to the engine, in ms (default: 0)
  --allow-remote      load servers on other machines too
  --out DIR           folder of the run (default: runs/<UTC time>-<commit>-capacity)
  --scenarios DIR     where names are looked up
  --json              print the run as JSON instead of tables

{EXIT_CODES}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Search the toy once, quickly: users up to four."""
    out = tmp_path_factory.mktemp("runs") / "toy"
    words = [str(TOYS / "adding.py"), "--slo", "p90 < 2s, errors <= 0%", "--kind", "users", "--max-users", "4", "--arms"]
    words += ["baseline,optimised", "--step", "150ms", "--warm-up", "0", "--size", "tiny", "--out", str(out)]
    return out, subprocess.run([*COMMAND, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_help_is_the_public_interface(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The options, what an objective is, and the exit codes."""
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as ended:
        main(["capacity", "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == HELP


@pytest.mark.slow
def test_a_search_ends_with_a_run_and_its_report(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Each arm has a capacity with the steps that led to it, in the run's folder, and the report's path is printed last."""
    out, process = finished
    assert process.returncode == 0, process.stderr
    run = read_run(out)
    (result,) = run.scenarios
    assert (run.kind, result.status) == ("load", "ok")
    assert result.load is not None
    assert [(c.arm, c.kind) for c in result.load.capacities] == [
        ("baseline", CapacityKind.USERS),
        ("optimised", CapacityKind.USERS),
    ]
    for found in result.load.capacities:
        assert found.steps
        assert found.objective == "p90 < 2 s, errors <= 0 %"
        assert found.sustained is not None or found.failed_at is not None
    assert process.stdout.rstrip().endswith("report.html")
    assert (out / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_a_folder_that_holds_a_run_is_refused(
    finished: tuple[Path, subprocess.CompletedProcess[str]], refused: Callable[[Sequence[str], str], None]
) -> None:
    """Nothing is overwritten."""
    out, _ = finished
    refused(["capacity", str(TOYS / "adding.py"), "--slo", "p95 < 1s", "--out", str(out)], "holds a run already")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "--slo"),
        (["--slo", "p95 < 150"], "without a unit"),
        (["--slo", "fast"], 'try "p95 < 150ms'),
        (["--slo", "p95 < 1s", "--kind", "weight"], "--kind 'weight' is no kind of capacity; known: rate, users"),
        (["--slo", "p95 < 1s", "--arms", "baseline,other"], "no arm named 'other'"),
        (["--slo", "p95 < 1s", "--step", "0"], "--step '0'"),
        (["--slo", "p95 < 1s", "--step", "fast"], "--step 'fast'"),
        (["--slo", "p95 < 1s", "--budget", "-1s"], "--budget"),
        (["--slo", "p95 < 1s", "--budget", "2s"], "less than one --step"),
        (["--slo", "p95 < 1s", "--warm-up", "long"], "--warm-up 'long'"),
        (["--slo", "p95 < 1s", "--max-users", "0"], "--max-users '0'"),
        (["--slo", "p95 < 1s", "--max-users", "1000000"], "--max-users '1000000'"),
        (["--slo", "p95 < 1s", "--engine", "oracle"], "no engine named 'oracle'"),
        (["--slo", "p95 < 1s", "--size", "vast"], "no size named 'vast'"),
        (["--slo", "p95 < 1s", "--rtt", "0,5"], "several distances"),
        (["--slo", "p95 < 1s", "--seed", "x"], "seed 'x'"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    words: Sequence[str], complaint: str, refused: Callable[[Sequence[str], str], None]
) -> None:
    """One line that names the thing, exit code 2, and nothing started."""
    refused(["capacity", str(TOYS / "adding.py"), *words], complaint)


def test_a_search_is_of_one_scenario(refused: Callable[[Sequence[str], str], None]) -> None:
    """A folder with several of them is refused, with their names."""
    refused(["capacity", str(TOYS), "--slo", "p95 < 1s"], "name one of them: adding, distant")


def ended(status: ScenarioStatus = ScenarioStatus.OK, lost: Sequence[str] = (), *, interrupted: bool = False) -> Run:
    """Return a run that ended in some way."""
    load = LoadResult([LoadModel.OPEN], CapacityKind.RATE, 3.0, 1.0, lost_workers=list(lost))
    result = ScenarioResult("toy", "Toy", "Toy.", "toy.py", "sqlite", 0.0, status, exit_code=status == "failed", load=load)
    settings = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=False, processes=1, budget_s=1.0)
    return Run(2, RunKind.LOAD, "run", "", "", "harness capacity", None, False, interrupted, settings, {}, [result])  # noqa: FBT003 - a record's flags


@pytest.mark.parametrize(
    ("record", "unfinished", "code"),
    [
        (ended(), False, 0),
        (ended(), True, 3),
        (ended(ScenarioStatus.FAILED), True, 1),
        (ended(lost=["baseline at 16"]), False, 1),
        (ended(ScenarioStatus.INTERRUPTED, interrupted=True), True, 3),
    ],
)
def test_the_exit_code_says_how_it_ended(record: Run, unfinished: bool, code: int) -> None:
    """0 with an answer, 1 where something failed or was lost, 3 where it was stopped, by a person or by the budget."""
    assert exit_code(record, unfinished=unfinished) == code
