"""Hand-made histories for the tests."""

from dataclasses import replace

from harness.results.history import (
    FigureHistory,
    FigureKind,
    History,
    HistoryLine,
    HistoryPoint,
    HistoryRun,
    HistoryStep,
    ScenarioHistory,
)

STEP = HistoryStep(1, 2, 4e6, 12e6, 3.0, 2.5, 3.5, "2 + 2 runs, apart by more than 25 %", better=False)


def run(place: int = 0, **changes: object) -> HistoryRun:
    """Return a run of a commit."""
    commit = f"abcdef{place}"
    about = HistoryRun(
        commit, f"run-{place}", "runs/x", commit, dirty=False, started_at=f"2026-01-0{place + 1}T10:00:00", code=place
    )
    return replace(about, **changes)  # type: ignore[arg-type]


def figure(
    *values: float, kind: FigureKind = FigureKind.TIME, steps: tuple[HistoryStep, ...] = (), **changes: object
) -> FigureHistory:
    """Return a figure with a value per run."""
    points = tuple(HistoryPoint(place, value, value / 1.1, value * 1.1) for place, value in enumerate(values))
    name, unit = {FigureKind.TIME: ("p50", "ns"), FigureKind.RATIO: ("ratio", "×")}.get(kind, ("vm steps", ""))
    made = FigureHistory(kind, "optimised", "page", name, unit, (HistoryLine(0, points, steps),))
    return replace(made, **changes)  # type: ignore[arg-type]


def history(*figures: FigureHistory, runs: int = 4, **changes: object) -> History:
    """Return a history of one scenario."""
    shown = figures or (figure(4e6, 4e6, 12e6, 12e6, steps=(STEP,)),)
    scenario = ScenarioHistory("indexes", "Composite indexes", "sqlite", 0.0, runs, shown, ("",), ("",))
    return replace(History(tuple(run(place) for place in range(runs)), (scenario,)), **changes)  # type: ignore[arg-type]
