"""`harness capacity`: its help, one toy from start to end, and every usage error."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.cli import EXIT_CODES, main
from harness.cli._runs import exit_code
from harness.results.load import CapacityKind, LoadModel, LoadResult
from harness.results.run import Run, RunKind, RunSettings, ScenarioResult, ScenarioStatus
from harness.results.store import read_run

ROOT = Path(__file__).parents[3]
TOYS = ROOT / "tests" / "toys"
COMMAND = [sys.executable, "-m", "harness", "capacity"]

HELP = f"""\
usage: harness capacity [-h] [--traceback] [--slo SLO] [--kind KIND[,KIND]] [--arms ARM[,ARM]] [--step DURATION]
                        [--warm-up DURATION] [--budget DURATION] [--max-users LIMIT] [--timeout DURATION]
                        [--engine ENGINE] [--size SIZE] [--seed SEED] [--rtt MS] [--allow-remote] [--out DIR]
                        [--scenarios DIR] [--lang LANG] [--json] [--resume RUN] [--all]
                        [SCENARIO]

Find the highest load at which each arm meets an SLO.

SCENARIO is a name in the scenarios directory, a scenario file, or a directory with one. Capacity is found as
operations per second (random arrivals, the open model: 98 % of the offered operations must complete in time) and as
concurrent users (the closed model). A level runs for a few seconds. Levels double until one fails; then the search
narrows down to the highest sustained level, to 10 %, and repeats both ends. Arms alternate step by step.

An SLO limits response times and errors: "p95 < 150ms", "p99 < 1s, errors < 0.1%", "mean < 20ms, max < 2s". Without a
limit for errors, 1 % of the operations may fail. The exit code is 1 if an arm sustains no level because its
operations fail. The run is written to a folder: run.json and report.html. Ctrl-C keeps what was found. Every step is
stored when it ends, so that `harness capacity --resume RUN` completes a search that was interrupted or killed, if the
commit, the files, the data and the options are the same.

positional arguments:
  SCENARIO            name, file or directory of one scenario

options:
  -h, --help          show this help message and exit
  --traceback         print the traceback of an error, also by HARNESS_TRACEBACK=1
  --slo SLO           limits to meet, such as "p95 < 150ms, errors < 0.1%"
  --kind KIND[,KIND]  rate, users (default: both)
  --arms ARM[,ARM]    arms to search (default: all)
  --step DURATION     minimum measured time per step (default: 3s)
  --warm-up DURATION  unrecorded load before each step (default: 1s)
  --budget DURATION   time per arm and kind (default: 120s)
  --max-users LIMIT   highest number of users to try (default: 2000)
  --timeout DURATION  longest time of one operation (default: 60s)
  --engine ENGINE     database engine: postgres, sqlite, turso (default: the scenario's first)
  --size SIZE         size of the dataset: tiny, small, medium, large (default: small)
  --seed SEED         seed of the data, the cases and the order (default: 0)
  --rtt MS            round-trip time to the engine, in ms (default: 0)
  --allow-remote      allow servers on other machines, whose owners consent, to be measured and loaded
  --out DIR           folder of the run (default: runs/<UTC time>-<commit>-capacity)
  --scenarios DIR     directory of scenario files (default: scenarios)
  --lang LANG         language of the report: en, ja (default: en)
  --json              print the run as JSON instead of tables
  --resume RUN        complete the run in this folder, which was interrupted or killed; its options stay the same and
                      need not be repeated
  --all               print everything at the end, not the conclusion alone

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
    """It has the options, the syntax of an SLO, and the exit codes."""
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as ended:
        main(["capacity", "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == HELP


@pytest.mark.slow
def test_a_search_writes_a_run_and_its_report(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Each arm has a capacity with its steps, and the report's path is printed last."""
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
        is_starved = found.reason.startswith("too few operations at")  # what a busy machine may answer
        assert found.sustained is not None or found.failed_at is not None or is_starved
    assert process.stdout.rstrip().endswith("report.html")
    assert (out / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_a_folder_that_holds_a_run_is_refused(
    finished: tuple[Path, subprocess.CompletedProcess[str]], refused: Callable[[Sequence[str], str], None]
) -> None:
    """No run is overwritten."""
    out, _ = finished
    refused(["capacity", str(TOYS / "adding.py"), "--slo", "p95 < 1s", "--out", str(out)], "already contains a run")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "--slo"),
        (["--slo", "p95 < 150"], "without a unit"),
        (["--slo", "fast"], 'try "p95 < 150ms'),
        (["--slo", "p95 < 1s", "--kind", "weight"], "--kind: unknown kind of capacity 'weight'; choose from rate, users"),
        (["--slo", "p95 < 1s", "--arms", "baseline,other"], "unknown arm 'other'"),
        (["--slo", "p95 < 1s", "--step", "0"], "--step: '0'"),
        (["--slo", "p95 < 1s", "--step", "fast"], "--step: 'fast'"),
        (["--slo", "p95 < 1s", "--budget", "-1s"], "--budget"),
        (["--slo", "p95 < 1s", "--budget", "2s"], "--budget 2s is shorter than one --step of 3s"),
        (["--slo", "p95 < 1s", "--warm-up", "long"], "--warm-up: 'long'"),
        (["--slo", "p95 < 1s", "--max-users", "0"], "--max-users: '0'"),
        (["--slo", "p95 < 1s", "--max-users", "1000000"], "--max-users: '1000000'"),
        (["--slo", "p95 < 1s", "--engine", "oracle"], "unknown engine 'oracle'"),
        (["--slo", "p95 < 1s", "--size", "vast"], "unknown size 'vast'"),
        (["--slo", "p95 < 1s", "--rtt", "0,5"], "several round-trip times"),
        (["--slo", "p95 < 1s", "--seed", "x"], "--seed: 'x'"),
    ],
)
def test_usage_errors_are_one_line(words: Sequence[str], complaint: str, refused: Callable[[Sequence[str], str], None]) -> None:
    """The line names the option and the value; the exit code is 2, and nothing is started."""
    refused(["capacity", str(TOYS / "adding.py"), *words], complaint)


def test_several_scenarios_are_refused(refused: Callable[[Sequence[str], str], None]) -> None:
    """The message has their names."""
    refused(["capacity", str(TOYS), "--slo", "p95 < 1s"], "choose one: adding, distant")


def ended(status: ScenarioStatus = ScenarioStatus.OK, lost: Sequence[str] = (), *, interrupted: bool = False) -> Run:
    """Return a finished run."""
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
def test_exit_code_of_a_search(record: Run, unfinished: bool, code: int) -> None:
    """0 with a result, 1 if something failed or crashed, 3 if it was interrupted or ran out of budget."""
    assert exit_code(record, unfinished=unfinished) == code
