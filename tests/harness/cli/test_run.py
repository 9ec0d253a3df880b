"""`harness run` in a separate process: one toy run from start to end, and every usage error."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.bench.outcome import StoredStep
from harness.cli import _options, _parser, main
from harness.cli import run as run_command
from harness.cli._runs import given, injected, request_of, resume
from harness.results.resumable import ResumableRequest
from harness.results.run import (
    AA_CONTROL,
    Controls,
    InjectedSlowdown,
    Run,
    RunKind,
    RunSettings,
    ScenarioResult,
    ScenarioStatus,
)
from harness.results.store import read_run, read_samples, write_run
from harness.results.unfinished import UnfinishedRun
from harness.verdicts.controls import MIN_READINGS

ROOT = Path(__file__).parents[3]
TOY = ROOT / "tests" / "toys" / "adding.py"


def harness(*arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """Run the command in a separate process."""
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Run the toy once."""
    out = tmp_path_factory.mktemp("runs") / "toy"
    return out, harness("run", str(TOY), "--quick", "--processes", "3", "--budget", "100", "--out", str(out))


@pytest.mark.slow
def test_a_run_passes_and_prints_the_path_of_its_report(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The exit code is 0, and the last line is the path of an existing report."""
    out, done = finished
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(out / "report.html")
    assert (out / "report.html").stat().st_size > 10_000
    assert "s left" in done.stderr


@pytest.mark.slow
def test_the_record_is_complete(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """It has processes, pairs, controls, work counts, memory of each arm, findings and verdicts."""
    record: Run = read_run(finished[0])
    (toy,) = record.scenarios
    assert (toy.status, toy.processes, toy.verified_cases) == ("ok", 3, 2)
    assert toy.dataset == {"digest": "numbers-0"}
    assert {r.arm for r in toy.ratios} == {"proposed", "optimised", AA_CONTROL}
    assert {(e.arm, e.value, e.repeats_exactly) for e in toy.work_counts if e.metric == "steps"} == {
        ("baseline", 20_000, True),
        ("proposed", 20_000, True),
        ("optimised", 1, True),
    }
    assert {e.metric for e in toy.work_counts} == {"steps"}  # a preview counts neither calls nor allocations
    assert toy.samples_file is not None
    samples = read_samples(finished[0] / toy.samples_file)
    is_control = samples["arm"] == AA_CONTROL
    controlled = set(zip(samples["process"][is_control], samples["pair"][is_control], strict=True))
    enough = max(Counter(process for process, _ in controlled).values()) >= MIN_READINGS  # a busy machine times few pairs
    assert {d.name for d in toy.controls.drifts} == ({"pure CPU"} if enough else set())
    assert sorted(m.arm for m in toy.memory) == ["baseline", "optimised", "proposed"]
    assert all(m.has_figures and m.peak_bytes > 0 and m.repetitions > 1 and m.curve for m in toy.memory)
    assert [(f.message, f.holds, f.evidence) for f in toy.findings] == [("the proposal still makes a list", True, "20000 steps")]
    words = {(v.promise, v.arm): v.verdict for v in toy.verdicts}
    assert words["X1", "optimised"] == "confirmed"
    assert (words["X3", "proposed"], words["X3", "optimised"]) == ("fell short", "confirmed")


@pytest.mark.slow
def test_the_raw_samples_are_saved(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """There is a sample per operation, as many as the record counts, from every process."""
    (toy,) = read_run(finished[0]).scenarios
    assert toy.samples_file is not None
    processes = read_samples(finished[0] / toy.samples_file)["process"]
    assert len(processes) == sum(x.samples for x in toy.latencies)
    assert set(processes) == {1, 2, 3}


@pytest.mark.slow
def test_without_processes_work_is_counted_and_nothing_is_timed(tmp_path: Path) -> None:
    """It exits with 0, has the counts and the memory, and prints the profile if asked to."""
    out = tmp_path / "run"
    done = harness("run", str(TOY), "--quick", "--processes", "0", "--profile", "--out", str(out))
    assert done.returncode == 0, done.stderr
    (scenario,) = read_run(out).scenarios
    assert scenario.work_counts
    assert scenario.memory
    assert scenario.latencies == []
    assert "Where the time went, in seconds" in done.stdout
    assert "Seconds of worker processes" in " ".join(done.stdout.split())


def test_an_injected_slowdown_is_measured(tmp_path: Path) -> None:
    """A line has its result; it is in the record as a control, but neither an arm nor among the samples."""
    out = tmp_path / "run"
    done = harness("run", str(TOY), "--quick", "--processes", "3", "--budget", "100", "--plant", "100%", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"^injected slowdown of 100\.00%: (not )?detected, measured .* over one group, sum;", done.stdout, re.MULTILINE
    )
    (toy,) = read_run(out).scenarios
    (planted,) = toy.controls.injected
    assert (planted.group, planted.share) == ("sum", 1.0)
    assert {r.arm for r in toy.ratios} == {"proposed", "optimised", AA_CONTROL}


def slowdown(low: float | None, group: str = "page") -> InjectedSlowdown:
    """Return a slowdown of 3 % that was measured at 4 %, with this lower bound."""
    return InjectedSlowdown(group, 0.03, 0.04, low, None if low is None else 0.08 - low, 20)


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ([], "injected slowdown of 3.00%: not tested, because no scenario was timed with a control"),
        (
            [slowdown(0.01)],
            "injected slowdown of 3.00%: detected, measured +4.00% over one group, page; significant alone in 1 of 1",
        ),
        (
            [slowdown(None)],
            "injected slowdown of 3.00%: not detected, measured +4.00% over one group, page; significant alone in 0 of 1",
        ),
        (
            [slowdown(0.01), slowdown(-0.01, "write")],
            "injected slowdown of 3.00%: detected, measured +4.00% [+4.00%, +4.00%] over 2 groups; significant alone in 1 of 2",
        ),
    ],
)
def test_an_injected_slowdown_is_reported(found: list[InjectedSlowdown], line: str) -> None:
    """Detected or not, by the interval over groups; by the group's own interval if there is one group."""
    controls = Controls(injected=found)
    result = ScenarioResult("toy", "", "", "toy.py", "sqlite", 0.0, ScenarioStatus.OK, controls=controls)
    settings = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=True, processes=3, budget_s=1.0)
    record = Run(2, RunKind.PAIRS, "", "", None, "", None, False, False, settings, {}, [result])  # noqa: FBT003 - a record's flags
    assert injected(record, 0.03) == line


@pytest.mark.parametrize("share", ["0", "-3%", "300%", "nan", "3%x", "much"])
def test_an_invalid_slowdown_is_refused(share: str, refused: Callable[[Sequence[str], str], None]) -> None:
    """The message shows a valid value."""
    refused(["run", str(TOY), f"--plant={share}"], f"--plant: {share!r} is not a percentage above 0 and up to 100 %; try 3%")


@pytest.mark.slow
def test_a_wrong_answer_fails_one_scenario_only(tmp_path: Path) -> None:
    """The exit code is 1 and the message names arm and case; the other scenario is finished and reported."""
    folder = tmp_path / "mine"
    folder.mkdir()
    source = TOY.read_text()
    (folder / "right_sums.py").write_text(source)
    (folder / "wrong_sums.py").write_text(source.replace("return sum(list(range(case.args)))", "return 13"))
    done = harness("run", str(folder), "--quick", "--processes", "1", "--budget", "100", "--out", str(tmp_path / "run"))
    assert done.returncode == 1
    assert "proposed gives another answer than baseline to case 'sum 20000': 13" in " ".join(done.stdout.split())
    by_name = {s.name: s for s in read_run(tmp_path / "run").scenarios}
    assert (by_name["right_sums"].status, by_name["wrong_sums"].status) == ("ok", "failed")
    assert by_name["wrong_sums"].ratios == []
    assert "Traceback" not in done.stdout + done.stderr
    assert "Traceback" in (tmp_path / "run" / "errors" / "wrong_sums-sqlite.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--engine", "postgres"],
            "nothing was measured: adding was not run: it supports sqlite only; choose another scenario, --engine",
        ),
        (["--processes", "1", "--budget", "0.001"], "nothing was timed in the budget of 0.001 s; raise --budget"),
    ],
)
def test_a_run_that_measured_nothing_is_inconclusive(tmp_path: Path, options: Sequence[str], message: str) -> None:
    """The exit code is 3 and not that of a pass; the last line says what to do next, and there is a report."""
    (tmp_path / "adding.py").write_text(
        "from harness import Case, Group, Promise, Scenario, speedup, times\n\n\n"
        'class Adding(Scenario):\n    """Add numbers up."""\n\n'
        "    engines = ['sqlite']\n"
        "    arms = {'baseline': 'a loop', 'optimised': 'the formula'}\n"
        "    groups = [Group('sum', 'add numbers')]\n"
        "    promises = [Promise('X1', 'twice as fast', times(2), speedup('sum'))]\n\n"
        "    def cases(self, setting):\n        return [Case('sum', 'ten', 10)]\n\n"
        "    def open(self, arm, setting):\n        return arm\n\n"
        "    def run(self, instance, case):\n        return case.args\n"
    )
    done = harness("run", str(tmp_path / "adding.py"), *options, "--out", str(tmp_path / "run"))
    assert done.returncode == 3, done.stdout + done.stderr
    assert message in done.stderr
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.slow
def test_a_full_disk_is_exit_code_2(tmp_path: Path) -> None:
    """The machine is at fault and not an answer; the message has the next step."""
    folder = tmp_path / "mine"
    folder.mkdir()
    full = 'from harness.errors import UsageError\n        raise UsageError("disk is full; free some space")'
    text = TOY.read_text().replace('        """Return the digest of the data."""\n', f"        {full}\n")
    (folder / "no_disk.py").write_text(text)
    done = harness("run", str(folder), "--quick", "--processes", "1", "--budget", "100", "--out", str(tmp_path / "run"))
    assert done.returncode == 2
    assert "disk is full; free some space" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["comparing answers", "memory of"])
def test_an_interruption_of_parallel_scenarios_is_not_a_failure(tmp_path: Path, moment: str) -> None:
    """Ctrl-C while several scenarios run ends all of them; their status is interrupted and not failed."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("first_sums", "second_sums"):
        (folder / f"{name}.py").write_text(TOY.read_text().replace("asyncio.sleep(0)", "asyncio.sleep(0.3)"))
    out = tmp_path / "run"
    command = [sys.executable, "-m", "harness", "run", str(folder), "--processes", "1", "--budget", "100", "--out", str(out)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    for line in child.stderr:
        if moment in line:
            break
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=60)
    assert child.returncode == 3, stderr
    assert {s.status for s in read_run(out).scenarios} == {"interrupted"}
    assert "Traceback" not in stdout + stderr


def lasting(folder: Path) -> str:
    """Return the toy with operations that take so long that its pairs are still timed when a test interrupts them."""
    file = folder / "adding.py"
    file.write_text(TOY.read_text().replace("await asyncio.sleep(0)", "await asyncio.sleep(0.2)"))
    return str(file)


@pytest.mark.slow
def test_an_interruption_keeps_what_was_measured(tmp_path: Path) -> None:
    """Ctrl-C ends the run with exit code 3; the record is marked, and samples and report are written."""
    out = tmp_path / "run"
    command = [sys.executable, "-m", "harness", "run", lasting(tmp_path), "--processes", "2", "--budget", "120", "--out", str(out)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    for line in child.stderr:
        if "timing pairs" in line:
            break
    time.sleep(4)
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=60)
    assert child.returncode == 3, stderr
    assert stdout.splitlines()[-1] == str(out / "report.html")
    record = read_run(out)
    assert record.interrupted
    assert record.scenarios[0].status == "interrupted"
    assert record.scenarios[0].pairs > 0
    assert record.scenarios[0].samples_file is not None
    assert "Traceback" not in stdout + stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["indexs"], "unknown scenario 'indexs'; did you mean indexes? choose from "),
        (["no/such/folder"], "unknown scenario 'no/such/folder'"),
        (["all", "--engine", "oracle"], "--engine: unknown engine 'oracle'; choose from postgres, sqlite, turso, all"),
        (["all", "--size", "huge"], "--size: unknown size 'huge'; choose from tiny, small, medium, large"),
        (["all", "--seed", "-1"], "--seed"),
        (["all", "--seed", "x"], "--seed: 'x' is not a whole number"),
        (["all", "--seed", str(2**63)], "is not a whole number"),
        (["all", "--rtt", "fast"], "--rtt: 'fast' is not a list of milliseconds"),
        (["all", "--processes", "-1"], "--processes: '-1' is not a whole number from 0; see `harness run --help`"),
        (["all", "--budget", "nan"], "--budget: 'nan' is not a duration above 0"),
        (["all", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["all", "--rtt", "0,-1"], "--rtt: '0,-1' is not between 0 and 2000 ms"),
        (["all", "--rtt", "nan"], "--rtt: 'nan' is not between 0 and 2000 ms"),
    ],
)
def test_usage_errors_are_one_line(
    arguments: list[str], complaint: str, refused: Callable[[Sequence[str], str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the option and the value; nothing is run."""
    monkeypatch.chdir(ROOT)
    refused(["run", *arguments], complaint)


def test_an_import_that_hangs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[[Sequence[str], str], None]
) -> None:
    """It happens in the command's own process, before anything is measured; the line is named."""
    monkeypatch.setattr(_options, "IMPORT_S", 0.5)
    (tmp_path / "slow_import.py").write_text("import threading\n\nthreading.Event().wait()\n")
    line = "slow_import.py cannot be imported: its import did not finish within 0.5 s, at slow_import.py:3; raise --timeout"
    refused(["run", str(tmp_path / "slow_import.py"), "--timeout", "0.1s"], line)


def test_an_old_run_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that holds a run is refused before anything is measured."""
    (tmp_path / "run.json").write_text("{}")
    assert main(["run", str(TOY), "--out", str(tmp_path)]) == 2
    assert "already contains a run" in capsys.readouterr().err
    assert (tmp_path / "run.json").read_text() == "{}"


@pytest.mark.parametrize("place", ["/proc/nothing/run", "/dev/null/run"])
def test_a_folder_that_cannot_be_written_is_refused(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused before anything is measured."""
    assert main(["run", str(TOY), "--out", place]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(f"harness: cannot write {place}")


def test_workers_end_with_a_killed_coordinator(tmp_path: Path) -> None:
    """The kernel ends the workers of a command that was killed."""
    import psutil  # noqa: PLC0415 - this test alone looks at processes

    command = [sys.executable, "-m", "harness", "run", lasting(tmp_path), "--budget", "120", "--out", str(tmp_path / "run")]
    child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert child.stderr is not None
    for line in child.stderr:
        if "timing pairs" in line:
            break
    time.sleep(1)
    workers = psutil.Process(child.pid).children(recursive=True)
    assert workers
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stderr.close()
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert alive == []


def test_a_traceback_of_a_scenario_s_own_code_is_printed_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By default the error is one line of the result; with --traceback the worker's traceback is on standard error."""
    member = (Path(__file__).parents[2] / "cases/scenarios/member.py").read_text()
    file = tmp_path / "breaking.py"
    file.write_text(member.replace("case.args in instance", "case.args in nonsense"))
    for number, more in enumerate(([], ["--traceback"])):
        assert main(["run", str(file), "--quick", "--budget", "5", "--out", str(tmp_path / f"run{number}"), *more]) == 1
        shown = capsys.readouterr()
        assert "failed breaking" in shown.out
        assert ("return case.args in nonsense" in shown.err) is bool(more)


def unfinished(folder: Path, *words: str) -> Path:
    """Write what a run leaves that was killed before its first step, and return its folder."""
    options = _parser().parse_args(["run", str(TOY), "--quick", *words])
    _options.resolve(options)
    request = request_of(options, "run", [TOY], {"--size": "tiny", "--processes": "2"})
    write_run(run_of([], finished_at=None), folder)
    UnfinishedRun[StoredStep](folder, request, StoredStep).close()
    return folder


def run_of(scenarios: Sequence[ScenarioResult], finished_at: str | None = "2026-01-01T00:01:00+00:00") -> Run:
    """Return a run's record."""
    settings = RunSettings([], "tiny", 0, [0.0], quick=False, processes=2, budget_s=10.0)
    began = "2026-01-01T00:00:00+00:00"
    whole = Run(
        2,
        RunKind.PAIRS,
        "toy",
        began,
        finished_at,
        "harness run",
        None,
        dirty=False,
        interrupted=False,
        settings=settings,
        environment={},
    )
    return replace(whole, scenarios=list(scenarios))


@pytest.mark.parametrize(
    ("words", "change"),
    [
        (["--seed", "1"], "--seed: 0 before, 1 now"),
        (["--size", "small"], "--size: tiny before, small now"),
        (["--processes", "3"], "--processes: 2 before, 3 now"),
        (["--budget", "90"], "--budget: none before, 90 now"),
        (["--rtt", "5"], "--rtt: 0 before, 5 now"),
        (["--timeout", "9s"], "--timeout: 60 before, 9 now"),
        (["--plant", "3%"], "--plant: none before, 0.03 now"),
        ([str(TOY.with_name("distant.py"))], "the file tests/toys/adding.py: "),
    ],
    ids=lambda value: value.partition(":")[0] if isinstance(value, str) else "",
)
def test_a_run_is_not_resumed_with_other_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], change: str, refused: Callable[[Sequence[str], str], None]
) -> None:
    """The message names the option with both values; nothing is measured."""
    monkeypatch.chdir(ROOT)
    folder = unfinished(tmp_path / "run")
    refused(["run", "--resume", str(folder), *words], f"{folder} cannot be resumed, because it is of another run ({change}")


def test_a_run_that_can_be_resumed_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[[Sequence[str], str], None]
) -> None:
    """The message has the option that completes it."""
    monkeypatch.chdir(ROOT)
    folder = unfinished(tmp_path / "run")
    refused(["run", str(TOY), "--out", str(folder)], f"{folder} already contains a run; complete it with --resume {folder}, choose")


def test_options_that_are_left_out_are_those_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option that states its default states it: it may be another one than that of the run."""
    monkeypatch.chdir(ROOT)
    folder = unfinished(tmp_path / "run", "--seed", "7", "--timeout", "9s")
    options = _parser().parse_args(["run", "--resume", str(folder)])
    _options.resolve(options)
    assert resume(options, "run", run_command.arguments) is None
    assert (options.seed, options.timeout, options.quick, options.scenario) == (7, 9.0, True, [str(TOY)])
    assert given(run_command.arguments, ["--seed", "0"]) == {"seed"}
    assert given(run_command.arguments, ["adding", "--resume", "x", "--json"]) == {"scenario", "resume", "json"}


def test_a_changed_file_or_tree_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other content of a scenario file or of another file, known to git or not, and another commit; but not new results."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "bench").mkdir()
    file, code = tmp_path / "bench" / "toy_of_a_test.py", tmp_path / "code.py"
    file.write_text(TOY.read_text())
    code.write_text("x = 1\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], check=True)
    options = _parser().parse_args(["run", str(file)])
    _options.resolve(options)
    settings = {"--size": "tiny", "--processes": "2"}

    def differences(before: ResumableRequest) -> set[str]:
        now = request_of(options, "run", [file], settings)
        return {name for name in {**before.identity, **now.identity} if before.identity.get(name) != now.identity.get(name)}

    first = request_of(options, "run", [file], settings)
    write_run(run_of([]), tmp_path / "runs" / "a")
    (tmp_path / "runs" / "a" / "report.html").write_text("x")
    assert differences(first) == set()
    code.write_text("x = 2\n")
    assert differences(first) == {"the uncommitted changes"}
    dirty = request_of(options, "run", [file], settings)
    (tmp_path / "new.py").write_text("")
    assert differences(dirty) == {"the uncommitted changes"}
    (tmp_path / "new.py").unlink()
    assert differences(dirty) == set()
    file.write_text(f"{TOY.read_text()}\n")
    assert differences(dirty) == {"the file bench/toy_of_a_test.py", "the uncommitted changes"}
    subprocess.run([*git, "commit", "-qam", "second"], check=True)
    assert "the commit" in differences(first)


def test_a_complete_run_is_not_measured_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report is written, and the exit code is that of the run."""
    folder = tmp_path / "run"
    write_run(run_of([ScenarioResult("a", "A", "", "a.py", "", 0.0, ScenarioStatus.OK, latencies=[])]), folder)
    code = main(["run", "--resume", str(folder)])
    assert f"{folder} is complete; nothing was measured" in capsys.readouterr().err
    assert (folder / "report.html").exists()
    assert code == 3  # it has no figures
    failed = ScenarioResult("a", "A", "", "a.py", "", 0.0, ScenarioStatus.FAILED, error="it raised", exit_code=1)
    write_run(run_of([failed]), folder)
    assert main(["run", "--resume", str(folder / "run.json")]) == 1


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("missing", "has no run to resume; name the folder of one"),
        ("without steps", "cannot be resumed, because its steps are not there"),
        ("of a load test", "is not a run of `harness run`; name the folder of one"),
        ("with --out", "--resume RUN names the folder already; leave out --out"),
    ],
)
def test_what_cannot_be_resumed_is_refused(
    tmp_path: Path, case: str, message: str, refused: Callable[[Sequence[str], str], None]
) -> None:
    """One line says why, with the next step."""
    folder = tmp_path / "run"
    if case == "without steps":
        write_run(run_of([], finished_at=None), folder)
    elif case == "of a load test":
        write_run(replace(run_of([]), kind=RunKind.LOAD), folder)
    refused(["run", "--resume", str(folder), *(["--out", str(tmp_path / "x")] if case == "with --out" else [])], message)


@pytest.mark.slow
def test_a_killed_run_says_so_and_is_resumed(tmp_path: Path) -> None:
    """Killed half way it is no baseline, every format says that it did not finish, and it is completed from its folder alone."""
    out = tmp_path / "run"
    arguments = ["run", str(TOY), "--quick", "--processes", "2", "--budget", "200", "--out", str(out)]
    steps = out / "unfinished" / "steps.jsonl"
    with subprocess.Popen([sys.executable, "-m", "harness", *arguments], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and (not steps.exists() or steps.read_bytes().count(b"\n") < 4):
            time.sleep(0.02)
        process.kill()
    for form in ("terminal", "markdown", "html"):
        shown = harness("report", str(out), "--format", form)
        text = shown.stdout if form != "html" else (out / "report.html").read_text()
        assert "did not finish" in text, form
    refused = harness("baseline", "accept", str(out), "--folder", str(tmp_path / "baselines"))
    assert refused.returncode == 2
    assert f"cannot become a baseline: it did not finish; complete it with: harness run --resume {out}" in refused.stderr
    resumed = harness("run", "--resume", str(out))
    assert resumed.returncode == 0, resumed.stderr
    record = read_run(out)
    assert (record.resumed, record.incomplete) == (1, "")
    assert {status.status for status in record.scenarios} == {ScenarioStatus.OK}
    assert not steps.parent.exists()
