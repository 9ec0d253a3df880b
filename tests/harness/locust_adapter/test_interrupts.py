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


@pytest.mark.parametrize(
    ("name", "once", "pause", "caught"),
    [
        ("SIGINT", True, "REPEAT_S * 1.5", 1),
        ("SIGINT", False, "REPEAT_S * 1.5", 2),
        ("SIGHUP", True, "REPEAT_S * 1.5", 1),
        ("SIGINT", False, "1000", 1),
    ],
)
def test_only_one_greenlet_is_interrupted(name: str, once: bool, pause: str, caught: int) -> None:
    """The waiting greenlet is interrupted, whichever one runs, and with `once` only once."""
    program = PROGRAM.format(name=name, once=once, pause=pause)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"caught {caught}\n"), done.stderr
