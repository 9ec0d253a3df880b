"""Sides as real processes: what they say, and that they end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from harness.errors import NotComparableError, NotMeasurableError, ScenarioFailedError
from harness.gate.against import protocol as channel
from harness.gate.against.process import Side, SideError, alive, asked

ROOT = str(Path(__file__).parents[4])


def side(tmp_path: Path, body: str, name: str = "new") -> Side:
    """Return a side that runs `body`."""
    file = tmp_path / "side.py"
    file.write_text(body)
    return Side([sys.executable, "-S", str(file)], name, tmp_path, {"PYTHONPATH": ROOT})


def test_a_side_serves_slices_by_name(tmp_path: Path) -> None:
    """It announces a benchmark, times as many repetitions as it is asked for, and ends when told to go on."""
    body = "from harness.gate.against.protocol import serve\nserve({'a': lambda: None, 'b': lambda: None})\n"
    with alive(side(tmp_path, body)) as live:
        assert live.receive() == {"at": "a", "cases": 1}
        assert live.slice(0, 1_000_000) > live.slice(0, 1)
        live.send(next=True)
        assert live.receive()["at"] == "b"
        live.send(next=True)
        assert live.receive() == {"end": {}}


def test_only_what_is_wanted_is_announced(tmp_path: Path) -> None:
    """A list of names leaves the others out."""
    (tmp_path / "only.json").write_text('["b"]')
    body = "from harness.gate.against.protocol import serve\nserve({'a': lambda: None, 'b': lambda: None})\n"
    with alive(side(tmp_path, body), only=tmp_path / "only.json") as live:
        assert live.receive()["at"] == "b"


def test_a_side_that_dies_is_quoted(tmp_path: Path) -> None:
    """Its last line is the message, with which side it was."""
    with pytest.raises(SideError, match=r"old: SystemExit: no such table|old: no such table \(exit code 1\)"):
        asked(side(tmp_path, "raise SystemExit('no such table')\n", "old"))


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The launcher says what it cannot run."""
    with pytest.raises(SideError, match="nowhere: No such file"):
        asked(Side(["nowhere"], "new", tmp_path))


@pytest.mark.parametrize(
    ("name", "kind", "means"),
    [
        ("old", "ValueError", NotComparableError),
        ("new", "ValueError", ScenarioFailedError),
        ("old", "NotMeasurableError", NotMeasurableError),
    ],
)
def test_a_failure_means_what_its_side_makes_of_it(name: str, kind: str, means: type[Exception]) -> None:
    """The old side's is nothing to compare with, the new side's is a failure, and what cannot run here is neither."""
    assert type(SideError(name, "no", kind).as_refusal()) is means


def test_a_module_of_the_other_tree_is_refused(tmp_path: Path) -> None:
    """A side that imported the other version's code says nothing about its own."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "wanted.py").write_text("")
    body = (
        f"import sys; sys.path.insert(0, {str(other)!r}); import wanted\n"
        "from harness.gate.against.protocol import Channel, strays\nChannel().send(end={'strays': strays()})\n"
    )
    one = side(tmp_path, body)
    with pytest.raises(SideError, match="module 'wanted' was imported from the other version's tree"):
        asked(Side(one.command, one.name, one.folder, {**one.environment, channel.FOREIGN: str(other)}))


def test_nothing_is_left_running(tmp_path: Path) -> None:
    """A side that would sleep for ever, and what it started, are gone when its context ends."""
    body = (
        "import os, subprocess, sys, time\nfrom harness.gate.against.protocol import Channel\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
        "Channel().send(at='x', pids=[os.getpid(), child.pid])\ntime.sleep(60)\n"
    )
    with alive(side(tmp_path, body)) as live:
        pids = live.receive()["pids"]
    gone, _ = psutil.wait_procs([psutil.Process(p) for p in pids if psutil.pid_exists(p)], timeout=5)
    assert all(not psutil.pid_exists(p) or psutil.Process(p).status() == psutil.STATUS_ZOMBIE for p in pids), gone


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores can be chosen on Linux alone")
def test_a_side_keeps_to_its_core_and_has_its_hash_seed(tmp_path: Path) -> None:
    """The core, the seed and the padding are those asked for."""
    core = min(os.sched_getaffinity(0))
    body = (
        "import os, sys\nfrom harness.gate.against.protocol import Channel\n"
        "Channel().send(end={'cores': sorted(os.sched_getaffinity(0)), 'seed': os.environ['PYTHONHASHSEED'],"
        " 'padding': len(os.environ['HARNESS_SIDE_PADDING'])})\n"
    )
    with alive(side(tmp_path, body), core=core, seed=7, padding=123) as live:
        assert live.receive()["end"] == {"cores": [core], "seed": "7", "padding": 123}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores can be chosen on Linux alone")
def test_a_side_moves_with_all_its_threads(tmp_path: Path) -> None:
    """A thread that was there before is on the new core as well."""
    cores = sorted(os.sched_getaffinity(0))
    body = (
        "import os, threading\nfrom harness.gate.against.protocol import Channel\n"
        "held, ids = threading.Event(), []\n"
        "threading.Thread(target=lambda: (ids.append(threading.get_native_id()), held.wait()), daemon=True).start()\n"
        "while not ids: pass\n"
        "channel = Channel()\nchannel.send(at='x', cases=1)\nchannel.order()\n"
        "channel.send(end={'cores': [sorted(os.sched_getaffinity(thread)) for thread in (0, *ids)]})\n"
    )
    with alive(side(tmp_path, body), core=cores[0]) as live:
        live.receive()
        live.move(cores[-1])
        live.send(next=True)
        assert live.receive()["end"]["cores"] == [[cores[-1]]] * 2
