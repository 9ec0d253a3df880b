"""The heading of a page: a conclusion in one sentence, generated from the results and never stronger than their verdicts."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from harness.report import ablation, capacity, comparison, load
from harness.report.capacity import NO_LOAD
from harness.report.numbers import duration, interval, significant, times, whole
from harness.report.promises import located
from harness.results.load import Capacity, CapacityKind, LoadedArm, LoadModel, LoadRatio, LoadResult
from harness.results.names import shortened, visible
from harness.results.run import (
    BASELINE,
    Ablation,
    Gain,
    OperationCounts,
    PromiseVerdict,
    Run,
    RunKind,
    ScenarioResult,
    ScenarioStatus,
    Verdict,
)
from harness.stats.intervals import QUANTILES
from harness.verdicts.capacity import ratio as capacity_ratio

THE_BASELINE = "the baseline"
NAME = 48
"""The most characters of a name in a heading."""

NOTHING_LOADED = "No scenario finished: nothing was put under load."
FAILED, NO_ERROR = "The load test failed: {error}.", "no error was recorded"
INTERRUPTED = "The load test was interrupted before anything was measured."
INVALID = "No conclusion: the load generator was the limit, not an arm."
AT_RATE = "Under {rate} operations per second"
WITH_USERS = "With {users}"
UNDER_SCHEDULE = "Under the planned load"

FASTER = "{load}, {arm} answers {share} % of the operations within {after} instead of {before}"
SLOWER = "{load}, {arm} is slower: it answers {share} % of the operations within {after} instead of {before}"
NO_DIFFERENCE = (
    "{load}, no difference is shown: {arm} answers {share} % of the operations within {after}, the baseline within {before}"
)
TOO_BRIEF = (
    "{load}, {arm} answers {share} % of the operations within {after}, the baseline within {before}: "
    "measured too briefly for a conclusion"
)
ALONE = "{load}, {arm} answers {share} % of the operations within {after}"
NO_PERCENTILE = "{load}, too few operations completed for a percentile"
EVERY_SATURATED = "{load}, every arm is saturated"
NOT_COMPARED = "{load}, nothing can be compared"

SATURATED_ONE = "{arms} is saturated"
SATURATED_SEVERAL = "{arms} are saturated"
FAILING_ONE = "too many operations of {arms} fail"
ALSO_SLOWER_ONE = "{arms} is slower"
ALSO_SLOWER_SEVERAL = "{arms} are slower"
NONE_FAILED = "no operation failed"
ONE_FAILED = "1 of {operations} operations failed"
SOME_FAILED = "{failed} of {operations} operations failed"
NONE_DROPPED = ""
ONE_DROPPED = "1 was dropped"
SOME_DROPPED = "{dropped} were dropped"

CAPACITY = "Within {objective}: {arm} sustains {level}, the baseline {base}"
CAPACITY_SAME = "Within {objective}: no difference is shown, {arm} sustains {level}, the baseline {base}"
CAPACITY_ALONE = "Within {objective}: {arm} sustains {level}"
CAPACITY_ONLY_ARM = "Within {objective}: {arm} sustains {level}, the baseline no level that was tried"
CAPACITY_ONLY_BASE = "Within {objective}: the baseline sustains {base}, {arm} no level that was tried"
CAPACITY_NONE = "Within {objective}: no arm sustains a level that was tried"
AT_LEAST = "at least {level}"
RATE_ONE, RATES = "1 operation per second", "{level} operations per second"
USER_ONE, USERS = "1 user", "{level} users"

TOTAL_FASTER = "All {switches} switches together are {total} as fast as none"
TOTAL_SLOWER = "All {switches} switches together are slower than none: {total} as fast"
TOTAL_SAME = "All {switches} switches together show no gain: {total} as fast as none"
TOTAL_BRIEF = "All {switches} switches together measured {total} as fast as none, too briefly for a conclusion"
NO_GAIN = "no single one is shown to gain when it is turned on last"
ONE_GAIN = "only {best} is shown to gain when it is turned on last ({gain})"
BEST_GAIN = "{gains} are shown to gain when turned on last, {best} most ({gain})"
SOME_GAIN = "{gains} are shown to gain when turned on last, among them {best} ({gain})"
ONE_LOSS = "{worst} makes it slower ({gain})"
SOME_LOSS = "{losses} make it slower"
FIRST_OF = "{heading}, the first of {parts} results: {sentence}"

COMPARISON = "Comparison: {counts}."
NOT_COMPARED_FILES = "Comparison: the files have no benchmark in common that can be judged."
COUNTED = {
    "slower": "{number} slower",
    "failing": "{number} failing more",
    "less": "{number} with less throughput",
    "worse": "{number} worse",
    PromiseVerdict.NOT_COMPARABLE: "{number} not comparable",
    "faster": "{number} faster",
    "failing less": "{number} failing less",
    "better": "{number} better",
    PromiseVerdict.INCONCLUSIVE: "{number} inconclusive",
    PromiseVerdict.EQUAL: "{number} equal",
    "unknown": "{number} with a verdict that this version does not know",
    "removed": "{number} only before",
    "added": "{number} only after",
}
"""The outcomes of benchmarks, the most pressing first."""
FAILURES, THROUGHPUT = "failed operations", "throughput"
TIMES = re.compile(r"^(time|median|mean|max|p[\d.]+)$")
"""Figures that are times, in the part of a verdict."""

NO_SWITCH = "No switch was measured."
NO_FILE = "This file has no benchmark."
ALL_FAILED = "All {operations} operations failed."
THE_ONE_FAILED = "The only operation failed."
EVERY_FAILED = "All operations of every benchmark failed."
MOST_FAILED = "of {name}, {failed} of {operations} operations failed"
WITHIN = "{name} answers {share} % of the operations within {time}"
MEDIAN_ONE = "{name}: median {time}"
MEDIANS = "{benchmarks} benchmarks, with medians from {shortest} to {longest}"
NO_TIMES = "No benchmark of this file has times"
AT_THROUGHPUT = "{rate} operations per second"

AND, AND_LAST = ", ", " and "


def of_load_run(run: Run) -> str:
    """Return the heading of a load test or a capacity search: of several scenarios, the number with each outcome."""
    found = [x.result for x in located(run) if x.result.status != ScenarioStatus.NOT_RUN]
    loaded = [result for result in found if result.load is not None and (result.load.arms or result.load.capacities)]
    if len(found) > 1 and loaded and not any(result.load.capacities for result in loaded if result.load):
        return of_scenarios(found)
    if loaded:
        return of_load(loaded[0])
    for result in found:
        if result.status == ScenarioStatus.FAILED:
            return FAILED.format(error=shortened(visible(next(iter((result.error or NO_ERROR).splitlines()), "")), 4 * NAME))
        if result.status == ScenarioStatus.INTERRUPTED:
            return INTERRUPTED
    return NOTHING_LOADED


SUSTAINED, NOT_SUSTAINED, NO_CONCLUSION, NO_RESULT = "sustained", "not sustained", "invalid", "failed"


def of_scenarios(results: Sequence[ScenarioResult]) -> str:
    """Return in a sentence how many scenarios were sustained by all arms, and what is with the others."""
    counts = Counter(outcome_under_load(result) for result in results)
    not_sustained = ("was not", "were not")
    texts = {
        SUSTAINED: ("was sustained by all arms", "were sustained by all arms"),
        NOT_SUSTAINED: not_sustained if counts[SUSTAINED] else ("was not sustained by all arms", "were not sustained by all arms"),
        NO_CONCLUSION: ("is invalid", "are invalid"),
        NO_RESULT: ("failed", "failed"),
    }
    parts = [f"{counts[key]} {one if counts[key] == 1 else many}" for key, (one, many) in texts.items() if counts[key]]
    if len(parts) == 1:
        key = next(iter(counts))
        return f"All {len(results)} scenarios {texts[key][1]}."
    return f"Of {len(results)} scenarios, {', '.join(parts[:-1])} and {parts[-1]}."


def outcome_under_load(result: ScenarioResult) -> str:
    """Return whether all arms sustain the load of a scenario, or why nothing is concluded."""
    found = result.load or NO_LOAD
    if result.status != ScenarioStatus.OK or not found.arms:
        return NO_RESULT
    if found.invalid:
        return NO_CONCLUSION
    arms = load.arms_of(result)
    return NOT_SUSTAINED if any(load.failing(found, arm) or load.overloaded(found, arm) for arm in arms) else SUSTAINED


def of_load(result: ScenarioResult) -> str:
    """Return the conclusion of one scenario under load, or of its capacity if it has no other figure."""
    found = result.load or NO_LOAD
    if found.invalid:
        return INVALID
    if not found.arms:
        return of_capacity(result)
    failing = [arm for arm in load.arms_of(result) if load.failing(found, arm)]
    saturated = [arm for arm in load.arms_of(result) if arm not in failing and load.overloaded(found, arm)]
    every = len(saturated) == len(load.totals(result))
    under = _under(found, load.totals(result))
    return _sentence(
        EVERY_SATURATED.format(load=under) if every else _response(result, under, {*failing, *saturated}),
        "" if every else _listed(saturated, SATURATED_ONE, SATURATED_SEVERAL),
        _listed(failing, FAILING_ONE, FAILING_ONE),
        *_failures(load.totals(result)),
    )


def _response(result: ScenarioResult, under: str, excluded: set[str]) -> str:
    """Return the comparison of response times at the highest percentile with an interval, or without any with a ratio."""
    found = result.load or NO_LOAD
    group = load.groups(result)[0]
    rows = {row.arm: row for row in load.totals(result)}
    ratios = [x for x in found.ratios if x.group == group and not {x.arm, BASELINE} & excluded and {x.arm, BASELINE} <= rows.keys()]
    ratios = [x for x in ratios if _time_ns(rows[x.arm], x.percentile) and _time_ns(rows[BASELINE], x.percentile)]
    known = [x for x in ratios if x.low is not None and x.high is not None] or ratios
    label = next((q for q in reversed(QUANTILES) if any(x.percentile == q for x in known)), None)
    if label is None:
        return _single(under, list(rows.values()), excluded)
    best = max((x for x in known if x.percentile == label), key=lambda x: x.ratio)
    before, after = (duration(_time_ns(rows[arm], label) or 0.0) for arm in (BASELINE, best.arm))
    text = TOO_BRIEF
    if best.low is not None and best.high is not None:
        text = FASTER if best.low > 1 else SLOWER if best.high < 1 else NO_DIFFERENCE
    main = text.format(load=under, arm=_name(best.arm), share=label, after=after, before=before)
    others = [x.arm for x in known if x.percentile == label and x is not best and _is_slower(x)]
    return _joined(main, _listed(others, ALSO_SLOWER_ONE, ALSO_SLOWER_SEVERAL))


def _is_slower(ratio: LoadRatio) -> bool:
    return ratio.high is not None and ratio.high < 1


def _single(under: str, every: Sequence[LoadedArm], excluded: set[str]) -> str:
    """Return what an arm that is not compared with the baseline answers, under its own load."""
    sustained = [row for row in every if row.arm not in excluded]
    if not sustained:
        return NOT_COMPARED.format(load=under)
    row = next((row for row in sustained if row.arm != BASELINE), sustained[0]) if excluded else sustained[0]
    label = load.highest(row.response.percentiles_ns)
    time_ns = _time_ns(row, label)
    if time_ns is None:
        return NO_PERCENTILE.format(load=under)
    if len(sustained) > 1 and not excluded:
        return NOT_COMPARED.format(load=under)
    if row.offered_per_s is not None and under.startswith(AT_RATE.partition("{")[0]) and len({x.offered_per_s for x in every}) > 1:
        under = AT_RATE.format(rate=significant(row.offered_per_s))  # an arm that cannot run an operation has less load
    return ALONE.format(load=under, arm=_name(row.arm), share=label, after=duration(time_ns))


def _time_ns(row: LoadedArm, label: str) -> float | None:
    return row.response.percentiles_ns.get(label)


def _under(found: LoadResult, rows: Sequence[LoadedArm]) -> str:
    """Return the load in words: one rate, the users, or that it was planned otherwise."""
    if LoadModel.CLOSED in found.models:
        return WITH_USERS.format(users=found.arrivals)
    rate = re.match(r"([\d.]+) per second, (evenly|at random)", found.arrivals)
    if rate:
        return AT_RATE.format(rate=f"{float(rate[1]):,g}")
    rates = {row.offered_per_s for row in rows}
    if len(rates) == 1 and (offered := rates.pop()) is not None and found.arrivals.startswith(f"{offered:g} per second"):
        return AT_RATE.format(rate=significant(offered))
    return UNDER_SCHEDULE


def _failures(rows: Iterable[LoadedArm]) -> list[str]:
    """Return how many operations failed and were dropped, over all arms."""
    found = list(rows)
    failed, dropped = sum(row.errors for row in found), sum(row.dropped for row in found)
    operations = whole(failed + sum(row.operations for row in found))
    said = (
        NONE_FAILED
        if not failed
        else (ONE_FAILED if failed == 1 else SOME_FAILED).format(failed=whole(failed), operations=operations)
    )
    lost = NONE_DROPPED if not dropped else (ONE_DROPPED if dropped == 1 else SOME_DROPPED).format(dropped=whole(dropped))
    return [said, lost]


def of_capacity(result: ScenarioResult) -> str:
    """Return the highest sustained load of the best arm and of the baseline, of the first kind with a sustained level."""
    found = result.load or NO_LOAD
    kinds = capacity.kinds(result)
    if not kinds:
        return NOTHING_LOADED
    kind = next((k for k in kinds if any(x.sustained for x in found.capacities if x.kind == k)), kinds[0])
    of_kind = [x for x in capacity.in_order(result) if x.kind == kind]
    return _sentence(_capacities(of_kind))


def _capacities(found: Sequence[Capacity]) -> str:
    base = next((x for x in found if x.arm == BASELINE), None)
    others = sorted((x for x in found if x.arm != BASELINE), key=lambda x: -(x.sustained or 0.0))
    objective = found[0].objective
    if not any(x.sustained for x in found):
        return CAPACITY_NONE.format(objective=objective)
    if base is None or not others:
        best = max(found, key=lambda x: x.sustained or 0.0)
        return CAPACITY_ALONE.format(arm=_name(best.arm), level=_level(best), objective=objective)
    other = others[0]
    texts = {"arm": _name(other.arm), "level": _level(other), "base": _level(base), "objective": objective}
    if not other.sustained:
        return CAPACITY_ONLY_BASE.format(**texts)
    if not base.sustained:
        return CAPACITY_ONLY_ARM.format(**texts)
    _, low, high = capacity_ratio(base, other)
    is_shown = (low is not None and low > 1) or (high is not None and high < 1)
    return (CAPACITY if is_shown else CAPACITY_SAME).format(**texts)


def _level(found: Capacity) -> str:
    """Return the sustained level in words; at least that if the search found no failing one."""
    if not found.sustained:
        return ""
    one, several = (RATE_ONE, RATES) if found.kind == CapacityKind.RATE else (USER_ONE, USERS)
    number = significant(found.sustained) if found.kind == CapacityKind.RATE else whole(found.sustained)
    text = one if found.sustained == 1 else several.format(level=number)
    return text if found.failed_at is not None else AT_LEAST.format(level=text)


def of_ablation(run: Run) -> str:
    """Return what all switches gain together, and which of them gain when turned on last; of several groups the first."""
    parts = [(heading, found) for heading, found in ablation.parts(run) if found.switches]
    if not parts:
        return NO_SWITCH
    heading, found = parts[0]
    sentence = _ablated(found)
    return sentence if len(parts) == 1 else FIRST_OF.format(heading=heading, parts=len(parts), sentence=sentence)


def _ablated(found: Ablation) -> str:
    low, high = found.total.low, found.total.high
    text = TOTAL_BRIEF
    if low is not None and high is not None:
        text = TOTAL_FASTER if low > 1 else TOTAL_SLOWER if high < 1 else TOTAL_SAME
    clear = [x for x in found.switches if x.last.is_clear]
    gains, losses = ([x for x in clear if (x.last.ratio > 1) == is_gain] for is_gain in (True, False))
    gained = NO_GAIN
    if gains:
        best = max(gains, key=lambda x: x.last.ratio)
        is_first = best.rank_worst == 1
        kind = ONE_GAIN if len(gains) == 1 else BEST_GAIN if is_first else SOME_GAIN
        gained = kind.format(gains=len(gains), best=_name(best.switch), gain=times(best.last.ratio))
    lost = ""
    if losses:
        worst = min(losses, key=lambda x: x.last.ratio)
        lost = (ONE_LOSS if len(losses) == 1 else SOME_LOSS).format(
            losses=len(losses), worst=_name(worst.switch), gain=times(worst.last.ratio)
        )
    return _sentence(text.format(switches=len(found.switches), total=_gain(found.total)), gained, lost)


def _gain(gain: Gain) -> str:
    return f"{times(gain.ratio)} {interval(gain.low, gain.high)}".strip()


def of_comparison(run: Run) -> str:
    """Return the number of benchmarks with each outcome, the most pressing first."""
    verdicts = {v.promise: v for result in run.scenarios for v in result.verdicts}
    if any(not comparison.is_total(name) for name in verdicts):  # a total is one of the others once more
        verdicts = {name: verdict for name, verdict in verdicts.items() if not comparison.is_total(name)}
    sides: dict[str, set[bool]] = {}
    for result in run.scenarios:
        for record in (*result.latencies, *result.operations):
            sides.setdefault(record.group, set()).add(record.arm in {BASELINE, ""})
    found = Counter(_outcome(verdict) for verdict in verdicts.values())
    found.update(
        "removed" if side == {True} else "added" for name, side in sides.items() if name not in verdicts and len(side) == 1
    )
    counts = [COUNTED[name].format(number=whole(found[name])) for name in COUNTED if found[name]]
    return COMPARISON.format(counts=", ".join(counts)) if counts else NOT_COMPARED_FILES


def _outcome(verdict: Verdict) -> str:
    """Return the outcome of a benchmark by the figure that decided."""
    if verdict.verdict in {PromiseVerdict.REGRESSED, PromiseVerdict.IMPROVED}:
        worse = verdict.verdict == PromiseVerdict.REGRESSED
        if verdict.part == FAILURES:
            return "failing" if worse else "failing less"
        if TIMES.match(verdict.part):
            return "slower" if worse else "faster"
        if verdict.part == THROUGHPUT and worse:
            return "less"
        return "worse" if worse else "better"
    return verdict.verdict if verdict.verdict in COUNTED else "unknown"


def of_file(run: Run) -> str:
    """Return the failures and the highest percentile of a total or of the only benchmark; else the range of the medians."""
    found = comparison.benchmarks(run)
    if not found:
        return NO_FILE
    counts = [x.operations[0] for x in found if x.operations[0] is not None]
    first, operations = found[0], found[0].operations[0]
    is_whole = len(found) == 1 or comparison.is_total(first.name)
    counted = [operations] if is_whole and operations else [] if is_whole else counts
    if any(x.operations for x in counted) and all(x.errors == x.operations for x in counted):
        number = counted[0].operations
        return EVERY_FAILED if not is_whole else THE_ONE_FAILED if number == 1 else ALL_FAILED.format(operations=whole(number))
    timed = [x.latencies[0] for x in found if x.latencies[0] is not None]
    latency = first.latencies[0]
    if not timed:
        main = NO_TIMES
    elif is_whole and latency is not None:
        label = next((q for q in reversed(QUANTILES) if latency.percentiles_ns.get(q) is not None), "50")
        name, value = _name(first.name), latency.percentiles_ns.get(label)
        main = MEDIAN_ONE.format(name=name, time=duration(comparison.median_ns(latency)))
        if label != "50" and value is not None:
            main = WITHIN.format(name=name, share=label, time=duration(value))
    else:
        medians = [comparison.median_ns(x) for x in timed]
        main = MEDIANS.format(benchmarks=whole(len(found)), shortest=duration(min(medians)), longest=duration(max(medians)))
    rate = AT_THROUGHPUT.format(rate=significant(operations.per_s)) if is_whole and operations and operations.per_s else ""
    return _sentence(main, rate, (_failed(counted[0]) if is_whole else _most_failed(counted)) if counted else "")


def _failed(counts: OperationCounts) -> str:
    if not counts.errors:
        return NONE_FAILED
    text = ONE_FAILED if counts.errors == 1 else SOME_FAILED
    return text.format(failed=whole(counts.errors), operations=whole(counts.operations))


def _most_failed(counts: Sequence[OperationCounts]) -> str:
    """Return the most failures of one benchmark: benchmarks may count the same operations, so that there is no sum."""
    worst = max(counts, key=lambda x: x.errors / max(1, x.operations))
    if not worst.errors:
        return NONE_FAILED
    return MOST_FAILED.format(name=_name(worst.group), failed=whole(worst.errors), operations=whole(worst.operations))


def of_files(run: Run) -> str:
    """Return the heading of one result file, or of two compared."""
    return of_comparison(run) if run.kind == RunKind.COMPARISON else of_file(run)


def _name(name: str) -> str:
    return THE_BASELINE if name == BASELINE else shortened(visible(name), NAME)


def _listed(names: Sequence[str], one: str, several: str) -> str:
    """Return a clause about names; empty for none."""
    shown = [_name(name) for name in names]
    if not shown:
        return ""
    listed = shown[0] if len(shown) == 1 else f"{AND.join(shown[:-1])}{AND_LAST}{shown[-1]}"
    return (one if len(shown) == 1 else several).format(arms=listed)


def _joined(*clauses: str) -> str:
    return "; ".join(clause for clause in clauses if clause)


def _sentence(*clauses: str) -> str:
    return f"{_joined(*clauses)}."
