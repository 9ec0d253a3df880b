"""`harness load` in a separate process: one toy from start to end, servers that fail, and every usage error."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from harness.cli import main
from harness.cli._runs import exit_code
from harness.results.load import ALL, LoadModel, LoadResult
from harness.results.run import Run, RunKind, RunSettings, ScenarioResult, ScenarioStatus
from harness.results.store import read_run
from harness.scenario import Scenario, Server, Setting

ROOT = Path(__file__).parents[3]
TOYS = ROOT / "tests" / "toys"
COMMAND = [sys.executable, "-m", "harness", "load"]
QUICK = ["--size", "tiny", "--warm-up", "0", "--drain", "300ms"]


def harness_load(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a separate process."""
    return subprocess.run([*COMMAND, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_a_run_writes_its_folder_and_its_report(tmp_path: Path) -> None:
    """It has the blocks of both workers and arms, ticks, ratios and histograms; the report's path is printed last."""
    out = tmp_path / "run"
    words = ["--rate", "poisson:100", "--duration", "800ms", "--block", "200ms", "--arms", "baseline,optimised"]
    done = harness_load(str(TOYS / "adding.py"), *words, "--size", "tiny", "--warm-up", "0", "--out", str(out))
    run = read_run(out)
    (result,) = run.scenarios
    assert result.load is not None
    assert done.returncode == (3 if result.load.unsustained else 0), done.stderr  # a busy machine may not sustain the rate
    assert (run.kind, result.status, result.processes, result.pairs) == ("load", "ok", 2, 4)
    assert "Poisson" in run.environment["arrivals"]
    assert "event loop" in run.environment
    assert {a.arm for a in result.load.arms} == {"baseline", "optimised"}
    assert {t.process for t in result.load.ticks} <= {1, 2}
    whole = [a for a in result.load.arms if a.group == ALL]
    assert whole[0].offered_per_s == whole[1].offered_per_s
    assert result.samples_file is not None
    assert (out / result.samples_file).stat().st_size > 100
    assert done.stdout.rstrip().endswith("report.html")
    assert (out / "report.html").stat().st_size > 10_000
    assert "warning" in done.stdout


@pytest.mark.slow
def test_errors_of_a_server_are_counted_by_message(tmp_path: Path) -> None:
    """Close, reset, garbage and half a body are separate errors without times; a hanging request is censored; the rest is timed."""
    out = tmp_path / "run"
    words = ["--rate", "100", "--duration", "500ms", "--block", "500ms", "--processes", "1", *QUICK]
    done = harness_load(str(TOYS / "faulty.py"), *words, "--out", str(out))
    assert done.returncode == 1, done.stderr
    assert "baseline: " in done.stdout
    (result,) = read_run(out).scenarios
    assert result.load is not None
    found = {(a.arm, a.group): a for a in result.load.arms}
    for arm in ("baseline", "optimised"):
        messages = {how: set(found[arm, how].error_messages) for how in ("closes", "resets", "garbage", "half")}
        assert all(len(of) == 1 for of in messages.values()), messages
        assert len(set.union(*messages.values())) == 4
        assert found[arm, "closes"].operations == 0
        assert found[arm, "hangs"].unfinished == found[arm, "hangs"].response.operations > 0
        assert found[arm, "good"].operations > 0
        assert found[arm, ALL].overloaded is not None
    assert result.load.ratios == []
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_users_are_the_closed_model(tmp_path: Path) -> None:
    """Their number is in the record, which --json prints."""
    out = tmp_path / "run"
    words = ["--users", "3", "--duration", "200ms", "--block", "200ms", "--processes", "1", "--json", "--arms", "baseline", *QUICK]
    done = harness_load(str(TOYS / "adding.py"), *words, "--out", str(out))
    assert done.returncode == 0, done.stderr
    (result,) = read_run(out).scenarios
    assert result.load is not None
    assert (result.load.models, result.load.arrivals) == (["closed"], "3 concurrent users")
    assert done.stdout.startswith("{")


@pytest.mark.slow
def test_ctrl_c_drains_and_writes_the_report(tmp_path: Path) -> None:
    """The exit code is 3, what was measured is saved, and no worker is left."""
    with _running(tmp_path, "--duration", "10m", "--block", "5m") as (process, engine):
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 3
        assert not engine.is_running()
    run = read_run(tmp_path / "run")
    (result,) = run.scenarios
    assert run.interrupted
    assert result.load is not None
    assert result.load.arms[0].operations > 0
    assert "report.html" in said


@pytest.mark.slow
def test_a_crashed_worker_is_reported_and_the_next_one_starts(tmp_path: Path) -> None:
    """The exit code is 1, and what the other workers measured is saved."""
    with _running(tmp_path, "--duration", "1600ms", "--block", "400ms", "--arms", "baseline") as (process, engine):
        engine.kill()
        process.communicate(timeout=60)
        assert process.returncode == 1
    (result,) = read_run(tmp_path / "run").scenarios
    assert result.load is not None
    (lost,) = result.load.lost_workers
    assert lost.startswith("load worker 1 of 2, after ")
    assert "load worker exited unexpectedly during baseline under load (SIGKILL)" in lost
    assert result.load.arms[0].operations > 0


CASES = ROOT / "tests" / "cases" / "scenarios"


@pytest.mark.slow
def test_failed_operations_fail_the_run(tmp_path: Path) -> None:
    """The exit code is 1; arm, error and count stand before any figure, and in the record; the arm has no ratio."""
    out = tmp_path / "run"
    words = ["--rate", "200", "--duration", "1s", "--block", "500ms", "--warm-up", "500ms", "--size", "tiny"]
    done = harness_load(str(CASES / "fails.py"), *words, "--out", str(out))
    assert done.returncode == 1, done.stderr
    printed = " ".join(done.stdout.split())
    failed = "failed fails optimised: 200 of 200 operations failed (100 %): ConnectionRefusedError: pool exhausted (200)"
    assert "too many operations of optimised fail" in printed
    assert printed.index(failed) < printed.index("per second errors")
    (result,) = read_run(out).scenarios
    assert result.load is not None
    assert (result.status, result.exit_code, result.load.ratios) == ("failed", 1, [])
    assert str(result.error).startswith("optimised: 200 of 200 operations failed")


@pytest.mark.slow
def test_the_tolerance_of_failed_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One in 25 fails: beyond the default tolerance, within one of 10 %, where the errors are warnings."""
    monkeypatch.setenv("ERR", "1")
    words = [str(CASES / "err_few.py"), "--rate", "200", "--duration", "1s", "--block", "1s", "--processes", "1", "--size", "tiny"]
    strict = harness_load(*words, "--out", str(tmp_path / "strict"))
    assert strict.returncode == 1, strict.stderr
    tolerant = harness_load(*words, "--errors", "10%", "--max-in-flight", "5000", "--out", str(tmp_path / "tolerant"))
    (result,) = read_run(tmp_path / "tolerant").scenarios
    assert result.load is not None
    assert (result.status, result.load.error_tolerance) == ("ok", 0.1)
    assert "failed operations" in {warning.name for warning in result.warnings}
    assert tolerant.returncode == (3 if result.load.unsustained else 0)  # on a busy machine operations may stay behind


@pytest.mark.slow
def test_dropped_arrivals_make_a_run_inconclusive(tmp_path: Path) -> None:
    """The exit code is 3; the arm, the count and the next step are named."""
    waiting, out = tmp_path / "adding.py", tmp_path / "run"
    waiting.write_text((TOYS / "adding.py").read_text().replace("await asyncio.sleep(0)", "await asyncio.sleep(0.2)"))
    words = ["--rate", "100", "--duration", "500ms", "--block", "500ms", "--processes", "1", "--arms", "baseline", "--warm-up", "0"]
    done = harness_load(str(waiting), *words, "--max-in-flight", "2", "--size", "tiny", "--out", str(out))
    assert done.returncode == 3, done.stderr
    (result,) = read_run(out).scenarios
    assert result.load is not None
    (message,) = result.load.unsustained
    assert re.fullmatch(
        r"baseline: \d+ of 50 operations were dropped at the limit of in-flight operations; lower the load, or raise the limit",
        message,
    )
    assert "dropped at the limit" in " ".join(done.stdout.split())


@pytest.mark.slow
def test_an_arm_that_never_answers_ends_with_its_name(tmp_path: Path) -> None:
    """The run ends by itself with exit code 1; arm, case and group are named."""
    words = ["--rate", "20", "--duration", "2s", "--drain", "1s", "--timeout", "2s", "--size", "tiny"]
    done = harness_load(str(CASES / "hang_arm.py"), *words, "--out", str(tmp_path / "run"))
    assert done.returncode == 1, done.stderr
    said = " ".join(done.stdout.split())
    assert "optimised raised in case 'n 0': TimeoutError: no answer within 2 s in group 'g'; see --timeout" in said
    assert "Traceback" not in done.stdout + done.stderr


BLOCKS = """
        if instance["arm"] == "optimised" and instance["steps"][0] > 8:
            time.sleep(600)
        await asyncio.sleep(0)"""


@pytest.mark.slow
def test_an_arm_that_blocks_under_load_is_left_out(tmp_path: Path) -> None:
    """Case and line are named, the exit code is 1, and the other arms get all their blocks from another worker."""
    blocking, out = tmp_path / "adding.py", tmp_path / "run"
    text = (TOYS / "adding.py").read_text().replace("import asyncio\n", "import asyncio\nimport time\n")
    blocking.write_text(text.replace("\n        await asyncio.sleep(0)", BLOCKS))
    words = ["--rate", "20", "--duration", "2s", "--block", "500ms", "--processes", "1", "--timeout", "2s", *QUICK]
    done = harness_load(str(blocking), *words, "--out", str(out))
    assert done.returncode == 1, done.stderr
    (result,) = read_run(out).scenarios
    assert result.load is not None
    (lost,) = result.load.lost_workers
    assert re.search(r"optimised, case 'sum \d+' of group 'sum' blocks the event loop \(adding.py, line \d+\)", lost)
    assert result.status == "failed"
    found = {a.arm: a.operations for a in result.load.arms if a.group == ALL}
    assert found["baseline"] >= 20
    assert found["proposed"] >= 20


@pytest.mark.slow
def test_different_answers_are_a_failure(tmp_path: Path) -> None:
    """The exit code is 1; the message has scenario, arm and case; the record is marked as failed."""
    wrong = tmp_path / "adding.py"
    wrong.write_text((TOYS / "adding.py").read_text().replace("return sum(list(range(case.args)))", "return 13"))
    done = harness_load(str(wrong), *QUICK, "--out", str(tmp_path / "run"))
    assert done.returncode == 1
    assert "failed adding proposed gives another answer than" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout + done.stderr
    assert read_run(tmp_path / "run").scenarios[0].status == "failed"


def test_a_remote_server_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused before anything is sent to it."""

    @contextmanager
    def servers(scenario: object, setting: Setting) -> Iterator[Mapping[str, Server]]:
        yield {"service": Server("http://192.0.2.7:80", "http://192.0.2.7:80")}

    monkeypatch.setattr(Scenario, "servers", servers)
    assert main(["load", str(TOYS / "adding.py"), "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("harness: 192.0.2.7 is not this machine; ")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--rate", "0"], "0"),
        (["--rate", "fast"], "fast"),
        (["--rate", "replay:no_such_file"], "no_such_file"),
        (["--rate", "50", "--users", "5"], "not allowed with argument"),
        (["--users", "0"], "--users: '0' is not a whole number from 1 to 10000"),
        (["--users", "many"], "--users: 'many'"),
        (["--duration", "0"], "--duration: '0' is not a duration above 0 and up to a day; try 30s, 500ms or 2m"),
        (["--duration", "1h"], "--duration: '1h'"),
        (["--duration", "-3"], "--duration"),
        (["--block", "0ms"], "--block: '0ms'"),
        (["--block", "inf"], "--block: 'inf'"),
        (["--warm-up", "nan"], "--warm-up: 'nan' is not a duration up to a day; try 0"),
        (["--drain", "long"], "--drain: 'long'"),
        (["--processes", "0"], "--processes: '0'"),
        (["--processes", "2.5"], "--processes: '2.5'"),
        (["--max-in-flight", "0"], "--max-in-flight: '0'"),
        (["--errors", "3"], "--errors: '3' is ambiguous as a percentage; write 3% or a share below 1"),
        (["--timeout", "0"], "--timeout: '0' is not a duration above 0"),
        (["--arms", "baseline,other"], "unknown arm 'other' of scenario adding; choose from baseline, proposed, optimised"),
        (["--engine", "oracle"], "unknown engine 'oracle'"),
        (["--engine", "all"], "unknown engine 'all'"),
        (["--size", "vast"], "unknown size 'vast'"),
        (["--seed", "x"], "--seed: 'x'"),
        (["--rtt", "0,5"], "--rtt: '0,5' has several round-trip times"),
        (["--rtt", "-1"], "--rtt"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_usage_errors_are_one_line(words: Sequence[str], complaint: str, refused: Callable[[Sequence[str], str], None]) -> None:
    """The line names the option and the value; the exit code is 2, and nothing is started."""
    refused(["load", str(TOYS / "adding.py"), *words], complaint)


def test_several_scenarios_are_refused(tmp_path: Path, refused: Callable[[Sequence[str], str], None]) -> None:
    """The message has their names; an unknown name is refused as well."""
    refused(["load", str(TOYS)], f"{TOYS} has several scenarios; choose one: adding,")
    refused(["load", "no_such_scenario"], "unknown scenario 'no_such_scenario'")


def test_a_folder_that_holds_a_run_is_refused(tmp_path: Path, refused: Callable[[Sequence[str], str], None]) -> None:
    """No run is overwritten."""
    (tmp_path / "run.json").write_text("{}")
    refused(["load", str(TOYS / "adding.py"), "--out", str(tmp_path)], "already contains a run")


@pytest.mark.parametrize(
    ("status", "load", "interrupted", "code"),
    [
        ("ok", LoadResult([LoadModel.OPEN], "", 1, 0), False, 0),
        ("ok", LoadResult([LoadModel.OPEN], "", 1, 0, lost_workers=["engine process 2 of 2"]), False, 1),
        ("ok", LoadResult([LoadModel.OPEN], "", 1, 0, invalid="the generator"), False, 3),
        ("ok", LoadResult([LoadModel.OPEN], "", 1, 0, unsustained=["optimised: 9 of 99 operations were dropped"]), False, 3),
        ("failed", LoadResult([LoadModel.OPEN], "", 1, 0, unsustained=["optimised: 9 of 99 operations were dropped"]), True, 1),
        ("ok", LoadResult([LoadModel.OPEN], "", 1, 0), True, 3),
        ("failed", LoadResult([LoadModel.OPEN], "", 1, 0, invalid="the generator"), False, 1),
    ],
)
def test_exit_code_of_a_run(status: ScenarioStatus, load: LoadResult, interrupted: bool, code: int) -> None:
    """A crashed worker counts as a failure; an invalid run is inconclusive, unless the load is only a part of a run of pairs."""
    result = ScenarioResult("adding", "", "", "adding.py", "sqlite", 0.0, status, exit_code=int(status == "failed"), load=load)
    settings = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=False, processes=2, budget_s=1.0)
    assert exit_code(Run(2, RunKind.LOAD, "", "", None, "", None, False, interrupted, settings, {}, [result])) == code  # noqa: FBT003 - not dirty
    of_pairs = 0 if not interrupted and (load.invalid or load.unsustained) and status == "ok" else code
    assert exit_code(Run(2, RunKind.PAIRS, "", "", None, "", None, False, interrupted, settings, {}, [result])) == of_pairs  # noqa: FBT003 - not dirty


@contextmanager
def _running(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """Yield a run whose first worker is generating load, and that worker; end both in any case."""
    scenario, mark = folder / "adding.py", folder / "loaded"
    ran = f"RAN.append(1)\n        len(RAN) > 60 and open({str(mark)!r}, 'w').close()"
    scenario.write_text(f"{(TOYS / 'adding.py').read_text()}\n\nRAN = []\n".replace("await asyncio.sleep(0)", ran))
    command = [*COMMAND, str(scenario), "--rate", "200", *QUICK, *words, "--out", str(folder / "run")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        deadline = time.monotonic() + 60
        while not mark.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        (engine,) = (c for c in psutil.Process(process.pid).children() if "harness.load.worker" in " ".join(c.cmdline()))
        yield process, engine
    finally:
        process.kill()
        process.communicate()
