"""The figures of the report, one a file. The folder is the registry: a new file here is a new figure, and there is no list.

A figure of one scenario has `draw(result, samples)`, a figure of the whole run has `draw_run(run)`; both return a Matplotlib
figure, or None where the run has nothing for it. Each says with `ORDER` where it stands, with `TITLE` what it is and with
`HOW_TO_READ` how it is read, in one line. `NEEDS_SAMPLES` marks those that cannot be drawn from the record alone.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pandas as pd
from matplotlib.figure import Figure

from harness.results.run import Run, ScenarioResult

Samples = pd.DataFrame
"""Raw samples of one scenario, one operation a row, columns `harness.results.run.SAMPLE_COLUMNS`."""

DrawScenario = Callable[[ScenarioResult, Samples | None], Figure | None]
DrawRun = Callable[[Run], Figure | None]


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
    """Load every figure of this folder, in their order."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
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
