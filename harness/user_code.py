"""Errors of a scenario's own code: the arm, the case and the repetition, the place in the scenario file, and the next step."""

import asyncio
import inspect
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import FrameSummary, extract_tb
from typing import Any

from harness.errors import LONGEST, HarnessError, ScenarioFailedError, describe, extra_of, missing_extra, text_of

METHODS = frozenset(
    ("servers", "prepare", "cases", "load_cases", "open", "open_switched", "run", "normalise", "self_reported_ns", "state", "reset")
) | frozenset(("settle", "ping", "counts", "targets", "probes", "statements", "facts", "memory_limits_bytes", "rows"))
"""The methods of a scenario that the harness calls."""
SECOND = 2
"""The first repetition in whose way is what an earlier one wrote."""
_PACKAGE = str(Path(__file__).parent) + os.sep

_KEYS = ("integrityerror", "uniqueviolation", "unique constraint", "duplicate key", "duplicate entry", "already exists")
UNDONE = "does reset() undo what run() wrote?"
"""The next step where nothing else is known about an error of a second repetition."""
_RESET = "reset() has to remove what run() inserted"
_LOOPS = ("different loop", "different event loop", "event loop is closed")
_LAZY = ("missinggreenlet", "greenlet_spawn", "detachedinstance")
_LIMIT = ("too many clients", "too many connections", "remaining connection slots", "max number of clients")
_DISK = ("no space left on device", "disk is full", "disk quota exceeded", "file too large", "disk i/o error")
_NEXT_STEPS = (
    (_LIMIT, "the connection limit is reached: open fewer connections at once, or raise the server's limit"),
    (_DISK, "free space where the data are"),
    (("disk image is malformed", "file is not a database"), "the database file is damaged: build it again"),
    (("readonly database", "read-only file system"), "let the user of the run write to the database file and its folder"),
    (("database is locked",), "end every transaction before run() returns, or give each arm a database file of its own in open()"),
    (_LOOPS, "create engines, clients and locks in open(), not when the file is imported"),
    (("cannot be called from a running event loop",), "write `async def` and await instead of calling asyncio.run()"),
    (_LAZY, "load what the answer needs within run(), before its session is closed"),
)
"""Parts of an error in lower case → the next step."""


@contextmanager
def user_code(
    scenario: Any, arm: str = "", case: str = "", repetition: int = 1, passed: type[Exception] = HarnessError
) -> Iterator[None]:
    """Raise ScenarioFailedError, which says all that is known, for an exception of the scenario's code within the context.

    `scenario` is an object of its class, `case` the name of the case; the repetition is named from the second one on. Errors of
    the harness, which have their message already, pass unchanged, as those `passed` do.

    Example:
        with user_code(scenario.written, arm, case.name):
            answer = await scenario.run(instance, case)
    """
    try:
        yield
    except (HarnessError, passed):
        raise
    except BaseException as error:
        if is_request(error):
            raise
        raise ScenarioFailedError(failure(error, scenario, arm, case, repetition)) from error


def is_request(error: BaseException) -> bool:
    """Return whether an exception asks this code to stop, instead of being raised by a scenario's own code.

    Ctrl-C does, except in a process that ignores it; so do the cancellation of the running task, and closing a coroutine.
    """
    if isinstance(error, KeyboardInterrupt):
        return signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    if isinstance(error, asyncio.CancelledError):
        task = _current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, GeneratorExit)


def _current_task() -> "asyncio.Task[Any] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs
        return None


def failure(error: BaseException, scenario: Any, arm: str = "", case: str = "", repetition: int = 1) -> str:
    """Return the message of an error of a scenario's code, in one line."""
    file = scenario_file(scenario)
    frames = _frames(error)
    own = [frame for frame in frames if _is_file(frame, file)]
    method = next((frame.name for frame in own if frame.name in METHODS), "")
    raised = f"{arm or (f'{method}()' if method else file.stem)} raised"
    if case:
        raised += f" in {f'{method}() of ' if method not in {'', 'run'} else ''}case {case!r}"
    elif arm and method:
        raised += f" in {method}()"
    place, step = _place(own, frames), next_step(error, method, repetition)
    if repetition >= SECOND:
        raised += f", repetition {repetition}{',' if place else ''}"
    return f"{raised}{place}: {describe(error)}{f'; {step}' if step else ''}"


def raised_at(error: BaseException) -> str:
    """Return the place where an error was raised, such as `bench/measures.py, line 12`."""
    return _short(_frames(error)[-1])


def scenario_file(scenario: Any) -> Path:
    """Return the file of a scenario's class; of one that the harness has derived, the file of the user's class."""
    kinds = [kind for kind in type(scenario).__mro__ if not kind.__module__.startswith("harness.")]
    module = sys.modules.get((kinds or [type(scenario)])[0].__module__)
    return Path(getattr(module, "__file__", None) or "scenario")


def line_of(scenario: Any, method: str) -> str:
    """Return the place where a scenario's method is written, such as ` (bench/orders.py, line 31)`; empty if it is not known."""
    code = getattr(inspect.unwrap(getattr(type(scenario), method)), "__code__", None)
    return f" ({shown(code.co_filename)}, line {code.co_firstlineno})" if code else ""


def next_step(error: BaseException, method: str = "", repetition: int = 1) -> str:
    """Return what to do about an error of a scenario's code, as far as that is known; else an empty text."""
    every = list(causes(error))
    text = " ".join(f"{type(each).__name__}: {text_of(each)[:LONGEST]}" for each in every).lower()
    if any(key in text for key in _KEYS):
        return _RESET if repetition >= SECOND else f"give every case keys of its own; {_RESET}"
    for parts, step in _NEXT_STEPS:
        if any(part in text for part in parts):
            return step
    if isinstance(error, SystemExit):
        return "remove that: a scenario must not end the process that measures it"
    for each in every:
        if isinstance(each, ModuleNotFoundError):
            extra = extra_of(each)
            return (
                str(missing_extra(str(each.name), extra)) if extra else f"install {each.name} into the environment of the harness"
            )
    if any(isinstance(each, ConnectionError) for each in every):  # nothing that an operation wrote breaks a connection
        return ""
    return UNDONE if repetition == SECOND and method in {"", "run", "state"} else ""


def shown(file: str | Path) -> str:
    """Return a file's path as the user writes it: relative if it is below the current folder."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, the first error of a group, and what they were raised from."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.exceptions[0] if isinstance(found, BaseExceptionGroup) else found.__cause__ or found.__context__


def _frames(error: BaseException) -> list[FrameSummary]:
    """Return the frames of an error's traceback, outermost first; of a group, those of its first error follow."""
    frames = list(extract_tb(error.__traceback__))
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
        frames += extract_tb(error.__traceback__)
    return frames


def _is_file(frame: FrameSummary, file: Path) -> bool:
    return Path(frame.filename) == file or (
        Path(frame.filename).name == file.name and Path(frame.filename).resolve() == file.resolve()
    )


def _place(own: list[FrameSummary], frames: list[FrameSummary]) -> str:
    """Return where an error was raised: the innermost line of the scenario file, and that of all code if it is another."""
    last = frames[-1] if frames else None
    if not own:
        return "" if last is None or last.filename.startswith(_PACKAGE) else f" in {_short(last)}"
    elsewhere = last is not None and last is not own[-1] and not last.filename.startswith(_PACKAGE)
    return f" at {shown(own[-1].filename)}, line {own[-1].lineno}{f' (from {_short(last)})' if elsewhere and last else ''}"


def _short(frame: FrameSummary) -> str:
    """Return a frame's place: the path below the current folder, or its last two parts."""
    path = Path(frame.filename)
    return f"{shown(path) if path.is_relative_to(Path.cwd()) else Path(*path.parts[-2:])}, line {frame.lineno}"
