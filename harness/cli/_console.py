"""Progress of a run on standard error, and its results on standard output."""

import math
import re
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Self

import msgspec
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.status import Status
from rich.table import Table
from rich.text import Text

from harness.redaction import redacted_values
from harness.report.blocks import Block
from harness.results.names import shortened
from harness.results.run import Run
from harness.runtime import machine
from harness.runtime.clock import Clock, MonotonicClock
from harness.runtime.watch import QUIET_S
from harness.text import (
    ascii_json,
    encode_json,
    is_utf8,
    json_for_terminal,
    message_line,
    printable,
    terminal_environment,
    without_command,
)

LINES = 20
"""The number of lines about a run's progress where there is no terminal."""
LEAST_S, REPEAT_S, MOST_S = 5.0, 30.0, 60.0
"""Seconds between two of these lines: at least, between two about the same step, and at most."""
LONGEST = 120
"""The most characters of what such a line says."""
LEAST_COLUMNS, MOST_COLUMNS = 20, 1_000
"""The least and the most columns that text is laid out for."""
BAR_WIDTH = 12
"""Columns of the bar, so that 80 are enough for the step as well."""


class TimeLeftColumn(ProgressColumn):
    """The time left, from the session's estimate instead of the bar's speed."""

    def render(self, task: Task) -> Text:
        """Return the time left as minutes and seconds."""
        left = max(0, round(task.fields["ends"] - time.monotonic()))
        return Text(f"{left // 60}:{left % 60:02d} left", style="progress.remaining")


class Progress(Bar):
    """The progress of a run on standard error: one line with a bar, the time left and the current step; without a terminal, lines.

    There are about LINES of these in a whole run, at least one per MOST_S seconds: of a new step as soon as the next line is due,
    of the same one every REPEAT_S seconds, and of a subject that does not move for QUIET_S seconds.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        console = console_of(stderr=True)
        share, description = TextColumn("{task.percentage:>3.0f} %"), TextColumn("{task.description}", markup=False)
        columns = (SpinnerColumn(), BarColumn(BAR_WIDTH), share, TimeLeftColumn(), description)
        live = console.is_terminal
        super().__init__(*columns, console=console, transient=True, disable=not live, redirect_stdout=live and sys.stdout.isatty())
        self._clock = clock or MonotonicClock()
        self._started_s = self._ends_s = self._printed_s = self._now_s()
        self._step, self._printed = "starting", ""
        self._waiting, self._named = dict[str, str](), set[str]()
        self._guard = threading.Lock()  # steps in parallel report from their threads
        self._task = self.add_task(self._step, total=1.0, ends=time.monotonic())

    def _now_s(self) -> float:
        return self._clock.now_ns() / 1e9

    def step(self, message: str, number: int, total: int, left_s: float) -> None:
        """Show step `number` of `total` as it starts, and the time left in seconds."""
        with self._guard:
            self._ends_s = self._now_s() + left_s
            self._step = printable(f"[{number}/{total}] {message}")
            self.update(self._task, description=self._step, ends=time.monotonic() + left_s)
            self._advance()
            self._print_step()

    def tick(self) -> None:
        """Advance the bar by the time that has passed."""
        with self._guard:
            self._advance()
            self._print_step()

    def waiting(self, subject: str, message: str, seconds: float) -> None:
        """Show what a subject waits for, if that lasts: instead of the step on a terminal."""
        with self._guard:
            self._advance()
            if seconds >= QUIET_S:
                self._waiting[subject] = printable(f"{subject} · {message}")
            else:
                self._waiting.pop(subject, None)
                self._named.discard(subject)
            self.update(self._task, description=next(iter(self._waiting.values()), self._step))
            if subject not in self._waiting:
                self._print_step()
            elif self._silent_s >= (self._repeat_s if subject in self._named else LEAST_S):
                self._named.add(subject)
                self._print(self._waiting[subject])

    def _advance(self) -> None:
        now_s = self._now_s()
        spent_s, left_s = now_s - self._started_s, max(0.0, self._ends_s - now_s)
        self.update(self._task, completed=spent_s / max(1e-9, spent_s + left_s))

    @property
    def _silent_s(self) -> float:
        """Seconds since the last line."""
        return self._now_s() - self._printed_s

    @property
    def _due_s(self) -> float:
        """Seconds between two lines."""
        return min(MOST_S, max(LEAST_S, (self._ends_s - self._started_s) / LINES))

    @property
    def _repeat_s(self) -> float:
        """Seconds between two lines about the same step."""
        return max(self._due_s, REPEAT_S)

    def _print_step(self) -> None:
        """Print the step if a line about it is due."""
        if not self._printed or self._silent_s >= (self._repeat_s if self._printed == self._step else self._due_s):
            self._printed = self._step
            self._print(self._step)

    def _print(self, message: str) -> None:
        """Print a line with the time left, unless this is a terminal, which shows both."""
        self._printed_s = self._now_s()
        if not self.console.is_terminal:
            _print(f"{shortened(message, LONGEST)} · about {max(0, round(self._ends_s - self._printed_s))} s left", stderr=True)


def show(record: Run, form: str = "terminal", *, everything: bool = False, more: str = "", verdict: str = "") -> None:
    """Print a run as JSON, as Markdown, or for the terminal with everything or in short; the command `more` prints the rest.

    The `verdict` on two compared files is the first line for the terminal.
    """
    from harness.report import markdown, overview, summaries

    if form == "json":
        print_json(record)
    elif form == "markdown":
        print_document(markdown.write(overview.full(record, everything=everything), None if everything else markdown.MOST))
    elif everything:
        print_lines(*filter(None, [verdict]))
        print_blocks(overview.brief(record, speeds=True))
    else:
        print_blocks(summaries.summary(record, more, width(), verdict))


def print_json(result: object) -> None:
    """Print a record of results as JSON, before whatever is printed next on either stream."""
    body = encode_json(redacted_values(msgspec.json.decode(encode_json(result))))
    shown = json_for_terminal(msgspec.json.format(body, indent=1))
    print((shown if is_utf8(sys.stdout.encoding) else ascii_json(shown)).decode(), flush=True)


def print_document(text: str) -> None:
    """Print a text of several lines as it is, but for what a terminal or the log of a CI service obeys."""
    print("\n".join(without_command(printable(line)) for line in text.split("\n")), end="")


def print_blocks(blocks: Iterable[Block]) -> None:
    """Print blocks of a report on standard output, laid out for its width."""
    from harness.report import terminal

    _print(terminal.write(blocks, width()))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> None:
    """Print a table whose columns are left- or right-aligned, "l" or "r"; by default left, and the last one wraps."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for number, column in enumerate(columns, start=1):
        right = align[number - 1 : number] == "r"
        table.add_column(
            Text(printable(column)), justify="right" if right else "left", no_wrap=bool(align) or number < len(columns)
        )
    for row in rows:
        table.add_row(*(Text(printable(field)) for field in row))
    _print(table)


def print_lines(*lines: str) -> None:
    """Print lines of text, which the terminal wraps."""
    for line in lines:
        _print(printable(line))


def width() -> int:
    """Return the number of columns of standard output."""
    return console_of().width


def console_of(*, stderr: bool = False) -> Console:
    """Return the console of standard output or standard error, of a width that text can be laid out for, whatever COLUMNS is."""
    console = Console(stderr=stderr, _environ=terminal_environment())
    console.width = min(max(console.width, LEAST_COLUMNS), MOST_COLUMNS)
    return console


def _print(found: RenderableType, *, stderr: bool = False) -> None:
    """Print something without blanks at the ends of its lines, none of which is a command to the log of a CI service."""
    console = console_of(stderr=stderr)
    with console.capture() as captured:
        console.print(found, markup=False, highlight=False, soft_wrap=isinstance(found, str), crop=False)
    lines = (without_command(line.rstrip()) for line in captured.get().removesuffix("\n").split("\n"))
    console.file.write("\n".join(lines) + "\n")
    console.file.flush()


def print_message(message: str) -> None:
    """Print a message as one line on standard error."""
    print(message_line(f"harness: {message}"), file=sys.stderr)


def warn_of_removed_settings() -> None:
    """Name on standard error the settings of this process that its workers start without."""
    if warning := machine.removal_warning():
        print_message(warning)


class StatusLine:
    """The current step of a command in one line of standard error; without a terminal, lines at least LEAST_S seconds apart.

    The same step, in which only numbers may have changed, is printed again after MOST_S seconds: a log shows how far it has come.
    """

    def __init__(self, message: str = "", clock: Clock | None = None) -> None:
        self._console = console_of(stderr=True)
        self._status = self._console.status("")
        self._clock = clock or MonotonicClock()
        self._message, self._printed, self._printed_s = message, "", -math.inf
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        """Start to show it."""
        self._status.start()
        if not self._console.is_terminal:
            threading.Thread(target=self._repeat, daemon=True).start()
        if self._message:
            self(self._message)
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Remove it from the terminal."""
        self._ended.set()
        self._status.stop()

    def __call__(self, message: str) -> None:
        """Show a step."""
        self._message = printable(message)
        if self._console.is_terminal:
            self._status.update(escape(self._message))
        elif self._silent_s >= (MOST_S if _step(self._message) == _step(self._printed) else LEAST_S):
            self._print()

    @property
    def _silent_s(self) -> float:
        return self._clock.now_ns() / 1e9 - self._printed_s

    def _print(self) -> None:
        self._printed, self._printed_s = self._message, self._clock.now_ns() / 1e9
        _print(self._message, stderr=True)

    def _repeat(self) -> None:
        """Print the current step if there was no line for some time, until the end."""
        while not self._ended.wait(LEAST_S):
            if self._message and self._silent_s >= MOST_S:
                self._print()


def _step(message: str) -> str:
    """Return a message without its numbers."""
    return re.sub(r"\d+", "", message)


def status(message: str) -> Status:
    """Return a context that shows the current step in one line of standard error, if that is a terminal."""
    return console_of(stderr=True).status(message)
