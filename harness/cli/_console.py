"""Progress of a run on standard error, and its results on standard output."""

import sys
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Self

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.status import Status
from rich.table import Table
from rich.text import Text

from harness.report.blocks import Block
from harness.results.run import Run
from harness.runtime import machine
from harness.runtime.clock import Clock, MonotonicClock
from harness.runtime.watch import QUIET_S
from harness.text import ascii_json, encode_json, is_utf8

LINE_S = 30.0
"""Seconds between two lines where there is no terminal."""


class TimeLeftColumn(ProgressColumn):
    """The time left, from the session's estimate instead of the bar's speed."""

    def render(self, task: Task) -> Text:
        """Return the time left as minutes and seconds."""
        left = max(0, round(task.fields["ends"] - time.monotonic()))
        return Text(f"{left // 60}:{left % 60:02d} left", style="progress.remaining")


class Progress(Bar):
    """The progress of a run on standard error: a bar with the current step and the time left; without a terminal, lines.

    A line is printed per step, every LINE_S seconds within one, and when nothing has moved for QUIET_S seconds.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        console = Console(stderr=True)
        share, description = TextColumn("{task.percentage:>3.0f} %"), TextColumn("{task.description}", markup=False)
        columns = (SpinnerColumn(), BarColumn(24), share, TimeLeftColumn(), description)
        super().__init__(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._clock = clock or MonotonicClock()
        self._started_s = self._ends_s = self._printed_s = self._now_s()
        self._step, self._waiting = "starting", dict[str, str]()
        self._guard = threading.Lock()  # steps in parallel report from their threads
        self._task = self.add_task(self._step, total=1.0, ends=time.monotonic())

    def _now_s(self) -> float:
        return self._clock.now_ns() / 1e9

    def step(self, message: str, number: int, total: int, left_s: float) -> None:
        """Show step `number` of `total` as it starts, and the time left in seconds."""
        with self._guard:
            self._ends_s = self._now_s() + left_s
            self._step = f"[{number}/{total}] {message}"
            self.update(self._task, description=message, ends=time.monotonic() + left_s)
            self._advance()
            self._print(self._step)

    def tick(self) -> None:
        """Advance the bar by the time that has passed."""
        with self._guard:
            self._advance()
            if self._now_s() - self._printed_s >= LINE_S:
                self._print(self._step)

    def waiting(self, subject: str, message: str, seconds: float) -> None:
        """Show what a subject waits for, if that lasts: instead of the step on a terminal."""
        with self._guard:
            self._advance()
            is_new = subject not in self._waiting
            if seconds >= QUIET_S:
                self._waiting[subject] = f"{subject} · {message}"
            else:
                self._waiting.pop(subject, None)
            shown = next(iter(self._waiting.values()), self._step.partition("] ")[2] or self._step)
            self.update(self._task, description=shown)
            silent_s = self._now_s() - self._printed_s
            if subject in self._waiting and (is_new or silent_s >= LINE_S):
                self._print(self._waiting[subject])
            elif silent_s >= LINE_S:
                self._print(self._step)

    def _advance(self) -> None:
        now_s = self._now_s()
        spent_s, left_s = now_s - self._started_s, max(0.0, self._ends_s - now_s)
        self.update(self._task, completed=spent_s / max(1e-9, spent_s + left_s))

    def _print(self, message: str) -> None:
        """Print a line with the time left, unless this is a terminal, which shows both."""
        if not self.console.is_terminal:
            self._printed_s = self._now_s()
            line = f"{message} · about {max(0, round(self._ends_s - self._printed_s))} s left"
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def show(record: Run, form: str = "terminal", *, everything: bool = False, more: str = "") -> None:
    """Print a run as JSON, as Markdown or for the terminal: the last two with everything, or in short; `more` prints the rest."""
    from harness.report import markdown, overview

    if form == "json":
        print_json(record)
    elif form == "markdown":
        print(markdown.write(overview.full(record) if everything else overview.brief(record)), end="")
    else:
        print_blocks(overview.brief(record, speeds=True) if everything else overview.summary(record, more))


def print_json(result: object) -> None:
    """Print a record of results as JSON, before whatever is printed next on either stream."""
    body = msgspec.json.format(encode_json(result), indent=1)
    print((body if is_utf8(sys.stdout.encoding) else ascii_json(body)).decode(), flush=True)


def print_blocks(blocks: Iterable[Block]) -> None:
    """Print blocks of a report on standard output, laid out for its width."""
    from harness.report import terminal

    console = Console()
    console.print(terminal.write(blocks, console.width))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> None:
    """Print a table whose columns are left- or right-aligned, "l" or "r"; by default left, and the last one wraps."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for number, column in enumerate(columns, start=1):
        right = align[number - 1 : number] == "r"
        table.add_column(column, justify="right" if right else "left", no_wrap=bool(align) or number < len(columns))
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def print_lines(*lines: str) -> None:
    """Print lines of text, which the terminal wraps."""
    for line in lines:
        Console().print(line, soft_wrap=True, markup=False, highlight=False)


def warn_of_removed_settings() -> None:
    """Name on standard error the settings of this process that its workers start without."""
    if warning := machine.removal_warning():
        print(f"harness: {warning}", file=sys.stderr)


class StatusLine:
    """The current step of a command in one line of standard error; without a terminal, a line per step."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._status = self._console.status("")

    def __enter__(self) -> Self:
        """Start to show it."""
        self._status.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Remove it from the terminal."""
        self._status.stop()

    def __call__(self, message: str) -> None:
        """Show a step."""
        if self._console.is_terminal:
            self._status.update(escape(message))
        else:
            self._console.print(message, markup=False, highlight=False, soft_wrap=True)


def status(message: str) -> Status:
    """Return a context that shows the current step in one line of standard error, if that is a terminal."""
    return Console(stderr=True).status(message)
