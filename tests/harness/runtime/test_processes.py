"""Child processes: their events arrive, their deaths are told, and nothing of them is left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from harness.bench.protocol import BenchJob, DataPrepared, JobDone, JobFailed, decode_job, encode_job
from harness.runtime.processes import events
from harness.scenario import Setting

TOY = Path(__file__).parents[2] / "toys" / "adding.py"


def job(tmp_path: Path, text: str | None = None) -> BenchJob:
    """Return a job that prepares the toy, or a scenario of this text."""
    file = TOY
    if text is not None:
        file = tmp_path / "mine" / "a_toy.py"
        file.parent.mkdir()
        file.write_text(text)
    return BenchJob("prepare", file, Setting(tmp_path, tmp_path, seed=7))


def preparing(body: str) -> str:
    """Return the toy with another `prepare`."""
    return TOY.read_text().replace(
        '        """Say what the data are."""\n', f"        import os, sys, time, subprocess\n        {body}\n"
    )


def children() -> set[int]:
    """Return this process's living descendants."""
    return {p.pid for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE}


def test_a_job_survives_the_way_to_the_child(tmp_path: Path) -> None:
    """Paths and settings arrive as they were sent."""
    assert decode_job(encode_job(job(tmp_path))) == job(tmp_path)


def test_a_child_says_what_it_did(tmp_path: Path) -> None:
    """Its result and its good end arrive as events."""
    assert list(events(job(tmp_path))) == [DataPrepared({"digest": "numbers-7"}, {"version": "1"}), JobDone()]


def test_what_a_scenario_prints_is_no_event(tmp_path: Path) -> None:
    """Prints go to standard error."""
    found = list(events(job(tmp_path, preparing('print("hello"); os.write(1, b"low level")'))))
    assert found[-1] == JobDone()


def test_a_child_that_hangs_is_ended_once_patience_is(tmp_path: Path) -> None:
    """It cannot hold the run up, and how it ended is told."""
    hanging = msgspec.structs.replace(job(tmp_path, preparing("import threading; threading.Event().wait()")), timeout_s=1)
    (failed,) = events(hanging)
    assert isinstance(failed, JobFailed)
    assert "SIGALRM" in failed.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise RuntimeError('no room')", "RuntimeError: no room"),
        ("os._exit(3)", "the worker process ended without a word (exit code 3)"),
        ("os.kill(os.getpid(), 9)", "the worker process ended without a word (killed by SIGKILL)"),
    ],
)
def test_a_failing_child_is_told_in_one_line(tmp_path: Path, body: str, message: str) -> None:
    """Raising, leaving and being killed all end in a failure that says so."""
    last = list(events(job(tmp_path, preparing(body))))[-1]
    assert isinstance(last, JobFailed)
    assert last.message == message


def test_nothing_is_left_when_the_caller_stops_listening(tmp_path: Path) -> None:
    """The child and the process it started are gone when the generator is closed."""
    pids = tmp_path / "pids"
    start = f"p = subprocess.Popen(['sleep', '60']); open({str(pids)!r}, 'w').write(str(p.pid)); time.sleep(60)"
    before = children()
    listening = events(job(tmp_path, preparing("print('x', flush=True); " + start)))
    import threading  # noqa: PLC0415 - the generator blocks while the child sleeps, so it is driven from elsewhere

    thread = threading.Thread(target=lambda: next(listening, None), daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not (pids.exists() and pids.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    grandchild = int(pids.read_text())
    worker = psutil.Process(grandchild).parent()
    assert worker is not None
    os.kill(worker.pid, 9)
    thread.join(10)
    listening.close()
    gone = time.monotonic() + 5
    while psutil.pid_exists(grandchild) and time.monotonic() < gone:
        time.sleep(0.05)
    assert children() <= before
    assert not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE
