"""Arrival schedules and recorded arrivals."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.load import arrivals
from harness.load.arrivals import parse, read_trace

RATES = st.floats(0.5, 5000)
DURATIONS = st.floats(0.001, 5)
SCHEDULES = st.one_of(
    RATES.map(lambda r: f"constant:{r!r}"),
    RATES.map(lambda r: f"poisson:{r!r}"),
    st.tuples(RATES, RATES).map(lambda r: f"ramp:{r[0]!r}..{r[1]!r}"),
    st.lists(RATES, min_size=1, max_size=5).map(lambda r: "steps:" + ",".join(map(repr, r))),
)


@given(SCHEDULES, DURATIONS, st.text())
def test_a_schedule_is_sorted_within_its_duration_and_reproducible(text: str, duration_s: float, seed: str) -> None:
    """Offsets ascend from 0 or later, stay before the end, and are equal for an equal seed."""
    offsets = parse(text).offsets_ns(duration_s, seed)
    assert offsets.dtype == np.int64
    assert (np.diff(offsets) >= 0).all()
    assert ((offsets >= 0) & (offsets < duration_s * 1e9)).all()
    assert np.array_equal(offsets, parse(text).offsets_ns(duration_s, seed))


@given(RATES, DURATIONS)
def test_constant_arrivals_are_evenly_spaced(rate: float, duration_s: float) -> None:
    """Arrival i is due at i / rate, to the nanosecond, and the count is rate times duration."""
    offsets = parse(repr(rate)).offsets_ns(duration_s, "")
    assert offsets[0] == 0
    assert np.abs(offsets - np.arange(len(offsets)) * 1e9 / rate).max() <= 1
    assert abs(len(offsets) - rate * duration_s) <= 1


def test_a_whole_rate_gives_whole_counts() -> None:
    """200 per second for half a second are 100 arrivals, 5 ms apart."""
    assert parse("200").offsets_ns(0.5, "").tolist() == [i * 5_000_000 for i in range(100)]


@given(RATES, RATES, DURATIONS)
def test_a_ramp_reaches_every_whole_number_of_arrivals_on_time(first: float, last: float, duration_s: float) -> None:
    """At arrival i the cumulative rate is i, and the count is the mean rate times the duration."""
    at_s = parse(f"ramp:{first!r}..{last!r}").offsets_ns(duration_s, "") / 1e9
    reached = first * at_s + (last - first) / (2 * duration_s) * at_s**2
    assert np.abs(reached - np.arange(len(at_s))).max() < 1e-3
    assert abs(len(at_s) - (first + last) / 2 * duration_s) <= 1.001


@given(st.lists(RATES, min_size=1, max_size=5), DURATIONS)
def test_steps_have_each_rate_for_an_equal_part(rates: list[float], duration_s: float) -> None:
    """Every part of the time has its rate's arrivals, plus or minus one at each edge."""
    offsets = parse("steps:" + ",".join(map(repr, rates))).offsets_ns(duration_s, "")
    part_s = duration_s / len(rates)
    counts, _ = np.histogram(offsets / 1e9, bins=np.linspace(0, duration_s, len(rates) + 1))
    assert counts == pytest.approx([r * part_s for r in rates], abs=1.001)
    assert abs(len(offsets) - sum(rates) * part_s) <= 1.001


@given(RATES, st.text(), DURATIONS, DURATIONS)
def test_a_longer_poisson_schedule_begins_with_the_shorter_one(rate: float, seed: str, one_s: float, other_s: float) -> None:
    """The duration only determines where the same stream of arrivals ends."""
    schedule = parse(f"poisson:{rate!r}")
    shorter, longer = sorted([one_s, other_s])
    found = schedule.offsets_ns(longer, seed)
    assert np.array_equal(found[found < shorter * 1e9], schedule.offsets_ns(shorter, seed))


def test_poisson_gaps_are_exponential() -> None:
    """Over a long schedule the count is as expected, and a test does not distinguish the gaps from exponential ones."""
    from scipy.stats import kstest  # noqa: PLC0415 - half a second, for this test only

    offsets = parse("poisson:1000").offsets_ns(100, "seed")
    assert abs(len(offsets) - 100_000) < 5 * math.sqrt(100_000)
    assert kstest(np.diff(offsets, prepend=0) / 1e6, "expon").pvalue > 0.001


def test_poisson_schedules_of_different_seeds_differ() -> None:
    """They depend on the seed alone: the figures are the same on every machine."""
    schedule = parse("poisson:100")
    assert not np.array_equal(schedule.offsets_ns(1, "a"), schedule.offsets_ns(1, "b"))
    assert schedule.offsets_ns(0.03, "a").tolist() == FIRST_OF_SEED_A


FIRST_OF_SEED_A = [1_854_557, 10_257_397, 24_290_447]


@given(SCHEDULES, st.floats(0.5, 3))
def test_scaling_multiplies_the_arrivals(text: str, factor: float) -> None:
    """The rate is multiplied, for every kind; random arrivals are the same ones, closer together."""
    schedule, duration_s = parse(text), 1.0
    base = len(schedule.offsets_ns(duration_s, "s"))
    if text.startswith("poisson"):
        assert abs(len(schedule.scaled(factor).offsets_ns(duration_s / factor, "s")) - base) <= 1
    else:
        assert len(schedule.scaled(factor).offsets_ns(duration_s, "s")) == pytest.approx(base * factor, abs=factor + 1)


@pytest.mark.parametrize("duration_s", [-1, math.nan, math.inf])
def test_a_schedule_needs_a_finite_duration(duration_s: float) -> None:
    """A negative or infinite duration is rejected."""
    with pytest.raises(ValueError, match="cannot last"):
        parse("10").offsets_ns(duration_s, "")


def test_a_schedule_of_zero_duration_is_empty() -> None:
    """Every kind of schedule has no arrivals within 0 s."""
    assert [len(parse(t).offsets_ns(0, "")) for t in ("5", "poisson:5", "ramp:1..5", "steps:1,5")] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("200", "200 per second, evenly spaced"),
        (" constant:0.5 ", "0.5 per second, evenly spaced"),
        ("poisson:1e3", "1000 per second, at random times (Poisson)"),
        ("ramp:10..500", "from 10 to 500 per second, linearly"),
        ("steps:50, 100,200", "50, 100, 200 per second, in equal parts of the time"),
    ],
)
def test_every_kind_of_schedule_is_parsed_and_described(text: str, description: str) -> None:
    """Each has a description and no inherent duration."""
    assert parse(text).description == description
    assert parse(text).own_duration_s is None


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "-inf", "1000001", "fast", "", "5 6", "0x10"])
@pytest.mark.parametrize("shape", ["{}", "constant:{}", "poisson:{}", "ramp:{}..5", "ramp:5..{}", "steps:5,{}"])
def test_an_invalid_rate_is_rejected_in_one_line(shape: str, rate: str) -> None:
    """The error names the text and shows the syntax."""
    with pytest.raises(UsageError) as error:
        parse(shape.format(rate))
    assert f"{rate!r} is not a rate" in str(error.value)
    assert "poisson:200" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("burst:5", "unknown kind of arrivals 'burst' in 'burst:5'; use 200"),
        ("ramp:5", "a ramp needs two rates"),
        ("replay:", "name the file"),
        ("steps:", "'' is not a rate"),
    ],
)
def test_an_invalid_schedule_is_rejected_in_one_line(text: str, message: str) -> None:
    """The error names the fault and shows the syntax."""
    with pytest.raises(UsageError, match=message):
        parse(text)


def test_a_schedule_too_large_for_memory_is_rejected() -> None:
    """The error has the number of arrivals."""
    for kind in ("", "poisson:", "steps:1,"):
        with pytest.raises(UsageError, match="arrivals is too large"):
            parse(f"{kind}1000000").offsets_ns(3600, "")


def test_a_replay_is_read_from_a_regular_file(tmp_path: Path) -> None:
    """A pipe might never end, nor a device."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(UsageError, match="is not a regular file"):
            parse(f"replay:{path}")


def test_a_replay_returns_the_recorded_arrivals(tmp_path: Path) -> None:
    """Recorded times are exact to the nanosecond, cut at a shorter duration; the inherent duration includes all of them."""
    file = tmp_path / "peak.txt"
    file.write_text("# a peak\n0\n\n0.25\n0.25\n1.000000001\n")
    schedule = parse(f"replay:{file}")
    assert schedule.own_duration_s is not None
    assert schedule.offsets_ns(schedule.own_duration_s, "any").tolist() == [0, 250_000_000, 250_000_000, 1_000_000_001]
    assert schedule.offsets_ns(1, "any").tolist() == [0, 250_000_000, 250_000_000]
    assert schedule.description == "replay of peak.txt: 4 arrivals in 1 s"
    assert schedule.scaled(2).offsets_ns(9, "any").tolist() == [0, 125_000_000, 125_000_000, 500_000_000]


def test_the_syntax_in_errors_can_be_parsed() -> None:
    """Every example in help and errors, except the file, is a valid schedule."""
    shown = [part.split(" (")[0] for part in arrivals.SYNTAX.replace(" or ", ", ").split(", ")]
    assert len(shown) == 5
    assert [bool(parse(text).description) for text in shown if "FILE" not in text] == [True] * 4


MAX_ARRIVALS = 1000


@given(offsets=st.lists(st.integers(0, 10**15), min_size=1, max_size=50).map(sorted))
def test_a_written_trace_is_read_to_the_nanosecond(tmp_path_factory: pytest.TempPathFactory, offsets: list[int]) -> None:
    """Reading a trace returns exactly the arrivals that were written."""
    file = tmp_path_factory.mktemp("trace") / "trace.csv"
    lines = ["at_s", *(f"{at_ns // 10**9}.{at_ns % 10**9:09d}" for at_ns in offsets)]
    file.write_text("\n".join(lines), encoding="utf-8")
    assert read_trace(file).tolist() == offsets


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
def test_a_text_and_a_csv_are_equivalent(tmp_path: Path, text: str) -> None:
    """Comments, blank lines, spaces, a byte-order mark and Windows line ends are ignored in both."""
    file = tmp_path / "trace"
    file.write_bytes(text.encode())
    assert read_trace(file).tolist() == [500_000_000, 1_500_000_000]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n\n0.5\n", r"trace, line 3: 0.5 s is earlier than the arrival above it"),
        ("1\nsoon\n", r"trace, line 2: 'soon' is not an arrival"),
        ("-0.1\n", r"trace, line 1: '-0.1' is not an arrival"),
        ("nan\n", r"trace, line 1: 'nan' is not an arrival"),
        ("sNaN\n", r"trace, line 1: 'sNaN' is not an arrival"),
        ("0\ninf\n", r"trace, line 2: 'inf' is not an arrival"),
        ("1000001\n", r"trace, line 1: '1000001' is not an arrival.*from 0 to 1000000"),
        ("1 2\n", r"trace, line 1: '1 2' is not an arrival"),
        ("start,end\n1,2\n", r"trace, line 1: a CSV of arrivals needs column at_s; found start, end"),
        ("arm,at_s\nbaseline\n", r"trace, line 2: no value in column at_s"),
        ("at_s\n", r"trace has no arrivals"),
        ("# nothing\n", r"trace has no arrivals"),
        ("", r"trace has no arrivals"),
        ("0\n" * (MAX_ARRIVALS + 1), rf"trace, line {MAX_ARRIVALS + 1}: more than {MAX_ARRIVALS} arrivals"),
        ("at_s," + "x" * 200_000 + "\n1\n", r"trace is not a CSV of arrivals"),
    ],
)
def test_an_invalid_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    """The error names the file, the line and the fault."""
    monkeypatch.setattr(arrivals, "MAX_PLANNED", MAX_ARRIVALS)
    file = tmp_path / "trace"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_trace(file)


def test_an_unreadable_file_is_rejected(tmp_path: Path) -> None:
    """A missing file, a folder and binary data are named with the reason."""
    with pytest.raises(UsageError, match=r"cannot read .*missing: No such file"):
        read_trace(tmp_path / "missing")
    with pytest.raises(UsageError, match=r"cannot read .*: Is a directory"):
        read_trace(tmp_path)
    (tmp_path / "latin").write_bytes(b"# \xe9t\xe9\n1\n")
    with pytest.raises(UsageError, match=r"latin is not UTF-8 text"):
        read_trace(tmp_path / "latin")
