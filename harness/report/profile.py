"""Where a run's time went: the phases of its worker processes, per scenario."""

from collections.abc import Mapping
from datetime import datetime

from harness.language import gettext, mark
from harness.report.blocks import Cell, Table, cells
from harness.report.promises import located
from harness.results.profile import RunPhase
from harness.results.run import Run

_COLUMNS: Mapping[str, tuple[RunPhase, ...]] = {
    mark("start"): (RunPhase.STARTING,),
    mark("data"): (RunPhase.PREPARING,),
    mark("open"): (RunPhase.OPENING, RunPhase.CLOSING),
    mark("verify"): (RunPhase.VERIFICATION, RunPhase.FINDINGS),
    mark("count"): (RunPhase.COUNTING,),
    mark("warm"): (RunPhase.WARM_UP,),
    mark("reset"): (RunPhase.RESETS, RunPhase.CONTROLS),
    mark("memory"): (RunPhase.MEMORY,),
    mark("load"): (RunPhase.LOAD,),
    mark("wait"): (RunPhase.WAITING,),
    mark("timed"): (RunPhase.OPERATIONS,),
}
"""Heading → the phases of its column; short, so that most of them fit into 80 columns."""
LEAST_S = 0.05
"""Seconds of all scenarios together from which a column is shown: less is written as 0.0."""
READ = mark(
    "Seconds of worker processes: start and end of processes; building data; opening and closing instances; comparing answers and"
    " trying findings; counting work; warm-up; resets between operations, with the controls; memory; load; waiting for a core; and"
    " the timed operations themselves. Processes in parallel add up to more than the time that passed."
)


def table(run: Run) -> Table | None:
    """Return the seconds of each phase, a row per scenario and one for all; None for a run without a profile."""
    profiles = {found.named(found.result.name): found.result.profile for found in located(run) if found.result.profile}
    if not profiles:
        return None
    everything: dict[str, float] = {}
    for profile in profiles.values():
        for phase, seconds in profile.items():
            everything[phase] = everything.get(phase, 0.0) + seconds
    shown = {head: phases for head, phases in _COLUMNS.items() if sum(everything.get(phase, 0.0) for phase in phases) >= LEAST_S}
    rows = [_row(name, profile, shown) for name, profile in profiles.items()]
    if len(profiles) > 1:
        rows.append(_row(gettext("all"), everything, shown))
    return Table(
        _caption(run, everything.get(RunPhase.OPERATIONS, 0.0)),
        (mark("scenario"), *shown, mark("all")),
        tuple(rows),
        wide=("data", "wait", "load"),
    )


def _row(name: str, profile: Mapping[str, float], shown: Mapping[str, tuple[RunPhase, ...]]) -> tuple[Cell, ...]:
    parts = [sum(profile.get(phase, 0.0) for phase in phases) for phases in shown.values()]
    return cells(name, *(f"{seconds:.1f}" for seconds in [*parts, sum(profile.values())]))


def _caption(run: Run, timed_s: float) -> str:
    try:
        wall_s = (datetime.fromisoformat(run.finished_at or "") - datetime.fromisoformat(run.started_at)).total_seconds()
    except (ValueError, TypeError):  # it did not finish, or the file has other texts; as does one without a time zone
        return gettext("Where the time went, in seconds")
    passed = f"{wall_s:.0f}"
    if not wall_s:
        return gettext("Where the time went, in seconds: {passed} s passed", passed=passed)
    return gettext(
        "Where the time went, in seconds: {passed} s passed; {share} % of that timed operations",
        passed=passed,
        share=f"{100 * timed_s / wall_s:.0f}",
    )
