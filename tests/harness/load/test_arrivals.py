"""Arrival schedules and recorded arrivals."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.load import arrivals
from harness.load.arrivals import parse, read_trace, write_trace

RATES = st.floats(0.5, 5000)
DURATIONS = st.floats(0.001, 5)
PLANS = st.one_of(
    RATES.map(lambda r: f"constant:{r!r}"),
    RATES.map(lambda r: f"poisson:{r!r}"),
    st.tuples(RATES, RATES).map(lambda r: f"ramp:{r[0]!r}..{r[1]!r}"),
    st.lists(RATES, min_size=1, max_size=5).map(lambda r: "steps:" + ",".join(map(repr, r))),
)


@given(PLANS, DURATIONS, st.text())
def test_a_plan_is_sorted_inside_its_duration_and_the_same_for_the_same_seed(text: str, duration_s: float, seed: str) -> None:
    """Offsets ascend from 0 or later, stay before the end, and are drawn alike a second time."""
    offsets = parse(text).offsets_ns(duration_s, seed)
    assert offsets.dtype == np.int64
    assert (np.diff(offsets) >= 0).all()
    assert ((offsets >= 0) & (offsets < duration_s * 1e9)).all()
    assert np.array_equal(offsets, parse(text).offsets_ns(duration_s, seed))


@given(RATES, DURATIONS)
def test_constant_arrivals_come_every_so_often(rate: float, duration_s: float) -> None:
    """The first comes at once, number i at i / rate, to the nanosecond, and the count is rate times duration."""
    offsets = parse(repr(rate)).offsets_ns(duration_s, "")
    assert offsets[0] == 0
    assert np.abs(offsets - np.arange(len(offsets)) * 1e9 / rate).max() <= 1
    assert abs(len(offsets) - rate * duration_s) <= 1


def test_a_whole_rate_gives_whole_counts() -> None:
    """200 a second for half a second are 100 arrivals, 5 ms apart."""
    assert parse("200").offsets_ns(0.5, "").tolist() == [i * 5_000_000 for i in range(100)]


@given(RATES, RATES, DURATIONS)
def test_a_ramp_reaches_every_whole_number_of_arrivals_on_time(first: float, last: float, duration_s: float) -> None:
    """At the moment of arrival i the cumulative rate is i, and in all there are the mean rate times the duration."""
    at_s = parse(f"ramp:{first!r}..{last!r}").offsets_ns(duration_s, "") / 1e9
    reached = first * at_s + (last - first) / (2 * duration_s) * at_s**2
    assert np.abs(reached - np.arange(len(at_s))).max() < 1e-3
    assert abs(len(at_s) - (first + last) / 2 * duration_s) <= 1.001


@given(st.lists(RATES, min_size=1, max_size=5), DURATIONS)
def test_steps_hold_each_rate_for_an_equal_part(rates: list[float], duration_s: float) -> None:
    """Every part of the time has its own rate's arrivals, give or take the one at each edge."""
    offsets = parse("steps:" + ",".join(map(repr, rates))).offsets_ns(duration_s, "")
    part_s = duration_s / len(rates)
    counts, _ = np.histogram(offsets / 1e9, bins=np.linspace(0, duration_s, len(rates) + 1))
    assert counts == pytest.approx([r * part_s for r in rates], abs=1.001)
    assert abs(len(offsets) - sum(rates) * part_s) <= 1.001


@given(RATES, st.text(), DURATIONS, DURATIONS)
def test_a_longer_poisson_plan_begins_as_a_shorter_one(rate: float, seed: str, one_s: float, other_s: float) -> None:
    """The duration only says where the same stream of arrivals is cut."""
    plan = parse(f"poisson:{rate!r}")
    shorter, longer = sorted([one_s, other_s])
    found = plan.offsets_ns(longer, seed)
    assert np.array_equal(found[found < shorter * 1e9], plan.offsets_ns(shorter, seed))


def test_poisson_gaps_are_exponential() -> None:
    """Over a long plan the count is as expected, and the gaps are told from exponential ones by no test."""
    from scipy.stats import kstest  # noqa: PLC0415 - half a second, for this test only

    offsets = parse("poisson:1000").offsets_ns(100, "seed")
    assert abs(len(offsets) - 100_000) < 5 * math.sqrt(100_000)
    assert kstest(np.diff(offsets, prepend=0) / 1e6, "expon").pvalue > 0.001


def test_poisson_plans_of_different_seeds_differ() -> None:
    """The seed decides, and it alone: the figures are those of every machine."""
    plan = parse("poisson:100")
    assert not np.array_equal(plan.offsets_ns(1, "a"), plan.offsets_ns(1, "b"))
    assert plan.offsets_ns(0.03, "a").tolist() == FIRST_OF_SEED_A


FIRST_OF_SEED_A = [1_854_557, 10_257_397, 24_290_447]


@given(PLANS, DURATIONS, st.integers(1, 7))
def test_shares_of_the_workers_partition_the_plan(text: str, duration_s: float, workers: int) -> None:
    """Arrival i belongs to worker i mod N, so that N workers offer every arrival once."""
    plan = parse(text)
    whole = plan.offsets_ns(duration_s, "s")
    for worker in range(workers):
        assert np.array_equal(plan.share(worker, workers).offsets_ns(duration_s, "s"), whole[worker::workers])


def test_a_share_of_a_share_is_one_of_their_product() -> None:
    """A worker with two processes divides its own part on."""
    plan = parse("poisson:500")
    assert np.array_equal(plan.share(1, 2).share(2, 3).offsets_ns(2, "s"), plan.share(5, 6).offsets_ns(2, "s"))


@pytest.mark.parametrize(("worker", "workers"), [(2, 2), (-1, 2), (0, 0), (1, 1)])
def test_there_is_no_share_for_a_worker_that_is_not_there(worker: int, workers: int) -> None:
    """Worker numbers go from 0 to one below their count."""
    with pytest.raises(ValueError, match="no worker"):
        parse("10").share(worker, workers)


@given(PLANS, st.floats(0.5, 3))
def test_a_scaled_plan_has_so_many_times_the_arrivals(text: str, factor: float) -> None:
    """The rate is multiplied, whatever the kind; of chance arrivals the same ones come, closer together."""
    plan, duration_s = parse(text), 1.0
    base = len(plan.offsets_ns(duration_s, "s"))
    if text.startswith("poisson"):
        assert abs(len(plan.scaled(factor).offsets_ns(duration_s / factor, "s")) - base) <= 1
    else:
        assert len(plan.scaled(factor).offsets_ns(duration_s, "s")) == pytest.approx(base * factor, abs=factor + 1)


@pytest.mark.parametrize("duration_s", [-1, math.nan, math.inf])
def test_a_plan_needs_a_duration(duration_s: float) -> None:
    """A plan lasts a finite time."""
    with pytest.raises(ValueError, match="cannot last"):
        parse("10").offsets_ns(duration_s, "")


def test_a_plan_of_no_time_is_empty() -> None:
    """In no time nothing arrives."""
    assert [len(parse(t).offsets_ns(0, "")) for t in ("5", "poisson:5", "ramp:1..5", "steps:1,5")] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("200", "200 a second, evenly spaced"),
        (" constant:0.5 ", "0.5 a second, evenly spaced"),
        ("poisson:1e3", "1000 a second, at random moments (Poisson)"),
        ("ramp:10..500", "from 10 to 500 a second, linearly"),
        ("steps:50, 100,200", "50, 100, 200 a second, in equal parts of the time"),
    ],
)
def test_a_plan_says_what_it_is(text: str, words: str) -> None:
    """Every kind of text is understood and described, and lasts as long as asked."""
    assert parse(text).description == words
    assert parse(text).own_duration_s is None
    assert parse(text).share(0, 4).description == f"part 1 of 4 of: {words}"


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "-inf", "1000001", "fast", "", "5 6", "0x10"])
@pytest.mark.parametrize("shape", ["{}", "constant:{}", "poisson:{}", "ramp:{}..5", "ramp:5..{}", "steps:5,{}"])
def test_a_bad_rate_is_one_clear_line(shape: str, rate: str) -> None:
    """What is no rate is named, with what may be written."""
    with pytest.raises(UsageError) as error:
        parse(shape.format(rate))
    assert f"{rate!r} is no rate" in str(error.value)
    assert "poisson:200" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("burst:5", "there is no kind 'burst'"),
        ("ramp:5", "a ramp has two rates"),
        ("replay:", "name the file"),
        ("steps:", "'' is no rate"),
    ],
)
def test_a_text_that_is_no_plan_is_one_clear_line(text: str, says: str) -> None:
    """The line names what is wrong and shows how it is written."""
    with pytest.raises(UsageError, match=says):
        parse(text)


def test_a_plan_too_large_for_memory_is_refused() -> None:
    """The line says how many arrivals were asked for."""
    for kind in ("", "poisson:", "steps:1,"):
        with pytest.raises(UsageError, match="arrivals is too large"):
            parse(f"{kind}1000000").offsets_ns(3600, "")


def test_a_replay_gives_what_was_recorded(tmp_path: Path) -> None:
    """Recorded moments come back to the nanosecond, cut where a shorter time is asked for; its own length holds them all."""
    file = tmp_path / "peak.txt"
    file.write_text("# a peak\n0\n\n0.25\n0.25\n1.000000001\n")
    plan = parse(f"replay:{file}")
    assert plan.own_duration_s is not None
    assert plan.offsets_ns(plan.own_duration_s, "any").tolist() == [0, 250_000_000, 250_000_000, 1_000_000_001]
    assert plan.offsets_ns(1, "any").tolist() == [0, 250_000_000, 250_000_000]
    assert plan.description == "replay of peak.txt: 4 arrivals in 1 s"
    assert plan.share(1, 2).offsets_ns(9, "any").tolist() == [250_000_000, 1_000_000_001]
    assert plan.share(1, 2).own_duration_s == plan.own_duration_s
    assert plan.scaled(2).offsets_ns(9, "any").tolist() == [0, 125_000_000, 125_000_000, 500_000_000]


def test_the_syntax_shown_in_errors_is_understood() -> None:
    """Every example that help and errors show, but for the file, is a plan."""
    shown = [part.split(" (")[0] for part in arrivals.SYNTAX.replace(" or ", ", ").split(", ")]
    assert len(shown) == 5
    assert [bool(parse(text).description) for text in shown if "FILE" not in text] == [True] * 4


MOST = 1000


@given(offsets=st.lists(st.integers(0, 10**15), min_size=1, max_size=50).map(sorted))
def test_what_was_written_is_read_to_the_nanosecond(tmp_path_factory: pytest.TempPathFactory, offsets: list[int]) -> None:
    """A run's own trace replays exactly."""
    file = tmp_path_factory.mktemp("trace") / "trace.csv"
    write_trace(file, np.array(offsets, dtype=np.int64))
    assert read_trace(file, MOST).tolist() == offsets


@pytest.mark.parametrize(
    "text",
    [
        "0.5\n1.5\n",
        "# recorded on a Monday\n\n  0.5  \n\n1.5",
        "at_s\n0.5\n1.5\n",
        'arm,"at_s",group\nbaseline,0.5,"read, one"\n# half way\nbaseline, 1.5 ,write\n',
        "\ufeffat_s\r\n0.5\r\n1.5\r\n",
    ],
)
def test_a_text_and_a_csv_say_the_same(tmp_path: Path, text: str) -> None:
    """One a line or a column among others; comments, blank lines, spaces, a byte-order mark and Windows' line ends mean nothing."""
    file = tmp_path / "trace"
    file.write_bytes(text.encode())
    assert read_trace(file, MOST).tolist() == [500_000_000, 1_500_000_000]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1\n\n0.5\n", r"trace, line 3: 0.5 s is before the arrival above it"),
        ("1\nsoon\n", r"trace, line 2: 'soon' is no arrival"),
        ("-0.1\n", r"trace, line 1: '-0.1' is no arrival"),
        ("nan\n", r"trace, line 1: 'nan' is no arrival"),
        ("sNaN\n", r"trace, line 1: 'sNaN' is no arrival"),
        ("0\ninf\n", r"trace, line 2: 'inf' is no arrival"),
        ("1000001\n", r"trace, line 1: '1000001' is no arrival.*from 0 to 1000000"),
        ("1 2\n", r"trace, line 1: '1 2' is no arrival"),
        ("start,end\n1,2\n", r"trace, line 1: a CSV of arrivals has a column at_s; here are start, end"),
        ("arm,at_s\nbaseline\n", r"trace, line 2: nothing in column at_s"),
        ("at_s\n", r"trace has no arrivals"),
        ("# nothing\n", r"trace has no arrivals"),
        ("", r"trace has no arrivals"),
        ("0\n" * (MOST + 1), rf"trace, line {MOST + 1}: more than {MOST} arrivals"),
        ("at_s," + "x" * 200_000 + "\n1\n", r"trace is no CSV of arrivals"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, says: str) -> None:
    """The line says which file and which line, and what is wrong with it."""
    file = tmp_path / "trace"
    file.write_text(text)
    with pytest.raises(UsageError, match=says):
        read_trace(file, MOST)


def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    """Missing, a folder, or no text: each is named."""
    with pytest.raises(UsageError, match=r"missing cannot be read: No such file"):
        read_trace(tmp_path / "missing", MOST)
    with pytest.raises(UsageError, match=r"cannot be read: Is a directory"):
        read_trace(tmp_path, MOST)
    (tmp_path / "latin").write_bytes(b"# \xe9t\xe9\n1\n")
    with pytest.raises(UsageError, match=r"latin is no UTF-8 text"):
        read_trace(tmp_path / "latin", MOST)
