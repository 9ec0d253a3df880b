"""Compare the items of a saved run with those of this one: paired ratios with their intervals, and work counts.

Two runs are comparable, and a changed count is judged, by the rules of `harness.gate`, so that pytest and `harness gate` agree. A
ratio is compared with a ratio, both from pairs, never with a time of another run. Pure: nothing here imports pytest.
"""

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from harness.gate import matching, work_counts
from harness.gate.matching import MatchedPair
from harness.gate.stored_runs import LARGE, TAILS
from harness.gate.verdict import counted, in_words, overall
from harness.results import run as records
from harness.results.gate import EXIT_CODES, GateRow, GateVerdict, RowKind
from harness.results.store import SCHEMA_VERSION
from harness.results.warning_names import WarningName

SAVED_VERSION = 3
"""The version of `SavedItem`. 2 added work counts and the environment; 3 renamed `exact` to `work_counts`."""
BoundedRatio = tuple[float, float, float]
"""A ratio, and the bounds of its 95 % interval."""


class SavedItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The figures of one arm in one group of cases, as saved in pytest-benchmark's JSON under `extra_info.harness`."""

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
    """The description of the machine."""
    work_counts: list[records.WorkCount]
    """The counts per operation; an arm's own figures, of group "", are with its first group."""
    tolerances: dict[str, float] = {}
    higher_is_better: list[str] = []
    percentiles_ns: dict[str, float | None] = {}
    max_ns: int = 0
    times_faster: float | None = None
    """The paired ratio to the baseline; the baseline has none."""
    interval_95: tuple[float | None, float | None] | None = None
    """The bounds of `times_faster`."""
    control_95: tuple[float | None, float | None] | None = None
    """The bounds of the A/A control of the same group, the baseline against itself."""
    process_ratios: list[float] = []
    pairs: int = 0
    samples: int = 0
    """The number of operations that the figures rest on."""
    recorded: int = 0
    """The number of times in `stats.data`, which are thinned above a limit."""

    @property
    def key(self) -> tuple[str, str, str]:
        """The scenario, group and arm, by which the item is found in another run."""
        return self.scenario, self.group, self.arm

    @property
    def ratio(self) -> BoundedRatio | None:
        """The ratio and its bounds, None without an interval of finite positive numbers."""
        low, high = self.interval_95 or (None, None)
        if self.times_faster is None or low is None or high is None:
            return None
        return (self.times_faster, low, high) if all(0 < x < math.inf for x in (self.times_faster, low, high)) else None


@dataclass(frozen=True)
class ComparedItem:
    """One item in the saved run and in this one."""

    then: SavedItem
    now: SavedItem
    refused: str = ""
    """The reason why nothing of it is comparable; "" if something is."""
    no_ratio: str = ""
    """The reason why its ratios are not comparable; "" if they are."""
    rows: list[GateRow] = field(default_factory=list)
    """The work counts of both runs."""
    missing: list[str] = field(default_factory=list)
    """The metrics that this run did not count."""

    @property
    def work_message(self) -> str:
        """The comparison of its work counts, in words."""
        verdicts = [row.verdict for row in self.rows]
        changed = [
            f"{row.metric.replace('_', ' ')} {row.base:,.12g} → {row.candidate:,.12g}, {row.reason}"
            for row in self.rows
            if row.verdict in {GateVerdict.REGRESSED, GateVerdict.IMPROVED}
        ]
        excluded = list(dict.fromkeys(row.reason for row in self.rows if row.verdict == GateVerdict.NOT_COMPARABLE))
        parts = []
        if changed:
            parts.append(f"work counts changed: {'; '.join(changed)}")
        elif GateVerdict.EQUAL in verdicts:
            parts.append(f"work counts equal ({verdicts.count(GateVerdict.EQUAL)})")
        elif not (excluded or self.missing):
            parts.append("no work counts to compare")
        if excluded:
            parts.append(f"work counts not comparable: {'; '.join(excluded)}")
        if GateVerdict.NOT_JUDGED in verdicts:
            parts.append(f"{counted(verdicts.count(GateVerdict.NOT_JUDGED), 'count')} that may not repeat, not judged")
        if self.missing:
            parts.append(f"work counts missing now: {', '.join(self.missing)}")
        return ", ".join(parts)

    @property
    def ratios(self) -> tuple[BoundedRatio, BoundedRatio] | None:
        """The paired ratio before and now, None where they are not comparable, or one has no interval."""
        then, now = self.then.ratio, self.now.ratio
        return None if self.no_ratio or then is None or now is None else (then, now)

    @property
    def moved(self) -> bool:
        """Whether the intervals of the two ratios are apart."""
        return self.ratios is not None and (self.ratios[1][2] < self.ratios[0][1] or self.ratios[1][1] > self.ratios[0][2])

    def noisy(self, limit: float) -> str:
        """Return why these ratios cannot show a change beyond `limit`, "" if they can.

        The whole interval of the A/A control, whose ratio should be 1, has to be inside the limit, in both runs.
        """
        for when, item in (("before", self.then), ("now", self.now)):
            low, high = item.control_95 or (None, None)
            if low is None or high is None:
                return f"no A/A control {when}"
            if not 1 / (1 + limit) <= low <= high <= 1 + limit:
                return f"the A/A control {when} read [{low:.3g}, {high:.3g}], too noisy to detect {limit * 100:g} %"
        return ""

    @property
    def ratio_message(self) -> str:
        """The comparison of its paired ratios, in words; "" for the baseline, which has none."""
        if self.then.times_faster is None and self.now.times_faster is None:
            return ""
        if self.ratios is None:
            when = "before" if self.then.ratio is None else "now"
            return f"ratios not compared: {self.no_ratio or f'no interval {when}, which takes two processes'}"
        if not self.moved:
            return f"{_both(*self.ratios)}: the intervals overlap"
        then, now = self.ratios
        return f"{_both(then, now)}: the intervals are apart, it gains {'less' if now[2] < then[1] else 'more'}"

    @property
    def large_changes(self) -> list[str]:
        """The stored times that changed by `LARGE` or more, such as `p95 3.2 times as long`; none of another machine or version."""
        if self.refused or self.no_ratio:
            return []
        pairs = [(label, self.then.percentiles_ns.get(label), self.now.percentiles_ns.get(label)) for label in ("50", *TAILS)]
        return [f"p{label} {change}" for label, then, now in pairs if (change := large_change(then, now))]

    @property
    def times_message(self) -> str:
        """The stored times before and now, in words: the median, the highest percentile that both runs support, and the maximum."""
        both = [label for label, ns in self.then.percentiles_ns.items() if ns and self.now.percentiles_ns.get(label)]
        labels = sorted({"50", "95", *both[-1:]} & set(both), key=float)
        times = [(f"p{label}", self.then.percentiles_ns[label], self.now.percentiles_ns[label]) for label in labels]
        times += [("max", self.then.max_ns, self.now.max_ns)] * bool(self.then.max_ns)
        return ", ".join(f"{name} {_time(then or 0)} → {_time(now or 0)}" for name, then, now in times)

    def verdict(self, limit: float) -> GateVerdict:
        """Return the gate's verdict on the item, if its ratio may become smaller by the share `limit`."""
        incomparable = [
            records.RunWarning(WarningName.NOT_COMPARABLE, reason, "") for reason in (self.refused, *self.missing) if reason
        ]
        rows = self.rows if self.then.times_faster is None else [*self.rows, self._ratio_row(limit)]
        return overall(rows, incomparable)[0]

    def failures(self, limit: float) -> Iterator[str]:
        """Yield why the item fails a gate that lets its ratio become smaller by the share `limit`.

        It fails if a work count regressed or is missing, if the whole interval of its ratio is more than the limit below the whole
        interval before and neither run's A/A control is noisy, and if nothing could be compared although something was saved.
        """
        if self.refused:
            yield f"not comparable: {self.refused}"
            return
        was_saved = self.then.work_counts or self.then.times_faster is not None
        if EXIT_CODES[self.verdict(limit)] == 0 or not was_saved:
            return
        work_failed = bool(self.missing) or any(row.verdict == GateVerdict.REGRESSED for row in self.rows)
        ratio = self._ratio_row(limit)
        if work_failed:
            yield self.work_message
        if ratio.verdict == GateVerdict.REGRESSED:
            yield ratio.reason
        elif not work_failed:
            messages = (self.work_message, self.ratio_message, self.noisy(limit) if self.ratios else "")
            yield f"nothing could be compared: {'; '.join(message for message in messages if message)}"

    def _ratio_row(self, limit: float) -> GateRow:
        verdict, reason = GateVerdict.NOT_JUDGED, self.ratio_message
        if self.ratios is not None and not self.noisy(limit):
            then, now = self.ratios
            verdict = GateVerdict.EQUIVALENT
            if now[2] * (1 + limit) < then[1]:
                verdict = GateVerdict.REGRESSED
                reason = f"{_both(then, now)}: the whole interval is more than {limit * 100:g} % below"
        item = self.now
        return GateRow(RowKind.TIME, item.scenario, item.engine, item.rtt_ms, item.arm, item.group, "time", verdict, reason)


def saved_item(run: records.Run, result: records.ScenarioResult, latency: records.Latency) -> SavedItem:
    """Return the item of the arm and the group with these latencies, from the result of its scenario."""
    group, arm = latency.group, latency.arm
    ratio, control = (next((r for r in result.ratios if (r.arm, r.group) == (a, group)), None) for a in (arm, records.AA_CONTROL))
    groups = {group, ""} if group == next(iter(result.groups), group) else {group}
    item = SavedItem(
        schema_version=SAVED_VERSION,
        scenario=result.name,
        group=group,
        arm=arm,
        engine=result.engine,
        rtt_ms=result.rtt_ms,
        size=run.settings.size,
        seed=run.settings.seed,
        dataset=result.dataset,
        verified_cases=result.verified_cases,
        engine_settings=result.engine_settings,
        environment={key: value for key, value in run.environment.items() if key not in matching.ALWAYS_DIFFERS},
        work_counts=[count for count in result.work_counts if count.arm == arm and count.group in groups],
        tolerances=result.tolerances,
        higher_is_better=result.higher_is_better,
        percentiles_ns=latency.percentiles_ns,
        max_ns=latency.max_ns,
        control_95=(control.low, control.high) if control else None,
        samples=latency.samples,
    )
    if ratio is None:
        return item
    interval = (ratio.low, ratio.high)
    return msgspec.structs.replace(
        item, times_faster=ratio.ratio, interval_95=interval, process_ratios=ratio.processes, pairs=ratio.pairs
    )


def read(saved: Mapping[str, Any]) -> SavedItem | str:
    """Return the item in a benchmark of pytest-benchmark's JSON, or why it cannot be read."""
    info = (saved.get("extra_info") or {}).get("harness")
    if info is None:
        return "saved without this harness"
    version = info.get("schema_version") if isinstance(info, Mapping) else None
    if version != SAVED_VERSION:
        return f"saved with schema {version}, this harness reads {SAVED_VERSION}; save a new run"
    try:
        return msgspec.convert(info, SavedItem)
    except msgspec.ValidationError as error:
        return f"the saved figures cannot be read ({error}); save a new run"


def compare(then: Sequence[SavedItem], now: Sequence[SavedItem]) -> list[ComparedItem]:
    """Return the items of `now` that `then` has as well; all items of a scenario must be given, since they belong to one run."""
    before = {item.key: item for item in then}
    found = []
    for name in dict.fromkeys(item.scenario for item in now):
        old = [item for item in then if item.scenario == name]
        new = [item for item in now if item.scenario == name]
        found += [_compare_item(before[item.key], item, old, new) for item in new if item.key in before]
    return found


def lines(found: Sequence[ComparedItem], limit: float | None, width: int) -> Iterator[str]:
    """Yield the comparison as text, the lines of each item below a title per group; `limit` is the gate's, None without one."""
    group = ""
    for item in found:
        title = f"{item.now.scenario}: {item.now.group}"
        if title != group:
            group = title
            yield title
        noisy = item.noisy(limit) if limit is not None and item.ratios else ""
        ratio = f"{item.ratio_message}, not judged: {noisy}" if noisy else item.ratio_message
        messages = [f"not comparable: {item.refused}"] if item.refused else [ratio, item.work_message, item.times_message]
        yield f"  {item.now.arm}"
        for message in filter(None, messages):
            yield from textwrap.wrap(message, width, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False)


def large_change(then: float | None, now: float | None) -> str:
    """Return a change of a stored time by `LARGE` or more in words; "" for a smaller one or without two times."""
    if not then or not now or max(now / then, then / now) < LARGE:
        return ""
    return in_words(then / now)


def large_changes(found: Sequence[ComparedItem]) -> list[str]:
    """Return the items whose stored times changed much, each with its changes; they fail nothing."""
    items = [(item.now, ", ".join(item.large_changes)) for item in found]
    return [f"{item.scenario}: {item.group}[{item.arm}] {changes}" for item, changes in items if changes]


def _compare_item(then: SavedItem, now: SavedItem, old: Sequence[SavedItem], new: Sequence[SavedItem]) -> ComparedItem:
    """Compare one item; `old` and `new` are all items of its scenario."""
    where = [f"{item.engine} with RTT {item.rtt_ms:g} ms" for item in (then, now)]
    if where[0] != where[1]:
        return ComparedItem(then, now, refused=f"measured on {where[0]}, and now on {where[1]}")
    runs = _run(then), _run(now)
    if whole := matching.incomparable_runs(*runs):
        return ComparedItem(then, now, refused=whole[0].message)
    pair = MatchedPair(_result(then, old), _result(now, new))
    versions = matching.other_versions(pair, *runs)
    rows, missing = work_counts.work(pair.old, pair.new, work_counts.Rules(now.tolerances, now.higher_is_better, *versions))
    of_item = {work_counts.key(count) for count in then.work_counts}
    return ComparedItem(
        then,
        now,
        no_ratio=matching.another_machine(then.environment, now.environment) or versions[0],
        rows=[row for row in rows if work_counts.key(row) in of_item],
        missing=[count.metric.replace("_", " ") for count in missing if work_counts.key(count) in of_item],
    )


def _run(item: SavedItem) -> records.Run:
    settings = records.RunSettings([item.engine], item.size, item.seed, [item.rtt_ms], quick=True, processes=0, budget_s=0.0)
    return records.Run(SCHEMA_VERSION, records.RunKind.PAIRS, "", "", None, "", None, False, False, settings, item.environment)  # noqa: FBT003 - flags of a record


def _result(item: SavedItem, scenario: Sequence[SavedItem]) -> records.ScenarioResult:
    """Return the result of an item's scenario: whether a metric is steady depends on all of its counts."""
    blank = records.ScenarioResult(item.scenario, "", "", "", item.engine, item.rtt_ms, records.ScenarioStatus.OK)
    counts = [count for each in scenario for count in each.work_counts]
    return replace(blank, dataset=item.dataset, engine_settings=item.engine_settings, work_counts=counts)


def _time(ns: float) -> str:
    unit, size = next(((unit, size) for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)) if ns >= size), ("ns", 1.0))
    return f"{ns / size:.3g} {unit}"


def _both(*then_and_now: BoundedRatio) -> str:
    return "{} before, {} now".format(*(f"{ratio:.3g}× [{low:.3g}, {high:.3g}]" for ratio, low, high in then_and_now))
