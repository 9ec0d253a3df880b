"""The verdict on failed operations: a side that fails more has regressed, however fast it answers.

Failures decide before times do: failed operations often end at once, so that their times look like a gain. The same rules hold for
runs of this harness and for result files of every other tool.
"""

from dataclasses import dataclass

from harness.results.gate import GateVerdict
from harness.stats.proportions import fisher_p

TOLERANCE = 0.001
"""The share of failed operations, by default, that is tolerated on a side, and by which one side may exceed the other."""
ALPHA = 0.01
"""The probability, at most, of a verdict where both sides fail equally often."""


@dataclass(frozen=True)
class Failures:
    """The operations of one side."""

    errors: int
    operations: int
    """All that were tried, failed ones included."""

    @property
    def share(self) -> float:
        """The share that failed, 0 where nothing was tried."""
        return self.errors / self.operations if self.operations else 0.0

    @property
    def is_total(self) -> bool:
        """Whether every operation failed: such a side has no times."""
        return 0 < self.operations <= self.errors

    def exceed(self, tolerance: float) -> bool:
        """Return whether more failed than is tolerated."""
        return self.share > tolerance


def judge(before: Failures, after: Failures, tolerance: float = TOLERANCE) -> tuple[GateVerdict, str]:
    """Return the verdict on the second side's failures, with the reason.

    Regressed: all of it failed and not all of the first, or its share is beyond the first's by more than `tolerance` and
    significantly so (Fisher's exact test, one-sided, at 1 %). Inconclusive: beyond, but too few operations to show it. Improved:
    the reverse of regressed. Not comparable: all operations of both failed. Otherwise equal, whatever the times are.

    Example:
        >>> judge(Failures(0, 8), Failures(8, 8))
        (<GateVerdict.REGRESSED: 'regressed'>, 'all 8 operations failed (0 % → 100 %)')
    """
    change = f"({percent(before)} → {percent(after)})"
    if before.is_total and after.is_total:
        return GateVerdict.NOT_COMPARABLE, "all operations of both failed, so there are no times"
    if after.is_total:
        return GateVerdict.REGRESSED, f"all {after.operations:,} operations failed {change}"
    if before.is_total:
        return GateVerdict.IMPROVED, f"not all operations fail any more {change}"
    if abs(after.share - before.share) <= tolerance:
        return GateVerdict.EQUAL, f"equally many operations failed {change}" if after.errors or before.errors else "nothing failed"
    more, less = (after, before) if after.share > before.share else (before, after)
    p = fisher_p(less.errors, less.operations, more.errors, more.operations)
    verb = "more" if more is after else "fewer"
    if p > ALPHA:
        verdict = GateVerdict.INCONCLUSIVE if more is after else GateVerdict.EQUAL
        return verdict, f"{verb} operations failed {change}, of too few to show a change (p = {p:.2g})"
    verdict = GateVerdict.REGRESSED if more is after else GateVerdict.IMPROVED
    return verdict, f"{verb} operations failed: {after.errors:,} of {after.operations:,} {change}"


def percent(failures: Failures) -> str:
    """Return the share that failed as text, with three digits; 100 % only if all failed."""
    share = failures.share if failures.is_total else min(failures.share, 0.999)
    return f"{share * 100:.3g} %"
