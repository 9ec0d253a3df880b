"""Ratios of percentiles: the part of the run file that says how much shorter the slow operations are, on a scenario's result."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PercentileRatio:
    """How many times shorter an arm's percentile is than the baseline's: baseline ÷ arm, above 1 is faster.

    `percentile` is "50", "95" or "99"; `samples` are those of the side that has fewer. `ratio` is None where so many samples do not
    resolve the percentile. `low` and `high` bound the 95 % interval, bootstrapped over processes and blocks of pairs; None where
    there are too few of them.
    """

    arm: str
    group: str
    percentile: str
    samples: int
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
