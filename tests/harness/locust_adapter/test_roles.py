"""A single process, a master and its workers."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from harness.errors import ScenarioFailedError, UsageError
from harness.results.load import ALL, LoadedArm
from harness.results.run import ScenarioResult
from harness.results.store import read_run

SERVERS = """    def servers(self, setting):
        import os
        os._exit(0)

"""
KILLED = """    def load_cases(self, setting):
        import os
        os.kill(os.getpid(), 9)

"""
Run = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.slow


def test_headless_tries_every_arm_and_writes_a_run(folder: Path, locust: Run, tmp_path: Path) -> None:
    """Two scenarios alternate in the closed model; the run, the report, Locust's CSV and HTML are written, and it exits with 0."""
    (folder / "more_adding.py").write_text((folder / "adding.py").read_text().replace("class Adding", "class More"))
    done = locust("-u", "4", "-r", "4", "-t", "3s", "--csv", "figures", "--html", "page.html")
    assert done.returncode == 0, done.stderr
    record = read_run(tmp_path / "run")
    assert (record.kind, record.environment["users"], record.interrupted) == ("load", "4", False)
    assert {s.name for s in record.scenarios} == {"adding", "more_adding"}
    rows = list(csv.DictReader((tmp_path / "figures_stats.csv").read_text().splitlines()))
    for scenario in record.scenarios:
        assert {x.arm for x in scenario.latencies} == {"baseline", "proposed", "optimised"}
        assert scenario.samples_file is not None
        assert (tmp_path / "run" / scenario.samples_file).is_file()
        fastest = next(x for x in scenario.latencies if x.arm == "optimised")
        (row,) = [r for r in rows if (r["Type"], r["Name"]) == ("optimised", f"{scenario.name}: sum")]
        columns = ("Average Response Time", "Min Response Time", "Max Response Time")  # milliseconds
        assert [float(row[c]) * 1e6 for c in columns] == pytest.approx([fastest.mean_ns, fastest.min_ns, fastest.max_ns])
    for file in ("run/report.html", "page.html", "figures_stats.csv"):
        assert (tmp_path / file).is_file(), file
    assert "optimised" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def sustained(scenario: ScenarioResult) -> int:
    """Return the exit code of a run that a busy machine may not sustain."""
    assert scenario.load is not None
    return 3 if scenario.load.unsustained else 0


def test_a_rate_is_offered_in_the_open_model(locust: Run, tmp_path: Path) -> None:
    """With --rate the model is open, --arm selects one arm, and Locust's CSV has the same counts as the run."""
    done = locust("-u", "50", "-t", "3s", "--rate", "40", "--arm", "optimised", "--csv", "figures")
    record = read_run(tmp_path / "run")
    (scenario,) = record.scenarios
    assert scenario.load is not None
    assert done.returncode == sustained(scenario), done.stderr
    assert scenario.load.models == ["open"]
    assert record.environment["in-flight limit"] == "50"
    (whole,) = [a for a in scenario.load.arms if a.group == ALL]
    assert whole.arm == "optimised"
    assert whole.offered_per_s == pytest.approx(40, rel=0.1)
    rows = [line.split(",") for line in (tmp_path / "figures_stats.csv").read_text().splitlines()]
    (aggregated,) = [dict(zip(rows[0], row, strict=True)) for row in rows if row[1] == "Aggregated"]
    assert int(aggregated["Request Count"]) == whole.operations
    assert float(aggregated["Requests/s"]) == pytest.approx(whole.achieved_per_s, rel=0.1)
    assert not float(aggregated["50%"]).is_integer()


def test_tags_select_arms(locust: Run, tmp_path: Path) -> None:
    """-E excludes an arm."""
    done = locust("-u", "2", "-t", "2s", "-E", "proposed")
    assert done.returncode == 0, done.stderr
    (scenario,) = read_run(tmp_path / "run").scenarios
    assert {x.arm for x in scenario.latencies} == {"baseline", "optimised"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rate", "fast"), "'fast' is not a rate"),
        (("--rtt", "far"), "'far' is not a number of milliseconds"),
        (("--seed", "-1"), "'-1' is not a whole number from 0"),
        (("--arm", "another"), "invalid choice: 'another'"),
        (
            ("-T", "another"),
            "adding: --arm and tags select no arm; arms, which are also the tags: baseline, proposed, optimised",
        ),
    ],
)
def test_a_usage_error_is_one_line(locust: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    """It exits with 2 and a message, without a traceback and without a run."""
    done = locust("-u", "1", "-t", "30s", *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_another_run_is_not_replaced(locust: Run, tmp_path: Path) -> None:
    """Nor is a load put on anything whose results cannot be written."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    done = locust("-u", "1", "-t", "1s")
    assert done.returncode == UsageError.code
    assert "run already contains a run; choose another folder with --out, or delete it" in done.stderr
    assert (tmp_path / "run" / "run.json").read_text() == "{}"
    (tmp_path / "run" / "run.json").rename(tmp_path / "file")
    done = locust("-u", "1", "-t", "1s", "--out", str(tmp_path / "file" / "run"))
    assert done.returncode == UsageError.code
    assert f"cannot write {tmp_path}/file/run: {tmp_path}/file is not a folder; choose another folder with --out" in done.stderr


def test_a_scenario_that_ends_its_process_is_named(folder: Path, locust: Run) -> None:
    """With the name of the scenario, whether it does so as it is imported, where servers are described, or in the load worker."""
    text = (folder / "adding.py").read_text()
    for old, new, expected in (
        (
            "class ",
            "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n\nclass ",
            "ended the process that imports it (SIGKILL)",
        ),
        ("    async def run(", SERVERS + "    async def run(", "servers() raised at trials/adding.py"),
        (
            "    async def run(",
            KILLED + "    async def run(",
            "load worker exited unexpectedly during adding: making the cases for a load test (SIGKILL)",
        ),
    ):
        (folder / "adding.py").write_text(text.replace(old, new, 1))
        done = locust("-u", "1", "-t", "1s")
        assert done.returncode in {ScenarioFailedError.code, UsageError.code}
        assert expected in done.stderr


def test_two_scenarios_of_one_name_are_refused(folder: Path, tmp_path: Path) -> None:
    """Users of two folders in one process could not be kept apart; the message has both files."""
    other = shutil.copytree(folder, tmp_path / "other")
    program = "import sys, pathlib\nfrom harness.locust_adapter import users\nfor name in sys.argv[1:]: users(pathlib.Path(name))"
    done = subprocess.run(
        [sys.executable, "-c", program, folder, folder, other], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 2, done.stderr
    assert f"two scenarios are named 'adding': {folder / 'adding.py'} and {other / 'adding.py'}; rename one" in done.stderr


def test_two_scenarios_of_one_locust_class_are_refused(folder: Path, tmp_path: Path) -> None:
    """Locust names classes, and one of them would stand for both files."""
    other = shutil.copy(folder / "adding.py", folder / "adding_.py")
    program = "import sys, pathlib\nfrom harness.locust_adapter import users\nusers(pathlib.Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2, done.stderr
    assert done.stderr == f"harness: {folder / 'adding.py'} and {other} are both Adding in Locust; rename one\n"


def test_different_answers_end_the_run_in_one_line(folder: Path, locust: Run, tmp_path: Path) -> None:
    """It exits with 1; the message names scenario, arm and case."""
    file = folder / "adding.py"
    file.write_text(file.read_text().replace("return sum(list(range(case.args)))", "return 13"))
    done = locust("-u", "1", "-t", "30s")
    assert done.returncode == 1
    assert "harness: adding: proposed gives another answer than baseline to case 'sum 20000': 13" in done.stderr
    assert not (tmp_path / "run").exists()


FAILS = """instance["steps"].append(1)
        if instance["arm"] == "optimised" and len(instance["steps"]) > 20:
            raise ConnectionRefusedError("pool exhausted")
        await asyncio.sleep(0.002)"""


def test_failed_operations_fail_the_run(folder: Path, locust: Run, tmp_path: Path) -> None:
    """The exit code is 1, with arm, share and error named; Locust's own table stays, and its option sets the code."""
    file = folder / "adding.py"
    file.write_text(file.read_text().replace("await asyncio.sleep(0.002)", FAILS))
    done = locust("-u", "2", "-r", "2", "-t", "3s")
    assert done.returncode == 1, done.stderr
    said = " ".join(done.stdout.split())
    assert "failed adding optimised: " in said, done.stdout + done.stderr
    assert "ConnectionRefusedError: pool exhausted (" in said
    assert "Aggregated" in done.stdout + done.stderr
    (scenario,) = read_run(tmp_path / "run").scenarios
    assert (scenario.status, scenario.exit_code) == ("failed", 1)
    (tmp_path / "run").rename(tmp_path / "first")
    assert locust("-u", "2", "-r", "2", "-t", "3s", "--exit-code-on-error", "7").returncode == 7
    (tmp_path / "run").rename(tmp_path / "second")
    tolerant = locust("-u", "2", "-r", "2", "-t", "3s", "--errors", "100%")
    assert tolerant.returncode == 0, tolerant.stderr


def test_users_who_fill_a_core_are_compared(folder: Path, locust: Run, tmp_path: Path) -> None:
    """Operations without any wait use the generator's core themselves: the run is valid and exits with 0."""
    file = folder / "adding.py"
    file.write_text(file.read_text().replace("await asyncio.sleep(0.002)", "sum(range(case.args))"))
    done = locust("-u", "4", "-r", "4", "-t", "4s")
    assert done.returncode == 0, done.stderr
    (scenario,) = read_run(tmp_path / "run").scenarios
    assert scenario.load is not None
    assert scenario.load.invalid is None
    assert scenario.load.ratios


def test_a_hanging_operation_does_not_keep_locust(folder: Path, locust: Run, tmp_path: Path) -> None:
    """The load worker ends itself, the arm, its case and the line are named, and the exit code is 1."""
    file = folder / "adding.py"
    hangs = FAILS.replace('raise ConnectionRefusedError("pool exhausted")', "time.sleep(600)")
    text = file.read_text().replace("import asyncio\n", "import asyncio\nimport time\n")
    file.write_text(text.replace("await asyncio.sleep(0.002)", hangs))
    done = locust("-u", "2", "-r", "2", "-t", "60s", "--timeout", "2s")
    assert done.returncode == 1, done.stderr
    (scenario,) = read_run(tmp_path / "run").scenarios
    assert "optimised, case 'sum " in str(scenario.error)
    assert "blocks the event loop (adding.py, line " in str(scenario.error)


@pytest.mark.parametrize("hook", ["ready", "start", "stop"])
def test_a_bug_in_a_hook_has_its_own_exit_code(folder: Path, locust: Run, hook: str, tmp_path: Path) -> None:
    """Locust would end with 1, or go on, after an exception of a listener."""
    patch = f"from harness.locust_adapter.roles import Alone\ndef broken(self):\n    1 / 0\nAlone.{hook} = broken\n"
    file = folder / "locustfile.py"
    file.write_text(file.read_text() + patch)
    done = locust("--users", "1", "--run-time", "2s")
    assert done.returncode == 70, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("harness: internal error (ZeroDivisionError: ")]
    assert lines
    for line in lines:
        Path(line.rpartition(" ")[2]).unlink()


def test_a_run_without_operations_fails(locust: Run, tmp_path: Path) -> None:
    """It exits with 1, and the scenario has failed."""
    done = locust("-u", "1", "-t", "1s", "--rate", "poisson:0.000001")
    assert done.returncode == 1, done.stderr
    assert read_run(tmp_path / "run").scenarios[0].status == "failed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_drains_and_reports(number: int, command: Callable[..., list[str]], tmp_path: Path) -> None:
    """A run that Ctrl-C or a closed terminal interrupts exits with 3, and its report is written."""
    child = subprocess.Popen(
        command("--headless", "-u", "2", "-t", "60s", "--print-stats"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if b"optimised" in line:  # Locust's table: a block of every arm was received
            break
    child.send_signal(number)
    output = child.communicate(timeout=60)[0].decode()
    assert child.returncode == 3, output
    assert read_run(tmp_path / "run").interrupted
    assert (tmp_path / "run" / "report.html").is_file()
    assert "Traceback" not in output


def test_the_load_worker_ends_with_its_supervisor(command: Callable[..., list[str]], tmp_path: Path) -> None:
    """A Locust process that is killed leaves no load worker behind."""
    child = subprocess.Popen(
        command("--headless", "-u", "1", "-t", "60s"), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 100
    load_workers: list[psutil.Process] = []
    while not load_workers and time.monotonic() < deadline:
        time.sleep(0.2)
        load_workers = [p for p in psutil.Process(child.pid).children() if "harness.load.worker" in " ".join(p.cmdline())]
    assert load_workers
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    _, alive = psutil.wait_procs(load_workers, timeout=60)
    assert alive == []


pytestmark = pytest.mark.slow


def whole(run: Path) -> LoadedArm:
    """Return the figures of a run with one arm."""
    (scenario,) = read_run(run).scenarios
    assert scenario.load is not None
    (arm,) = [a for a in scenario.load.arms if a.group == ALL]
    return arm


def test_two_processes_share_the_schedule(locust: Run, two: list[str], tmp_path: Path) -> None:
    """--processes 2 offers the rate once, not twice; both workers take part, and none crashed."""
    done = locust("-u", "20", "-r", "20", "-t", "3s", *two, "--rate", "40", "--arm", "optimised")
    record = read_run(tmp_path / "run")
    (scenario,) = record.scenarios
    assert done.returncode == sustained(scenario), done.stderr
    assert (scenario.processes, record.environment["workers"], record.environment["in-flight limit"]) == (2, "2", "20")
    arm = whole(tmp_path / "run")
    assert arm.offered_per_s == pytest.approx(40, rel=0.1)
    assert arm.operations > 40
    assert scenario.load is not None
    assert scenario.load.lost_workers == []
    assert "Traceback" not in done.stdout + done.stderr


def test_users_of_all_workers_add_up(locust: Run, two: list[str], tmp_path: Path) -> None:
    """In the closed model the run has the users of both workers, and every arm."""
    done = locust("-u", "4", "-r", "4", "-t", "2s", *two)
    assert done.returncode == 0, done.stderr
    record = read_run(tmp_path / "run")
    (scenario,) = record.scenarios
    assert record.environment["users"] == "4"
    assert {x.arm for x in scenario.latencies} == {"baseline", "proposed", "optimised"}
    assert "one process" not in {warning.name for warning in scenario.warnings}


def test_a_crashed_worker_is_reported(command: Callable[..., list[str]], two: list[str], tmp_path: Path) -> None:
    """The other worker's figures are kept, the crash is in the record, and the exit code is 1."""
    arguments = command("--headless", "-u", "4", "-r", "4", "-t", "9s", *two, "--rate", "40", "--arm", "optimised", "--print-stats")
    soon = {**os.environ, "LIVENESS": "5"}
    child = subprocess.Popen(arguments, cwd=tmp_path, env=soon, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if "adding: sum" in line:  # Locust's table: workers have reported
            break
    workers = [p for p in psutil.Process(child.pid).children() if "locust" in " ".join(p.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    output = child.communicate(timeout=90)[0]
    assert child.returncode == 1, output
    (scenario,) = read_run(tmp_path / "run").scenarios
    assert scenario.load is not None
    (crashed,) = scenario.load.lost_workers
    assert crashed.startswith("worker ")
    assert "of 2, after" in crashed
    assert whole(tmp_path / "run").operations > 0


def test_separate_workers_use_the_masters_options(
    command: Callable[..., list[str]], folder: Path, port: str, tmp_path: Path
) -> None:
    """A worker that was started without options uses the master's class, arm and rate."""
    options = ["--headless", "-u", "9", "-t", "3s", "--rate", "30", "--arm", "proposed", "Adding"]
    master = subprocess.Popen(
        command("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "1", *options),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    arguments = [sys.executable, "-m", "locust", "-f", str(folder), "--worker", "--master-host", "127.0.0.1", "--master-port", port]
    worker = subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        output = master.communicate(timeout=90)[0]
        (scenario,) = read_run(tmp_path / "run").scenarios
        assert master.returncode == sustained(scenario), output
        assert whole(tmp_path / "run").arm == "proposed"
        assert whole(tmp_path / "run").offered_per_s == pytest.approx(30, rel=0.1)
        worker_output = worker.communicate(timeout=60)[0]
        assert worker.returncode == 0, worker_output
    finally:
        for process in (master, worker):
            if process.poll() is None:
                process.kill()


def test_ctrl_c_reaches_all_processes(command: Callable[..., list[str]], two: list[str], tmp_path: Path) -> None:
    """As from a terminal, every process is interrupted: the run is kept and marked, it exits with 3, and no process remains."""
    arguments = command("--headless", "-u", "4", "-t", "60s", *two, "--print-stats")
    child = subprocess.Popen(
        arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert child.stdout is not None
    for line in child.stdout:
        if "optimised" in line:
            break
    everyone = psutil.Process(child.pid).children(recursive=True)
    os.killpg(child.pid, signal.SIGINT)
    output = child.communicate(timeout=90)[0]
    assert child.returncode == 3, output
    assert "Traceback" not in output
    record = read_run(tmp_path / "run")
    assert record.interrupted
    assert record.scenarios[0].latencies
    assert psutil.wait_procs(everyone, timeout=60)[1] == []


def test_a_worker_that_cannot_prepare_ends_the_run(folder: Path, locust: Run, two: list[str], tmp_path: Path) -> None:
    """The master exits with 1 and the reason in one line, and writes no run."""
    file = folder / "adding.py"
    file.write_text(file.read_text().replace("return sum(list(range(case.args)))", "return 13"))
    done = locust("-u", "2", "-t", "30s", *two)
    assert done.returncode == 1, done.stderr
    assert "harness: adding: proposed gives another answer than baseline" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_scenarios_without_a_locustfile_name_the_next_step(folder: Path, locust: Run) -> None:
    """Locust alone would say that it has found no class of users."""
    (folder / "locustfile.py").unlink()
    done = locust("-t", "1s")
    assert done.returncode == 2, done.stderr
    assert done.stderr.endswith(f"harness: {folder} has scenarios and no locustfile.py; `harness init` writes one\n")


def test_settings_of_the_project_are_the_defaults_of_locust(locust: Run, tmp_path: Path) -> None:
    """The size is that of [tool.harness], and each scenario runs on its first engine; a wrong key is a usage error."""
    (tmp_path / "pyproject.toml").write_text('[tool.harness]\nsize = "medium"\n')
    done = locust("-u", "1", "-t", "1s")
    assert "Traceback" not in done.stderr
    settings = read_run(tmp_path / "run").settings
    assert (settings.size, settings.engines) == ("medium", ["sqlite"])
    (tmp_path / "pyproject.toml").write_text("[tool.harness]\nsice = 1\n")
    done = locust("-u", "1", "-t", "1s")
    assert done.returncode == 2
    assert "[tool.harness] has an unknown key 'sice'; did you mean 'size'?" in done.stderr
