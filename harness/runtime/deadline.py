"""A deadline for code of the user that runs in this process, such as the import of a scenario file."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from harness.errors import ScenarioFailedError, UsageError
from harness.runtime.watch import Stack, place_of

AGAIN_S = 1.0
"""Seconds until the exception is raised again if the code has caught it."""


@contextmanager
def deadline(
    timeout_s: float, what: str, kind: type[UsageError | ScenarioFailedError] = UsageError, file: Path | None = None
) -> Iterator[None]:
    """Raise an exception of `kind` within the context after `timeout_s` seconds: `what` did not finish, and at which line.

    It interrupts code in Python, sleeping and waiting for a lock, but not a call that never returns to the interpreter. Signals
    reach the main thread only, so that there is no deadline in another one. `file` is the user's, in which the line is looked for.
    """

    def expire(_: int, frame: FrameType | None) -> None:
        if is_over:
            return
        places = []
        while frame is not None:
            places.append((frame.f_code.co_filename, frame.f_lineno))
            frame = frame.f_back
        place = place_of([Stack("main thread", places)], file)
        raise kind(
            f"{what} did not finish within {timeout_s:g} s{f', at {place}' if place else ''}; raise --timeout if it may take longer"
        )

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    is_over = False
    before = signal.signal(signal.SIGALRM, expire)
    others_s, _ = signal.setitimer(signal.ITIMER_REAL, timeout_s, AGAIN_S)
    try:
        yield
    finally:
        is_over = True  # a signal that arrives now is late
        signal.setitimer(signal.ITIMER_REAL, others_s)
        signal.signal(signal.SIGALRM, before)
