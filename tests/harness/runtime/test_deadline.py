"""Tests of deadlines for code of the user in this process."""

import signal
import threading
import time

import pytest

from harness.errors import UsageError
from harness.runtime.deadline import deadline

GUARD_S = 20.0
"""Limit of waiting for something that should happen at once; it only bounds a failure."""


def test_what_takes_too_long_is_interrupted() -> None:
    """The exception has the subject and the line at which it was, also of a lock that is never released."""
    lock = threading.Lock()
    lock.acquire()
    with (
        pytest.raises(UsageError, match=r"^its import did not finish within 0\.1 s, at test_deadline\.py:\d+; raise --timeout"),
        deadline(0.1, "its import"),
    ):
        lock.acquire(timeout=GUARD_S)


def test_code_that_catches_the_exception_is_interrupted_again() -> None:
    """One `except Exception` around the import of a module does not make it hang."""
    caught = []

    def body() -> None:
        try:
            time.sleep(GUARD_S)
        except UsageError as error:
            caught.append(error)
        time.sleep(GUARD_S)

    with pytest.raises(UsageError), deadline(0.1, "its import"):
        body()
    assert caught


def test_nothing_is_left_behind() -> None:
    """Afterwards neither the timer nor the handler is active, and those of others are as they were."""

    def handler(*_: object) -> None:
        raise AssertionError("not within this test")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1000.0)
        with deadline(500.0, "its import"):
            assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 500.0
        assert 500.0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 1000.0
        assert signal.getsignal(signal.SIGALRM) is handler
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_another_thread_has_no_deadline() -> None:
    """Signals reach the main thread only, so code in another one runs as it is."""
    done = []

    def body() -> None:
        with deadline(0.01, "its import"):
            time.sleep(0.1)
            done.append(True)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join(GUARD_S)
    assert done == [True]
