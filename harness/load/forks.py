"""Copies of a load worker: a scenario that forks, and does not end the copy, would have two processes send the blocks of one."""

import os
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class _Worker:
    process: int
    report: Callable[[str], object] | None = None


_worker = _Worker(os.getpid())


def watch_forks(report: Callable[[str], object]) -> None:
    """Have `refuse_copy` call this function, in the copy, from now on."""
    _worker.process, _worker.report = os.getpid(), report


def refuse_copy(step: str) -> None:
    """End this process, with a report that names the step, if it is a copy that has come back from a scenario's code."""
    if os.getpid() != _worker.process:
        if _worker.report is not None:
            _worker.report(f"{step}: a forked process goes on as the load worker; end it with os._exit(), or use subprocess")
        os._exit(1)
