"""Probe of the machine instructions of an operation under valgrind's callgrind: fifty times slower, nearly without noise.

Callgrind dumps its counts whenever a marked C function is called: around a few repetitions of an operation and around many, so that
everything else cancels out. The hash seed and the addresses are fixed, because they determine the length of dictionary lookups. The
counts repeat within a thousandth: memory allocation and thread switches still differ.
"""

import gc
import os
import platform
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from harness.errors import NotMeasurableError

WARM_UP = 10
"""Operations before the first that is counted: meanwhile the interpreter specialises its bytecode and caches are filled."""
FEW, MANY = 5, 25
"""Repetitions between marks."""
SAME = 0.001
"""Two counts that differ by a smaller share count as equal."""
_MARK = "getsid"
_OUT = "callgrind.out"


def command(files: Path) -> list[str]:
    """Return the prefix for a command, so that callgrind counts into `files`; raise NotMeasurableError if it is not installed."""
    for name in ("valgrind", "setarch"):
        if shutil.which(name) is None:
            raise NotMeasurableError(f"instructions need {name}, which is not installed")
    fixed = ["setarch", platform.machine(), "--addr-no-randomize"]
    return [*fixed, "valgrind", "--quiet", "--tool=callgrind", f"--dump-before={_MARK}", f"--callgrind-out-file={files / _OUT}"]


def folder(beside: Path, arm: str) -> Path:
    """Return the folder for the files of one arm, below `beside`; files are numbered per process, so arms have separate ones."""
    return beside / f"callgrind-{arm}"


async def per_operation(operation: Callable[[], Awaitable[object]], files: Path) -> float:
    """Return the instructions of one `operation`, in a process with the prefix of `command`; else raise NotMeasurableError."""
    for _ in range(WARM_UP):
        await operation()
    gc.collect()
    gc.disable()  # it would run in some repetitions and not in others
    counted = []
    try:
        for repetitions in (FEW, MANY):
            getattr(os, _MARK)(0)
            for _ in range(repetitions):
                await operation()
            getattr(os, _MARK)(0)
            counted.append(total(newest(files)))
    finally:
        gc.enable()
    return (counted[1] - counted[0]) / (MANY - FEW)


def newest(files: Path) -> Path:
    """Return the file that callgrind wrote last; raise NotMeasurableError without one."""
    found = [(int(number), file) for file in files.glob(f"{_OUT}.*") if (number := file.suffix[1:]).isdigit()]
    if not found:
        raise NotMeasurableError("callgrind wrote nothing")
    return max(found)[1]


def total(file: Path) -> int:
    """Return the total of the first event in a callgrind file, instructions; raise NotMeasurableError if there is none."""
    for line in file.read_text().splitlines():
        name, _, figures = line.partition(":")
        if name in {"summary", "totals"} and figures.strip():
            return int(figures.split()[0])
    raise NotMeasurableError(f"no total in {file.name}")
