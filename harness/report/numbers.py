"""How figures are written: three significant digits, and one unit of time a table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from harness.results.run import Ratio

DASH = "–"
"""Stands where a figure is missing; always beside a reason."""


@dataclass(frozen=True)
class Unit:
    """A unit of time and how many nanoseconds it has."""

    name: str
    ns: float

    def write(self, value_ns: float | None) -> str:
        """Return nanoseconds in this unit with three significant digits, without the unit's name."""
        return DASH if value_ns is None else significant(value_ns / self.ns)


UNITS = (Unit("s", 1e9), Unit("ms", 1e6), Unit("µs", 1e3), Unit("ns", 1.0))
MILLISECONDS = UNITS[1]


def significant(value: float) -> str:
    """Return `value` with three significant digits and separators: 0.0123, 1.23, 12.3, 123, 12,300."""
    if not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    exponent = int(f"{value:.2e}".partition("e")[2])
    if exponent < -4:  # noqa: PLR2004 - smaller figures read better as powers of ten
        return f"{value:.2e}"
    decimals = 2 - exponent
    return f"{round(value, decimals):,.{max(0, decimals)}f}"


def whole(value: float) -> str:
    """Return an exact figure: all its digits where it is a whole number, three significant ones otherwise."""
    return f"{value:,.0f}" if value == round(value) else significant(value)


def unit_of(values_ns: Iterable[float | None]) -> Unit:
    """Return the unit in which the middle one of `values_ns` is at least 1: one unit for a whole table."""
    known = [value for value in values_ns if value is not None and value > 0]
    middle = statistics.median(known) if known else 1e6
    return next((unit for unit in UNITS if middle >= unit.ns), UNITS[-1])


def duration(value_ns: float) -> str:
    """Return a single time with the unit that suits it: `1.23 ms`."""
    unit = unit_of([value_ns])
    return f"{unit.write(value_ns)} {unit.name}"


def times(value: float) -> str:
    """Return a ratio: `7.21×`."""
    return f"{significant(value)}×"


def interval(low: float | None, high: float | None) -> str:
    """Return the bounds of an interval: `[6.80, 7.60]`, or a dash where there is none."""
    return DASH if low is None or high is None else f"[{significant(low)}, {significant(high)}]"


def ratio_in_words(ratio: Ratio) -> str:
    """Return a ratio with its interval: `7.21× [6.80, 7.60]`."""
    bounds = "" if ratio.low is None or ratio.high is None else f" {interval(ratio.low, ratio.high)}"
    return times(ratio.ratio) + bounds


def power(exponent: float) -> str:
    """Return a growth exponent as a power of the rows, `rows^1.02`; constant cost is `rows^0.00`, never `-0.00`."""
    return f"rows^{round(exponent, 2) + 0.0:.2f}"


def megabytes(value_bytes: float) -> str:
    """Return bytes as megabytes (10^6) with three significant digits, without the unit's name."""
    return significant(value_bytes / 1e6)


def clock_time(moment: str) -> str:
    """Return an ISO moment as a person would write it, `2026-01-05 10:22 UTC`; anything else comes back as it is."""
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    zone = parsed.strftime(" %Z") if parsed.tzinfo else ""
    return f"{parsed:%Y-%m-%d %H:%M}{zone}"


def elapsed(started_at: str, finished_at: str | None) -> str:
    """Return how long a run took: `3 min 20 s`; a dash where it never finished or a moment cannot be read."""
    try:
        seconds = (datetime.fromisoformat(finished_at or "") - datetime.fromisoformat(started_at)).total_seconds()
    except (ValueError, TypeError):
        return DASH
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "under 1 s"
