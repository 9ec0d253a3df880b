"""Files of other tools as tables, in a terminal and as Markdown: the most pressing first, and a reason for every dash."""

from dataclasses import replace

import pytest

from harness.gate.result_files import side_by_side
from harness.importers import own_run
from harness.importers.reading import Reading, Timing, raw_timing
from harness.report import markdown
from harness.report.comparison import blocks, counts, front, table, tails, tally
from harness.report.numbers import DASH
from harness.results.run import FileMetric, OperationCounts, Run
from tests.harness.report.printing import printed


def compared(before: dict[str, float], after: dict[str, float]) -> Run:
    """Return a comparison of two files with thirty values around each time, in milliseconds."""
    old, new = (
        Reading(
            name, "tool", "a file", tuple(raw_timing(k, [v * 1e6 * (1 + i / 1e4) for i in range(30)]) for k, v in times.items())
        )
        for name, times in (("old", before), ("new", after))
    )
    return side_by_side(old, new).run


def test_regressions_come_first_and_then_the_largest_changes() -> None:
    """Whatever the order in the files."""
    run = compared({"a": 1, "b": 1, "c": 1, "d": 1}, {"a": 0.5, "b": 1.1, "c": 2, "d": 5})
    rows = table(run).rows
    assert [(row[0].text, row[1].status and row[1].status.label) for row in rows] == [
        ("d", "✗ regressed"),
        ("c", "✗ regressed"),
        ("a", "▲ improved"),
        ("b", "? inconclusive"),
    ]
    assert list(tally(run).items()) == [("regressed", 2), ("improved", 1), ("inconclusive", 1)]
    assert counts(run) == "✗ 2 regressed, ▲ 1 improved, ? 1 inconclusive"


def test_medians_stand_with_their_ratio_however_few_values_they_rest_on() -> None:
    """A median of three is shown, and that nothing follows from it."""
    few = raw_timing("x", [1e6, 2e6, 3e6])
    other = raw_timing("x", [1e6, 2e6, 4e6])
    row = table(side_by_side(Reading("a", "t", "f", (few,)), Reading("b", "t", "f", (other,))).run).rows[0]
    assert [cell.full for cell in row[2:]] == ["2.00 ms", "2.00 ms", "1.00× (no interval)", "3"]
    assert "is not enough" in row[1].note


def test_a_dash_has_its_reason() -> None:
    """A median of nothing has no ratio, aggregates have no interval, and a missing sample count is a dash."""
    nothing, unknown = Timing("x", None, 0.0, 0.0, 0.0, 1e6), Timing("x", None, 1e6, 1e6, 0.0, 1e6)
    row = table(side_by_side(Reading("a", "t", "f", (nothing,)), Reading("b", "t", "f", (unknown,))).run).rows[0]
    dashes = [cell for cell in row if cell.text == DASH]
    assert len(dashes) == 2, "the ratio and the number of values"
    assert all(cell.note for cell in dashes)
    assert (row[4].detail, bool(row[4].note)) == ("(a median is 0)", True)


def test_percentiles_beyond_the_median_are_shown_where_a_file_has_them() -> None:
    """And the table is left out where none has."""
    assert tails(compared({"a": 1}, {"a": 2})) is None
    many = [1e6 + i for i in range(2_000)]
    run = side_by_side(Reading("a", "t", "f", (raw_timing("x", many),)), Reading("b", "t", "f", (raw_timing("x", many),))).run
    found = tails(run)
    assert found is not None
    assert found.head == ("benchmark", "p50", "p90", "p95", "p99", "p99.9", "mean")
    assert "→" in found.rows[0][4].text
    assert found.rows[0][5].text == DASH


@pytest.mark.parametrize("samples", [None, 50])
def test_one_file_is_a_row_a_benchmark(samples: int | None) -> None:
    """Its median, its tail, its mean and how many values there were."""
    timing = replace(raw_timing("x", [1e6] * 50), samples=samples)
    found = table(own_run.of_file(Reading("a.json", "t", "f", (timing,))))
    assert [cell.text for cell in found.rows[0]][:3] == ["x", "p90 1.00 ms", "1.00 ms"]
    assert found.rows[0][-1].text == (DASH if samples is None else "50")


HOSTILE = "test_x[<b>|`tick`*a*_b_] [red]"


def reading(name: str, factor: float) -> Reading:
    """Return a file of two benchmarks, one of which has a name that means something everywhere."""
    values = [factor * 1e6 * (1 + i / 1e4) for i in range(30)]
    return Reading(name, "tool", "a file", (raw_timing(HOSTILE, values), raw_timing("plain", values)), digest=name)


RUNS = [side_by_side(reading("old.json", 2), reading("new.json", 1)).run, own_run.of_file(reading("one.json", 1))]


@pytest.mark.parametrize("run", RUNS, ids=["two files", "one file"])
@pytest.mark.parametrize("width", [80, 140])
def test_nothing_is_cut_off_in_a_terminal(run: Run, width: int) -> None:
    """Every name and figure is there, and no line is longer than the terminal."""
    text = printed(blocks(run), width)
    assert max(map(len, text.splitlines())) <= width
    squeezed = "".join(text.split())
    assert "plain" in squeezed
    assert "1.00ms" in squeezed
    assert "[red]" in squeezed


def test_the_terminal_has_verdict_interval_and_warning() -> None:
    """It shows the comparison, and why it is weak."""
    text = " ".join(printed(blocks(RUNS[0]), 100).split())
    assert "▲ improved" in text
    assert "2.00×" in text
    assert "unpaired" in text


@pytest.mark.parametrize("run", RUNS, ids=["two files", "one file"])
def test_markdown_shows_names_as_they_are(run: Run) -> None:
    """A vertical bar does not end a cell, and HTML is text."""
    text = markdown.write(blocks(run))
    assert "<b>" not in text
    rows = [line for line in text.splitlines() if line.startswith("| test")]
    assert rows
    for part in text.split("\n\n"):
        table_lines = [line.replace("\\|", "").count("|") for line in part.splitlines() if line.startswith("|")]
        assert len(set(table_lines)) <= 1
    assert text.endswith("\n")


def test_failures_throughput_the_highest_percentile_and_the_maximum_are_always_shown() -> None:
    """Of one file and of two, in a terminal of 80 columns; one that failed entirely has a row without times."""
    timing = Timing("GET /a", 400, 2e6, 2e6, 1e6, 9e6, {"50": 2e6, "90": 3e6, "95": 4e6, "99": None})
    ok, failed = OperationCounts("", "GET /a", 400, 2, 66.0), OperationCounts("", "GET /a", 400, 400, 66.0)
    before = Reading("a.csv", "Locust", "a file", (timing,), operations=(ok,))
    after = replace(before, file="b.csv", timings=(), operations=(failed,))
    one = " ".join(printed(blocks(own_run.of_file(before)), 80).split())
    assert "GET /a 0.5 % 66.0 p95 4.00 ms 2.00 ms 9.00 ms" in one
    two = " ".join(printed(blocks(side_by_side(before, after).run), 80).split())
    assert "✗ regressed 2.00 ms –" in two
    assert "0.5 % → 100 % 66.0 → 66.0 p95 4.00 ms → – 9.00 ms → –" in two
    assert "GET /a regressed by failures: all 400 operations failed (0.5 % → 100 %)" in two


def test_other_figures_are_shown_in_their_unit() -> None:
    """A size is not a time, and a plain number has no unit."""
    sizes = FileMetric("", "heap", "bytes", 40, 2048.0, 2000.0, 1.0, 4096.0, {"95": 4000.0}, less_is_better=True)
    plain = FileMetric("", "score", "", None, 5.0, None, None, None)
    file = Reading("a.json", "pyperf", "a file", (raw_timing("x", [1e6] * 50),), metrics=(sizes, plain))
    text = " ".join(printed(blocks(own_run.of_file(file)), 100).split())
    assert "heap bytes 2,048 2,000 4,096 p95 4,000" in text
    assert "score – 5 – – –" in text


def test_a_figure_that_is_not_a_time_has_a_row_with_its_verdict() -> None:
    """A heap that grew is named as regressed in every table and format, and counted as are the times."""
    before, after = (
        Reading(
            file,
            "pyperf",
            "a file",
            (raw_timing("x", [1e6] * 50),),
            metrics=(FileMetric("", "heap", "bytes", 9, size, size, size, size, {}, less_is_better=True),),
        )
        for file, size in (("a", 2048.0), ("b", 9000.0))
    )
    run = side_by_side(before, after).run
    assert [(row[0].text, row[1].status and row[1].status.name) for row in front(run).rows] == [
        ("heap", "regressed"),
        ("x", "equal"),
    ]
    assert [cell.text for cell in table(run).rows[0]][2:5] == [DASH, DASH, DASH]
    said = "regressed in bytes: 2,048 → 9,000"
    assert said in " ".join(printed(blocks(run), 80).split())
    assert said in markdown.write(blocks(run))
    assert counts(run) == "✗ 1 regressed, = 1 equal"


def test_a_tail_that_regressed_is_named_in_every_format() -> None:
    """The verdict names the figure and its times, next to the median's."""
    ends = {"p95": (35e6, 2.4e9)}
    sides = [Timing("q", 40_000, m, m, 1e6, 3e10, {"50": m, "95": p}) for m, p in zip((20e6, 14e6), ends["p95"], strict=True)]
    before, after = (Reading(name, "k6", "a file", (side,)) for name, side in zip("ab", sides, strict=True))
    run = side_by_side(before, after).run
    said = "regressed at p95: 35 ms → 2.4 s (median 1.43× faster)"
    assert said in " ".join(printed(blocks(run), 80).split())
    assert said in markdown.write(blocks(run))


def test_long_names_are_shortened_in_the_middle_for_display_only() -> None:
    """Both ends are shown, the page has the whole name, and the reason stands behind it."""
    names = [f"GET /{'x' * 300}{end}" for end in "ab"]
    before, after = (
        Reading(file, "Locust", "a file", tuple(Timing(name, 900, ns, ns, 0.0, ns) for name in names))
        for file, ns in (("a", 1e6), ("b", 9e6))
    )
    run = side_by_side(before, after).run
    cell = table(run).rows[1][0]
    assert (cell.text.startswith("GET /xxx"), cell.text.endswith("xxxb"), len(cell.text), cell.note) == (True, True, 40, names[1])
    text = " ".join(printed(blocks(run), 80).split())
    assert "xxxa regressed at the median: 1 ms → 9 ms" in text
    assert max(map(len, text.split())) < 80
