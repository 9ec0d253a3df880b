"""Progress of a run on standard error, and its results on standard output."""

import sys
import time
from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.status import Status
from rich.table import Table
from rich.text import Text

from harness.report.blocks import Block
from harness.results.run import Run
from harness.runtime import machine


class TimeLeftColumn(ProgressColumn):
    """The time left, from the session's estimate instead of the bar's speed."""

    def render(self, task: Task) -> Text:
        """Return the time left as minutes and seconds."""
        left = max(0, round(task.fields["ends"] - time.monotonic()))
        return Text(f"{left // 60}:{left % 60:02d} left", style="progress.remaining")


class Progress(Bar):
    """A progress bar on standard error with the current step and the time left; without a terminal one line per step."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        share, description = TextColumn("{task.percentage:>3.0f} %"), TextColumn("{task.description}", markup=False)
        columns = (SpinnerColumn(), BarColumn(24), share, TimeLeftColumn(), description)
        super().__init__(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._started = self._ends = time.monotonic()
        self._task = self.add_task("starting", total=1.0, ends=self._ends)

    def step(self, message: str, number: int, total: int, left_s: float) -> None:
        """Show step `number` of `total` as it starts, and the time left in seconds."""
        self._ends = time.monotonic() + left_s
        self.update(self._task, description=message, ends=self._ends)
        self.tick()
        if not self.console.is_terminal:
            line = f"[{number}/{total}] {message} · about {round(left_s)} s left"
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def tick(self) -> None:
        """Advance the bar by the time that has passed."""
        now = time.monotonic()
        spent, left = now - self._started, max(0.0, self._ends - now)
        self.update(self._task, completed=spent / max(1e-9, spent + left))


def show(record: Run, form: str = "terminal", *, tables: bool = False) -> None:
    """Print a run as JSON, as Markdown or for the terminal, the last two with its tables per scenario or only with verdicts."""
    from harness.report import markdown, overview

    if form == "json":
        print_json(record)
    elif form == "markdown":
        print(markdown.write(overview.full(record) if tables else overview.brief(record)), end="")
    else:
        print_blocks(overview.brief(record, speeds=tables))


def print_json(result: object) -> None:
    """Print a record of results as JSON, before whatever is printed next on either stream."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    sys.stdout.buffer.flush()


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


def status(message: str) -> Status:
    """Return a context that shows the current step in one line of standard error, if that is a terminal."""
    return Console(stderr=True).status(message)
