"""Advice about an optimisation, and the trust in its figures. The rules, which `docs/advice.md` states for readers.

**Arms.** A literal arm is `as_written`; every other one but the baseline is an optimised arm. Of several of a kind, the one that is
worth doing and gains most speaks for it, else the last that has a verdict.

**Gain.** The promises that the review names as an answer, else every promised speedup, else every promised saving. Of several, the
geometric mean of the values and of their bounds. Without any promise it is read from the paired ratios.

**Worth doing.** The whole interval is a gain, the arm runs everywhere, and every check passes. A check allows nothing in
between: it works, at most 0, 100 %. Where no gain was promised, every promise is kept.

**Not worth doing.** A check is failed, or every promise of a gain is denied and the interval excludes a gain of a quarter.
Without a promise of a gain: a promise is denied.

Everything else is not decided: so are withheld, unmeasured and unknown verdicts, quick runs, and scenarios that failed.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from harness.language import gettext, word
from harness.results.run import (
    AA_CONTROL,
    BASELINE,
    ArmResult,
    PromiseVerdict,
    Ratio,
    ScenarioResult,
    ScenarioStatus,
    Verdict,
)
from harness.verdicts.promise import LESS, TIMES, WORKS, sentence
from harness.verdicts.warnings import CONTROL_OFF, FEW_PAIRS, FEW_PROCESSES, NOISY_CONTROL

KEPT = (PromiseVerdict.EXCEEDED, PromiseVerdict.CONFIRMED)
DENIED = (PromiseVerdict.FELL_SHORT, PromiseVerdict.MISSED, PromiseVerdict.REFUTED)
"""The verdicts whose whole interval is below the promise."""
NO_GAIN = (PromiseVerdict.MISSED, PromiseVerdict.REFUTED, PromiseVerdict.MEASURED)
"""The verdicts on a promised gain that are compatible with none; a figure with nothing promised is one."""
WORTH_A_CHANGE = 1.25
"""The gain that an interval must exclude before an optimisation is left."""


class Action(StrEnum):
    """An action on an optimisation, in the order in which reports list them."""

    DO = "do it"
    """The literal arm is worth doing; without one, the optimised arm is."""
    OPTIMISED = "do it optimised"
    """Only an optimised arm is worth doing."""
    LEAVE = "leave it"
    """No arm is worth doing."""
    UNDECIDED = "not decided"


class Trust(StrEnum):
    """The trust in the figures behind an action: solid, exact, or the first reason against it."""

    NOT_RUN = "not run"
    FAILED = "failed"
    QUICK = "quick run"
    INTERRUPTED = "interrupted"
    CONTROL_FAILED = "control failed"
    NOT_TIMED = "not timed"
    FEW_PROCESSES = "few processes"
    FEW_PAIRS = "few pairs"
    NO_CONTROL = "no control"
    CONTROL_OFF = "control off"
    NOISY_CONTROL = "noisy control"
    WIDE = "wide interval"
    EXACT = "exact"
    """Every figure is an exact count."""
    SOLID = "solid"


class Worth(StrEnum):
    """Whether an arm is worth doing."""

    YES = "worth doing"
    NO = "not worth doing"
    OPEN = "not decided"


@dataclass(frozen=True)
class ArmGain:
    """An arm's gain over the promises that count as one, in `unit`."""

    value: float
    low: float | None
    high: float | None
    unit: str
    """`TIMES` or `LESS`."""
    groups: tuple[str, ...] = ()
    """The groups of cases that it was read from; empty where unknown."""

    @property
    def times(self) -> float:
        """The gain as times: half of something is twice as little."""
        return _times(self.value, self.unit)


@dataclass(frozen=True)
class ArmCase:
    """The case for and against one arm."""

    arm: str
    worth: Worth
    gain: ArmGain | None
    failed_checks: tuple[Verdict, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    """Group → error, of each group that it cannot run."""
    reason: str = ""
    """Why it is not decided."""


@dataclass(frozen=True)
class Advice:
    """The advice about one scenario's optimisation at one place."""

    action: Action
    trust: Trust
    literal: ArmCase | None
    optimised: ArmCase | None
    reason: str = ""
    """Why it is not decided."""
    lead: tuple[Verdict, ...] = ()
    """The verdicts that count as the gain, of all arms."""

    @property
    def chosen(self) -> ArmCase | None:
        """The arm that the figures are of: the one to do, else the optimised one."""
        return self.literal if self.action == Action.DO and self.literal else self.optimised or self.literal


def advise(
    result: ScenarioResult, *, answers: Collection[str] | None = None, failed_controls: Collection[str] = (), quick: bool = False
) -> Advice:
    """Return what to do about one result.

    `answers` are the names of the promises that answer the review's expected gain (`promise · part`), None without a review;
    `failed_controls` the groups whose A/A control failed.
    """
    judged = [v for v in result.verdicts if v.arm not in {BASELINE, AA_CONTROL}]
    lead = _lead(judged, answers)
    cases = [_case(result, arm, judged, lead, failed_controls) for arm in _arms(result, judged)]
    known = {v.arm for v in judged} or {case.arm for case in cases}
    written = {arm.name for arm in result.arms if arm.as_written}
    literal = _speaker([case for case in cases if case.arm in written], known)
    optimised = _speaker([case for case in cases if case.arm not in written], known)
    action, reason = _action(literal, optimised)
    if stopped := _stopped(result, quick=quick):
        action, reason = Action.UNDECIDED, stopped
    advice = Advice(action, Trust.FAILED, literal, optimised, reason, tuple(lead))
    return Advice(
        action, trust(result, advice.chosen, judged, failed_controls, quick=quick), literal, optimised, reason, tuple(lead)
    )


def is_check(verdict: Verdict) -> bool:
    """Return whether a promise allows nothing in between: it works, at most 0 of something, all of it."""
    if verdict.unit == WORKS:
        return True
    none = verdict.less_is_better and verdict.promised_low == 0
    return none or (verdict.unit == "share" and not verdict.less_is_better and verdict.promised_low == 1)


def named(verdict: Verdict) -> str:
    """Return the promise with its part, as a review names it: `N2 · list`."""
    return f"{verdict.promise} · {verdict.part}" if verdict.part else verdict.promise


def trust(
    result: ScenarioResult, case: ArmCase | None, judged: Iterable[Verdict], failed_controls: Collection[str], *, quick: bool
) -> Trust:
    """Return how far the figures of an arm can be trusted: the first reason against it, or that there is none."""
    by_status = {ScenarioStatus.NOT_RUN: Trust.NOT_RUN, ScenarioStatus.INTERRUPTED: Trust.INTERRUPTED}
    if result.status != ScenarioStatus.OK:
        return by_status.get(result.status, Trust.FAILED)
    if quick:
        return Trust.QUICK
    if case is None:
        return Trust.NOT_TIMED
    promised = [v for v in judged if v.arm == case.arm and v.promised_low is not None]
    gain = case.gain
    if gain.low == gain.value == gain.high if gain else promised and all(map(_is_exact, promised)):
        return Trust.EXACT
    timed = {r.group: r for r in result.ratios if r.arm == case.arm}
    groups = [group for group in (gain.groups if gain and gain.groups else timed) if group in timed]
    if any(group in failed_controls for group in groups):
        return Trust.CONTROL_FAILED
    controls = {r.group: r for r in result.ratios if r.arm == AA_CONTROL}
    return _trust_in_times(result, [timed[g] for g in groups], [controls.get(g) for g in groups], gain)


def _trust_in_times(
    result: ScenarioResult, ratios: Sequence[Ratio], controls: Sequence[Ratio | None], gain: ArmGain | None
) -> Trust:
    known = [c for c in controls if c is not None and c.low is not None and c.high is not None]
    bounds = [(c.low or 0.0, c.high or math.inf) for c in known]
    off = [
        c
        for c, (low, high) in zip(known, bounds, strict=True)
        if not low <= 1 <= high and not 1 / CONTROL_OFF <= c.ratio <= CONTROL_OFF
    ]
    wide = [high / low > NOISY_CONTROL**2 if low else True for low, high in bounds]
    reasons = {
        Trust.NOT_TIMED: not ratios,
        Trust.FEW_PROCESSES: result.processes < FEW_PROCESSES,
        Trust.FEW_PAIRS: any(r.pairs < FEW_PAIRS for r in ratios),
        Trust.NO_CONTROL: len(known) < len(controls),
        Trust.CONTROL_OFF: bool(off),
        Trust.NOISY_CONTROL: any(wide),
        Trust.WIDE: gain is None or not _is_narrow(gain),
    }
    return next((reason for reason, holds in reasons.items() if holds), Trust.SOLID)


def _is_narrow(gain: ArmGain) -> bool:
    """Return whether the interval is within a quarter of the gain in both directions."""
    if gain.low is None or gain.high is None:
        return False
    low, high = _times(gain.low, gain.unit), _times(gain.high, gain.unit)
    return low > 0 and math.isfinite(high) and high / low <= NOISY_CONTROL**2


def _stopped(result: ScenarioResult, *, quick: bool) -> str:
    """Return why nothing about a result is decided whatever its verdicts are; "" if that is not so."""
    if result.status == ScenarioStatus.NOT_RUN:
        return gettext("not run: {reason}", reason=result.error or gettext("no reason was recorded"))
    if result.status == ScenarioStatus.FAILED:
        return gettext("failed: {reason}", reason=result.error or gettext("no error was recorded"))
    return gettext("a quick run decides nothing") if quick else ""


def _lead(judged: Sequence[Verdict], answers: Collection[str] | None) -> list[Verdict]:
    """Return the verdicts that count as the gain."""
    if answers is not None:
        return [v for v in judged if named(v) in answers and v.unit in {TIMES, LESS}]
    promised = [v for v in judged if v.promised_low is not None]
    return [v for v in promised if v.unit == TIMES] or [v for v in promised if v.unit == LESS]


def _arms(result: ScenarioResult, judged: Sequence[Verdict]) -> list[ArmResult]:
    """Return every arm but the baseline, in the scenario's order; also those that only verdicts name."""
    listed = {arm.name: arm for arm in result.arms}
    missing = {v.arm: ArmResult(v.arm, "") for v in judged if v.arm not in listed}
    return [arm for name, arm in (listed | missing).items() if name not in {BASELINE, AA_CONTROL}]


def _case(
    result: ScenarioResult, arm: ArmResult, judged: Sequence[Verdict], lead: Sequence[Verdict], failed_controls: Collection[str]
) -> ArmCase:
    """Return the case for and against one arm."""
    own = [v for v in judged if v.arm == arm.name]
    checks = [v for v in own if is_check(v)]
    failed = tuple(v for v in checks if v.verdict in DENIED)
    names = dict.fromkeys(map(named, lead))
    found = [v for v in lead if v.arm == arm.name]
    if lead:
        gain = _combined(found) if {named(v) for v in found} == set(names) else None
    elif not any(v.promised_low is not None for v in judged):
        gain, found = _from_ratios(result, arm.name, failed_controls), []
    else:
        gain = None
    worth = _worth(own, found, gain, is_gain=bool(lead) or gain is not None)
    if failed or arm.errors:
        worth = Worth.NO
    elif worth == Worth.YES and any(v.verdict not in KEPT for v in checks):
        worth = Worth.OPEN
    return ArmCase(arm.name, worth, gain, failed, arm.errors, _why_open(found, gain) if worth == Worth.OPEN else "")


def _worth(own: Sequence[Verdict], found: Sequence[Verdict], gain: ArmGain | None, *, is_gain: bool) -> Worth:
    """Return whether an arm is worth doing, checks apart."""
    if not is_gain:
        promised = [v.verdict for v in own if v.promised_low is not None]
        if any(verdict in DENIED for verdict in promised):
            return Worth.NO
        return Worth.YES if promised and all(verdict in KEPT for verdict in promised) else Worth.OPEN
    if gain is None:
        return Worth.OPEN
    if gain.low is not None and _times(gain.low, gain.unit) > 1:
        return Worth.YES
    excluded = gain.high is not None and _times(gain.high, gain.unit) < WORTH_A_CHANGE
    return Worth.NO if excluded and all(v.verdict in NO_GAIN for v in found) else Worth.OPEN


def _why_open(found: Sequence[Verdict], gain: ArmGain | None) -> str:
    """Return in a few words why an arm is not decided."""
    unusable = next((v for v in found if not _is_usable(v)), None)
    if unusable is not None:
        return gettext("{verdict}: {sentence}", verdict=word(unusable.verdict), sentence=sentence(unusable))
    if gain is None:
        return gettext("nothing was promised and timed")
    return gettext("the interval has room for a gain and for none")


def _combined(found: Sequence[Verdict]) -> ArmGain | None:
    """Return the gain over several verdicts; None if one of them has no usable figure."""
    if not found or not all(map(_is_usable, found)):
        return None
    unit = found[0].unit if len({v.unit for v in found}) == 1 else TIMES
    groups = tuple(dict.fromkeys(g for v in found for g in v.groups)) if all(v.groups for v in found) else ()
    if len(found) == 1:
        (only,) = found
        assert only.value is not None, "a usable verdict has a value"
        return ArmGain(only.value, only.low, only.high, unit, groups)
    value, low, high = (
        _mean([None if x is None else _times(x, v.unit) for v, x in zip(found, column, strict=True)])
        for column in zip(*((v.value, v.low, v.high) for v in found), strict=True)
    )
    if value is None:
        return None
    low, high = (None if x is None else _of_unit(x, unit) for x in (low, high))
    return ArmGain(_of_unit(value, unit), low, high, unit, groups)


def _from_ratios(result: ScenarioResult, arm: str, failed_controls: Collection[str]) -> ArmGain | None:
    """Return the gain over an arm's paired ratios, for scenarios that promise nothing; None if a control failed."""
    ratios = [r for r in result.ratios if r.arm == arm]
    if not ratios or any(r.group in failed_controls for r in ratios):
        return None
    value, low, high = (_mean(column) for column in zip(*((r.ratio, r.low, r.high) for r in ratios), strict=True))
    return None if value is None else ArmGain(value, low, high, TIMES, tuple(r.group for r in ratios))


def _is_usable(verdict: Verdict) -> bool:
    """Return whether a verdict's figure may count as a gain: it was measured, not withheld, and has a known verdict."""
    known = verdict.verdict in {*KEPT, *DENIED, PromiseVerdict.INCONCLUSIVE, PromiseVerdict.MEASURED}
    return known and verdict.value is not None and not math.isnan(verdict.value)


def _is_exact(verdict: Verdict) -> bool:
    return verdict.value is not None and verdict.low == verdict.value == verdict.high


def _times(value: float, unit: str) -> float:
    """Return a gain as times: of a share less, the inverse of what remains."""
    if unit != LESS:
        return value
    return math.inf if value >= 1 else 1 / (1 - value)


def _of_unit(times: float, unit: str) -> float:
    """Return a gain given as times in its unit."""
    return 1 - 1 / times if unit == LESS else times


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the geometric mean; None if a value is missing or not positive."""
    known = [v for v in values if v is not None and v > 0]
    return math.exp(math.fsum(map(math.log, known)) / len(values)) if known and len(known) == len(values) else None


def _speaker(cases: Sequence[ArmCase], judged: Collection[str]) -> ArmCase | None:
    """Return the arm that speaks for several: the one worth doing that gains most, else the last that has a verdict."""
    good = [case for case in cases if case.worth == Worth.YES]
    if good:
        return max(good, key=lambda case: case.gain.times if case.gain else 1.0)
    tried = [case for case in cases if case.arm in judged] or list(cases)
    return tried[-1] if tried else None


def _action(literal: ArmCase | None, optimised: ArmCase | None) -> tuple[Action, str]:
    """Return what to do, and the reason if that is not decided."""
    cases = [case for case in (literal, optimised) if case is not None]
    if literal and literal.worth == Worth.YES:
        return Action.DO, ""
    if optimised and optimised.worth == Worth.YES:
        return (Action.OPTIMISED if literal else Action.DO), ""
    unsure = [case for case in cases if case.worth == Worth.OPEN]
    if unsure or not cases:
        return Action.UNDECIDED, unsure[-1].reason if unsure else gettext("no arm was measured")
    return Action.LEAVE, ""
