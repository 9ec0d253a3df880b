"""The cases about the environment, with real processes: interpreter settings, encodings, signals and lost output."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]
SCENARIOS, FILES = ROOT / "tests" / "cases" / "scenarios", ROOT / "tests" / "cases" / "files"
HARNESS = (sys.executable, "-m", "harness")
HANG_S = 300.0


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment with more variables, for a command that is started elsewhere."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONIOENCODING", "PYTHONUTF8"}}
    return {**kept, "PYTHONPATH": str(ROOT), **variables}


def run(folder: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the harness in a folder."""
    command = [*HARNESS, *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=HANG_S,
    )


def test_debug_modes_do_not_reach_what_is_measured(tmp_path: Path) -> None:
    """A run in the development mode is recorded as such, measured without it, and comparable with a usual run."""
    options = (SCENARIOS / "module_engine.py", "--quick", "--budget", "100", "--processes", "1", "--out")
    assert run(tmp_path, "run", *options, "usual").returncode == 0
    debugged = run(tmp_path, "run", *options, "debugged", PYTHONDEVMODE="1", PYTHONASYNCIODEBUG="1")
    assert debugged.returncode == 0
    message = "harness: workers start without PYTHONDEVMODE, PYTHONASYNCIODEBUG, which would distort times and counts\n"
    assert debugged.stderr.startswith(message)
    recorded = json.loads((tmp_path / "debugged" / "run.json").read_text())["environment"]
    assert recorded["removed from the workers' environment"] == "PYTHONDEVMODE, PYTHONASYNCIODEBUG"
    gated = json.loads(run(tmp_path, "gate", "usual", "debugged", "--json").stdout)
    assert gated["incomparable"] == []
    assert "regressed" not in {row["verdict"] for row in gated["rows"] if row["kind"] == "work"}


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a short run, `measured`."""
    folder = tmp_path_factory.mktemp("runs")
    done = run(folder, "run", SCENARIOS / "member.py", "--quick", "--budget", "100", "--processes", "1", "--out", "measured")
    assert done.returncode == 0, done.stderr
    return folder


ENCODINGS = (
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "cp1252:strict"},
    {"LC_ALL": "POSIX", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
)


@pytest.mark.parametrize("variables", ENCODINGS, ids=lambda v: "-".join(v.values()))
@pytest.mark.parametrize(
    "arguments",
    [
        ["compare", FILES / "k6_ok.json", FILES / "k6_tail_60_times_slower.json"],
        ["gate", "measured", "measured"],
        ["gate", "measured", "measured", "--markdown", "-"],
        ["gate", "measured", "measured", "--json"],
        ["gate", "measured", "measured", "--github"],
        ["report", "measured", "--format", "markdown"],
        ["report", "measured", "--format", "terminal"],
        ["report", "measured", "--format", "json"],
        ["list", "--promises", "--scenarios", ROOT / "scenarios"],
        ["run", "größe …"],
        ["gate", "--help"],
    ],
    ids=lambda a: "-".join(Path(str(each)).name for each in a),
)
def test_no_encoding_changes_an_exit_code(arguments: Sequence[str | Path], variables: dict[str, str], runs: Path) -> None:
    """The output is what UTF-8 gives, with substitutes where the encoding lacks a character; JSON is the same value."""
    usual, other = run(runs, *arguments), run(runs, *arguments, **variables)
    assert other.returncode == usual.returncode < 70, other.stderr
    assert "Traceback" not in other.stderr
    assert len(other.stdout.splitlines()) == len(usual.stdout.splitlines())
    if arguments[-1] in {"json", "--json"}:
        assert json.loads(other.stdout) == json.loads(usual.stdout)


def test_a_run_is_the_same_in_every_encoding(tmp_path: Path) -> None:
    """Folders with letters beyond ASCII are measured in a locale that lacks them, and files are in UTF-8."""
    folder = tmp_path / "größe"
    folder.mkdir()
    (folder / "member.py").write_bytes((SCENARIOS / "member.py").read_bytes())
    out = ("--budget", "100", "--processes", "1", "--quick", "--out", folder / "out")
    done = run(tmp_path, "run", folder / "member.py", *out, **ENCODINGS[-1])
    assert done.returncode == 0, done.stderr
    assert "×" in (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert run(tmp_path, "report", folder / "out", "--format", "terminal").returncode == 0


def test_a_path_that_is_not_text_is_measured_and_reported(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are escapes in every output."""
    folder = tmp_path / os.fsdecode(b"b\xffd")
    folder.mkdir()
    (folder / "member.py").write_bytes((SCENARIOS / "member.py").read_bytes())
    out = folder / "out"
    settings = ("--budget", "100", "--processes", "1", "--quick", "--out", out)
    assert run(tmp_path, "run", folder / "member.py", *settings, TMPDIR=str(folder)).returncode == 0
    for form in ("html", "json", "markdown", "terminal"):
        assert run(tmp_path, "report", out, "--format", form).returncode == 0
    assert run(tmp_path, "gate", out, out, "--junit", folder / "j.xml").returncode in {0, 3}
    assert "b\\\\xffd/member.py" in run(tmp_path, "report", out, "--format", "json").stdout


@pytest.mark.parametrize(
    ("arguments", "redirection", "code", "message"),
    [
        ("gate measured measured", "> /dev/full", 2, "cannot write the output: No space left on device"),
        ("gate measured measured", ">&-", 2, "cannot write the output: standard output is closed; write to a file"),
        ("gate measured measured", "1< /dev/null", 2, "cannot write the output: standard output is closed"),
        ("gate measured measured --json", ">&-", 2, "cannot write the output: standard output is closed"),
        ("--help", ">&-", 2, "cannot write the output: standard output is closed"),
        ("list --promises --scenarios $ROOT/scenarios", "> big", 2, "the file would be larger than allowed"),
        ("gate measured nowhere", "2>&-", 2, ""),
        ("gate measured nowhere", "2> /dev/full", 2, ""),
        ("run --nonsense", "2> /dev/full", 2, ""),
        ("report measured --format json", "<&- > kept.json", 0, ""),
    ],
)
def test_streams_that_cannot_be_used_are_one_line(arguments: str, redirection: str, code: int, message: str, runs: Path) -> None:
    """Lost output is exit code 2, lost messages change no exit code, and neither is a traceback."""
    limit = "ulimit -f 0; " if "big" in redirection else ""
    shell = f"{limit}exec {sys.executable} -m harness {arguments} {redirection}"
    done = subprocess.run(
        ["bash", "-c", shell],
        cwd=runs,
        env=environment(ROOT=str(ROOT)),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    assert done.returncode == code
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == (1 if message else 0)


def test_a_run_without_any_stream_is_written(tmp_path: Path) -> None:
    """A closed descriptor is not reused for a channel or a file."""
    options = f"{SCENARIOS / 'member.py'} --quick --budget 100s --processes 1 --out out"
    shell = f"exec {sys.executable} -m harness run {options} <&- >&- 2>&-"
    done = subprocess.run(["bash", "-c", shell], cwd=tmp_path, env=environment(), check=False, timeout=HANG_S)
    assert done.returncode == 2
    assert json.loads((tmp_path / "out" / "run.json").read_text())["scenarios"][0]["status"] == "ok"
    assert (tmp_path / "out" / "report.html").is_file()


def interrupted(
    tmp_path: Path, arguments: Sequence[object], until: str, *numbers: int, ignored: Sequence[int] = ()
) -> tuple[int, str]:
    """Start a command, wait for a file, send the signals; return its exit code and messages. Nothing of it may be left."""
    (tmp_path / "tmp").mkdir()
    ignoring = ", ".join(f"signal.signal({number}, signal.SIG_IGN)" for number in (*ignored, signal.SIGCONT))
    program = f"import os, signal, sys; {ignoring}; os.execv(sys.executable, [sys.executable, '-m', 'harness', *sys.argv[1:]])"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    with (tmp_path / "err").open("w") as err:
        running = subprocess.Popen(
            command, cwd=tmp_path, env=environment(TMPDIR=str(tmp_path / "tmp")), stdout=subprocess.DEVNULL, stderr=err
        )
    try:
        wait_for(lambda: list(tmp_path.glob(until)) or running.poll() is not None)
        children = psutil.Process(running.pid).children(recursive=True)
        for number in numbers:
            running.send_signal(number)
            time.sleep(0.5 if len(numbers) > 1 else 0.0)
        code = running.wait(HANG_S)
    finally:
        running.kill()
    wait_for(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children))
    assert list((tmp_path / "tmp").iterdir()) == []
    return code, (tmp_path / "err").read_text()


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    ends = time.monotonic() + HANG_S
    while time.monotonic() < ends:
        with suppress(psutil.NoSuchProcess):
            if condition():
                return
        time.sleep(0.02)
    raise AssertionError("the condition does not hold in time")


LONG_RUN = ("run", SCENARIOS / "member.py", "--budget", "20s", "--out", "out")
LONG_LOAD = ("load", SCENARIOS / "member.py", "--duration", "60s", "--out", "out")
LONG_CAPACITY = ("capacity", SCENARIOS / "member.py", "--slo", "p95 < 5ms", "--out", "out")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda n: n.name)
@pytest.mark.parametrize("arguments", [LONG_RUN, LONG_LOAD, LONG_CAPACITY], ids=lambda a: a[0])
def test_every_request_to_stop_keeps_what_was_measured(arguments: Sequence[object], number: signal.Signals, tmp_path: Path) -> None:
    """The report is written, the exit code is 3, and neither a folder nor a process is left."""
    code, err = interrupted(tmp_path, arguments, "out/run.json", number)
    assert code == 3, err
    assert "Traceback" not in err
    assert json.loads((tmp_path / "out" / "run.json").read_text())["interrupted"] is True
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_repeated_request_ends_at_once_and_still_cleans_up(tmp_path: Path) -> None:
    """Another signal half a second later is not waited for: no traceback, nothing left."""
    code, err = interrupted(tmp_path, LONG_RUN, "out/run.json", signal.SIGTERM, signal.SIGTERM)
    assert code == 3, err
    assert "Traceback" not in err


def test_a_background_job_heeds_sigterm(tmp_path: Path) -> None:
    """A shell's background job ignores Ctrl-C, but not the signal of a cancelled job."""
    code, _ = interrupted(tmp_path, LONG_RUN, "out/run.json", signal.SIGINT, signal.SIGTERM, ignored=[signal.SIGINT])
    assert code == 3
    assert (tmp_path / "out" / "report.html").is_file()


def test_nohup_is_respected(tmp_path: Path) -> None:
    """A command that was started to outlive its terminal is not ended by it."""
    arguments = ("run", SCENARIOS / "member.py", "--quick", "--budget", "10s", "--processes", "1", "--out", "out")
    code, err = interrupted(tmp_path, arguments, "out/run.json", signal.SIGHUP, ignored=[signal.SIGHUP])
    assert code == 0, err


def test_a_cancelled_doctor_is_one_line(tmp_path: Path) -> None:
    """A command without results says that it was interrupted."""
    assert interrupted(tmp_path, ["doctor"], "err", signal.SIGTERM, ignored=[])[0] in {3, -signal.SIGTERM}  # before its start


@pytest.mark.parametrize("command", [["run", "sc"], ["list", "--scenarios", "sc"], ["load", "sc"]], ids=lambda c: c[0])
def test_a_file_that_exits_while_it_is_imported_is_refused(command: list[str], tmp_path: Path) -> None:
    """Otherwise the command would end with 0 and without a message."""
    folder = tmp_path / "sc"
    folder.mkdir()
    (folder / "member.py").write_bytes((SCENARIOS / "member.py").read_bytes())
    (folder / "zz.py").write_text("from harness import Scenario\nraise SystemExit(0)\n")
    done = run(tmp_path, *command)
    assert done.returncode == 2
    assert "zz.py, line 2, cannot be imported: SystemExit" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_locust_refuses_a_file_that_exits_while_it_is_imported(tmp_path: Path) -> None:
    """Its locustfile imports all scenarios of the folder."""
    (tmp_path / "locustfile.py").write_bytes((ROOT / "scenarios" / "locustfile.py").read_bytes())
    (tmp_path / "zz.py").write_text("from harness import Scenario\nraise SystemExit(0)\n")
    command = [sys.executable, "-m", "locust", "-f", "locustfile.py", "--headless", "-u", "1", "-t", "1s"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=HANG_S)
    assert done.returncode == 2
    assert "zz.py, line 2, cannot be imported: SystemExit: 0" in done.stderr
