"""The state of this process that foreign code may change: kept, and put back, so that only its own work depends on it."""

import contextlib
import fcntl
import gc
import os
import resource
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from harness.runtime.signals import STOPPING

STREAMS = (1, 2)
"""The descriptors of standard output and standard error."""
HIGH = 512
"""The lowest descriptor for copies of them: code that closes all descriptors it may have opened closes low ones."""
LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_STACK)


@contextmanager
def kept() -> Iterator[None]:
    """Put back at the end what this process needs to go on, print and be stopped.

    These are the current folder, the mask of new files, variables and import folders that were removed, limits, the standard
    streams, the handlers of signals that stop a command, the filters of warnings, and the hook of errors. Variables and import
    folders that were added stay, since the processes that are started later need them as well.

    Example:
        with kept():
            spec.loader.exec_module(module)
    """
    with ExitStack() as stack:
        for keep in (_keep_folder, _keep_names, _keep_limits, _keep_streams, _keep_interpreter, _keep_handlers):
            keep(stack)
        yield


def _keep_folder(stack: ExitStack) -> None:
    with contextlib.suppress(FileNotFoundError):  # it was removed before
        stack.callback(_quietly, os.chdir, os.getcwd())  # noqa: PTH109 - what is put back is no path to work with
    mask = os.umask(0)
    os.umask(mask)
    stack.callback(os.umask, mask)


def _keep_names(stack: ExitStack) -> None:
    variables, folders = dict(os.environ), list(sys.path)

    def put_back() -> None:
        for name, value in variables.items():
            os.environ.setdefault(name, value)
        sys.path += [folder for folder in folders if folder not in sys.path]

    stack.callback(put_back)


def _keep_limits(stack: ExitStack) -> None:
    before = {limit: resource.getrlimit(limit) for limit in LIMITS}

    def put_back() -> None:
        for limit, (soft, _) in before.items():
            now, hard = resource.getrlimit(limit)
            if _is_lower(now, soft):
                _quietly(resource.setrlimit, limit, (hard if _is_lower(hard, soft) else soft, hard))

    stack.callback(put_back)


def _is_lower(limit: int, other: int) -> bool:
    return limit != resource.RLIM_INFINITY and (other == resource.RLIM_INFINITY or limit < other)


def _keep_streams(stack: ExitStack) -> None:
    for name in ("stdin", "stdout", "stderr"):
        stack.callback(setattr, sys, name, getattr(sys, name))
    for number in STREAMS:
        with contextlib.suppress(OSError):  # it was closed before
            copy = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, HIGH)
            stack.callback(_put_back, number, copy, os.fstat(number))


def _put_back(number: int, copy: int, before: os.stat_result) -> None:
    """Let a descriptor be what it was, if its copy still is."""
    with contextlib.suppress(OSError):
        if os.path.samestat(os.fstat(copy), before):
            os.dup2(copy, number)
            os.close(copy)


def _keep_interpreter(stack: ExitStack) -> None:
    filters, recursion = list(warnings.filters), sys.getrecursionlimit()

    def put_back() -> None:
        warnings.filters[:] = filters  # type: ignore[index]  # a list, declared as a sequence
        warnings.simplefilter("ignore", append=True)  # which also has the interpreter notice the change
        warnings.filters.pop()  # type: ignore[attr-defined]  # as above
        if sys.getrecursionlimit() < recursion:
            sys.setrecursionlimit(recursion)

    stack.callback(put_back)
    stack.callback(setattr, sys, "excepthook", sys.excepthook)
    if gc.isenabled():
        stack.callback(gc.enable)


def _keep_handlers(stack: ExitStack) -> None:
    if threading.current_thread() is threading.main_thread():
        for number in STOPPING:
            handler = signal.getsignal(number)
            if handler is not None:  # not set from Python
                stack.callback(signal.signal, number, handler)


def _quietly(call: object, *arguments: object) -> None:
    with contextlib.suppress(OSError, ValueError):
        call(*arguments)  # type: ignore[operator]  # one of the functions above
