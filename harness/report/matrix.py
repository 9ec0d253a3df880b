"""Verdicts over engines and distances: one row a promise, one column a place where it was tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.report.promises import PromiseRow, anchors, rows_of
from harness.results.run import Run, ScenarioResult, ScenarioStatus


@dataclass(frozen=True)
class EnginePlace:
    """An engine at a distance."""

    engine: str
    rtt_ms: float

    @property
    def label(self) -> str:
        """The place in words: `postgres, RTT 5 ms`."""
        return f"{self.engine}, RTT {self.rtt_ms:g} ms"


@dataclass(frozen=True)
class MatrixRow:
    """A promise, or a part of one, of one scenario; `cells` are in the order of the run's places, None where it has no verdict."""

    scenario: str
    promise: str
    part: str
    text: str
    cells: tuple[PromiseRow | None, ...]

    @property
    def label(self) -> str:
        """The promise and its part: `N2 · list`."""
        return f"{self.promise} · {self.part}" if self.part else self.promise


def places(run: Run) -> list[EnginePlace]:
    """Return the places where something was tried, engines in the run's order, each from near to far; all of them if nothing was.

    What was not run at a place stands beside the verdicts with its reason (`not_run`), and would fill a column with nothing else.
    """
    found = dict.fromkeys(_place(result) for result in run.scenarios if result.status != ScenarioStatus.NOT_RUN)
    found = found or dict.fromkeys(map(_place, run.scenarios))
    engines = list(dict.fromkeys(place.engine for place in found))
    return sorted(found, key=lambda place: (engines.index(place.engine), place.rtt_ms))


def at(run: Run, place: EnginePlace) -> Run:
    """Return the part of a run that was tried at one place."""
    return replace(run, scenarios=[result for result in run.scenarios if _place(result) == place])


def matrix(run: Run) -> list[MatrixRow]:
    """Return every promise of a run, in the order of its scenarios."""
    columns = places(run)
    found: dict[tuple[str, str, str, str, int], list[PromiseRow | None]] = {}
    for result, anchor in zip(run.scenarios, anchors(run), strict=True):
        if _place(result) not in columns:
            continue
        again: dict[tuple[str, str, str], int] = {}
        for row in rows_of(result, anchor):
            identity = (row.promise, row.part, row.text)
            again[identity] = again.get(identity, -1) + 1
            cells = found.setdefault((result.name, *identity, again[identity]), [None] * len(columns))
            cells[columns.index(_place(result))] = row
    return [MatrixRow(name, promise, part, says, tuple(cells)) for (name, promise, part, says, _), cells in found.items()]


def not_run(run: Run) -> Iterator[tuple[EnginePlace, str, list[ScenarioResult]]]:
    """Yield what was not run: a place, the reason, and the scenarios it goes for."""
    found: dict[tuple[EnginePlace, str], list[ScenarioResult]] = {}
    for result in run.scenarios:
        if result.status == ScenarioStatus.NOT_RUN:
            found.setdefault((_place(result), result.error or "no reason was recorded"), []).append(result)
    for (place, reason), results in found.items():
        yield place, reason, results


def _place(result: ScenarioResult) -> EnginePlace:
    return EnginePlace(result.engine, result.rtt_ms)
