"""Probe of the machine instructions of an operation under valgrind's callgrind: fifty times slower, nearly without noise.

Callgrind dumps its counts whenever a marked C function is called. An operation is run a few times between two marks and many times
between the next two, so that everything else cancels out. The hash seed and the addresses are fixed, because they determine the
length of dictionary lookups. The counts repeat within a thousandth: memory allocation and thread switches still differ.
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
    """Return the prefix for a command that makes callgrind count its instructions, into files in the folder `files`.

    Raises:
        NotMeasurableError: valgrind, or setarch, which fixes the addresses, is not installed.
    """
    for name in ("valgrind", "setarch"):
        if shutil.which(name) is None:
            raise NotMeasurableError(f"instructions need {name}, which is not installed")
    fixed = ["setarch", platform.machine(), "--addr-no-randomize"]
    return [*fixed, "valgrind", "--quiet", "--tool=callgrind", f"--dump-before={_MARK}", f"--callgrind-out-file={files / _OUT}"]


def folder(beside: Path, arm: str) -> Path:
    """Return the folder for the files of one arm, below `beside`; files are numbered per process, so arms have separate ones."""
    return beside / f"callgrind-{arm}"


async def per_operation(operation: Callable[[], Awaitable[object]], files: Path) -> float:
    """Return the instructions of one `operation`, in a process that was started with `command(files)`.

    Raises:
        NotMeasurableError: callgrind wrote nothing: the process does not run under it.
    """
    for _ in range(WARM_UP):
        await operation()
    gc.collect()
    gc.disable()  # it would run in some repetitions and not in others
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
        NotMeasurableError: there is no such file.
    """
    found = [(int(number), file) for file in files.glob(f"{_OUT}.*") if (number := file.suffix[1:]).isdigit()]
    if not found:
        raise NotMeasurableError("callgrind wrote nothing")
    return max(found)[1]


def total(file: Path) -> int:
    """Return the total of the first event in a callgrind file, which is instructions.

    Raises:
        NotMeasurableError: the file contains no total.
    """
    for line in file.read_text().splitlines():
        name, _, figures = line.partition(":")
        if name in {"summary", "totals"} and figures.strip():
            return int(figures.split()[0])
    raise NotMeasurableError(f"no total in {file.name}")
