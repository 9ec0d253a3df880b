"""A saved run and this one, item by item: paired ratios with their intervals, and exact work. Pure; it knows no pytest.

What makes two runs comparable, and what a changed count means, is the gate's to say (`harness.gate.matching`, `gate_work`), so
that pytest and `harness gate` agree. A ratio is compared with a ratio, both from pairs, never with a time of another moment.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from harness.gate import matching as gate_sides
from harness.gate import work_counts as gate_work
from harness.gate.matching import MatchedPair, counted
from harness.results.gate import GateRow, GateVerdict
from harness.results.run import Run, RunKind, RunSettings, ScenarioResult, ScenarioStatus, WorkCount
from harness.results.store import SCHEMA_VERSION

KEPT_VERSION = 2
"""Version of what an item keeps in pytest-benchmark's JSON. 2: exact work, and where it was measured."""


Bounded = tuple[float, float, float]
"""A ratio, and the bounds of its 95 % interval."""


class ComparisonLimits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an item keeps in pytest-benchmark's JSON, as `extra_info.harness`: one arm in one group of cases.

    `exact` is its counted work per operation; an arm's own figures, of group "", are with its first group. `times_faster` is the
    paired ratio to the baseline, `interval_95` bounds it; the baseline has none.
    `control_95` bounds the A/A control of the same group, the baseline against itself. `environment` is the machine's.
    """

    schema_version: int
    scenario: str
    group: str
    arm: str
    engine: str
    rtt_ms: float
    size: str
    seed: int
    dataset: dict[str, str | int]
    verified_cases: int
    engine_settings: dict[str, str]
    environment: dict[str, str]
    exact: list[WorkCount]
    tolerances: dict[str, float] = {}
    higher_is_better: list[str] = []
    percentiles_ns: dict[str, float | None] = {}
    times_faster: float | None = None
    interval_95: tuple[float | None, float | None] | None = None
    control_95: tuple[float | None, float | None] | None = None
    process_ratios: list[float] = []
    pairs: int = 0

    @property
    def item(self) -> tuple[str, str, str]:
        """What the same item is known by in another run."""
        return self.scenario, self.group, self.arm

    @property
    def ratio(self) -> Bounded | None:
        """The ratio and its bounds, None without an interval of finite positive numbers."""
        low, high = self.interval_95 or (None, None)
        if self.times_faster is None or low is None or high is None:
            return None
        found = self.times_faster, low, high
        return found if all(math.isfinite(x) and x > 0 for x in found) else None


@dataclass(frozen=True)
class ComparedItem:
    """One item before and now. `refused` is why nothing of it is comparable, `no_ratio` why its ratio is not; "" if they are."""

    then: ComparisonLimits
    now: ComparisonLimits
    refused: str = ""
    no_ratio: str = ""
    rows: list[GateRow] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def exact_says(self) -> str:
        """What became of its exact work, in words."""
        words = [row.verdict for row in self.rows]
        changed = [_change(row) for row in self.rows if row.verdict in {GateVerdict.REGRESSED, GateVerdict.IMPROVED}]
        barred = list(dict.fromkeys(row.reason for row in self.rows if row.verdict == GateVerdict.NOT_COMPARABLE))
        said = []
        if changed:
            said.append(f"exact work changed: {'; '.join(changed)}")
        elif GateVerdict.EQUAL in words:
            said.append(f"exact work equal ({counted(words.count(GateVerdict.EQUAL), 'figure')})")
        elif not (barred or self.missing):
            said.append("no exact work to compare")
        if barred:
            said.append(f"exact work not comparable: {'; '.join(barred)}")
        if GateVerdict.NOT_JUDGED in words:
            said.append(f"{counted(words.count(GateVerdict.NOT_JUDGED), 'figure')} that need not repeat, not judged")
        if self.missing:
            said.append(f"exact work not counted any more: {', '.join(self.missing)}")
        return ", ".join(said)

    @property
    def ratios(self) -> tuple[Bounded, Bounded] | None:
        """The paired ratio before and now, None where they are not comparable, or one has no interval."""
        then, now = self.then.ratio, self.now.ratio
        return None if self.no_ratio or then is None or now is None else (then, now)

    def noisy(self, limit: float) -> str:
        """Return why no verdict on a change beyond `limit` rests on these ratios, "" if one may.

        The whole interval of the baseline against itself, which should read 1, has to be inside the limit, in both runs.
        """
        for when, kept in (("before", self.then), ("now", self.now)):
            low, high = kept.control_95 or (None, None)
            if low is None or high is None:
                return f"{when} there was no A/A control"
            if not 1 / (1 + limit) <= low <= high <= 1 + limit:
                return f"{when} the baseline against itself read [{low:.3g}, {high:.3g}], which does not tell {limit * 100:g} %"
        return ""

    @property
    def ratio_says(self) -> str:
        """What became of its paired ratio, in words; "" for the baseline, which has none."""
        if self.then.times_faster is None and self.now.times_faster is None:
            return ""
        if self.ratios is None:
            when = "before" if self.then.ratio is None else "now"
            return f"ratios not compared: {self.no_ratio or f'{when} there was no interval, which takes two processes'}"
        then, now = self.ratios
        if now[2] < then[1]:
            return f"{_both(then, now)}: the intervals are apart, it gains less"
        if now[1] > then[2]:
            return f"{_both(then, now)}: the intervals are apart, it gains more"
        return f"{_both(then, now)}: the intervals overlap"

    def failures(self, limit: float) -> Iterator[str]:
        """Yield why the item fails a gate that lets a ratio become smaller by the share `limit`.

        It fails if exact work regressed or is not counted any more, if the whole interval of its ratio is beyond the limit below
        the whole interval before and neither run's control is noisy, and if nothing of it could be compared that should have been.
        """
        if self.refused:
            yield f"not comparable: {self.refused}"
            return
        if self.missing or any(row.verdict == GateVerdict.REGRESSED for row in self.rows):
            yield self.exact_says
        if self.ratios is not None:
            then, now = self.ratios
            if now[2] * (1 + limit) < then[1] and not self.noisy(limit):
                yield f"{_both(then, now)}: the whole interval is more than {limit * 100:g} % below"
        told = self.ratios is not None and not self.noisy(limit)
        judged = (
            told
            or self.missing
            or any(row.verdict in {GateVerdict.EQUAL, GateVerdict.IMPROVED, GateVerdict.REGRESSED} for row in self.rows)
        )
        if not judged and (self.then.exact or self.then.times_faster is not None):
            says = (self.exact_says, self.ratio_says, self.noisy(limit) if self.ratios else "")
            yield f"nothing of it could be compared: {'; '.join(s for s in says if s)}"


def read(saved: Mapping[str, Any]) -> ComparisonLimits | str:
    """Return what a benchmark of pytest-benchmark's JSON keeps of an item, or why it cannot be read."""
    info = (saved.get("extra_info") or {}).get("harness")
    if info is None:
        return "it was saved without this harness"
    version = info.get("schema_version") if isinstance(info, Mapping) else None
    if version != KEPT_VERSION:
        return f"it was saved with schema {version}, this harness reads {KEPT_VERSION}; save a new run"
    try:
        return msgspec.convert(info, ComparisonLimits)
    except msgspec.ValidationError as error:
        return f"what was saved cannot be read ({error}); save a new run"


def compare(then: Sequence[ComparisonLimits], now: Sequence[ComparisonLimits]) -> list[ComparedItem]:
    """Return every item of `now` that `then` has as well, beside itself; items of a scenario belong to one run."""
    before = {kept.item: kept for kept in then}
    found = []
    for name in dict.fromkeys(kept.scenario for kept in now):
        old = [kept for kept in then if kept.scenario == name]
        new = [kept for kept in now if kept.scenario == name]
        found += [each for kept in new if kept.item in before for each in [_item(before[kept.item], kept, old, new)]]
    return found


def _item(
    then: ComparisonLimits, now: ComparisonLimits, old: Sequence[ComparisonLimits], new: Sequence[ComparisonLimits]
) -> ComparedItem:
    where = [f"{k.engine}, {k.rtt_ms:g} ms away" for k in (then, now)]
    if where[0] != where[1]:
        return ComparedItem(then, now, refused=f"measured on {where[0]}, and now on {where[1]}")
    runs = _run(then), _run(now)
    if whole := gate_sides.of_the_whole(*runs):
        return ComparedItem(then, now, refused=whole[0].message)
    pair = MatchedPair(_result(then, old), _result(now, new))
    versions = gate_sides.other_versions(pair, *runs)
    rows, missing = gate_work.work(pair.old, pair.new, gate_work.Rules(now.tolerances, now.higher_is_better, *versions))
    mine = {(e.arm, e.group, e.metric, e.scale) for e in then.exact}
    return ComparedItem(
        then,
        now,
        no_ratio=gate_sides.another_machine(*runs) or versions[0],
        rows=[row for row in rows if (row.arm, row.group, row.metric, row.scale) in mine],
        missing=[e.metric.replace("_", " ") for e in missing if (e.arm, e.group, e.metric, e.scale) in mine],
    )


def _run(kept: ComparisonLimits) -> Run:
    settings = RunSettings([kept.engine], kept.size, kept.seed, [kept.rtt_ms], quick=True, processes=0, budget_s=0.0)
    return Run(SCHEMA_VERSION, RunKind.PAIRS, "", "", None, "", None, False, False, settings, kept.environment)  # noqa: FBT003 - flags of a record


def _result(kept: ComparisonLimits, all_of_it: Sequence[ComparisonLimits]) -> ScenarioResult:
    """Return the scenario's result: whether a metric is steady shows in all figures of it."""
    return ScenarioResult(
        name=kept.scenario,
        title="",
        doc="",
        file="",
        engine=kept.engine,
        rtt_ms=kept.rtt_ms,
        status=ScenarioStatus.OK,
        dataset=kept.dataset,
        engine_settings=kept.engine_settings,
        work_counts=[e for each in all_of_it for e in each.exact],
    )


def _change(row: GateRow) -> str:
    return f"{row.metric.replace('_', ' ')} {row.base:,.12g} → {row.candidate:,.12g}, {row.reason}"


def _both(then: Bounded, now: Bounded) -> str:
    shown = [f"{ratio:.3g}× [{low:.3g}, {high:.3g}]" for ratio, low, high in (then, now)]
    return f"{shown[0]} before, {shown[1]} now"
