"""The signals that ask a command to stop: all raise KeyboardInterrupt, unless they were ignored."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.runtime import signals
from harness.runtime.signals import as_interrupts, deferred


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Restore the handlers, which a test may set."""
    before = {number: signal.getsignal(number) for number in signals.STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_stop_is_an_interrupt(number: signal.Signals) -> None:
    """It raises what Ctrl-C raises, and afterwards has its former handler."""
    signal.signal(number, signal.SIG_DFL)
    with pytest.raises(KeyboardInterrupt), as_interrupts():
        signal.raise_signal(number)
    assert signal.getsignal(number) == signal.SIG_DFL


def test_an_ignored_signal_stays_ignored() -> None:
    """A command under nohup survives its terminal; one in the background heeds SIGTERM although it ignores Ctrl-C."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with as_interrupts():
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_a_signal_that_is_sent_twice_is_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repetition at once does not disturb the clean-up; a later signal ends it."""
    now_s = 100.0
    monkeypatch.setattr("harness.runtime.signals.time.monotonic", lambda: now_s)
    cleaned = False
    with as_interrupts():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGHUP)
            cleaned = True
        assert cleaned
        now_s += 1.0
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_a_signal_waits_for_what_must_not_be_left_half_done() -> None:
    """It is raised at the end, also if that is an exception."""
    done = []

    def work(number: signal.Signals) -> None:
        with as_interrupts(), deferred():
            signal.raise_signal(number)
            done.append(number)
            if number == signal.SIGINT:
                raise ValueError

    with pytest.raises(KeyboardInterrupt):
        work(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt) as raised:
        work(signal.SIGINT)
    assert isinstance(raised.value.__context__, ValueError)
    assert done == [signal.SIGTERM, signal.SIGINT]


def test_an_event_loop_cancels_its_task() -> None:
    """While asyncio runs, SIGTERM does what asyncio does on Ctrl-C."""
    cleaned = False

    async def wait() -> None:
        nonlocal cleaned
        try:
            asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
            await asyncio.sleep(60)
        finally:
            cleaned = True

    with pytest.raises(KeyboardInterrupt), as_interrupts():
        asyncio.run(wait())
    assert cleaned


def test_a_signal_while_the_interpreter_ends_keeps_the_exit_code() -> None:
    """All is done by then, so the process ends at once with the code of its result; what is ignored stays ignored."""
    program = (
        "import signal, sys; sys.path.insert(0, {!r}); from harness.runtime.signals import end_at_once\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN); end_at_once(3)\n"
        "signal.raise_signal(signal.SIGHUP); print('on', flush=True); signal.raise_signal(signal.SIGTERM); print('never')"
    )
    root = str(Path(signals.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", program.format(root)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "on\n", "")


@pytest.mark.parametrize(
    "left",
    ["threading.Thread(target=threading.Event().wait).start()", "atexit.register(os._exit, 0)", "atexit.register(time.sleep, 600)"],
    ids=["thread", "exit", "sleep"],
)
def test_what_foreign_code_leaves_changes_neither_the_end_nor_its_code(left: str) -> None:
    """A thread that never ends is waited for END_S, and an exit while the interpreter ends is none."""
    code = f"""
import atexit, os, sys, threading, time
from harness.runtime import signals
from harness.runtime.channel import refuse_exits
refuse_exits()
signals.END_S = 0.2
{left}
signals.end_at_once(2)
sys.exit(2)
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (2, "")
