"""The standard streams of a command: always open, and able to write every text in every encoding."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter, FileIO, TextIOWrapper

from harness.errors import UsageError
from harness.text import ERRORS

STDOUT, STDERR = 1, 2
REASONS = {
    errno.EPIPE: "the reading program ended; write to a file",
    errno.EBADF: "standard output is closed; write to a file",
    errno.EFBIG: "the file would be larger than allowed; raise the limit (ulimit -f)",
}
"""Errors of writing → the reason and the next step; of others, most often a full disk, it is the system's reason."""


class OutputStream(TextIOWrapper):
    """Standard output, whose loss ends the command with a usage error: what should have been printed is lost."""

    def write(self, text: str, /) -> int:
        """Write a text; UsageError if that is not possible."""
        with _lost_is_refused():
            return super().write(text)

    def flush(self) -> None:
        """Write what is buffered; UsageError if that is not possible."""
        with _lost_is_refused():
            super().flush()


class MessageStream(TextIOWrapper):
    """Standard error, whose loss ends no command: a closed terminal, a full disk or an exited reader loses messages only."""

    def write(self, text: str, /) -> int:
        """Write a text if that is possible."""
        with contextlib.suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered if that is possible."""
        with contextlib.suppress(OSError):
            super().flush()


@contextmanager
def usable_streams() -> Iterator[None]:
    """Replace the process's own streams by usable ones meanwhile, and let those of a test write every text."""
    before = sys.stdout, sys.stderr
    if None in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        _occupy_descriptors()
    if sys.stdout in (None, sys.__stdout__):
        with contextlib.suppress(OSError):  # some CI runners hand over a pipe on which a long output would fail
            os.set_blocking(STDOUT, True)
        sys.stdout = OutputStream(_binary(STDOUT), _encoding(sys.stdout), ERRORS, line_buffering=_is_terminal(STDOUT))
    if sys.stderr in (None, sys.__stderr__):
        sys.stderr = MessageStream(_binary(STDERR), _encoding(sys.stderr), ERRORS, line_buffering=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=ERRORS)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _occupy_descriptors() -> None:
    """Open the null device in place of closed standard streams; files and channels would get their numbers otherwise."""
    while (descriptor := os.open(os.devnull, os.O_RDONLY)) <= STDERR:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - the name says it
    os.close(descriptor)


def _binary(descriptor: int) -> BufferedWriter:
    return BufferedWriter(FileIO(descriptor, "w", closefd=False))


def _encoding(stream: object) -> str:
    return getattr(stream, "encoding", None) or "utf-8"


def _is_terminal(descriptor: int) -> bool:
    with contextlib.suppress(OSError):
        return os.isatty(descriptor)
    return False


@contextmanager
def _lost_is_refused() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = REASONS.get(error.errno or 0) or f"{error.strerror or error}; free some space, or write elsewhere"
        raise UsageError(f"cannot write the output: {reason}") from None
