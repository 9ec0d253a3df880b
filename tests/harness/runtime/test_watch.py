"""Tests of the watch over a child: for how long an activity lasts, how that is worded, and the line at which it hangs."""

import json
import sysconfig
from pathlib import Path

import pytest

from harness.runtime import channel, watch
from harness.runtime.watch import Activity, ActivityWatch, Lasting, Stack, place_of, stacks_in

COMPARING = Activity(7, "comparing answers", "optimised", "n 0")
SCENARIO = Path("/somewhere/hang.py")
LIBRARY = str(Path(sysconfig.get_path("stdlib")) / "selectors.py")
OWN = str(Path(watch.__file__))


def test_an_activity_that_goes_on_is_over_after_its_timeout() -> None:
    """The time is that of the looks, each after a wait for a message, so that no clock and no busy machine decides."""
    watched = ActivityWatch(lambda: COMPARING, 2.0)
    assert watched.poll_s == 0.5
    lasting = [watched.look() for _ in range(5)]
    assert [each.seconds for each in lasting] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert [each.is_over for each in lasting] == [False, False, False, False, True]


def test_progress_starts_the_count_anew() -> None:
    """Another operation, or a message, shows that the child does not hang."""
    number = 1
    watched = ActivityWatch(lambda: Activity(number, "timing pairs", "baseline", "n 0"), 4.0)
    assert [watched.look().seconds for _ in range(3)] == [0.0, 1.0, 2.0]
    number = 2
    assert [watched.look().seconds for _ in range(2)] == [0.0, 1.0]
    watched.moved()
    assert watched.look().seconds == 1.0


def test_an_activity_of_many_operations_gets_more_time() -> None:
    """Building the data may take several timeouts of an operation, and the start of a process at least START_UP_S."""
    assert ActivityWatch(lambda: Activity(1, "preparing the data", times=10), 2.0).look().limit_s == 20.0
    assert ActivityWatch(lambda: Activity(0), 2.0).look().limit_s == watch.START_UP_S
    assert ActivityWatch(lambda: Activity(0), 90.0).look().limit_s == 90.0


def test_an_activity_is_news_now_and_then() -> None:
    """A display of lines shows it after ten seconds and then every thirty."""
    watched = ActivityWatch(lambda: COMPARING, 300.0)
    assert [each.seconds for each in (watched.look() for _ in range(70)) if each.is_news] == [10.0, 30.0, 60.0]


@pytest.mark.parametrize(
    ("activity", "message"),
    [
        (COMPARING, "optimised did not finish case 'n 0' within 60 s (comparing answers), at hang.py:27"),
        (Activity(1, "opening", "baseline"), "baseline did not finish within 60 s (opening), at hang.py:27"),
        (Activity(1, "preparing the data"), "preparing the data did not finish within 60 s, at hang.py:27"),
    ],
)
def test_the_failure_names_arm_case_and_line(activity: Activity, message: str) -> None:
    """It says what did not finish, within which time, and the option for operations that take longer."""
    assert Lasting(activity, 60.0, 60.0).failure("hang.py:27") == f"{message}; raise --timeout if it may take longer"


def test_a_stopped_process_is_called_that() -> None:
    """It has no line, since it cannot be asked."""
    assert "as its process is stopped (SIGSTOP)" in Lasting(COMPARING, 60.0, 60.0).failure(stopped="its process")


def test_progress_names_what_is_waited_for() -> None:
    """The line of the display has the activity, its duration and its timeout."""
    expected = "comparing answers · optimised · 'n 0' · 14 s without an answer (timeout 60 s)"
    assert Lasting(COMPARING, 14.2, 60.0).progress() == expected


def test_stacks_are_read_as_they_are_written() -> None:
    """Both forms are read: that of the interpreter's fault handler and that of a running interpreter."""
    threads = 'Thread 0x00007f (most recent call first):\n  File "/a/b.py", line 3 in f\n\n'
    daemon = "daemon thread 'x':\n  File \"/a/c d.py\", line 4 in <lambda>\nend of stacks\n"
    named = f'main thread:\n  File "{LIBRARY}", line 9 in g\n{daemon}'
    text = threads + named
    assert stacks_in(text) == [
        Stack("Thread 0x00007f", [("/a/b.py", 3)]),
        Stack("main thread", [(LIBRARY, 9)]),
        Stack("daemon thread 'x'", [("/a/c d.py", 4)]),
    ]
    assert [stack.keeps_process for stack in stacks_in("thread 'poller':\ndaemon thread 'x':\nthread 'T (_do_shutdown)':\n")] == [
        True,
        False,
        False,
    ]


def test_the_line_is_in_the_scenario_if_possible() -> None:
    """The innermost line of the scenario's file stands before others, and the main thread and tasks before other threads."""
    other = Stack("thread 'poller'", [(str(SCENARIO), 5)])
    task = Stack("task 'Task-1'", [(LIBRARY, 1), ("/app/pool.py", 8), (str(SCENARIO), 27), (str(SCENARIO), 3), (OWN, 2)])
    assert place_of([other, task], SCENARIO) == "hang.py:27"
    assert place_of([task]) == "pool.py:8"
    assert place_of([Stack("main thread", [(LIBRARY, 1), (OWN, 2)])]) == ""


def test_an_activity_reads_as_the_child_wrote_it() -> None:
    """The fields that the child encodes are those of the record, whatever the names contain."""
    line = channel._encoded("opening", "ärm\n", "x" * 1000, 10)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert Activity(1, *json.loads(line)) == Activity(1, "opening", "ärm\n", "x" * 300, 10)
