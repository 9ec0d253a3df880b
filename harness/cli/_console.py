"""Progress of a run on standard error, and its results on standard output."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from harness.report.blocks import Block
    from harness.results.run import Run


class TimeLeftColumn(ProgressColumn):
    """The time left, from the session's estimate instead of the bar's speed."""

    def render(self, task: Task) -> Text:
        """Return the time left as minutes and seconds."""
        ends: float = task.fields["ends"]
        left = max(0, round(ends - time.monotonic()))
        return Text(f"{left // 60}:{left % 60:02d} left", style="progress.remaining")


class Progress:
    """A progress bar on standard error with the current step and the time left; without a terminal one line per step."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        columns = (
            SpinnerColumn(),
            BarColumn(24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeLeftColumn(),
            TextColumn("{task.description}", markup=False),
        )
        self._bar = Bar(*columns, console=self._console, transient=True)
        self._task = self._bar.add_task("starting", total=1.0, ends=time.monotonic())
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        """Show the bar, if there is a terminal."""
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Remove the bar."""
        if self._console.is_terminal:
            self._bar.stop()

    def step(self, message: str, number: int, total: int, left_s: float) -> None:
        """Show step `number` of `total` as it starts, and the time left in seconds."""
        spent = time.monotonic() - self._started
        share = spent / max(1e-9, spent + left_s)
        self._bar.update(self._task, description=message, completed=share, ends=time.monotonic() + left_s)
        if not self._console.is_terminal:
            self._console.print(
                f"[{number}/{total}] {message} · about {round(left_s)} s left", markup=False, highlight=False, soft_wrap=True
            )

    def tick(self) -> None:
        """Advance the bar by the time that has passed."""
        spent = time.monotonic() - self._started
        ends: float = self._bar.tasks[0].fields["ends"]
        left = max(0.0, ends - time.monotonic())
        self._bar.update(self._task, completed=spent / max(1e-9, spent + left))


def show(record: Run, *, as_json: bool, tables: bool = False) -> None:
    """Print a finished run: its verdicts, with `tables` each scenario's speed too, or the whole run as JSON."""
    if as_json:
        print_json(record)
        return
    from harness.report import overview

    print_blocks(overview.brief(record, speeds=tables))


def print_json(result: object) -> None:
    """Print a record of results as JSON, before whatever is printed next on either stream."""
    import msgspec

    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    sys.stdout.buffer.flush()


def print_blocks(blocks: Iterable[Block]) -> None:
    """Print blocks of a report on standard output, laid out for its width."""
    from harness.report import terminal

    console = Console()
    console.print(terminal.write(blocks, console.width))
