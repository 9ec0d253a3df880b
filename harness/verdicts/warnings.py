"""Reasons not to trust a result, each with its remedy. A warning is a value: measuring collects them, rendering shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from harness.results.run import AA_CONTROL, RunWarning, ScenarioResult

FEW_PROCESSES = 5
FEW_PAIRS = 10
CONTROL_OFF = 1.10
"""How far from 1 an A/A control whose interval leaves 1 out may lie without a word: of many controls, some do by chance."""

DRIFT = 0.05
"""How much the controls may change between the halves of a process without a word, if they change by more than their own noise."""

NEARLY_EXACT = ("bytes_in_allocations", "instructions")
"""Counts that differ a little between repeats by their nature: a dictionary grew just then, or threads handed over elsewhere."""

NOISY_CONTROL = 1.25
"""How far either way an A/A control's interval may reach: wider, and a gain of a quarter could not be told from nothing."""


def warnings_about(result: ScenarioResult) -> list[RunWarning]:
    """Return every warning about one scenario's result, in a fixed order."""
    return [warning for check in _CHECKS for warning in check(result)]


def _few_processes(result: ScenarioResult) -> Iterator[RunWarning]:
    if result.ratios and result.processes < FEW_PROCESSES:
        yield RunWarning(
            "few processes",
            f"intervals rest on {result.processes} fresh processes; a headline wants {FEW_PROCESSES}",
            f"run with --processes {FEW_PROCESSES} or without --quick",
        )


def _few_pairs(result: ScenarioResult) -> Iterator[RunWarning]:
    thin = sorted({r.group for r in result.ratios if r.arm != AA_CONTROL and r.pairs < FEW_PAIRS})
    if thin:
        yield RunWarning(
            "few pairs",
            f"fewer than {FEW_PAIRS} pairs in {', '.join(thin)}",
            "give more time with --budget",
        )


def _control(result: ScenarioResult) -> Iterator[RunWarning]:
    off, noisy = [], []
    for r in result.ratios:
        if r.arm != AA_CONTROL or r.low is None or r.high is None:
            continue
        if not r.low <= 1 <= r.high and max(r.ratio, 1 / r.ratio) > CONTROL_OFF:
            off.append(f"{r.ratio:.2f}× in {r.group}")
        elif r.high / r.low > NOISY_CONTROL**2:
            noisy.append(f"{r.ratio:.2f}× [{r.low:.2f}, {r.high:.2f}] in {r.group}")
    if off:
        yield RunWarning(
            "A/A control off",
            f"the baseline against itself reads {'; '.join(off)}",
            "distrust differences of this size there; run again on a quieter machine",
        )
    if noisy:
        yield RunWarning(
            "noisy control",
            f"the baseline against itself reads {'; '.join(noisy)}",
            "give more time with --budget, or more --processes",
        )


def _inexact(result: ScenarioResult) -> Iterator[RunWarning]:
    loose = (e for e in result.work_counts if not e.repeats_exactly and e.metric not in NEARLY_EXACT)
    moving = sorted({f"{e.metric} of {e.arm} in {e.group}" for e in loose})
    if moving:
        yield RunWarning(
            "exact work that does not repeat",
            f"counted differently twice: {', '.join(moving[:4])}{' …' if len(moving) > 4 else ''}",  # noqa: PLR2004 - a line's worth
            "look for caches, clocks or background work in the operation",
        )


def _drifted(result: ScenarioResult) -> Iterator[RunWarning]:
    moved = [d for d in result.controls.drifts if abs(d.ratio - 1) > max(DRIFT, d.explained)]
    if moved:
        says = "; ".join(f"{d.name} took {d.ratio:.2f} times as long" for d in moved)
        yield RunWarning(
            "machine drifted",
            f"in the second half of the processes {says}",
            "arms in pairs drift alike, latencies do not: run again on a quieter machine; `harness doctor` tells how quiet it is",
        )


def _planted(result: ScenarioResult) -> Iterator[RunWarning]:
    missed = [p for p in result.controls.injected if not p.found]
    if missed:
        yield RunWarning(
            "planted slow-down not found",
            f"a slow-down of {missed[0].share * 100:.2g} % of the baseline did not show in {', '.join(p.group for p in missed)}",
            "a change of that size would be overlooked there too; give more time with --budget, or more --processes",
        )


def _cut_short(result: ScenarioResult) -> Iterator[RunWarning]:
    if result.status == "interrupted":
        yield RunWarning("interrupted", "the run was stopped before this scenario was finished", "run it again")


_CHECKS: tuple[Callable[[ScenarioResult], Iterator[RunWarning]], ...] = (
    _cut_short,
    _few_processes,
    _few_pairs,
    _control,
    _inexact,
    _drifted,
    _planted,
)
