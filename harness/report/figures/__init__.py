"""The figures of the report, one per file. The folder is the registry: a new file is a new figure.

A figure of one scenario has `draw(result, samples)`, a figure of the whole run has `draw_run(run)`. Both return a Matplotlib
figure, or None if the run has nothing to draw. Each has `ORDER`, its position on the page, `TITLE`, and `HOW_TO_READ`, one line.
`NEEDS_SAMPLES` marks those that cannot be drawn from the record alone.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from harness.errors import missing_extra
from harness.results.run import Run, ScenarioResult

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.figure import Figure

Samples: TypeAlias = "Mapping[str, npt.NDArray[Any]]"
"""Raw samples of one scenario as columns of equal length, one entry per operation: `harness.results.store.SAMPLE_COLUMNS`, or under
load one entry per bucket of its histograms: `harness.results.store.HISTOGRAM_COLUMNS`."""

DrawScenario: TypeAlias = "Callable[[ScenarioResult, Samples | None], Figure | None]"
DrawRun: TypeAlias = "Callable[[Run], Figure | None]"


@dataclass(frozen=True)
class Drawing:
    """One file of this folder. It draws a scenario or a run, never both."""

    name: str
    title: str
    how_to_read: str
    order: int
    needs_samples: bool
    draw: DrawScenario | None
    draw_run: DrawRun | None


@cache
def drawings() -> tuple[Drawing, ...]:
    """Load every figure of this folder, in their order.

    Raises:
        UsageError: Matplotlib is not installed.
    """
    try:
        modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    except ModuleNotFoundError as error:
        raise missing_extra((error.name or "matplotlib").partition(".")[0], "report", "drawing figures") from error
    found = [
        Drawing(
            name=module.__name__.rpartition(".")[2],
            title=module.TITLE,
            how_to_read=module.HOW_TO_READ,
            order=module.ORDER,
            needs_samples=getattr(module, "NEEDS_SAMPLES", False),
            draw=getattr(module, "draw", None),
            draw_run=getattr(module, "draw_run", None),
        )
        for module in modules
    ]
    return tuple(sorted(found, key=lambda drawing: (drawing.order, drawing.name)))
