"""Figures as text: three significant digits, and one unit of time per table."""

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from harness.language import gettext, ngettext
from harness.results.run import Gain, Ratio

DASH = "–"
"""Stands for a missing figure; its cell has the reason."""


COUNTED: dict[str, Callable[[int], str]] = {
    "benchmark": lambda number: ngettext("{count} benchmark", "{count} benchmarks", number),
    "figure": lambda number: ngettext("{count} figure", "{count} figures", number),
    "more remark": lambda number: ngettext("{count} more remark", "{count} more remarks", number),
    "more row": lambda number: ngettext("{count} more row", "{count} more rows", number),
    "promise": lambda number: ngettext("{count} promise", "{count} promises", number),
    "remark": lambda number: ngettext("{count} remark", "{count} remarks", number),
    "run": lambda number: ngettext("{count} run", "{count} runs", number),
    "scenario": lambda number: ngettext("{count} scenario", "{count} scenarios", number),
    "step": lambda number: ngettext("{count} step", "{count} steps", number),
    "warning": lambda number: ngettext("{count} warning", "{count} warnings", number),
}
"""Noun → a number of it in words."""


def counted(number: int, noun: str) -> str:
    """Return a number with a noun of `COUNTED`: `1 promise`, `1,000 promises`."""
    return COUNTED[noun](number)


@dataclass(frozen=True)
class Unit:
    """A unit of time."""

    name: str
    ns: float
    """Nanoseconds in one unit."""

    def write(self, value_ns: float | None) -> str:
        """Return nanoseconds in this unit with three significant digits, without the unit's name."""
        return DASH if value_ns is None else significant(value_ns / self.ns)


UNITS = (Unit("s", 1e9), Unit("ms", 1e6), Unit("µs", 1e3), Unit("ns", 1.0))


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
    """Return all digits of a whole number, three significant ones of any other: 15,810 or 0.250."""
    return f"{value:z,.0f}" if math.isfinite(value) and value == round(value) else significant(value)


def unit_of(values_ns: Iterable[float | None]) -> Unit:
    """Return the unit in which the median of `values_ns` is at least 1: one unit for a whole table."""
    known = [value for value in values_ns if value is not None and value > 0]
    middle = statistics.median(known) if known else 1e6
    return next((unit for unit in UNITS if middle >= unit.ns), UNITS[-1])


def duration(value_ns: float) -> str:
    """Return one time with its unit: `1.23 ms`."""
    unit = unit_of([value_ns])
    return f"{unit.write(value_ns)} {unit.name}"


def times(value: float) -> str:
    """Return a ratio: `7.21×`."""
    return f"{significant(value)}×"


def interval(low: float | None, high: float | None) -> str:
    """Return the bounds of an interval: `[6.80, 7.60]`; empty without one."""
    return "" if low is None or high is None else f"[{significant(low)}, {significant(high)}]"


def ratio_with_interval(ratio: Gain | Ratio) -> str:
    """Return a ratio with its confidence interval: `7.21× [6.80, 7.60]`."""
    return f"{times(ratio.ratio)} {interval(ratio.low, ratio.high)}".strip()


def percent(share: float | None) -> str:
    """Return a change as a signed percentage with three significant digits: `+2.9 %`, `-0.04 %`, `+2,560 %`."""
    return DASH if share is None else f"{_signed(share * 100)} %"


def percent_interval(low: float | None, high: float | None) -> str:
    """Return the interval of a change in percent: `[+2.1, +3.7] %`; empty without one."""
    return "" if low is None or high is None else f"[{_signed(low * 100)}, {_signed(high * 100)}] %"


def _signed(value: float) -> str:
    if not math.isfinite(value):
        return DASH
    value = round(value, 4) + 0.0  # neither -0 nor powers of ten
    return f"{value:+,.0f}" if abs(value) >= 100 else f"{value:+.3g}"  # noqa: PLR2004 - three significant digits


def exponent(value: float) -> str:
    """Return a growth exponent: `1.02`; constant cost is `0.00`, never `-0.00`."""
    return f"{value:z.2f}" if math.isfinite(value) else significant(value)


def clock_time(moment: str) -> str:
    """Return an ISO time as `2026-01-05 10:22 UTC`; anything else unchanged."""
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    return f"{parsed:%Y-%m-%d %H:%M %Z}".rstrip()


def elapsed(started_at: str, finished_at: str | None) -> str:
    """Return the duration of a run: `3 min 20 s`; a dash if it never finished or a time cannot be read."""
    try:
        seconds = (datetime.fromisoformat(finished_at or "") - datetime.fromisoformat(started_at)).total_seconds()
    except (ValueError, TypeError):
        return DASH
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return " ".join(f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min"), (rest, "s")) if n) or gettext("under 1 s")
