"""A sequential test, valid after every pair: is one version slower than another, faster, or equally fast?

A pair's log ratio d = ln(second's time ÷ first's time) lies above a line or not. If its median is no higher than the line, that is
a coin that shows heads half the time at most, whatever the noise is like. Betting on heads, with stakes that are uniform over
probabilities above ½, turns the count of heads into an **e-value**: the gain of a wager whose expectation is at most 1 while the
claim is false. The chance that it *ever* reaches 1/alpha is then at most alpha, so that the test may be evaluated after every
pair (Ville 1939; Shafer 2021; Waudby-Smith and Ramdas 2024; Howard and Ramdas 2022 for quantiles).

Orders have to be random and pairs independent. The conclusion is about the version that is slower *in this process*, whose bias it
cannot detect: over processes, `harness.stats.intervals.paired_ratio` decides.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

SLOWER, FASTER, SAME = "slower", "faster", "the same"
"""Possible conclusions: the median is beyond the margin in one direction or the other, or within it in both."""
ALPHA = 0.01
"""Probability of each conclusion if it is false, over all evaluations together."""


@lru_cache(maxsize=65_536)
def log_e_value(heads: int, tosses: int) -> float:
    """Return ln of the e-value of a number of heads, against a coin that shows heads at most half the time.

    With p uniform on (½, 1) as the stake, the mixture of (2 p)^heads · (2 (1 - p))^tails has a closed form,
    Σ_{k ≤ heads} C(n + 1, k) ÷ ((n + 1) · C(n, heads)), which is summed from its greatest term.
    """
    if not 0 <= heads <= tosses:
        raise ValueError(f"{heads} heads in {tosses} tosses")
    tails = tosses - heads
    if heads < tails:
        return math.log(_small(heads, tosses))
    # The e-values for heads and for tails add up to this; the smaller one is computed precisely, and so is its complement.
    choices = math.lgamma(tosses + 1) - math.lgamma(heads + 1) - math.lgamma(tails + 1)
    both = (tosses + 1) * math.log(2) - math.log(tosses + 1) - choices
    return both + math.log1p(-math.exp(math.log(_small(tails, tosses)) - both))


def _small(heads: int, tosses: int) -> float:
    """Return the e-value if heads are at most the tails: the terms decrease from the first one."""
    term = total = 1 / (tosses + 1 - heads)
    for k in range(heads, 0, -1):
        term *= k / (tosses + 2 - k)
        total += term
        if term < total * 1e-17:
            break
    return total


@dataclass
class SequentialTest:
    """The pairs of one process so far, against a `margin`, a share: 0.03 asks about 3 % slower or faster.

    A log ratio exactly on a line counts against every conclusion.
    """

    margin: float
    pairs: int = 0
    _heads: dict[str, int] = field(default_factory=lambda: dict.fromkeys((SLOWER, FASTER, "not slower", "not faster"), 0))

    def add(self, log_ratio: float) -> None:
        """Add one pair: ln(second's time ÷ first's time), above 0 if the second is slower."""
        line = math.log1p(self.margin)
        self.pairs += 1
        self._heads[SLOWER] += log_ratio > line
        self._heads[FASTER] += log_ratio < -line
        self._heads["not slower"] += log_ratio < line
        self._heads["not faster"] += log_ratio > -line

    def log_e(self, conclusion: str) -> float:
        """Return ln of the e-value for a conclusion; for "the same", neither slower nor faster, it is the smaller of the two."""
        sides = ("not slower", "not faster") if conclusion == SAME else (conclusion,)
        return log_e_value(min(self._heads[side] for side in sides), self.pairs)

    def conclusion(self, alpha: float = ALPHA) -> str | None:
        """Return the conclusion so far; None if there is none yet."""
        return next((one for one in (SLOWER, FASTER, SAME) if self.log_e(one) >= -math.log(alpha)), None)


def first_conclusion(log_ratios: Sequence[float], margin: float, alpha: float = ALPHA) -> tuple[str | None, int]:
    """Return the first conclusion when evaluating after every pair, and the number of pairs; None if there is none."""
    evidence = SequentialTest(margin)
    for log_ratio in log_ratios:
        evidence.add(log_ratio)
        if (found := evidence.conclusion(alpha)) is not None:
            return found, evidence.pairs
    return None, len(log_ratios)
