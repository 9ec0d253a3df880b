"""Tests of versions as real processes: their messages, and their end."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from harness.errors import NotComparableError, NotMeasurableError, ScenarioFailedError
from harness.gate.against import protocol
from harness.gate.against.compare import NEXT, VersionCommand, VersionError, VersionProcess, run_to_end

ROOT = str(Path(__file__).parents[4])


def version(tmp_path: Path, body: str, name: str = "new") -> VersionCommand:
    """Return a version that runs `body`."""
    file = tmp_path / "version.py"
    file.write_text(body)
    return VersionCommand([sys.executable, "-S", str(file)], name, tmp_path, {"PYTHONPATH": ROOT})


def test_a_side_serves_slices_by_name(tmp_path: Path) -> None:
    """It announces each benchmark, times the requested repetitions, and ends after the last one."""
    body = "from harness.gate.against.protocol import serve\nserve({'a': lambda: None, 'b': lambda: None})\n"
    with VersionProcess(version(tmp_path, body)) as live:
        assert live.receive() == {"type": "benchmark", "name": "a", "cases": 1}
        assert live.slice(0, 1_000_000) > live.slice(0, 1)
        live.send(NEXT)
        assert live.receive()["name"] == "b"
        live.send(NEXT)
        assert live.receive() == {"type": "end", "found": {}, "foreign_imports": []}


def test_only_selected_benchmarks_are_announced(tmp_path: Path) -> None:
    """Benchmarks that are not in the list of names are left out."""
    (tmp_path / "only.json").write_text('["b"]')
    body = "from harness.gate.against.protocol import serve\nserve({'a': lambda: None, 'b': lambda: None})\n"
    with VersionProcess(version(tmp_path, body), only=tmp_path / "only.json") as live:
        assert live.receive()["name"] == "b"


def test_a_side_that_crashes_is_quoted(tmp_path: Path) -> None:
    """The message is its last line, with the name of the version."""
    with pytest.raises(VersionError, match=r"old: SystemExit: no such table|old: no such table \(exit code 1\)"):
        run_to_end(version(tmp_path, "raise SystemExit('no such table')\n", "old"))


def test_a_missing_command_is_named(tmp_path: Path) -> None:
    """The launcher names the command that it cannot execute."""
    with pytest.raises(VersionError, match="nowhere: No such file"):
        run_to_end(VersionCommand(["nowhere"], "new", tmp_path))


@pytest.mark.parametrize(
    ("name", "kind", "means"),
    [
        ("old", "ValueError", NotComparableError),
        ("new", "ValueError", ScenarioFailedError),
        ("old", "NotMeasurableError", NotMeasurableError),
    ],
)
def test_the_meaning_of_a_failure_depends_on_its_side(name: str, kind: str, means: type[Exception]) -> None:
    """The old version's means not comparable, the new version's is a failure, and a version that cannot run here is neither."""
    assert type(VersionError(name, "no", kind).as_refusal()) is means


def test_a_module_of_the_other_tree_is_refused(tmp_path: Path) -> None:
    """The times of a version that imported the other version's code are not valid."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "wanted.py").write_text("")
    body = (
        f"import sys; sys.path.insert(0, {str(other)!r}); import wanted\n"
        "from harness.gate.against.protocol import VersionChannel\nVersionChannel().end()\n"
    )
    one = version(tmp_path, body)
    with pytest.raises(VersionError, match="module 'wanted' was imported from the other version's tree"):
        run_to_end(VersionCommand(one.command, one.name, one.folder, {**one.environment, protocol.FOREIGN: str(other)}))


def test_nothing_keeps_running(tmp_path: Path) -> None:
    """A version that would never exit, and the process it started, are killed when its context ends."""
    body = (
        "import os, subprocess, sys, time\nfrom harness.gate.against.protocol import VersionChannel\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
        "VersionChannel().send('pids', pids=[os.getpid(), child.pid])\ntime.sleep(60)\n"
    )
    with VersionProcess(version(tmp_path, body)) as live:
        pids = live.receive()["pids"]
    gone, _ = psutil.wait_procs([psutil.Process(p) for p in pids if psutil.pid_exists(p)], timeout=5)
    assert all(not psutil.pid_exists(p) or psutil.Process(p).status() == psutil.STATUS_ZOMBIE for p in pids), gone


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores can be chosen on Linux alone")
def test_a_side_keeps_to_its_core_and_has_its_hash_seed(tmp_path: Path) -> None:
    """Core, seed and padding are those of its start."""
    core = min(os.sched_getaffinity(0))
    body = (
        "import os, sys\nfrom harness.gate.against.protocol import VersionChannel\n"
        "VersionChannel().end(cores=sorted(os.sched_getaffinity(0)), seed=os.environ['PYTHONHASHSEED'],"
        " padding=len(os.environ['HARNESS_PADDING']))\n"
    )
    with VersionProcess(version(tmp_path, body), core=core, seed=7, padding=123) as live:
        assert live.receive()["found"] == {"cores": [core], "seed": "7", "padding": 123}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores can be chosen on Linux alone")
def test_a_side_moves_with_all_its_threads(tmp_path: Path) -> None:
    """A thread that was started before the move is on the new core as well."""
    cores = sorted(os.sched_getaffinity(0))
    body = (
        "import os, threading\nfrom harness.gate.against.protocol import VersionChannel\n"
        "held, ids = threading.Event(), []\n"
        "threading.Thread(target=lambda: (ids.append(threading.get_native_id()), held.wait()), daemon=True).start()\n"
        "while not ids: pass\n"
        "version = VersionChannel()\nversion.send('benchmark', name='x', cases=1)\nversion.next_slice()\n"
        "version.end(cores=[sorted(os.sched_getaffinity(thread)) for thread in (0, *ids)])\n"
    )
    with VersionProcess(version(tmp_path, body), core=cores[0]) as live:
        live.receive()
        live.move(cores[-1])
        live.send(NEXT)
        assert live.receive()["found"]["cores"] == [[cores[-1]]] * 2


def test_a_version_that_hangs_is_ended_and_named(tmp_path: Path) -> None:
    """The failure has the version, the benchmark and the line; before, the silence is reported once it is news."""
    body = (
        "import threading\nfrom harness.gate.against.protocol import serve\n"
        "lock = threading.Lock()\nlock.acquire()\nserve({'a': lock.acquire})\n"
    )
    hanging = replace(version(tmp_path, body), timeout_s=2.0)
    with VersionProcess(hanging) as live:
        assert live.receive()["name"] == "a"
        with pytest.raises(VersionError, match="new: a did not finish within 2 s") as failed:
            live.slice(0, 1)
    assert "(timing), at version.py:5; raise --timeout" in failed.value.message
    assert failed.value.benchmark == "a"
    assert type(failed.value.as_refusal()) is ScenarioFailedError


def test_a_frozen_clock_does_not_reach_the_times(tmp_path: Path) -> None:
    """A test that freezes time is timed with the clock of the kernel."""
    body = (
        "import time\nfrom harness.gate.against.protocol import serve\n"
        "time.perf_counter_ns = time.monotonic_ns = time.time_ns = lambda: 42\nserve({'a': lambda: None})\n"
    )
    with VersionProcess(version(tmp_path, body)) as live:
        live.receive()
        assert sum(live.slice(0, 10_000)) > 100


def test_a_slice_without_a_duration_is_refused(tmp_path: Path) -> None:
    """A version whose clock stands still is named, instead of repeating its benchmark millions of times to fill a slice."""
    body = (
        "from harness.gate.against.protocol import VersionChannel\n"
        "channel = VersionChannel()\nchannel.serve('a', lambda case, repeats: [0])\n"
    )
    with VersionProcess(version(tmp_path, body)) as live:
        live.receive()
        with pytest.raises(VersionError, match="new: a took 0 ns; something replaced"):
            live.slice(0, 1)
