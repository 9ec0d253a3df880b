"""Service-level objectives such as "p95 < 150ms, errors < 0.1%": read from a person's words, and judged on what a step saw."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from harness.errors import UsageError
from harness.results.load import LatencySummary
from harness.stats.intervals import QUANTILES, SAMPLES_BEYOND

EXAMPLE = 'try "p95 < 150ms, errors < 0.1%"'

MOST_ERRORS = 0.01
"""The share of operations that may fail where an objective does not say."""

LEAST_ACHIEVED = 0.98
"""The share of the offered rate that must be answered in the open model where an objective does not say."""

MEAN, MAX = "mean", "max"
STATISTICS = (*(f"p{label}" for label in QUANTILES), MEAN, MAX)
"""What of a distribution of response times an objective can bound."""

_UNITS_NS = {"ns": 1.0, "us": 1e3, "\u03bcs": 1e3, "ms": 1e6, "s": 1e9}  # Greek mu: what a folded micro sign becomes
_CLAUSE = re.compile(
    r"(?P<name>[a-z][\w.]*)\s*(?P<sign><=|>=|<|>|\u2264|\u2265)\s*(?P<number>[0-9]+\.?[0-9]*|\.[0-9]+)\s*(?P<unit>\S*)"
)
_SIGNS = {"\u2264": "<=", "\u2265": ">="}


@dataclass(frozen=True)
class Bound:
    """A limit on a figure: nanoseconds for times, shares of 1 for errors and achieved. `strict` leaves the limit itself out."""

    name: str
    limit: float
    strict: bool = False
    floor: bool = False

    def admits(self, value: float) -> bool:
        """Whether the figure keeps the bound."""
        if value == self.limit:
            return not self.strict
        return (value > self.limit) if self.floor else (value < self.limit)

    def __str__(self) -> str:
        sign = (">" if self.floor else "<") + ("" if self.strict else "=")
        return f"{self.name} {sign} {_written(self.name, self.limit)}"


@dataclass(frozen=True)
class LoadObservation:
    """What one try of a level saw in measured time, all groups of operations together.

    `sent` counts the operations that were due, `completed` those of them that were answered well; the rest failed, was dropped, or was
    not finished when waiting for it ended. `offered_per_s` is None in the closed model. `response` counts from when an operation
    was due. `invalid` is the reason for which the generator, not the arm, was the limit.
    """

    level: float
    offered_per_s: float | None
    achieved_per_s: float
    sent: int
    completed: int
    response: LatencySummary
    invalid: str | None = None

    @property
    def failed_share(self) -> float:
        """The share of the operations due that had no good answer, 0 to 1."""
        return (self.sent - self.completed) / self.sent if self.sent else 0.0

    @property
    def achieved_share(self) -> float | None:
        """The share of the offered rate that was answered within measured time; None in the closed model."""
        return self.achieved_per_s / self.offered_per_s if self.offered_per_s else None

    @property
    def chance_share(self) -> float:
        """How much of that share is a matter of chance, 0 to 1.

        What is due shortly before measured time ends is answered after it, and what was due shortly before it began within it. As
        many as rate × response time are under way at either end (Little 1961), with independent arrivals more or less the square
        root of them, so that the two ends differ by the root of twice as many; twice that is allowed for.
        """
        if not self.offered_per_s or not self.sent:
            return 0.0
        under_way = self.offered_per_s * (self.response.mean_ns or 0.0) / 1e9
        return min(1.0, 2 * math.sqrt(2 * under_way) / self.sent)


@dataclass(frozen=True)
class Judgement:
    """Whether an objective held, with the reason; None where there was too little evidence, or the generator was the limit."""

    is_met: bool | None
    reason: str


@dataclass(frozen=True)
class Objective:
    """What has to hold at a level, all of it. Made by `parse`."""

    latencies: tuple[Bound, ...] = ()
    errors: Bound = Bound("errors", MOST_ERRORS)
    achieved: Bound = Bound("achieved", LEAST_ACHIEVED, floor=True)

    def description(self, *, offered: bool) -> str:
        """Return the objective as one line; with `offered`, the share of the offered rate that has to be answered too."""
        return ", ".join(map(str, (*self.latencies, self.errors, *([self.achieved] if offered else []))))

    @property
    def needs_operations(self) -> int:
        """How many operations a step needs until every percentile of the objective is supported; at least `SAMPLES_BEYOND`."""
        quantiles = [QUANTILES[b.name[1:]] for b in self.latencies if b.name[1:] in QUANTILES]
        return max([SAMPLES_BEYOND, *(math.ceil(SAMPLES_BEYOND / (1 - q) - 1e-6) for q in quantiles)])

    def judge(self, seen: LoadObservation) -> Judgement:
        """Weigh what a step saw.

        What has failed so far fails, however little was seen; a time that holds needs enough operations for its percentile, and
        everything needs `SAMPLES_BEYOND` of them.
        """
        if seen.invalid:
            return Judgement(None, seen.invalid)
        broken = [*self._broken_counts(seen), *(said for bound in self.latencies for said in _broken_time(bound, seen.response))]
        if broken and seen.sent:
            return Judgement(False, "; ".join(broken))  # noqa: FBT003 - the field is a verdict of three values
        if seen.response.operations < self.needs_operations:
            return Judgement(None, f"too little evidence: {seen.response.operations} of {self.needs_operations} operations needed")
        figures = [f"{b.name} {_written(b.name, value)}" for b in self.latencies if (value := statistic_ns(seen.response, b.name))]
        return Judgement(True, ", ".join([*figures, f"errors {_percent(seen.failed_share)}"]))  # noqa: FBT003 - as above

    def _broken_counts(self, seen: LoadObservation) -> list[str]:
        broken = []
        if not self.errors.admits(seen.failed_share):
            broken.append(f"errors {_percent(seen.failed_share)}")
        share = seen.achieved_share
        if share is not None and not self.achieved.admits(share + seen.chance_share):
            broken.append(f"answers {_percent(share)} of what is offered")
        return broken


def statistic_ns(times: LatencySummary, name: str) -> float | None:
    """Return one of `STATISTICS` in nanoseconds; None where too few operations support it."""
    if name == MEAN:
        return times.mean_ns
    if name == MAX:
        return times.max_ns
    return times.percentiles_ns.get(name[1:])


def parse(text: str) -> Objective:
    """Return the objective that a person wrote: clauses with commas between them, all of which have to hold.

    A clause bounds a time (`STATISTICS`, in ns, us, µs, ms or s), the share of `errors` (in %, or as a share of 1), or from below
    what is `achieved` of the offered rate. Errors are at most 1 % and achieved is at least 98 % unless it says otherwise.

    Raises:
        UsageError: a clause has no meaning; the message names it and shows an example.
    """
    found: dict[str, Bound] = {}
    for part in text.casefold().split(","):
        bound = _clause(part.strip())
        if bound.name in found:
            raise UsageError(f"--slo limits {bound.name} twice; keep one limit, {EXAMPLE}")
        found[bound.name] = bound
    latencies = tuple(bound for name, bound in found.items() if name in STATISTICS)
    if not latencies and "errors" not in found:
        raise UsageError(f"--slo {text!r} limits neither response times nor errors; {EXAMPLE}")
    default = Objective()
    return Objective(latencies, found.get("errors", default.errors), found.get("achieved", default.achieved))


def _clause(part: str) -> Bound:
    if not part:
        raise UsageError(f"--slo has an empty clause; {EXAMPLE}")
    match = _CLAUSE.fullmatch(part)
    if match is None:
        raise UsageError(f"--slo clause {part!r} is not a metric, a sign and a limit; {EXAMPLE}")
    name, sign, unit = match["name"], _SIGNS.get(match["sign"], match["sign"]), match["unit"]
    if name not in (*STATISTICS, "errors", "achieved"):
        raise UsageError(
            f"--slo has unknown metric {name!r} in {part!r}; choose from {', '.join(STATISTICS)}, errors, achieved; {EXAMPLE}"
        )
    floor = name == "achieved"
    if sign.startswith(">") is not floor:
        wanted = ">=" if floor else "<"
        raise UsageError(f"--slo has the wrong sign {sign!r} in {part!r}; write {name} {wanted}; {EXAMPLE}")
    number = float(match["number"])
    limit = _time_ns(number, unit, part) if name in STATISTICS else _share(number, unit, part)
    if floor and limit == 0:
        raise UsageError(f"--slo limit in {part!r} is always met; try achieved >= 98%")
    if not floor and limit == 0 and (sign == "<" or name in STATISTICS):
        raise UsageError(f"--slo limit in {part!r} cannot be met; " + ("try errors <= 0%" if name == "errors" else EXAMPLE))
    return Bound(name, limit, strict=len(sign) == 1, floor=floor)


def _time_ns(number: float, unit: str, part: str) -> float:
    if unit not in _UNITS_NS:
        problem = f"unit {unit!r}" if unit else "a limit without a unit"
        raise UsageError(f"--slo has {problem} in {part!r}; times are in ns, us, ms or s; {EXAMPLE}")
    return number * _UNITS_NS[unit]


def _share(number: float, unit: str, part: str) -> float:
    if unit not in ("", "%"):
        raise UsageError(f"--slo unit {unit!r} in {part!r}; shares are in %, or from 0 to 1; {EXAMPLE}")
    share = number / 100 if unit else number
    if share > 1:
        hint = f"more than 100 %; {EXAMPLE}" if unit else f"above 1, which is all; write {number:g}% for a percentage"
        raise UsageError(f"--slo limit in {part!r} is {hint}")
    return share


def _broken_time(bound: Bound, times: LatencySummary) -> list[str]:
    """Return how a bound on a time is broken. A lower percentile beyond it breaks it too, and needs fewer operations to show."""
    names = [bound.name]
    if bound.name[1:] in QUANTILES:
        quantile = QUANTILES[bound.name[1:]]
        names += [f"p{label}" for label, q in sorted(QUANTILES.items(), key=lambda item: -item[1]) if q < quantile]
    for name in names:
        value = statistic_ns(times, name)
        if value is None or (name != MAX and times.operations < SAMPLES_BEYOND):
            continue
        if not bound.admits(value):
            return [f"{name} {_written(name, value)}"]
    return []


def _written(name: str, value: float) -> str:
    if name not in STATISTICS:
        return _percent(value)
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if value >= size:
            return f"{value / size:.4g} {unit}"
    return f"{value:.4g} ns"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
