"""What a person sees in the terminal while a run goes on, and at its end."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from harness.results.run import Run

if TYPE_CHECKING:
    from typing import Self


class _Left(ProgressColumn):
    """How long is left, from the session's own estimate rather than from the bar's speed."""

    def render(self, task: Task) -> Text:
        """Return the time left as minutes and seconds."""
        ends: float = task.fields["ends"]
        left = max(0, round(ends - time.monotonic()))
        return Text(f"{left // 60}:{left % 60:02d} left", style="progress.remaining")


class Progress:
    """A progress bar on standard error: what is running, how far, how long is left. One line a step where there is no terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        columns = (
            SpinnerColumn(),
            BarColumn(24),
            TextColumn("{task.percentage:>3.0f} %"),
            _Left(),
            TextColumn("{task.description}"),
        )
        self._bar = Bar(*columns, console=self._console, transient=True)
        self._task = self._bar.add_task("starting", total=1.0, ends=time.monotonic())
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        """Show the bar, where there is a terminal."""
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Take the bar away."""
        if self._console.is_terminal:
            self._bar.stop()

    def step(self, says: str, number: int, total: int, left_s: float) -> None:
        """Show the step that begins and the time left."""
        spent = time.monotonic() - self._started
        share = spent / max(1e-9, spent + left_s)
        self._bar.update(self._task, description=says, completed=share, ends=time.monotonic() + left_s)
        if not self._console.is_terminal:
            self._console.print(
                f"[{number}/{total}] {says} · about {round(left_s)} s left", markup=False, highlight=False, soft_wrap=True
            )

    def tick(self) -> None:
        """Move the bar on by the time that has passed."""
        spent = time.monotonic() - self._started
        ends: float = self._bar.tasks[0].fields["ends"]
        left = max(0.0, ends - time.monotonic())
        self._bar.update(self._task, completed=spent / max(1e-9, spent + left))


def show(record: Run, *, as_json: bool, tables: bool = False) -> None:
    """Print a finished run: its verdicts, with `tables` each scenario's speed too, or the whole of it as JSON."""
    if as_json:
        import msgspec  # noqa: PLC0415 - only for this one way out

        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
        return
    from harness.report import terminal  # noqa: PLC0415 - keeps errors before the first table quick

    console = Console()
    if not record.scenarios:
        console.print("nothing was finished in this run")
    elif record.kind == "load":
        console.print(terminal.before_after_table(record))
    else:
        console.print(terminal.verdict_table(record))
        for result in record.scenarios if tables else ():
            console.print(terminal.ratio_table(result))
