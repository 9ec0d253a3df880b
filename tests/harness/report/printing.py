"""Print blocks as a terminal would show them."""

import io
from collections.abc import Iterable

from rich.console import Console

from harness.report import terminal
from harness.report.blocks import Block


def printed(blocks: Iterable[Block], width: int = 80) -> str:
    """Return what a terminal of `width` columns shows, without colour."""
    sink = io.StringIO()
    Console(file=sink, width=width, no_color=True).print(terminal.write(blocks, width), crop=False)
    return sink.getvalue()
