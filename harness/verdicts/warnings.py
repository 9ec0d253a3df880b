"""Warnings: reasons not to trust a result, each with its remedy. Measuring collects them, reports show them."""

from collections.abc import Iterator

from harness.results.run import AA_CONTROL, RunWarning, ScenarioResult, ScenarioStatus
from harness.results.warning_names import WarningName
from harness.verdicts import tails

FEW_PROCESSES = 5
FEW_PAIRS = 10
CONTROL_OFF = 1.10
"""An A/A control whose interval excludes 1 is reported if its ratio is beyond this: of many controls, some exclude 1 by chance."""
DRIFT = 0.05
"""The change of a control between the halves of a process above which it is reported, if its noise does not explain it."""
NEARLY_EXACT = ("bytes_in_allocations", "instructions")
"""Counts that differ slightly between repeats: a dictionary grew, or threads switched at another point."""
NOISY_CONTROL = 1.25
"""The limit of an A/A control's interval in either direction: with a wider one a gain of a quarter is not significant."""


LISTED = 4
"""The number of work counts that a warning names."""


def warnings_about(result: ScenarioResult) -> list[RunWarning]:
    """Return every warning about one scenario's result, in a fixed order."""
    checks = (_about_the_run, _about_tails, _about_controls, _about_work_counts, _about_drift, _about_injected)
    return [warning for check in checks for warning in check(result)]


def _about_the_run(result: ScenarioResult) -> Iterator[RunWarning]:
    if result.status == ScenarioStatus.INTERRUPTED:
        yield RunWarning(WarningName.INTERRUPTED, "the run was stopped before this scenario was finished", "run it again")
    if result.ratios and result.processes < FEW_PROCESSES:
        based = f"confidence intervals are based on {result.processes} fresh processes"
        message = f"{based}; at least {FEW_PROCESSES} are recommended"
        yield RunWarning(WarningName.FEW_PROCESSES, message, f"run with --processes {FEW_PROCESSES} or without --quick")
    thin = sorted({r.group for r in result.ratios if r.arm != AA_CONTROL and r.pairs < FEW_PAIRS})
    if thin:
        yield RunWarning(WarningName.FEW_PAIRS, f"fewer than {FEW_PAIRS} pairs in {', '.join(thin)}", "increase --budget")


def _about_tails(result: ScenarioResult) -> Iterator[RunWarning]:
    found = tails.slower(result.percentile_ratios, {(x.arm, x.group): x.percentiles_ns for x in result.latencies})
    for (arm, group), text in found.items():
        yield RunWarning(WarningName.SLOWER_TAIL, f"{arm}, {group}: {text}", tails.REMEDY)


def _about_controls(result: ScenarioResult) -> Iterator[RunWarning]:
    off, noisy = [], []
    for r in result.ratios:
        if r.arm != AA_CONTROL or r.low is None or r.high is None:
            continue
        if not r.low <= 1 <= r.high and max(r.ratio, 1 / r.ratio) > CONTROL_OFF:
            off.append(f"{r.ratio:.2f}× in {r.group}")
        elif r.high / r.low > NOISY_CONTROL**2:
            noisy.append(f"{r.ratio:.2f}× [{r.low:.2f}, {r.high:.2f}] in {r.group}")
    measured = "the baseline against itself measured"
    if off:
        remedy = "read differences of this size there as noise; run again on a quieter machine"
        yield RunWarning(WarningName.CONTROL_OFF, f"{measured} {'; '.join(off)}", remedy)
    if noisy:
        yield RunWarning(WarningName.NOISY_CONTROL, f"{measured} {'; '.join(noisy)}", "increase --budget or --processes")


def _about_work_counts(result: ScenarioResult) -> Iterator[RunWarning]:
    loose = (c for c in result.work_counts if not c.repeats_exactly and c.metric not in NEARLY_EXACT)
    moving = sorted({f"{c.metric} of {c.arm} in {c.group}" for c in loose})
    if moving:
        message = ", ".join(moving[:LISTED]) + " …" * (len(moving) > LISTED)
        remedy = "look for caches, clocks or background work in the operation"
        yield RunWarning(WarningName.WORK_COUNTS, message, remedy)


def _about_drift(result: ScenarioResult) -> Iterator[RunWarning]:
    moved = [d for d in result.controls.drifts if abs(d.ratio - 1) > max(DRIFT, d.explained)]
    if moved:
        changes = "; ".join(f"{d.name} took {d.ratio:.2f} times as long" for d in moved)
        remedy = (
            "ratios of pairs cancel drift, latencies do not: run again on a quieter machine; `harness doctor` measures its noise"
        )
        yield RunWarning(WarningName.DRIFT, f"in the second half of the processes {changes}", remedy)


def _about_injected(result: ScenarioResult) -> Iterator[RunWarning]:
    missed = [p for p in result.controls.injected if not p.found]
    if missed:
        slowdown = f"a slowdown of {missed[0].share * 100:.2g} % in the baseline"
        message = f"{slowdown} was not detected in {', '.join(p.group for p in missed)}"
        remedy = "a regression of this size would be missed there too; increase --budget or --processes"
        yield RunWarning(WarningName.INJECTED, message, remedy)
