"""Tests of child processes and their channel: messages arrive, crashes are reported, and nothing keeps running."""

import os
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from harness.bench.job import BenchJob, DataPrepared, JobDone, Task
from harness.bench.process import end_all, run_job
from harness.errors import UsageError
from harness.runtime.channel import begin, doing
from harness.runtime.child import (
    Child,
    JobFailed,
    decode_path,
    encode_path,
    exit_description,
    last_error_line,
    python_module,
)
from harness.runtime.watch import Activity
from harness.scenario import Setting
from harness.text import encode_json

ROOT = str(Path(__file__).parents[3])
TOY = Path(__file__).parents[2] / "toys" / "adding.py"
DEADLINE_S = 20.0
"""Limit of waiting for something that should happen at once; it only bounds a failure."""

CHANNEL = f"import sys; sys.path.insert(0, {ROOT!r}); from harness.runtime.channel import connect; "


def job(tmp_path: Path, text: str | None = None) -> BenchJob:
    """Return a job that prepares the toy, or a scenario of this text."""
    file = TOY
    if text is not None:
        file = tmp_path / "mine" / "a_toy.py"
        file.parent.mkdir()
        file.write_text(text)
    return BenchJob(Task.PREPARE, file, Setting(tmp_path, tmp_path, seed=7))


@pytest.mark.parametrize("character", ["n", "\0", "\ud800", "\U0001f600"], ids=["a letter", "NUL", "half a pair", "four bytes"])
def test_an_activity_of_any_length_has_room(character: str) -> None:
    """Long names are cut, whatever their characters take."""
    name = character * 1_000_000
    begin(name, name, name)
    assert doing() == (name, name, name)


@pytest.mark.parametrize("name", ["harness/__init__.py", "harness.py"])
def test_another_package_of_the_same_name_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child would import it instead: it is named, wherever it stands before this program on the import path."""
    hiding = tmp_path / name
    hiding.parent.mkdir(exist_ok=True)
    hiding.touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=re.escape(f"{hiding} hides the package 'harness' of this program")):
        python_module("harness.bench.worker")
    monkeypatch.chdir("/")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(UsageError, match="keep its folder off the import path"):
        python_module("harness.bench.worker")
    monkeypatch.setattr(sys, "path", [ROOT, *sys.path])
    assert python_module("harness.bench.worker")[1:] == ["-m", "harness.bench.worker"]


def preparing(body: str) -> str:
    """Return the toy with another `prepare`."""
    return TOY.read_text().replace(
        '        """Return the digest of the data."""\n', f"        import os, sys, time, subprocess\n        {body}\n"
    )


def running(body: str) -> str:
    """Return the toy with another `run`."""
    text = TOY.read_text()
    return re.sub(r'(async def run\(.*\n)( +)""".*\n', rf"\1\2import os\n\2{body}\n", text)


def child(body: str, **options: Any) -> Child[dict[str, Any]]:
    """Start a child that runs `body`, with `channel` as its channel."""
    return Child([sys.executable, "-c", f"{CHANNEL}{body}"], msgspec.json.Decoder(dict[str, Any]), **options)


def descendants() -> set[int]:
    """Return this process's running descendants."""
    return {p.pid for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE}


def is_running(pid: int) -> bool:
    """Return whether a process runs; one that waits to be reaped does not."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def stops(pid: int) -> bool:
    """Return whether a process stops within the deadline."""
    ends = time.monotonic() + DEADLINE_S
    while is_running(pid) and time.monotonic() < ends:
        time.sleep(0.02)
    return not is_running(pid)


def test_a_job_is_unchanged_by_the_wire_format(tmp_path: Path) -> None:
    """Paths and settings are decoded as they were encoded, with the message's type."""
    line = msgspec.json.encode(job(tmp_path), enc_hook=os.fspath)
    assert msgspec.json.decode(line, type=BenchJob, dec_hook=decode_path) == job(tmp_path)
    assert msgspec.json.decode(line)["type"] == "BenchJob"


def test_a_job_ends_with_its_messages(tmp_path: Path) -> None:
    """Its result and its completion arrive as messages."""
    prepared, done = run_job(job(tmp_path))
    assert prepared == DataPrepared({"digest": "numbers-7"}, {"version": "1"})
    assert isinstance(done, JobDone)
    assert set(done.spent_s) == {"importing the scenario", "preparing the data"}


def test_a_path_that_is_not_text_is_unchanged_by_the_wire_format(tmp_path: Path) -> None:
    """Bytes of a path that are not valid text arrive as they were."""
    odd = tmp_path / os.fsdecode(b"b\xffd")
    line = encode_json(job(odd), encode_path)
    assert msgspec.json.decode(line, type=BenchJob, dec_hook=decode_path).setting.folder == job(odd).setting.folder


def test_a_worker_s_temporary_files_are_in_the_run_s_folder(tmp_path: Path) -> None:
    """What a scenario leaves in the temporary folder is removed with the run's, also if its worker is killed."""
    body = "import tempfile; tempfile.mkdtemp(prefix='left-'); os._exit(3)"
    list(run_job(job(tmp_path, preparing(body))))
    assert list(tmp_path.rglob("left-*"))


def test_what_a_scenario_prints_is_not_a_message(tmp_path: Path) -> None:
    """Its output does not disturb the channel."""
    found = list(run_job(job(tmp_path, preparing('print("hello"); os.write(1, b"low level")'))))
    assert isinstance(found[-1], JobDone)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise RuntimeError('no room')", "RuntimeError: no room"),
        ("os._exit(0)", "SystemExit: 0; remove that: a scenario must not end the process that measures it"),
        ("__import__('ctypes').CDLL(None)._exit(3)", "worker exited unexpectedly (exit code 3) while preparing the data"),
        ("os.kill(os.getpid(), 9)", "worker exited unexpectedly (SIGKILL) while preparing the data"),
    ],
)
def test_a_failure_is_reported_in_one_line(tmp_path: Path, body: str, message: str) -> None:
    """An exception, an exit and a signal all end in a failure with the reason."""
    last = list(run_job(job(tmp_path, preparing(body))))[-1]
    assert isinstance(last, JobFailed)
    assert last.message.endswith(message)


def test_an_exit_within_a_job_is_a_failure(tmp_path: Path) -> None:
    """A worker that exits with 0 before its job is complete has failed, whatever it has sent before."""
    exits = msgspec.structs.replace(job(tmp_path, running("os._exit(0)")), task=Task.TRY)
    prepared, failed = run_job(exits)
    assert isinstance(prepared, DataPrepared)
    assert isinstance(failed, JobFailed)
    assert "SystemExit: 0" in failed.message


def test_the_first_reason_is_kept(tmp_path: Path) -> None:
    """A failure that was sent is the only one, also if the process then exits with another code."""
    (failed,) = run_job(job(tmp_path, preparing("import atexit; atexit.register(os._exit, 3); raise RuntimeError('no room')")))
    assert isinstance(failed, JobFailed)
    assert failed.message.endswith("RuntimeError: no room")


def test_a_crash_keeps_the_output(tmp_path: Path) -> None:
    """The output of a process that crashed is the failure's detail."""
    last = list(run_job(job(tmp_path, preparing("print('no room'); os.kill(os.getpid(), 9)"))))[-1]
    assert isinstance(last, JobFailed)
    assert last.detail == "no room\n"


def test_nothing_runs_when_the_caller_stops_receiving(tmp_path: Path) -> None:
    """The child and the process it started are killed when the generator is closed."""
    pids = tmp_path / "pids"
    start = f"p = subprocess.Popen(['sleep', '60']); open({str(pids)!r}, 'w').write(str(p.pid)); time.sleep(60)"
    before = descendants()
    receiving = run_job(job(tmp_path, preparing("print('x', flush=True); " + start)))
    thread = threading.Thread(target=lambda: next(receiving, None), daemon=True)  # the generator blocks while the child sleeps
    thread.start()
    deadline = time.monotonic() + DEADLINE_S
    while not (pids.exists() and pids.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    grandchild = int(pids.read_text())
    worker = psutil.Process(grandchild).parent()
    assert worker is not None
    os.kill(worker.pid, 9)
    thread.join(DEADLINE_S)
    receiving.close()
    assert stops(grandchild)
    assert descendants() <= before


def test_all_workers_can_be_ended_from_another_thread(tmp_path: Path) -> None:
    """A worker that is ended so is reported as killed."""
    started = tmp_path / "started"
    slow = job(tmp_path, preparing(f"open({str(started)!r}, 'w').close(); time.sleep(60)"))
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.extend(run_job(slow)), daemon=True)
    thread.start()
    deadline = time.monotonic() + DEADLINE_S
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    end_all()
    thread.join(DEADLINE_S)
    (failed,) = found
    assert isinstance(failed, JobFailed)
    assert failed.message == "worker exited unexpectedly (SIGKILL) while preparing the data"


def test_messages_go_both_ways() -> None:
    """One JSON object per line; several in one packet and a long one arrive whole; the end of the child is None."""
    body = "channel = connect(); [channel.send('echo', n=channel.receive()['n'], text='x' * 200_000) for _ in range(3)]"
    with child(body) as echo:
        for n in range(3):
            assert echo.send({"type": "number", "n": n})
        found = [echo.receive() for _ in range(4)]
    assert [message and (message["type"], message["n"], len(message["text"])) for message in found] == [
        ("echo", 0, 200_000),
        ("echo", 1, 200_000),
        ("echo", 2, 200_000),
        None,
    ]


def test_a_line_without_an_end_is_not_a_message() -> None:
    """A child that is killed while it sends leaves no half message."""
    with child('channel = connect(); channel._socket.sendall(b\'{"type": "ha\')') as killed:
        assert killed.receive() is None


def test_sending_to_a_child_that_has_exited_returns_false() -> None:
    """The exit is not an exception for the sender."""
    with child("connect()") as ended:
        assert ended.receive() is None
        ended.process.wait()
        assert not ended.send({"type": "late"})


def test_a_message_that_does_not_come_is_a_timeout() -> None:
    """Waiting for a message can be limited, and the child can still be used afterwards."""
    with child("channel = connect(); channel.receive(); channel.send('late')") as silent:
        with pytest.raises(TimeoutError):
            silent.receive(timeout_s=0.01)
        silent.send({"type": "go"})
        assert silent.receive() == {"type": "late"}


def test_the_activity_can_be_read_while_the_child_hangs() -> None:
    """What it began last is in shared memory, with the number of activities; before the first one it is starting."""
    body = "from harness.runtime.channel import beat, begin; channel = connect(); channel.send('up'); channel.receive(); "
    with child(body + "begin('opening', 'baseline', 'n 0', times=10); beat(); channel.send('begun'); sum(iter(int, 1))") as hanging:
        assert hanging.receive() == {"type": "up"}
        assert hanging.activity() == Activity(0)
        hanging.send({"type": "go"})
        assert hanging.receive() == {"type": "begun"}
        assert hanging.activity() == Activity(2, "opening", "baseline", "n 0", 10)
        assert hanging.stopped() == ""


def test_all_of_a_childs_session_ends_with_it() -> None:
    """A process that it has put into another process group is killed too."""
    start = "import subprocess; p = subprocess.Popen(['sleep', '60'], process_group=0)"
    with child(f"channel = connect(); {start}; channel.send('pid', pid=p.pid); channel.receive()") as parent:
        message = parent.receive()
        assert message is not None
        assert parent.left() == ["process 'sleep 60'"]
    assert stops(message["pid"])


def test_a_stopped_process_in_a_session_of_its_own_notices_the_end_of_its_starter() -> None:
    """It is continued, and then ends as its input has."""
    start = "import signal, subprocess; p = subprocess.Popen(['cat'], stdin=subprocess.PIPE, start_new_session=True)"
    stop = "p.send_signal(signal.SIGSTOP); channel.send('pid', pid=p.pid); channel.receive()"
    with child(f"channel = connect(); {start}; {stop}") as parent:
        message = parent.receive()
        assert message is not None
        ends = time.monotonic() + DEADLINE_S
        while not (stopped := parent.stopped()) and time.monotonic() < ends:  # a signal takes a moment
            time.sleep(0.02)
        assert stopped == "process 'cat'"
    assert stops(message["pid"])


def test_a_child_may_have_time_to_exit() -> None:
    """With a timeout it exits by itself once its channel is closed; without one it is killed."""
    body = "channel = connect(exit_with_parent=False); channel.send('up'); channel.receive(); sys.exit(7)"
    for exit_timeout_s, code in ((None, 7), (DEADLINE_S, 7)):
        with child(body, exit_timeout_s=exit_timeout_s) as polite:
            assert polite.receive() == {"type": "up"}
        assert polite.process.returncode == code
    with child("import time; channel = connect(); channel.send('up'); time.sleep(60)") as killed:
        assert killed.receive() == {"type": "up"}
    assert killed.exit_description() == "SIGKILL"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent death signal is Linux only")
def test_a_child_ends_when_its_parent_is_killed() -> None:
    """The kernel kills it."""
    parent = (
        "import msgspec; from harness.runtime.child import Child\n"
        f"command = [sys.executable, '-c', {CHANNEL + 'connect(); import time; time.sleep(60)'!r}]\n"
        "inner = Child(command, msgspec.json.Decoder(dict))\n"
        "outer = connect(); outer.send('pid', pid=inner.process.pid); outer.receive()"
    )
    with child(parent) as outer:
        message = outer.receive()
        assert message is not None
        assert is_running(message["pid"])
        outer.process.kill()
        outer.process.wait()
        assert stops(message["pid"])


@pytest.mark.parametrize(("ending", "reason"), [("sys.exit('gone for lunch')", "gone for lunch"), ("sys.exit(3)", "exit code 3")])
def test_the_reason_of_an_exit_is_waited_for(ending: str, reason: str) -> None:
    """A process may close its channel before it prints why it ends."""
    with child(f"import time; channel = connect(); channel.close(); time.sleep(0.2); {ending}", exit_timeout_s=DEADLINE_S) as gone:
        assert gone.receive() is None
        assert gone.ending() == reason


def test_a_command_that_cannot_be_executed_is_named() -> None:
    """The launcher prints one line and exits with 127."""
    with Child(["nowhere"], msgspec.json.Decoder(dict[str, Any]), padding=0) as missing:
        assert missing.receive() is None
        assert missing.exit_description() == "exit code 127"
        assert last_error_line(missing.output()) == "error: nowhere: No such file or directory"


@pytest.mark.parametrize(("code", "description"), [(0, "exit code 0"), (3, "exit code 3"), (-9, "SIGKILL"), (-99, "signal 99")])
def test_exits_have_a_description(code: int, description: str) -> None:
    """A return code is described by its exit code or signal."""
    assert exit_description(code) == description


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("\n  \n", ""),
        ("one\ntwo\n\n", "two"),
        ("LOG: could not bind\nFATAL: no socket\nLOG: the server is shut down\n", "FATAL: no socket"),
        ("Traceback\nValueError: no\nbye\n", "ValueError: no"),
    ],
)
def test_the_last_error_line_is_preferred(text: str, line: str) -> None:
    """Of an output it is the last line that reports an error, else the last that is not empty."""
    assert last_error_line(text) == line
