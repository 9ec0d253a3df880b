"""The watch over a child process: what it is doing, for how long, and at which line, so that one that hangs is ended and explained.

The child records each operation that it starts in memory that it shares with its parent (`harness.runtime.channel.begin`). So the
parent sees what it is doing whatever hangs in it: a task that waits for ever, a lock, a loop in Python or in C, a stopped process.
"""

import re
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

OPERATION_TIMEOUT_S = 60.0
"""Timeout of one operation, in seconds, unless the user chooses another."""
POLL_S = 1.0
"""Seconds between two looks at a child that sends nothing."""
LOOKS = 4
"""The fewest looks in which an activity must not have changed: a busy machine may delay a healthy one by more than a look."""
QUIET_S, QUIET_AGAIN_S = 10.0, 30.0
"""Seconds without an answer after which that is news, and the interval in which it is again."""
RAISE_TIMEOUT = "; raise --timeout if it may take longer"
"""The end of the reason of a timeout: the next step, unless there is another cause."""
IMPORT_S = 60.0
"""The least timeout of the import of a scenario file, in seconds."""
START_UP_S = 60.0
"""Timeout of the start of a process, which is the harness's own work, in seconds."""

_HEADER = re.compile(r"^(?P<title>\S.*?)(?: \(most recent call first\))?:$")
_PLACE = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+) in .*$')
_EVENT_LOOPS_OWN = "_do_shutdown"
"""Part of the name of the thread in which asyncio waits for the others."""
_OWN = Path(__file__).parents[1]
_LIBRARY = Path(sysconfig.get_path("stdlib"))


@dataclass(frozen=True)
class Activity:
    """A child's current part of its job."""

    number: int
    """Number of activities that it has begun; 0: it is starting up."""
    phase: str = "starting"
    """The part of its job, such as "comparing answers"."""
    arm: str = ""
    """The arm; empty if it is not about one."""
    case: str = ""
    """The case; empty if it is not about one."""
    times: int = 1
    """The number of an operation's timeouts that it may last."""

    def __str__(self) -> str:
        return " · ".join(filter(None, (self.phase, self.arm, repr(self.case) if self.case else "")))


@dataclass(frozen=True)
class Lasting:
    """An activity that goes on."""

    activity: Activity
    seconds: float
    """For how long it has been seen to go on."""
    limit_s: float
    """Its timeout."""
    is_news: bool = False
    """Whether a display that only adds lines should show it."""

    @property
    def is_over(self) -> bool:
        """Whether it has lasted for its timeout."""
        return self.seconds >= self.limit_s

    def progress(self) -> str:
        """Return the line for a progress display."""
        return f"{self.activity} · {self.seconds:.0f} s without an answer (timeout {self.limit_s:g} s)"

    def failure(self, place: str = "", stopped: str = "") -> str:
        """Return the reason why the child is ended: the line at which it hangs, and the name of a stopped process, if known."""
        activity, limit = self.activity, f"within {self.limit_s:g} s"
        if activity.case:
            what = f"{activity.arm or activity.phase} did not finish case {activity.case!r} {limit}"
        else:
            what = f"{activity.arm or activity.phase} did not finish {limit}"
        phase = f" ({activity.phase})" if activity.arm else ""
        where = f", at {place}" if place else ""
        return f"{what}{phase}{where}, as {stopped} is stopped (SIGSTOP)" if stopped else f"{what}{phase}{where}{RAISE_TIMEOUT}"


class ActivityWatch:
    """Counts for how long a child has been at the same activity.

    It counts looks instead of reading a clock: time in which the machine or this process was suspended is not the child's.
    """

    def __init__(self, activity: Callable[[], Activity], timeout_s: float, start_up_s: float = START_UP_S) -> None:
        """Watch the child whose current activity `activity` returns; `timeout_s` is the timeout of one operation."""
        self._activity, self._timeout_s, self._start_up_s = activity, timeout_s, max(start_up_s, timeout_s)
        self._number, self._seconds = -1, 0.0
        self.poll_s = min(POLL_S, timeout_s / LOOKS)
        """The seconds to wait for a message before the next look."""

    def moved(self) -> None:
        """Start to count anew, because a message has arrived."""
        self._seconds = 0.0

    def look(self) -> Lasting:
        """Return the activity after `poll_s` seconds without a message."""
        activity, before_s = self._activity(), self._seconds
        self._seconds = self._seconds + self.poll_s if activity.number == self._number else 0.0
        self._number = activity.number
        limit_s = self._timeout_s * activity.times if activity.number else self._start_up_s
        return Lasting(activity, self._seconds, limit_s, is_news=_news(before_s) < _news(self._seconds))


def _news(seconds: float) -> int:
    """Return how often an activity of this duration has been news."""
    return int(seconds >= QUIET_S) + int(seconds // QUIET_AGAIN_S)


@dataclass(frozen=True)
class Stack:
    """The stack of a thread, or of a task of asyncio and what it waits for."""

    title: str
    """Its name and kind, such as "main thread" or "daemon thread 'poller'"."""
    places: Sequence[tuple[str, int]]
    """File and line, most recent call first."""

    @property
    def keeps_process(self) -> bool:
        """Whether it is a thread other than the main one that its process waits for."""
        return self.title.startswith("thread ") and _EVENT_LOOPS_OWN not in self.title


def stacks_in(text: str) -> list[Stack]:
    """Return the stacks that a child has written."""
    found: list[tuple[str, list[tuple[str, int]]]] = []
    for line in text.splitlines():
        if match := _PLACE.match(line):
            if found:
                found[-1][1].append((match["file"], int(match["line"])))
        elif match := _HEADER.match(line):
            found.append((match["title"], []))
    return [Stack(title, places) for title, places in found]


def place_of(stacks: Iterable[Stack], file: Path | None = None) -> str:
    """Return the innermost line in a scenario's file, else in code that is neither the harness's nor Python's own; else empty.

    It is shown as the name of the file and the line, such as `hang.py:27`. Stacks that name the main thread or a task come first:
    those that were written without the interpreter do not say which thread is which.
    """
    ordered = sorted(stacks, key=lambda stack: not stack.title.startswith(("main thread", "task ")))
    places = [place for stack in ordered for place in stack.places]
    for chosen in (lambda path: path == file, _is_foreign):
        for name, line in places:
            if chosen(Path(name)):
                return f"{Path(name).name}:{line}"
    return ""


def _is_foreign(path: Path) -> bool:
    in_library = path.is_relative_to(_LIBRARY) and "site-packages" not in path.parts
    return path.is_absolute() and not in_library and not path.is_relative_to(_OWN)
