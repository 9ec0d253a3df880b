"""Ablation: gains, interactions and places from made-up pairs whose truth is known."""

import math
import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results.run import Ablation, GainSum, Interaction, SwitchGain
from harness.stats.ablation import ablation, are_ablated, arms

NOISE = 0.01
SWITCHES = {"helps": "half the time", "idle": "nothing", "needy": "a third of the time, where `helps` is on"}


def time_of(on: frozenset[str]) -> float:
    """Return how long an operation truly takes: `helps` halves it, `needy` takes two thirds away where `helps` is on."""
    return 1000 * (0.5 if "helps" in on else 1.0) * (1 / 3 if {"helps", "needy"} <= on else 1.0)


def pairs(
    times: Mapping[str, float], processes: int = 5, noise: float = NOISE, bias: float = 0.0, each: int = 9
) -> dict[int, list[dict[str, float]]]:
    """Return noisy pairs around the true times of arms; `bias` is what a process carries through all its pairs."""
    coin = random.Random(11)
    found = {}
    for process in range(processes):
        carried = {arm: coin.gauss(0, bias) for arm in times}
        found[process] = [
            {arm: ns * math.exp(carried[arm] + coin.gauss(0, noise)) for arm, ns in times.items()} for _ in range(each)
        ]
    return found


def found_by(switches: Mapping[str, str], times: Mapping[str, float], **how: float) -> tuple[Ablation, dict[str, SwitchGain]]:
    """Return an ablation of made-up pairs, and its switches by name."""
    found = ablation("g", switches, pairs(times, **how))  # type: ignore[arg-type]  # the numbers are as `pairs` has them
    assert found is not None
    return found, {s.switch: s for s in found.switches}


def truth() -> dict[str, float]:
    """Return the true time of every arm of `SWITCHES`."""
    return {arm: time_of(on) for arm, on in arms(list(SWITCHES)).items()}


def test_arms_are_none_each_alone_all_and_all_but_each() -> None:
    """All off comes first and is called the baseline, because all else is compared with it."""
    assert arms(["a", "b", "c"]) == {
        "baseline": frozenset(),
        "only a": {"a"},
        "only b": {"b"},
        "only c": {"c"},
        "all": {"a", "b", "c"},
        "all but a": {"b", "c"},
        "all but b": {"a", "c"},
        "all but c": {"a", "b"},
    }


def test_no_set_of_switches_has_two_arms() -> None:
    """Of two switches, all but the one is only the other, and is timed once."""
    assert list(arms(["a", "b"])) == ["baseline", "only a", "only b", "all"]


def test_the_three_kinds_of_switches_are_told_apart() -> None:
    """One that does nothing adds up with a gain of 1, one that needs another says so, and so does the one that it needs."""
    found, by_name = found_by(SWITCHES, truth())
    assert by_name["idle"].interaction == Interaction.ADDS_UP
    assert not by_name["idle"].alone.is_clear
    assert not by_name["idle"].last.is_clear
    assert by_name["needy"].interaction == Interaction.NEEDS_OTHERS
    assert by_name["needy"].last.ratio == pytest.approx(3, rel=0.05)
    assert not by_name["needy"].alone.is_clear
    assert by_name["helps"].interaction == Interaction.NEEDS_OTHERS
    assert by_name["helps"].alone.is_clear
    assert found.total.ratio == pytest.approx(6, rel=0.05)
    assert found.product.ratio == pytest.approx(2, rel=0.05)
    assert found.together == GainSum.MORE
    assert found.pairs == 45


def test_places_are_by_the_gain_last() -> None:
    """The greatest gain last comes first, and clear distances give one place each."""
    found, _ = found_by(SWITCHES, truth())
    assert [(s.switch, s.rank_best, s.rank_worst) for s in found.switches] == [("helps", 1, 1), ("needy", 2, 2), ("idle", 3, 3)]


def test_two_that_do_the_same_make_each_other_redundant() -> None:
    """Where either halves the time and both do no more, neither brings anything last, and the total is less than the product."""
    times = {arm: 500.0 if on else 1000.0 for arm, on in arms(["a", "b"]).items()}
    found, by_name = found_by({"a": "", "b": ""}, times)
    assert {s.interaction for s in by_name.values()} == {Interaction.REDUNDANT}
    assert found.together == GainSum.LESS
    assert {(s.rank_best, s.rank_worst) for s in by_name.values()} == {(1, 2)}


def test_independent_gains_add_up() -> None:
    """Where gains multiply, each switch adds up and the total is as much as the product."""
    gains = {"a": 2.0, "b": 1.5, "c": 1.2, "d": 0.8}
    times = {arm: 1000 / math.prod(gains[s] for s in on) for arm, on in arms(list(gains)).items()}
    found, by_name = found_by(dict.fromkeys(gains, ""), times, noise=0.002)
    assert {s.interaction for s in by_name.values()} == {Interaction.ADDS_UP}
    assert found.together == GainSum.AS_PRODUCT
    assert by_name["d"].last.is_clear
    assert by_name["d"].last.ratio < 1


@pytest.mark.parametrize("how", [{"bias": 0.4}, {"processes": 1}, {"processes": 2, "bias": 0.1}])
def test_what_is_too_wide_to_say_is_never_a_pass(how: dict[str, float]) -> None:
    """Processes that differ widely, or too few of them, leave every interaction and the sum inconclusive."""
    found, by_name = found_by(SWITCHES, truth(), **how)
    assert {s.interaction for s in by_name.values()} == {Interaction.INCONCLUSIVE}
    assert found.together == GainSum.INCONCLUSIVE


def test_one_process_gives_no_places() -> None:
    """Without intervals nothing stands above anything."""
    found, _ = found_by(SWITCHES, truth(), processes=1)
    assert {(s.rank_best, s.rank_worst) for s in found.switches} == {(None, None)}
    assert {s.last.p_corrected for s in found.switches} == {None}


def test_idle_switches_are_hardly_ever_called_clear() -> None:
    """Of many ablations of eight switches that do nothing, about one in twenty calls any gain clear, as the correction promises."""
    names = {f"s{i}": "" for i in range(8)}
    coin, wrong, tried = random.Random(3), 0, 200
    for _ in range(tried):
        made = {p: [{arm: math.exp(coin.gauss(0, 0.05)) for arm in arms(list(names))}] for p in range(5)}
        found = ablation("g", names, made)
        assert found is not None
        questions = [found.total, found.surplus, *(g for s in found.switches for g in (s.alone, s.last, s.difference))]
        wrong += any(gain.is_clear for gain in questions)
    assert wrong / tried <= 0.08


def test_a_pair_that_lacks_an_arm_does_not_count() -> None:
    """Every figure comes from the same pairs; without a whole one there is no ablation."""
    whole, part = truth(), {arm: ns for arm, ns in truth().items() if arm != "all"}
    found = ablation("g", SWITCHES, {1: [whole, part], 2: [part], 3: [whole]})
    assert found is not None
    assert (found.pairs, len(found.total.processes)) == (2, 2)
    assert ablation("g", SWITCHES, {1: [part]}) is None


@given(st.lists(st.lists(st.floats(1e-3, 1e9), min_size=8, max_size=8), min_size=1, max_size=5), st.floats(1e-3, 1e3))
def test_the_unit_of_time_does_not_matter(rows: list[list[float]], factor: float) -> None:
    """Times in another unit give the same gains."""
    names = list(arms(list(SWITCHES)))
    made = [dict(zip(names, row, strict=True)) for row in rows]
    scaled = [{arm: ns * factor for arm, ns in pair.items()} for pair in made]
    one, other = (ablation("g", SWITCHES, {1: times}) for times in (made, scaled))
    assert one is not None
    assert other is not None
    gains = [(s.alone.ratio, s.last.ratio, s.difference.ratio) for s in sorted(one.switches, key=lambda s: s.switch)]
    again = [(s.alone.ratio, s.last.ratio, s.difference.ratio) for s in sorted(other.switches, key=lambda s: s.switch)]
    assert [x for row in gains for x in row] == pytest.approx([x for row in again for x in row], rel=1e-6)
    assert one.total.ratio == pytest.approx(other.total.ratio, rel=1e-6)


@given(st.lists(st.text(), min_size=1, max_size=5, unique=True))
def test_its_arms_are_recognised_by_their_names(switches: list[str]) -> None:
    """All of them together; other arms, and a part of them, are not those of an ablation."""
    every = list(arms(switches))
    assert are_ablated(every)
    assert not are_ablated([*every, "optimised"])
    assert not are_ablated(every[1:])
    assert not are_ablated(["baseline", "proposed", "optimised"])
