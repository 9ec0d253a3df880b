"""What an ablation found: the part of the run file that says which switch brings how much, hung on a scenario's result."""

from __future__ import annotations

from dataclasses import dataclass

CLEAR = 0.05
"""From which corrected p-value on a gain is told from none."""


@dataclass(frozen=True)
class Gain:
    """How many times faster something makes an operation: a paired ratio, above 1 is faster.

    `processes` holds each fresh process's median over its pairs; `low` and `high` bound the 95 % interval over them and are None
    with fewer than two. `p_corrected` is how often chance alone would show as much if there were nothing (a t test over the
    processes), after Holm's correction for all that is asked of the group.
    """

    ratio: float
    low: float | None
    high: float | None
    processes: list[float]
    p_corrected: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether there is something, faster or slower, at 5 % after the correction."""
        return self.p_corrected is not None and self.p_corrected < CLEAR


@dataclass(frozen=True)
class SwitchGain:
    """What one switch brings: `alone`, turned on where all others are off, and `last`, where all others are on already.

    `difference` is last ÷ alone. `interaction` is one of `harness.stats.ablation.INTERACTIONS`. The ranks are by the gain last:
    the best and the worst place that this switch can have, where one stands above another only if its whole interval does; those
    that cannot be told apart share places. None without intervals.
    """

    switch: str
    description: str
    alone: Gain
    last: Gain
    difference: Gain
    interaction: str
    rank_best: int | None = None
    rank_worst: int | None = None


@dataclass(frozen=True)
class Ablation:
    """What the switches bring in one group of cases, all from the same pairs; `switches` by their gain last, the greatest first.

    `total` is all on against all off, `product` what the gains alone multiply to, `surplus` total ÷ product, and `together`, one
    of `harness.stats.ablation.SUMS`, what that amounts to.
    """

    group: str
    pairs: int
    switches: list[SwitchGain]
    total: Gain
    product: Gain
    surplus: Gain
    together: str
