"""Steps of a noisy series: none on noise, by simulation, and the right place where there is one."""

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.level_changes import WINDOW, RunLevel, level_changes, places

Noise = Callable[[random.Random], float]
PAGES = 40
ALLOWED = 0.05
"""The share of pages without any change that may have a step, as the documentation promises."""
RATIO, TIME = (0.05, 1), (0.25, 2)
"""The margin and the runs per side of a ratio and of a time."""


def level(log: float, code: int, error: float | None = 0.01) -> RunLevel:
    """Return a run's figure with an error from five processes."""
    return RunLevel(log, code, error, 4.0)


def series(*logs: float, error: float | None = 0.01) -> list[RunLevel]:
    """Return runs of different code."""
    return [level(log, code, error) for code, log in enumerate(logs)]


def measured(rng: random.Random, number: int, between: float, within: Noise, *, known: bool, lasting: float) -> list[RunLevel]:
    """Return runs of the same code: each has its own bias, which lasts in part, and five processes, of which its error comes."""
    runs, bias = [], 0.0
    for code in range(number):
        bias = lasting * bias + rng.gauss(0, between) * math.sqrt(1 - lasting**2)
        processes = [within(rng) for _ in range(5)]
        mean = sum(processes) / 5
        error = math.sqrt(sum((process - mean) ** 2 for process in processes) / 4 / 5)
        runs.append(RunLevel(bias + mean, code, error if known else None, 4.0))
    return runs


def calm(rng: random.Random) -> float:
    """Return a process's bias."""
    return rng.gauss(0, 0.03)


def wild(rng: random.Random) -> float:
    """Return a process's bias, one in four of them four times as far."""
    return rng.gauss(0, 0.08) * rng.choice([1, 1, 1, 4])


@pytest.mark.parametrize(
    ("number", "between", "within", "known", "lasting", "rule"),
    [
        (2, 0.0, wild, True, 0.0, RATIO),
        (2, 0.03, calm, True, 0.0, RATIO),
        (3, 0.03, calm, True, 0.0, RATIO),
        (5, 0.1, calm, True, 0.0, RATIO),
        (10, 0.05, wild, True, 0.0, RATIO),
        (30, 0.2, wild, True, 0.0, RATIO),
        (4, 0.15, calm, True, 0.0, TIME),
        (8, 0.2, calm, False, 0.0, TIME),
        (30, 0.15, calm, True, 0.7, TIME),
        (30, 0.3, wild, False, 0.0, TIME),
    ],
)
def test_noise_makes_no_steps(
    number: int, between: float, within: Noise, known: bool, lasting: float, rule: tuple[float, int]
) -> None:
    """Of pages with 40 figures without a change, at most 5 of 100 have a step, however the runs of the same code differ."""
    rng = random.Random(number * 7 + int(between * 100))
    wrong = 0
    for _ in range(PAGES):
        page = [measured(rng, number, between, within, known=known, lasting=lasting) for _ in range(40)]
        tests = sum(len(places(runs, rule[1])) for runs in page)
        wrong += any(level_changes(runs, *rule, tests) for runs in page)
    assert wrong <= ALLOWED * PAGES


@given(st.integers(0, 10**6), st.integers(5, 20), st.integers(0, 20), st.sampled_from([-1, 1]))
def test_a_large_change_is_found_where_it_is(seed: int, before: int, after: int, sign: int) -> None:
    """Four times as much, with a noise of 2 %, between any two runs that have five runs on each side."""
    rng = random.Random(seed)
    logs = [rng.gauss(0, 0.02) + (sign * math.log(4) if n >= before else 0) for n in range(before + after + 5)]
    for rule in (RATIO, TIME):
        (change,) = level_changes(series(*logs), *rule, tests=100)
        assert change.place == before
        assert change.change.low is not None
        assert change.change.high is not None
        assert change.change.low < 4.0**sign * 1.2
        assert change.change.high > 4.0**sign / 1.2
        assert (change.change.low > 1) if sign > 0 else (change.change.high < 1)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=12), st.floats(-5, 5))
def test_the_unit_of_a_figure_does_not_matter(logs: list[float], shift: float) -> None:
    """A common factor changes neither the places nor the changes."""
    plain = level_changes(series(*logs), *RATIO, tests=10)
    shifted = level_changes([replace(run, log=run.log + shift) for run in series(*logs)], *RATIO, tests=10)
    assert [change.place for change in plain] == [change.place for change in shifted]
    for one, other in zip(plain, shifted, strict=True):
        assert one.change.value == pytest.approx(other.change.value)


@given(st.lists(st.tuples(st.floats(-3, 3), st.integers(0, 2)), max_size=12))
def test_runs_of_one_code_have_no_step_between_them(runs: list[tuple[float, int]]) -> None:
    """A place of a step has different code on its two sides, and each side has runs."""
    levels = [level(log, code) for log, code in runs]
    for change in level_changes(levels, *RATIO, tests=1):
        assert levels[change.place - 1].code != levels[change.place].code
        assert all(1 <= number <= WINDOW for number in change.runs)


def test_one_run_makes_no_step_of_a_time() -> None:
    """A single slow run, the last one or one in the middle, does not; nor two runs on one side and one on the other."""
    assert level_changes(series(0, 0, 0, 0, 1), *TIME, tests=1) == []
    assert level_changes(series(0, 0, 0, 1, 0, 0, 0), *TIME, tests=1) == []
    assert level_changes(series(0, 1), *TIME, tests=1) == []
    assert [change.place for change in level_changes(series(0, 0, 1, 1), *TIME, tests=1)] == [2]


def test_one_run_on_each_side_is_enough_for_a_ratio() -> None:
    """Where its interval is narrow; the spread between runs, which two runs do not show, is assumed."""
    assert [change.place for change in level_changes(series(0, 0.7), *RATIO, tests=50)] == [1]
    assert level_changes(series(0, 0.1), *RATIO, tests=50) == []
    assert level_changes(series(0, 0.7, error=0.3), *RATIO, tests=50) == []


def test_a_change_within_the_margin_is_no_step() -> None:
    """However precisely it is known."""
    assert level_changes(series(*[0.0] * 9, *[0.04] * 9, error=1e-6), *RATIO, tests=1) == []
    assert level_changes(series(*[0.0] * 9, *[0.2] * 9, error=1e-6), *TIME, tests=1) == []


def test_without_intervals_and_with_few_runs_nothing_is_shown() -> None:
    """Nothing states how far runs of the same code differ."""
    assert level_changes(series(0, 1, error=None), *RATIO, tests=1) == []
    assert [change.place for change in level_changes(series(0, 0, 0, 1, 1, 1, error=None), *RATIO, tests=1)] == [3]


def test_steps_up_and_down_are_both_found() -> None:
    """Each at its own place, also a lasting change back."""
    logs = [0.01 * (n % 2) + (1.0 if 5 <= n < 10 else 0.0) for n in range(15)]
    assert [change.place for change in level_changes(series(*logs), *TIME, tests=50)] == [5, 10]


def test_more_tests_need_more_evidence() -> None:
    """The interval of a change is corrected for all places that are tested together."""
    few, many = (level_changes(series(0, 0, 0.5, 0.5), *RATIO, tests=tests)[0].change for tests in (1, 1000))
    assert many.low is not None
    assert few.low is not None
    assert many.low < few.low


def test_an_empty_series_has_no_steps() -> None:
    """Nor has one run."""
    assert level_changes([], *RATIO, tests=1) == []
    assert level_changes(series(1.0), *RATIO, tests=1) == []
