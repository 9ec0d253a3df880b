"""Controls: drift beyond noise, injected slowdowns, and verdicts that are withheld only for a real bias."""

import math
import random
from dataclasses import replace

import pytest

from harness.results.run import (
    AA_CONTROL,
    PING,
    PURE_CPU,
    Controls,
    Drift,
    InjectedSlowdown,
    PromiseVerdict,
    Ratio,
    ScenarioResult,
    ScenarioStatus,
    WorkCount,
)
from harness.verdicts.controls import MARGIN, drifts, failed_controls, injected, p_within_margin, together, withhold
from harness.verdicts.measures import fewer, speedup
from harness.verdicts.promise import Promise, cut, times
from harness.verdicts.warnings import warnings_about

EMPTY = ScenarioResult("toy", "", "", "toy.py", "sqlite", 0.0, ScenarioStatus.OK)


def control(processes: list[float], group: str = "g") -> Ratio:
    """Return a control whose processes read so."""
    return Ratio(AA_CONTROL, group, processes[0], None, None, processes, 10 * len(processes))


def result(*controls: Ratio) -> ScenarioResult:
    """Return a result in which `optimised` is twice as fast in two groups and sends half the statements."""
    arms = [Ratio("optimised", group, 2.0, 1.9, 2.1, [1.95, 2.0, 2.05], 30) for group in ("g", "h")]
    counted = [WorkCount("baseline", "g", "statements", 4), WorkCount("optimised", "g", "statements", 2)]
    return replace(EMPTY, ratios=[*arms, *controls], work_counts=counted)


def test_a_control_that_slows_down_has_drifted() -> None:
    """The second half of each process against its first; the middle process counts, each control for itself."""
    readings = [(p, PURE_CPU, ns) for p in (1, 2, 3) for ns in [1000] * 10 + [1000 + 100 * p] * 10]
    found = drifts([*readings, *((1, PING, 50) for _ in range(8))])
    assert [(d.name, d.samples, round(d.ratio, 6)) for d in found] == [(PURE_CPU, 60, 1.2), (PING, 8, 1.0)]
    assert [round(ratio, 6) for ratio in found[0].processes] == [1.1, 1.2, 1.3]


def test_noise_explains_what_it_can() -> None:
    """Readings that scatter by a fifth may differ between halves by a tenth without a warning; steady ones may not."""
    coin = random.Random(3)
    noisy = drifts([(p, PURE_CPU, round(1000 * math.exp(coin.gauss(0, 0.2)))) for p in range(5) for _ in range(20)])
    assert abs(noisy[0].ratio - 1) < noisy[0].explained < 0.5
    steady = Drift(PURE_CPU, 40, 1000.0, 1.10, 0.01, [1.1])
    names = [
        [d.name for d in warnings_about(replace(EMPTY, controls=Controls([d])))] for d in (steady, replace(steady, explained=0.2))
    ]
    assert names == [["machine drifted"], []]


def test_few_readings_say_nothing_of_drift() -> None:
    """A process with five readings has no drift."""
    assert drifts([(1, PURE_CPU, 10 * i) for i in range(5)]) == []


def test_an_injected_slowdown_is_detected_by_an_interval_above_zero() -> None:
    """3 % in every process are detected; if processes disagree, or there is only one, they are not, which is a warning."""
    steady = {p: [(100.0, 103.0 + 0.1 * p)] * 5 for p in range(5)}
    wild = {p: [(100.0, 103.0 * (0.9 if p % 2 else 1.1))] * 5 for p in range(5)}
    found = injected(0.03, {"calm": steady, "wild": wild, "once": {0: [(100.0, 103.0)] * 5}})
    assert [(p.group, p.found, p.pairs) for p in found] == [("calm", True, 25), ("wild", False, 25), ("once", False, 5)]
    assert found[0].slower == pytest.approx(0.032, abs=1e-3)
    (warning,) = warnings_about(replace(EMPTY, controls=Controls(injected=found)))
    assert (warning.name, "wild, once" in warning.message, "3 %" in warning.message) == (
        "injected slowdown not detected",
        True,
        True,
    )


def test_groups_show_together_what_none_shows_alone() -> None:
    """A slowdown that each group measures roughly is measured well by twenty groups, and not by one."""
    coin = random.Random(5)
    rough = [InjectedSlowdown(str(i), 0.03, math.exp(coin.gauss(math.log(1.03), 0.03)) - 1, -0.02, 0.08, 5) for i in range(20)]
    over = together(rough)
    assert over.low is not None
    assert 0 < over.low < 0.03 < (over.high or 0)
    alone = together(rough[:1])
    assert alone.value == pytest.approx(rough[0].slower)
    assert alone.low is None


def test_nothing_planted_leaves_nothing() -> None:
    """No row, no warning."""
    assert injected(0.0, {}) == []
    assert InjectedSlowdown("g", 0.03, 0.03, None, None, 1).found is False


def test_a_steady_difference_between_identical_instances_is_dirty() -> None:
    """A third in every process, either way; the groups are named with their controls."""
    bad, good = control([1.30, 1.31, 1.32, 1.30, 1.31]), control([1.0, 1.01, 0.99, 1.0, 1.02], "h")
    assert failed_controls([result(good), result(bad, good), EMPTY]) == [{}, {"g": bad}, {}]
    other_way = control([1 / p for p in bad.processes])
    assert failed_controls([result(other_way)]) == [{"g": other_way}]


@pytest.mark.parametrize(
    "processes",
    [
        [1.04, 1.041, 1.039, 1.04, 1.04],  # surely off, and within the margin
        [1.6, 0.9, 1.2, 1.4, 1.1],  # noise
        [1.5],  # one process
        [1.2, 1.5],  # two that do not agree
    ],
)
def test_little_or_unsure_differences_are_not_dirty(processes: list[float]) -> None:
    """They widen intervals or are smaller than what promises are about."""
    assert failed_controls([result(control(processes))]) == [{}]


def test_processes_that_agree_to_the_last_digit_need_no_t() -> None:
    """Controls without spread fail beyond the margin and pass within it; nothing is divided by zero."""
    assert p_within_margin(control([1.5] * 5)) == pytest.approx(0, abs=1e-12)
    assert p_within_margin(control([2.0] * 2)) == 0
    assert p_within_margin(control([MARGIN - 0.01] * 5)) == 1
    assert p_within_margin(control([1.5])) is None


@pytest.mark.parametrize("sd", [0.02, 0.1, 0.4])
@pytest.mark.parametrize("processes", [3, 5])
def test_clean_controls_withhold_next_to_nothing(sd: float, processes: int) -> None:
    """Of thirty runs with forty clean controls each no more withhold anything than `ALPHA` allows, whatever their noise."""
    coin = random.Random(f"{sd}/{processes}")

    def failed() -> bool:
        controls = [control([math.exp(coin.gauss(0, sd)) for _ in range(processes)], str(i)) for i in range(40)]
        return bool(failed_controls([result(*controls)])[0])

    assert sum(failed() for _ in range(30)) <= 5  # with `ALPHA` for each, six or more happen once in three hundred times


SPEED = Promise("A1", "faster", times(1.5), speedup("g"), arms=("optimised",))
ELSEWHERE = Promise("A2", "faster there", times(1.5), speedup("h"), arms=("optimised",))
BOTH = Promise("A3", "faster in both", times(5), speedup("g", "h"), arms=("optimised",))
COUNTED = Promise("A4", "half the statements", cut(0.5), fewer("statements", "g"), arms=("optimised",))
MISSING = Promise("A5", "faster nowhere", times(1.5), speedup("nowhere"), arms=("optimised",))
PROMISES = (SPEED, ELSEWHERE, BOTH, COUNTED, MISSING)


def test_only_verdicts_that_depend_on_failed_controls_are_withheld() -> None:
    """These are verdicts on the group, alone or with others; not on other groups, counts, or figures that were not measured."""
    failed = control([1.3] * 5)
    found = withhold(result(failed), PROMISES, {"g": failed})
    assert [v.verdict for v in found.verdicts] == [
        PromiseVerdict.WITHHELD,
        PromiseVerdict.CONFIRMED,
        PromiseVerdict.WITHHELD,
        PromiseVerdict.CONFIRMED,
        PromiseVerdict.NOT_MEASURED,
    ]
    held = found.verdicts[0]
    assert (held.value, held.low, held.high, held.promised_low) == (None, None, None, 1.5)
    assert held.sentence.startswith(
        "A/A control failed: the baseline against itself measured 1.30× in g, so no time from there is judged (otherwise confirmed"
    )
    assert found.ratios == result(failed).ratios


def test_without_failed_controls_a_result_is_left_alone() -> None:
    """Without failed controls the result is the same object."""
    clean = result()
    assert withhold(clean, PROMISES, {}) is clean
