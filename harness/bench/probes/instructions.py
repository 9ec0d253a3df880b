"""How many machine instructions an operation takes, under valgrind's callgrind: some fifty times slower, and nearly without noise.

Callgrind writes down what it has counted whenever a marked function of C is called. An operation is run a few times between two
marks and many times between the next two, so that what surrounds it cancels out. The hash seed and the addresses are fixed, or
they would change how long dictionaries search. It repeats within a thousandth: where memory comes from, and when threads hand
over, still differ.
"""

from __future__ import annotations

import gc
import os
import platform
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from harness.errors import NotMeasurableError

WARM_UP = 10
"""Operations before the first that is counted: the interpreter specialises its bytecode meanwhile, and caches are filled."""

FEW, MANY = 5, 25
"""Repetitions between marks."""

SAME = 0.001
"""Two counts that differ by a smaller share repeat as far as they can."""

_MARK = "getsid"
_OUT = "callgrind.out"


def command(files: Path) -> list[str]:
    """Return what is put in front of a command so that its instructions are counted into files in the folder `files`.

    Raises:
        NotMeasurableError: valgrind, or what fixes the addresses, is not installed.
    """
    for name in ("valgrind", "setarch"):
        if shutil.which(name) is None:
            raise NotMeasurableError(f"instructions need {name}, which is not installed")
    fixed = ["setarch", platform.machine(), "--addr-no-randomize"]
    return [*fixed, "valgrind", "--quiet", "--tool=callgrind", f"--dump-before={_MARK}", f"--callgrind-out-file={files / _OUT}"]


def folder(beside: Path, arm: str) -> Path:
    """Return where the files of one arm go; each has its own, since numbers tell the files of a process apart."""
    return beside / f"callgrind-{arm}"


async def per_operation(operation: Callable[[], Awaitable[object]], files: Path) -> float:
    """Return the instructions of one `operation`, in a process that was started with `command(files)`.

    Raises:
        NotMeasurableError: nothing was written down: the process does not run under callgrind.
    """
    for _ in range(WARM_UP):
        await operation()
    gc.collect()
    gc.disable()  # it would fall into some repetitions and not into others
    try:
        counted = [await _between_marks(operation, repetitions, files) for repetitions in (FEW, MANY)]
    finally:
        gc.enable()
    return (counted[1] - counted[0]) / (MANY - FEW)


async def _between_marks(operation: Callable[[], Awaitable[object]], repetitions: int, files: Path) -> int:
    _mark()
    for _ in range(repetitions):
        await operation()
    _mark()
    return total(newest(files))


def _mark() -> None:
    os.getsid(0)


def newest(files: Path) -> Path:
    """Return the file that callgrind wrote last.

    Raises:
        NotMeasurableError: there is none.
    """
    found = [(int(number), file) for file in files.glob(f"{_OUT}.*") if (number := file.suffix[1:]).isdigit()]
    if not found:
        raise NotMeasurableError("callgrind wrote nothing down")
    return max(found)[1]


def total(file: Path) -> int:
    """Return the sum of what a file of callgrind's has counted, its first event: instructions.

    Raises:
        NotMeasurableError: there is no sum in it.
    """
    for line in file.read_text().splitlines():
        name, _, figures = line.partition(":")
        if name in {"summary", "totals"} and figures.strip():
            return int(figures.split()[0])
    raise NotMeasurableError(f"no sum in {file.name}")
