"""Ctrl-C in a process of many greenlets."""

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, time
import gevent
from harness.locust_adapter.interrupts import to_this_greenlet
from harness.runtime.signals import REPEAT_S, deferred

def busy():
    try:
        while True:
            os.kill(os.getpid(), signal.{name})
            gevent.sleep({pause})
    except KeyboardInterrupt:
        print("the busy greenlet was interrupted")

to_this_greenlet(once={once})
with deferred():
    pass
worker = gevent.spawn(busy)
caught = 0
for _ in range(2):
    try:
        gevent.sleep(3)
    except KeyboardInterrupt:
        caught += 1
print("caught", caught)
"""


def test_a_second_signal_ends_the_process_at_once() -> None:
    """With the exit code of an interruption; a worker goes on with its end."""
    program = PROGRAM.format(name="SIGTERM", once=False, pause="REPEAT_S * 1.5")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "harness: interrupted\n")


@pytest.mark.parametrize(
    ("name", "once", "pause", "caught"),
    [
        ("SIGINT", True, "REPEAT_S * 1.5", 1),
        ("SIGHUP", True, "REPEAT_S * 1.5", 1),
        ("SIGINT", False, "1000", 1),
    ],
)
def test_only_one_greenlet_is_interrupted(name: str, once: bool, pause: str, caught: int) -> None:
    """The waiting greenlet is interrupted, whichever one runs, and with `once` only once."""
    program = PROGRAM.format(name=name, once=once, pause=pause)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"caught {caught}\n"), done.stderr


ENDING = """
import os, signal
import gevent
from harness.locust_adapter.interrupts import to_this_greenlet

ending = [True]
to_this_greenlet(once=False, is_ending=lambda: ending[0])
os.kill(os.getpid(), signal.SIGINT)
gevent.sleep(0.5)
print("kept")
ending[0] = False
try:
    gevent.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_signal_waits_for_the_end_of_a_run() -> None:
    """What is kept is not cut off, and the interrupt comes afterwards."""
    done = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "kept\ninterrupted\n"), done.stderr
