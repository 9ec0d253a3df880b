"""The heading of a page: a conclusion in one sentence, generated from the results and never stronger than their verdicts."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from harness.language import gettext, listed, mark
from harness.report import ablation, capacity, comparison, load
from harness.report.capacity import NO_LOAD
from harness.report.numbers import duration, interval, significant, times, whole
from harness.report.promises import located
from harness.results.load import Capacity, CapacityKind, LoadedArm, LoadModel, LoadRatio, LoadResult, LoadState
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

THE_BASELINE = mark("the baseline")
NAME = 48
"""The most characters of a name in a heading."""

NOTHING_LOADED = mark("No scenario finished: nothing was put under load.")
FAILED, NO_ERROR = mark("The load test failed: {error}."), mark("no error was recorded")
INTERRUPTED = mark("The load test was interrupted before anything was measured.")
INVALID = mark("No conclusion: the load generator was the limit, not an arm.")
AT_RATE = mark("Under {rate} operations per second")
WITH_USERS = mark("With {users}")
UNDER_SCHEDULE = mark("Under the planned load")

FASTER = mark("{load}, {arm} answers {share} % of the operations within {after} instead of {before}")
SLOWER = mark("{load}, {arm} is slower: it answers {share} % of the operations within {after} instead of {before}")
NO_DIFFERENCE = mark(
    "{load}, no difference is shown: {arm} answers {share} % of the operations within {after}, the baseline within {before}"
)
TOO_BRIEF = mark(
    "{load}, {arm} answers {share} % of the operations within {after}, the baseline within {before}: "
    "measured too briefly for a conclusion"
)
ALONE = mark("{load}, {arm} answers {share} % of the operations within {after}")
NO_PERCENTILE = mark("{load}, too few operations completed for a percentile")
EVERY_SATURATED = mark("{load}, every arm is saturated")
NOT_COMPARED = mark("{load}, nothing can be compared")

SATURATED_ONE = mark("{arms} is saturated")
SATURATED_SEVERAL = mark("{arms} are saturated")
FAILING_ONE = mark("too many operations of {arms} fail")
ALSO_SLOWER_ONE = mark("{arms} is slower")
ALSO_SLOWER_SEVERAL = mark("{arms} are slower")
NONE_FAILED = mark("no operation failed")
ONE_FAILED = mark("1 of {operations} operations failed")
SOME_FAILED = mark("{failed} of {operations} operations failed")
NONE_DROPPED = ""
ONE_DROPPED = mark("1 was dropped")
SOME_DROPPED = mark("{dropped} were dropped")

CAPACITY = mark("Within {objective}: {arm} sustains {level}, the baseline {base}")
CAPACITY_SAME = mark("Within {objective}: no difference is shown, {arm} sustains {level}, the baseline {base}")
CAPACITY_ALONE = mark("Within {objective}: {arm} sustains {level}")
CAPACITY_ONLY_ARM = mark("Within {objective}: {arm} sustains {level}, the baseline no level that was tried")
CAPACITY_ONLY_BASE = mark("Within {objective}: the baseline sustains {base}, {arm} no level that was tried")
CAPACITY_NONE = mark("Within {objective}: no arm sustains a level that was tried")
AT_LEAST = mark("at least {level}")
RATE_ONE, RATES = mark("1 operation per second"), mark("{level} operations per second")
USER_ONE, USERS = mark("1 user"), mark("{level} users")

TOTAL_FASTER = mark("All {switches} switches together are {total} as fast as none")
TOTAL_SLOWER = mark("All {switches} switches together are slower than none: {total} as fast")
TOTAL_SAME = mark("All {switches} switches together show no gain: {total} as fast as none")
TOTAL_BRIEF = mark("All {switches} switches together measured {total} as fast as none, too briefly for a conclusion")
NO_GAIN = mark("no single one is shown to gain when it is turned on last")
ONE_GAIN = mark("only {best} is shown to gain when it is turned on last ({gain})")
BEST_GAIN = mark("{gains} are shown to gain when turned on last, {best} most ({gain})")
SOME_GAIN = mark("{gains} are shown to gain when turned on last, among them {best} ({gain})")
ONE_LOSS = mark("{worst} makes it slower ({gain})")
SOME_LOSS = mark("{losses} make it slower")
FIRST_OF = mark("{heading}, the first of {parts} results: {sentence}")

COMPARISON = mark("Comparison: {counts}.")
NOT_COMPARED_FILES = mark("Comparison: the files have no benchmark in common that can be judged.")
COUNTED = {
    "slower": mark("{number} slower"),
    "failing": mark("{number} failing more"),
    "less": mark("{number} with less throughput"),
    "worse": mark("{number} worse"),
    PromiseVerdict.NOT_COMPARABLE: mark("{number} not comparable"),
    "faster": mark("{number} faster"),
    "failing less": mark("{number} failing less"),
    "better": mark("{number} better"),
    PromiseVerdict.INCONCLUSIVE: mark("{number} inconclusive"),
    PromiseVerdict.EQUAL: mark("{number} equal"),
    "unknown": mark("{number} with a verdict that this version does not know"),
    "removed": mark("{number} only before"),
    "added": mark("{number} only after"),
}
"""The outcomes of benchmarks, the most pressing first."""
FAILURES, THROUGHPUT = "failed operations", "throughput"
TIMES = re.compile(r"^(time|median|mean|max|p[\d.]+)$")
"""Figures that are times, in the part of a verdict."""

NO_SWITCH = mark("No switch was measured.")
NO_FILE = mark("This file has no benchmark.")
ALL_FAILED = mark("All {operations} operations failed.")
THE_ONE_FAILED = mark("The only operation failed.")
EVERY_FAILED = mark("All operations of every benchmark failed.")
MOST_FAILED = mark("of {name}, {failed} of {operations} operations failed")
WITHIN = mark("{name} answers {share} % of the operations within {time}")
MEDIAN_ONE = mark("{name}: median {time}")
MEDIANS = mark("{benchmarks} benchmarks, with medians from {shortest} to {longest}")
NO_TIMES = mark("No benchmark of this file has times")
AT_THROUGHPUT = mark("{rate} operations per second")


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
            return gettext(
                FAILED, error=shortened(visible(next(iter((result.error or gettext(NO_ERROR)).splitlines()), "")), 4 * NAME)
            )
        if result.status == ScenarioStatus.INTERRUPTED:
            return gettext(INTERRUPTED)
    return gettext(NOTHING_LOADED)


ALL_OF = {
    LoadState.SUSTAINED: mark("All {count} scenarios were sustained by all arms."),
    LoadState.NOT_SUSTAINED: mark("All {count} scenarios were not sustained by all arms."),
    LoadState.INVALID: mark("All {count} scenarios are invalid."),
    LoadState.FAILED: mark("All {count} scenarios failed."),
}
SOME_OF = {
    LoadState.SUSTAINED: (mark("{count} was sustained by all arms"), mark("{count} were sustained by all arms")),
    LoadState.NOT_SUSTAINED: (mark("{count} was not"), mark("{count} were not")),
    LoadState.INVALID: (mark("{count} is invalid"), mark("{count} are invalid")),
    LoadState.FAILED: (mark("{count} failed"), mark("{count} failed")),
}
NONE_OF = (mark("{count} was not sustained by all arms"), mark("{count} were not sustained by all arms"))
"""What is with scenarios, singular and plural."""


def of_scenarios(results: Sequence[ScenarioResult]) -> str:
    """Return in a sentence how many scenarios were sustained by all arms, and what is with the others."""
    counts = Counter(outcome_under_load(result) for result in results)
    if len(counts) == 1:
        return gettext(ALL_OF[next(iter(counts))], count=len(results))
    texts = SOME_OF if counts[LoadState.SUSTAINED] else SOME_OF | {LoadState.NOT_SUSTAINED: NONE_OF}
    parts = [
        gettext(several if counts[key] > 1 else one, count=counts[key]) for key, (one, several) in texts.items() if counts[key]
    ]
    return gettext("Of {count} scenarios, {parts}.", count=len(results), parts=listed(parts))


def outcome_under_load(result: ScenarioResult) -> LoadState:
    """Return whether all arms sustain the load of a scenario, or why nothing is concluded."""
    found = result.load or NO_LOAD
    if result.status != ScenarioStatus.OK or not found.arms:
        return LoadState.FAILED
    if found.invalid:
        return LoadState.INVALID
    arms = load.arms_of(result)
    is_sustained = all(load.state(found, arm) == LoadState.SUSTAINED for arm in arms)
    return LoadState.SUSTAINED if is_sustained else LoadState.NOT_SUSTAINED


def of_load(result: ScenarioResult) -> str:
    """Return the conclusion of one scenario under load, or of its capacity if it has no other figure."""
    found = result.load or NO_LOAD
    if found.invalid:
        return gettext(INVALID)
    if not found.arms:
        return of_capacity(result)
    failing = [arm for arm in load.arms_of(result) if load.failing(found, arm)]
    saturated = [arm for arm in load.arms_of(result) if arm not in failing and load.overloaded(found, arm)]
    every = len(saturated) == len(load.totals(result))
    under = _under(found, load.totals(result))
    return _sentence(
        gettext(EVERY_SATURATED, load=under) if every else _response(result, under, {*failing, *saturated}),
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
    main = gettext(text, load=under, arm=_name(best.arm), share=label, after=after, before=before)
    others = [x.arm for x in known if x.percentile == label and x is not best and _is_slower(x)]
    return _joined(main, _listed(others, ALSO_SLOWER_ONE, ALSO_SLOWER_SEVERAL))


def _is_slower(ratio: LoadRatio) -> bool:
    return ratio.high is not None and ratio.high < 1


def _single(under: str, every: Sequence[LoadedArm], excluded: set[str]) -> str:
    """Return what an arm that is not compared with the baseline answers, under its own load."""
    sustained = [row for row in every if row.arm not in excluded]
    if not sustained:
        return gettext(NOT_COMPARED, load=under)
    row = next((row for row in sustained if row.arm != BASELINE), sustained[0]) if excluded else sustained[0]
    label = load.highest(row.response.percentiles_ns)
    time_ns = _time_ns(row, label)
    if time_ns is None:
        return gettext(NO_PERCENTILE, load=under)
    if len(sustained) > 1 and not excluded:
        return gettext(NOT_COMPARED, load=under)
    if (
        row.offered_per_s is not None
        and under.startswith(gettext(AT_RATE).partition("{")[0])
        and len({x.offered_per_s for x in every}) > 1
    ):
        under = gettext(AT_RATE, rate=significant(row.offered_per_s))  # an arm that cannot run an operation has less load
    return gettext(ALONE, load=under, arm=_name(row.arm), share=label, after=duration(time_ns))


def _time_ns(row: LoadedArm, label: str) -> float | None:
    return row.response.percentiles_ns.get(label)


def _under(found: LoadResult, rows: Sequence[LoadedArm]) -> str:
    """Return the load in words: one rate, the users, or that it was planned otherwise."""
    if LoadModel.CLOSED in found.models:
        return gettext(WITH_USERS, users=found.arrivals)
    rate = re.match(r"([\d.]+) per second, (evenly|at random)", found.arrivals)
    if rate:
        return gettext(AT_RATE, rate=f"{float(rate[1]):,g}")
    rates = {row.offered_per_s for row in rows}
    if len(rates) == 1 and (offered := rates.pop()) is not None and found.arrivals.startswith(f"{offered:g} per second"):
        return gettext(AT_RATE, rate=significant(offered))
    return gettext(UNDER_SCHEDULE)


def _failures(rows: Iterable[LoadedArm]) -> list[str]:
    """Return how many operations failed and were dropped, over all arms."""
    found = list(rows)
    failed, dropped = sum(row.errors for row in found), sum(row.dropped for row in found)
    operations = whole(failed + sum(row.operations for row in found))
    said = (
        gettext(NONE_FAILED)
        if not failed
        else gettext(ONE_FAILED if failed == 1 else SOME_FAILED, failed=whole(failed), operations=operations)
    )
    lost = NONE_DROPPED if not dropped else gettext(ONE_DROPPED if dropped == 1 else SOME_DROPPED, dropped=whole(dropped))
    return [said, lost]


def of_capacity(result: ScenarioResult) -> str:
    """Return the highest sustained load of the best arm and of the baseline, of the first kind with a sustained level."""
    found = result.load or NO_LOAD
    kinds = capacity.kinds(result)
    if not kinds:
        return gettext(NOTHING_LOADED)
    kind = next((k for k in kinds if any(x.sustained for x in found.capacities if x.kind == k)), kinds[0])
    of_kind = [x for x in capacity.in_order(result) if x.kind == kind]
    return _sentence(_capacities(of_kind))


def _capacities(found: Sequence[Capacity]) -> str:
    base = next((x for x in found if x.arm == BASELINE), None)
    others = sorted((x for x in found if x.arm != BASELINE), key=lambda x: -(x.sustained or 0.0))
    objective = found[0].objective
    if not any(x.sustained for x in found):
        return gettext(CAPACITY_NONE, objective=objective)
    if base is None or not others:
        best = max(found, key=lambda x: x.sustained or 0.0)
        return gettext(CAPACITY_ALONE, arm=_name(best.arm), level=_level(best), objective=objective)
    other = others[0]
    texts = {"arm": _name(other.arm), "level": _level(other), "base": _level(base), "objective": objective}
    if not other.sustained:
        return gettext(CAPACITY_ONLY_BASE, **texts)
    if not base.sustained:
        return gettext(CAPACITY_ONLY_ARM, **texts)
    _, low, high = capacity_ratio(base, other)
    is_shown = (low is not None and low > 1) or (high is not None and high < 1)
    return gettext(CAPACITY if is_shown else CAPACITY_SAME, **texts)


def _level(found: Capacity) -> str:
    """Return the sustained level in words; at least that if the search found no failing one."""
    if not found.sustained:
        return ""
    one, several = (RATE_ONE, RATES) if found.kind == CapacityKind.RATE else (USER_ONE, USERS)
    number = significant(found.sustained) if found.kind == CapacityKind.RATE else whole(found.sustained)
    text = gettext(one) if found.sustained == 1 else gettext(several, level=number)
    return text if found.failed_at is not None else gettext(AT_LEAST, level=text)


def of_ablation(run: Run) -> str:
    """Return what all switches gain together, and which of them gain when turned on last; of several groups the first."""
    parts = [(heading, found) for heading, found in ablation.parts(run) if found.switches]
    if not parts:
        return gettext(NO_SWITCH)
    heading, found = parts[0]
    sentence = _ablated(found)
    return sentence if len(parts) == 1 else gettext(FIRST_OF, heading=heading, parts=len(parts), sentence=sentence)


def _ablated(found: Ablation) -> str:
    low, high = found.total.low, found.total.high
    text = TOTAL_BRIEF
    if low is not None and high is not None:
        text = TOTAL_FASTER if low > 1 else TOTAL_SLOWER if high < 1 else TOTAL_SAME
    clear = [x for x in found.switches if x.last.is_clear]
    gains, losses = ([x for x in clear if (x.last.ratio > 1) == is_gain] for is_gain in (True, False))
    gained = gettext(NO_GAIN)
    if gains:
        best = max(gains, key=lambda x: x.last.ratio)
        is_first = best.rank_worst == 1
        kind = ONE_GAIN if len(gains) == 1 else BEST_GAIN if is_first else SOME_GAIN
        gained = gettext(kind, gains=len(gains), best=_name(best.switch), gain=times(best.last.ratio))
    lost = ""
    if losses:
        worst = min(losses, key=lambda x: x.last.ratio)
        lost = gettext(
            ONE_LOSS if len(losses) == 1 else SOME_LOSS, losses=len(losses), worst=_name(worst.switch), gain=times(worst.last.ratio)
        )
    return _sentence(gettext(text, switches=len(found.switches), total=_gain(found.total)), gained, lost)


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
    counts = [gettext(COUNTED[name], number=whole(found[name])) for name in COUNTED if found[name]]
    return gettext(COMPARISON, counts=gettext(", ").join(counts)) if counts else gettext(NOT_COMPARED_FILES)


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
        return gettext(NO_FILE)
    counts = [x.operations[0] for x in found if x.operations[0] is not None]
    first, operations = found[0], found[0].operations[0]
    is_whole = len(found) == 1 or comparison.is_total(first.name)
    counted = [operations] if is_whole and operations else [] if is_whole else counts
    if any(x.operations for x in counted) and all(x.errors == x.operations for x in counted):
        number = counted[0].operations
        return (
            gettext(EVERY_FAILED)
            if not is_whole
            else gettext(THE_ONE_FAILED)
            if number == 1
            else gettext(ALL_FAILED, operations=whole(number))
        )
    timed = [x.latencies[0] for x in found if x.latencies[0] is not None]
    latency = first.latencies[0]
    if not timed:
        main = gettext(NO_TIMES)
    elif is_whole and latency is not None:
        label = next((q for q in reversed(QUANTILES) if latency.percentiles_ns.get(q) is not None), "50")
        name, value = _name(first.name), latency.percentiles_ns.get(label)
        main = gettext(MEDIAN_ONE, name=name, time=duration(comparison.median_ns(latency)))
        if label != "50" and value is not None:
            main = gettext(WITHIN, name=name, share=label, time=duration(value))
    else:
        medians = [comparison.median_ns(x) for x in timed]
        main = gettext(MEDIANS, benchmarks=whole(len(found)), shortest=duration(min(medians)), longest=duration(max(medians)))
    rate = gettext(AT_THROUGHPUT, rate=significant(operations.per_s)) if is_whole and operations and operations.per_s else ""
    return _sentence(main, rate, (_failed(counted[0]) if is_whole else _most_failed(counted)) if counted else "")


def _failed(counts: OperationCounts) -> str:
    if not counts.errors:
        return gettext(NONE_FAILED)
    text = ONE_FAILED if counts.errors == 1 else SOME_FAILED
    return gettext(text, failed=whole(counts.errors), operations=whole(counts.operations))


def _most_failed(counts: Sequence[OperationCounts]) -> str:
    """Return the most failures of one benchmark: benchmarks may count the same operations, so that there is no sum."""
    worst = max(counts, key=lambda x: x.errors / max(1, x.operations))
    if not worst.errors:
        return gettext(NONE_FAILED)
    return gettext(MOST_FAILED, name=_name(worst.group), failed=whole(worst.errors), operations=whole(worst.operations))


def of_files(run: Run) -> str:
    """Return the heading of one result file, or of two compared."""
    return of_comparison(run) if run.kind == RunKind.COMPARISON else of_file(run)


def _name(name: str) -> str:
    return gettext(THE_BASELINE) if name == BASELINE else shortened(visible(name), NAME)


def _listed(names: Sequence[str], one: str, several: str) -> str:
    """Return a clause about names; empty for none."""
    shown = [_name(name) for name in names]
    if not shown:
        return ""
    return gettext(one if len(shown) == 1 else several, arms=listed(shown))


def _joined(*clauses: str) -> str:
    return gettext("; ").join(clause for clause in clauses if clause)


def _sentence(*clauses: str) -> str:
    return gettext("{sentence}.", sentence=_joined(*clauses))
