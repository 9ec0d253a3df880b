"""Service-level objectives such as "p95 < 150ms, errors < 0.1%": parsed from text, and judged on a step's observation."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.errors import UsageError
from harness.results.load import LatencySummary
from harness.stats.intervals import QUANTILES
from harness.suggestions import choose_from

EXAMPLE = 'try "p95 < 150ms, errors < 0.1%"'
MAX_ERRORS = 0.01
"""The default limit of the share of operations that may fail."""
MIN_ACHIEVED = 0.98
"""The default limit of the share of the offered rate that has to complete in the open model."""
MEAN, MAX = "mean", "max"
OPERATIONS_BEYOND = 10
"""The number of operations that have to lie beyond a percentile: an objective judges it without its interval (Rally's rule)."""
STATISTICS = (*(f"p{label}" for label in QUANTILES), MEAN, MAX)
"""The statistics of response times that an objective can bound."""
_UNITS_NS = {"ns": 1.0, "us": 1e3, "\u03bcs": 1e3, "ms": 1e6, "s": 1e9}  # Greek mu, to which a micro sign folds
_CLAUSE = re.compile(
    r"(?P<name>[a-z][\w.]*)\s*(?P<sign><=|>=|<|>|\u2264|\u2265)\s*(?P<number>[0-9]+\.?[0-9]*|\.[0-9]+)\s*(?P<unit>\S*)"
)
_SIGNS = {"\u2264": "<=", "\u2265": ">="}


@dataclass(frozen=True)
class Bound:
    """A limit on a figure."""

    name: str
    """One of `STATISTICS`, "errors" or "achieved"."""
    limit: float
    """Nanoseconds for times, shares of 1 for errors and achieved."""
    strict: bool = False
    """Whether the limit itself is excluded."""
    floor: bool = False
    """Whether the limit is a minimum."""

    def admits(self, value: float) -> bool:
        """Return whether a figure is within the bound."""
        if value == self.limit:
            return not self.strict
        return (value > self.limit) if self.floor else (value < self.limit)

    def __str__(self) -> str:
        sign = (">" if self.floor else "<") + ("" if self.strict else "=")
        return f"{self.name} {sign} {_written(self.name, self.limit)}"


@dataclass(frozen=True)
class LoadObservation:
    """The figures of one try of a level in measured time, all groups of operations together."""

    level: float
    """Operations per second, or concurrent users."""
    offered_per_s: float | None
    """None in the closed model."""
    achieved_per_s: float
    sent: int
    """Operations that were due."""
    completed: int
    """Those of them that completed without an error; the others failed, were dropped or unfinished."""
    response: LatencySummary
    """Times from the due time."""
    invalid: str | None = None
    """The reason why the generator, not the arm, was the limit."""
    errors: Mapping[str, int] = field(default_factory=dict)
    """Message → operations that raised, the most frequent first."""

    @property
    def failed_share(self) -> float:
        """The share of operations that did not complete without an error, 0 to 1."""
        return (self.sent - self.completed) / self.sent if self.sent else 0.0

    @property
    def achieved_share(self) -> float | None:
        """The share of the offered rate that completed within measured time; None in the closed model."""
        return self.achieved_per_s / self.offered_per_s if self.offered_per_s else None

    @property
    def chance_share(self) -> float:
        """The tolerance of `achieved_share` for chance, 0 to 1.

        Rate × response time operations are in flight at either end of measured time (Little 1961), with a standard deviation of the
        square root for independent arrivals, so that the ends differ by the root of twice as many; twice that is tolerated.
        """
        in_flight = (self.offered_per_s or 0.0) * (self.response.mean_ns or 0.0) / 1e9
        return min(1.0, 2 * math.sqrt(2 * in_flight) / self.sent) if self.sent else 0.0


@dataclass(frozen=True)
class Judgement:
    """The judgement of an objective on one observation."""

    is_met: bool | None
    """None with too few operations, or if the generator was the limit."""
    reason: str
    failing: str | None = None
    """The failed operations with their most frequent error, if their share alone breaks the objective or nothing completed."""


@dataclass(frozen=True)
class Objective:
    """Bounds that have to be met together, made by `parse`."""

    latencies: tuple[Bound, ...] = ()
    errors: Bound = Bound("errors", MAX_ERRORS)
    achieved: Bound = Bound("achieved", MIN_ACHIEVED, floor=True)
    beyond: int = OPERATIONS_BEYOND
    """The operations beyond a percentile from which on it is judged."""

    def description(self, *, offered: bool) -> str:
        """Return the objective in one line; with `offered`, including the share of the offered rate that has to complete."""
        return ", ".join(map(str, (*self.latencies, self.errors, *([self.achieved] if offered else []))))

    @property
    def needs_operations(self) -> int:
        """The number of operations with `beyond` beyond every percentile of the objective; at least `OPERATIONS_BEYOND`."""
        quantiles = [QUANTILES[b.name[1:]] for b in self.latencies if b.name[1:] in QUANTILES]
        return max([OPERATIONS_BEYOND, *(math.ceil(self.beyond / (1 - q) - 1e-6) for q in quantiles)])

    def judge(self, observed: LoadObservation) -> Judgement:
        """Judge an observation.

        A broken bound fails with any number of operations; one that is met needs `needs_operations`. Operations that raised break
        it also where the generator was the limit: they often end at once, so that users in the closed model keep it busy.
        """
        failing = self._failing(observed)
        if observed.invalid and not failing:
            return Judgement(None, observed.invalid)
        errors = f"errors {_percent(observed.failed_share)}"
        broken = [] if self.errors.admits(observed.failed_share) else [errors]
        share = observed.achieved_share
        if share is not None and not self.achieved.admits(share + observed.chance_share):
            broken.append(f"completed {_percent(share)} of the offered rate")
        broken += [text for bound in self.latencies for text in _broken_time(bound, observed.response)]
        if broken and observed.sent:
            return Judgement(False, "; ".join(broken), failing)  # noqa: FBT003 - the field is a verdict of three values
        if observed.response.operations < self.needs_operations:
            return Judgement(None, f"too few operations: {observed.response.operations} of {self.needs_operations}")
        values = {b.name: value for b in self.latencies if (value := statistic_ns(observed.response, b.name))}
        figures = [f"{name} {_written(name, value)}" for name, value in values.items()]
        return Judgement(True, ", ".join([*figures, errors]))  # noqa: FBT003 - as above

    def _failing(self, observed: LoadObservation) -> str | None:
        raised = sum(observed.errors.values())
        if raised and not self.errors.admits(raised / observed.sent):
            message, count = next(iter(observed.errors.items()))
            return f"{_percent(raised / observed.sent)} of operations failed: {message} ({count:,} of {observed.sent:,})"
        if observed.sent and not observed.completed:
            return f"none of {observed.sent:,} operations completed before the drain timeout"
        return None


def statistic_ns(times: LatencySummary, name: str) -> float | None:
    """Return one of `STATISTICS` in nanoseconds; None if too few operations support it."""
    whole = {MEAN: times.mean_ns, MAX: times.max_ns}
    return whole[name] if name in whole else times.percentiles_ns.get(name[1:])


def parse(text: str) -> Objective:
    """Parse an objective: clauses separated by commas, all of which have to be met. UsageError names an invalid clause.

    A clause is an upper bound of a time (`STATISTICS`, in ns, us, µs, ms or s) or of the share of `errors` (in %, or from 0 to 1),
    or a lower bound of the share of the offered rate that is `achieved`. By default errors are at most 1 %, achieved at least 98 %.

    Example:
        parse("p95 < 150ms, errors < 0.1%")
    """
    found: dict[str, Bound] = {}
    for part in text.casefold().split(","):
        bound = _clause(part.strip())
        if bound.name in found:
            raise UsageError(f"--slo has two bounds of {bound.name}; remove one of them, {EXAMPLE}")
        found[bound.name] = bound
    shares = {name: found.pop(name) for name in ("errors", "achieved") if name in found}
    if not found and "errors" not in shares:
        raise UsageError(f"--slo {text!r} bounds neither a time nor errors; {EXAMPLE}")
    return Objective(tuple(found.values()), shares.get("errors", Objective.errors), shares.get("achieved", Objective.achieved))


def _clause(part: str) -> Bound:
    if not part:
        raise UsageError(f"--slo has an empty clause; {EXAMPLE}")
    match = _CLAUSE.fullmatch(part)
    if match is None:
        raise UsageError(f"--slo clause {part!r} is not of the form figure, sign, limit; {EXAMPLE}")
    name, sign, unit = match["name"], _SIGNS.get(match["sign"], match["sign"]), match["unit"]
    if name not in (*STATISTICS, "errors", "achieved"):
        raise UsageError(
            f"--slo has an unknown figure {name!r} in {part!r}; {choose_from(name, [*STATISTICS, 'errors', 'achieved'])}; {EXAMPLE}"
        )
    floor = name == "achieved"
    if sign.startswith(">") is not floor:
        wanted = ">=" if floor else "<"
        raise UsageError(f"--slo sign {sign!r} in {part!r} points the wrong way; {name} takes {wanted}; {EXAMPLE}")
    limit = _limit(name, float(match["number"]), unit, part)
    if floor and limit == 0:
        raise UsageError(f"--slo limit in {part!r} is always met; try achieved >= 98%")
    if not floor and limit == 0 and (sign == "<" or name in STATISTICS):
        raise UsageError(f"--slo limit in {part!r} can never be met; " + ("try errors <= 0%" if name == "errors" else EXAMPLE))
    return Bound(name, limit, strict=len(sign) == 1, floor=floor)


def _limit(name: str, number: float, unit: str, part: str) -> float:
    if name in STATISTICS:
        if unit not in _UNITS_NS:
            fault = f"an unknown unit {unit!r}" if unit else "a limit without a unit"
            raise UsageError(f"--slo has {fault} in {part!r}; times are in ns, us, ms or s; {EXAMPLE}")
        return number * _UNITS_NS[unit]
    if unit not in ("", "%"):
        raise UsageError(f"--slo has an unknown unit {unit!r} in {part!r}; shares are in %, or from 0 to 1; {EXAMPLE}")
    share = number / 100 if unit else number
    if share > 1:
        hint = f"more than 100 %; {EXAMPLE}" if unit else f"more than 1; write {number:g}% for a percentage"
        raise UsageError(f"--slo limit in {part!r} is {hint}")
    return share


def _broken_time(bound: Bound, times: LatencySummary) -> list[str]:
    """Return how a bound on a time is broken; a lower percentile above it breaks it too, and needs fewer operations."""
    quantile = QUANTILES.get(bound.name[1:], 0.0)
    lower = [f"p{label}" for label, q in sorted(QUANTILES.items(), key=lambda item: -item[1]) if q < quantile]
    for name in (bound.name, *lower):
        value = statistic_ns(times, name)
        is_supported = name == MAX or times.operations >= OPERATIONS_BEYOND
        if value is not None and is_supported and not bound.admits(value):
            return [f"{name} {_written(name, value)}"]
    return []


def _written(name: str, value: float) -> str:
    return format_ns(value) if name in STATISTICS else _percent(value)


def format_ns(value: float) -> str:
    """Return nanoseconds in the unit in which they are at least 1, with up to four digits: `150 ms`."""
    unit, size = next(((unit, size) for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)) if value >= size), ("ns", 1))
    return f"{value / size:.4g} {unit}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
