"""The verdict on a benchmark as its process pairs come, from simulated ones."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate.against.verdicts import FIRST_ROUND, MARGIN, BenchmarkEvidence, PairedTime
from harness.results.gate import GateVerdict
from harness.stats import process_pairs
from harness.stats.slice_pairs import MEAN, MEDIAN, TAILS, ProcessPairLogs, SlicePair, process_pair_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MOST = 100
"""The most process pairs that a simulated gate takes."""


def pair(**logs: float) -> ProcessPairLogs:
    """Return a process pair with these logs."""
    return ProcessPairLogs(logs, 1000)


def constant(log: float) -> Iterator[ProcessPairLogs]:
    """Yield process pairs that all show the same."""
    while True:
        yield pair(median=log, mean=log)


def noisy(seed: str, slower: float, sd: float = 0.01, **tails: float) -> Iterator[ProcessPairLogs]:
    """Yield process pairs of a benchmark that is slower by a share, and in its `tails` by others."""
    coin = random.Random(seed)
    shares = {MEDIAN: slower, MEAN: slower, **tails}
    while True:
        yield pair(**{label: math.log1p(share) + coin.gauss(0, sd) for label, share in shares.items()})


def decided(pairs: Iterator[ProcessPairLogs], tests: int = 1, most: int = MOST) -> BenchmarkEvidence:
    """Return the evidence once it has decided, or after `most` process pairs."""
    found = BenchmarkEvidence("b", tests)
    while found.decided is None and len(found.pairs) < most:
        found.add(next(pairs))
    return found


@pytest.mark.parametrize(
    ("slower", "verdict"), [(0.1, GateVerdict.REGRESSED), (-0.1, GateVerdict.IMPROVED), (0.0, GateVerdict.EQUIVALENT)]
)
@pytest.mark.parametrize("tests", [1, 64])
def test_each_verdict_is_reached(slower: float, verdict: GateVerdict, tests: int) -> None:
    """A benchmark that is slower twice regressed, a faster one improved, and an equal one is equivalent."""
    assert decided(noisy(f"a{slower}", slower), tests).verdict().verdict == verdict


def test_more_benchmarks_need_more_process_pairs() -> None:
    """The fewest that show an equivalent benchmark are 9 alone and 16 among 64."""
    numbers = [len(decided(constant(0.0), tests).pairs) for tests in (1, 3, 64)]
    assert numbers == [9, 11, 16]


def test_nothing_is_decided_in_the_first_round() -> None:
    """However clear it is."""
    assert decided(constant(2.0), most=FIRST_ROUND - 1).second_from == {}
    assert decided(constant(2.0), most=FIRST_ROUND).second_from == {MEDIAN: FIRST_ROUND, MEAN: FIRST_ROUND}


def test_a_regression_has_a_second_set_that_alone_is_shown() -> None:
    """The ratio is that of the process pairs that decided, not of those that selected it; its interval excludes equality."""
    found = BenchmarkEvidence("b", 1)
    for log in [math.log(1.2)] * FIRST_ROUND + [math.log(1.1)] * 20:
        found.add(pair(median=log, mean=log))
    time = found.verdict()
    assert time.verdict == GateVerdict.REGRESSED
    assert time.ratio == pytest.approx(1.1)
    assert time.low is not None
    assert time.low > 1
    assert time.reason == "slower in 5 process pairs, and again in 9 fresh ones"


def test_a_slowdown_that_does_not_recur_does_not_fail() -> None:
    """Slower in the first set by chance: the process pairs from then on, and all together, show that it is equivalent."""
    found = BenchmarkEvidence("b", 1)
    for log in [0.1, 0.1, 0.1, 0.1, 0.1, *[0.001, -0.001] * 20]:
        found.add(pair(median=log, mean=log))
    assert MEDIAN in found.second_from
    assert found.verdict().verdict == GateVerdict.EQUIVALENT


def test_a_slowdown_near_the_margin_is_found() -> None:
    """A slowdown known to be a little below the margin is a regression, not equivalent."""
    assert decided(noisy("near", 0.027, sd=0.001)).verdict().verdict == GateVerdict.REGRESSED


@pytest.mark.parametrize("number", [0, 3, 12])
def test_what_the_budget_left_undecided_is_inconclusive(number: int) -> None:
    """The row states the reason, what was detectable if there is an interval, and the time that is needed."""
    found = decided(noisy("c", 0.0, sd=0.08), most=number)
    row = found.verdict("the budget of 5 min is spent", 2.0).row(MARGIN, "a", "sqlite")
    assert row.verdict == GateVerdict.INCONCLUSIVE
    assert "the budget of 5 min is spent" in row.reason
    assert (row.detectable is not None) == (number == 12)
    assert (row.change is None) == (number == 0)
    assert bool(number) == ("a decision needs about " in row.reason)


def test_a_suspicion_that_is_open_is_named() -> None:
    """The reason has the numbers of process pairs of both sets."""
    found = decided(constant(0.05), most=8)
    assert found.verdict("interrupted").reason == ("slower in 5 process pairs, but not confirmed by 3 fresh ones; interrupted")


@pytest.mark.parametrize("label", [MEAN, "p90", "p95", "p99"])
def test_a_slower_tail_is_a_regression_and_is_named(label: str) -> None:
    """It regressed although its median improved; the row has the statistic, with the median in the reason."""
    tails = dict.fromkeys(TAILS, 0.0) | {MEAN: 0.0, label: 59.0}
    time = decided(noisy("t", -0.3, **tails)).verdict()
    assert (time.verdict, time.metric) == (GateVerdict.REGRESSED, label)
    assert time.ratio == pytest.approx(60, rel=0.02)
    assert time.reason.startswith(f"regressed at {label}: slower in 5 process pairs, and again in ")
    assert "(median 1.4" in time.reason
    assert time.row(MARGIN, "s", "sqlite", group="g").label == f"g · {label}"


def test_a_tail_has_a_wider_margin_and_needs_its_second_set() -> None:
    """A tail that is a little slower, or slower in the first set alone, changes nothing."""
    assert decided(noisy("u", 0.0, sd=0.001, p99=0.04)).verdict().verdict == GateVerdict.EQUIVALENT
    found = BenchmarkEvidence("b", 1)
    for number in range(60):
        found.add(pair(median=0.0, mean=0.0, p99=0.5 if number < FIRST_ROUND else 0.0))
    assert "p99" in found.second_from
    assert found.verdict().verdict == GateVerdict.EQUIVALENT


def test_a_tail_that_never_settles_keeps_no_benchmark_for_ever() -> None:
    """A second set that neither confirms nor refutes it ends at a limit."""
    coin = random.Random(3)
    found = BenchmarkEvidence("b", 1)
    while found.decided is None:
        tail = 0.5 if len(found.pairs) < FIRST_ROUND else coin.choice((0.4, -0.3))
        found.add(pair(median=0.0, mean=0.0, p99=tail))
        assert len(found.pairs) <= FIRST_ROUND + process_pairs.limit(1 + len(TAILS))
    assert found.decided.verdict == GateVerdict.EQUIVALENT


def test_a_tail_that_no_process_pair_supports_is_not_tested() -> None:
    """Percentiles need enough operations in each process pair."""
    pairs = (replace(one, operations=367) for one in noisy("w", 0.0, p99=59.0))
    assert decided(pairs).verdict().verdict == GateVerdict.EQUIVALENT


@pytest.mark.parametrize("tail", [1.5, 3.0])
def test_the_same_code_has_no_slower_tail(tail: float) -> None:
    """Of 60 gates on the same code with heavy tails (Pareto), a bias per process and a hiccup here and there, none regressed."""
    draw = np.random.default_rng(round(tail * 10))

    def process_pairs_() -> Iterator[ProcessPairLogs]:
        while True:
            sides = []
            for _ in range(2):
                times = 1e6 * np.exp(draw.normal(0, 0.02)) * (1 + 0.1 * draw.pareto(tail, 1000))
                times[draw.random(1000) < 0.002] += 2e7
                sides.append(times.astype(np.int64).tolist())
            yield process_pair_logs([SlicePair(1000, *sides)])

    verdicts = {decided(process_pairs_(), most=30).verdict().verdict for _ in range(60)}
    assert GateVerdict.REGRESSED not in verdicts


NOISES: dict[str, Callable[[random.Random], float]] = {
    "normal, sd 1.2 %": lambda coin: coin.gauss(0, 0.012),
    "normal, sd 4 %": lambda coin: coin.gauss(0, 0.04),
    "heavy tails": lambda coin: 0.01 * (coin.paretovariate(1.5) - 1) * coin.choice((-1, 1)),
    "one process in ten 20 % off": lambda coin: coin.gauss(0, 0.01) + (0.2 * coin.choice((-1, 1)) if coin.random() < 0.1 else 0),
}


def with_noise(noise: str, slower: float, coin: random.Random) -> Iterator[ProcessPairLogs]:
    """Yield process pairs of a benchmark that is slower by a share."""
    while True:
        log = math.log1p(slower) + NOISES[noise](coin)
        yield pair(median=log, mean=log)


def counted(noise: str, slower: float, tests: int, gates: int) -> dict[GateVerdict, int]:
    """Return the verdicts of that number of simulated gates, each ended by what it saw."""
    coin = random.Random(f"{noise}{slower}{tests}")
    found = [decided(with_noise(noise, slower, coin), tests).verdict().verdict for _ in range(gates)]
    return {verdict: found.count(verdict) for verdict in set(found)}


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("tests", [1, 64])
def test_stopping_early_raises_no_false_alarms(noise: str, tests: int) -> None:
    """Of 100 gates of the same code that end as soon as anything shows, at most one fails, and at most three improve."""
    found = counted(noise, 0.0, tests, 100)
    assert found.get(GateVerdict.REGRESSED, 0) <= 1
    assert found.get(GateVerdict.IMPROVED, 0) <= 3


@pytest.mark.parametrize("noise", ["normal, sd 1.2 %", "heavy tails"])
@pytest.mark.parametrize("tests", [1, 64])
def test_slowdowns_are_found(noise: str, tests: int) -> None:
    """Of 100 gates, 3 % slower fails at least 99 of 100, and 5 % slower all."""
    assert counted(noise, 0.03, tests, 100).get(GateVerdict.REGRESSED, 0) >= 99
    assert counted(noise, 0.05, tests, 100) == {GateVerdict.REGRESSED: 100}


def test_many_benchmarks_are_corrected_for() -> None:
    """Of 150 equal benchmarks with much noise, none improved or regressed by chance."""
    verdicts = [decided(noisy(f"e{number}", 0.0, sd=0.05), 150, most=30).verdict().verdict for number in range(150)]
    assert not {GateVerdict.REGRESSED, GateVerdict.IMPROVED} & set(verdicts)


@given(st.lists(st.floats(-0.2, 0.2), max_size=40), st.integers(1, 100))
def test_a_decision_does_not_change(logs: Sequence[float], tests: int) -> None:
    """More process pairs after it are left out, and the need is 0 with it and at least 1 without."""
    found = BenchmarkEvidence("b", tests)
    first: PairedTime | None = None
    for log in logs:
        found.add(pair(median=log, mean=log))
        first = first or found.decided
        assert found.decided is first
        assert (found.process_pairs_needed == 0) == (first is not None)


def test_an_inconclusive_time_states_what_was_detectable() -> None:
    """Its row has the smallest detectable slowdown, and its reason the seconds that a decision needs; a decided one's has not."""
    time = PairedTime("a", GateVerdict.INCONCLUSIVE, "noise", 1.0, 0.99, 1.01, 0.08, 106.5)
    row = time.row(0.03, "a", "sqlite")
    assert (row.detectable, row.reason) == (0.08, "noise; a decision needs about 106 s more")
    assert replace(time, verdict=GateVerdict.EQUIVALENT).row(0.03, "a", "sqlite").reason == "noise"
