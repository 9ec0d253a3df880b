"""Files that were read wrongly once, shaped like real ones of public repositories: each has the right outcome."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness import importers
from harness.cli import main
from harness.errors import UsageError
from harness.importers.reading import Reading

CASES = Path(__file__).parents[2] / "cases" / "files"
REFUSED = {
    "artillery.json": "is Artillery's JSON",
    "bmf.json": "is Bencher's metrics (BMF)",
    "gatling_stats.json": "is Gatling's statistics",
    "gbench.json": "is Google Benchmark's JSON",
    "jmh.json": "is JMH's JSON",
    "jtl.csv": "is JMeter's results (JTL)",
    "oha.json": "is oha's JSON",
    "pb_csv_export.csv": "is pytest-benchmark's CSV export, which is not read; run it again with --benchmark-json=FILE",
    "pb_no_benchmarks.json": "is pytest-benchmark's JSON, but it contains no times",
    "r07_printed.json": "has text before the JSON (line 1): 'Starting the benchmark ...'",
    "r07_quoted.json": "is a JSON string that holds JSON",
    "r07_trailing.json": "has text after the JSON, from byte 1,839 on: '==== overall timings ====",
    "vegeta.json": "is vegeta's JSON report",
    "wrk.txt": "is wrk's printed output",
}
"""The files that are not read, and the reason."""
Refused = Callable[[Sequence[str], str], None]


def reading(name: str) -> Reading:
    """Read a file."""
    return importers.reading(CASES / name)


def warnings(found: Reading) -> dict[str, str]:
    """Return messages by name."""
    return {warning.name: warning.message for warning in found.warnings}


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.iterdir()))
def test_every_file_is_shown_or_refused_in_one_line_with_the_true_reason(
    name: str, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit codes are 0 and 2."""
    if name in REFUSED:
        refused(["report", str(CASES / name), "--format", "terminal"], f"{CASES / name} {REFUSED[name]}")
    else:
        assert main(["report", str(CASES / name), "--format", "terminal"]) == 0
        assert "Traceback" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "errors", "operations", "timed"),
    [
        ("lo_ok.csv", 0, 1000, True),
        ("lo_all_failed.csv", 1000, 1000, False),
        ("k6_ok.json", 0, 1000, True),
        ("k6_all_failed.json", 1000, 1000, False),
        ("hf_ok.json", 0, 8, True),
        ("hf_all_failed.json", 8, 8, False),
        ("r08_before.json", 0, 4000, True),
        ("r08_after_half.json", 1600, 4000, True),
        ("r08_after_allfail.json", 4000, 4000, False),
    ],
)
def test_failures_are_counted_and_without_a_success_there_are_no_times(
    name: str, errors: int, operations: int, timed: bool
) -> None:
    """This holds for every benchmark of the file."""
    found = reading(name)
    first = found.operations[0]
    assert (first.errors, first.operations) == (errors, operations)
    assert bool(found.timings) is timed


def test_custom_trends_of_k6_are_shown_with_their_unit() -> None:
    """A trend is a time where the file states it, and a plain number otherwise."""
    exported, handled = reading("k6_export_custom_trend.json"), reading("k6_handle_custom_trend.json")
    shown = [(m.group, m.unit, m.median) for m in exported.metrics if m.group != "http_reqs"]
    assert shown == [("with_cache_duration", "", 4.5), ("without_cache_duration", "", 8.1)]
    assert {t.name: t.median_ns for t in handled.timings} == {"iteration_duration": 900e6, "query_time_ms": 4.5e6}
    assert [(m.group, m.median) for m in handled.metrics] == [("query_time", 4.5)]


def test_the_load_of_k6_identifies_it() -> None:
    """Ten times the users is another load, with another rate."""
    ok, tenfold = reading("k6_ok.json"), reading("k6_ten_times_the_load.json")
    assert (ok.load_settings, tenfold.load_settings) == ({"users": "10"}, {"users": "100"})
    assert (ok.operations[0].per_s, tenfold.operations[0].per_s) == (100, 1000)


@pytest.mark.parametrize("name", ["hf_zero.json", "pb_min_zero.json", "pf_zero.json", "hf_long_zero.json"])
def test_zero_is_a_time(name: str) -> None:
    """The others of the same benchmark are read as well."""
    timing = reading(name).timings[0]
    assert timing.min_ns == 0
    assert timing.median_ns > 0


@pytest.mark.parametrize(
    ("name", "lengths"),
    [
        ("pb_long_names.json", [578, 578]),
        ("pb_whitespace_names.json", [17, 18]),
        ("lo_long_urls.csv", [10, 308, 308]),
        ("hf_prepare_long_two.json", [331, 331]),
    ],
)
def test_long_names_and_white_space_stay_distinct(name: str, lengths: list[int]) -> None:
    """A name is never shortened before benchmarks are matched."""
    names = [timing.name for timing in reading(name).timings]
    assert len(set(names)) == len(names)
    assert [len(shown) for shown in names] == lengths


@pytest.mark.parametrize("name", ["pb_nan_extra_info", "pb_nan_stddev", "pb_inf_ops", "pb_nan_in_a_string", "pb_utf16"])
def test_unused_fields_and_encodings_do_not_matter(name: str) -> None:
    """The times are those of the same file without them."""
    found, base = reading(f"{name}.json"), reading("pb_base.json")
    assert [(t.name, t.median_ns, t.samples) for t in found.timings] == [(t.name, t.median_ns, t.samples) for t in base.timings]


def test_raw_values_of_k6_have_percentiles_and_an_interval() -> None:
    """They are single requests."""
    timing = reading("k6_ndjson.json").timings[0]
    assert timing.units is not None
    assert (timing.units.total, timing.median_ns, timing.max_ns) == (20, 9.5e6, 19e6)


def test_files_without_rounds_have_what_an_approximate_interval_needs() -> None:
    """The warning says that it is approximate."""
    found = reading("pb_base.json")
    assert [(t.samples, t.deviation_ns) for t in found.timings] == [(100, 100_000), (100, 100_000)]
    assert "approximate" in warnings(found)["approximate intervals"]


def test_locust_is_read_with_all_requests_first_and_percentiles_as_stated() -> None:
    """Rows without a request have counts of 0, no times, and a warning."""
    base, nothing = reading("lo_base.csv"), reading("lo_none_rows.csv")
    assert [t.name for t in base.timings] == ["Aggregated", "GET /a"]
    assert base.timings[0].percentiles_ns == dict.fromkeys(("50", "90", "95", "99", "99.9"), 5e6)
    assert [(x.operations, x.errors, x.per_s) for x in base.operations] == [(10, 0, 1.0)] * 2
    assert nothing.timings == ()
    assert [(x.operations, x.errors) for x in nothing.operations] == [(0, 0)] * 2
    assert "has no operations" in warnings(nothing)["nothing measured"]


@pytest.mark.parametrize("name", ["lo_semicolon.csv", "r04_semicolon.csv", "r04_utf16.csv"])
def test_a_spreadsheet_does_not_change_the_figures(name: str) -> None:
    """Separators, decimal commas and UTF-16 are read."""
    aggregated = reading(name).timings[0]
    small = name == "lo_semicolon.csv"
    assert (aggregated.median_ns, aggregated.mean_ns) == ((5e6, 5e6) if small else (20e6, 22e6))
    assert aggregated.percentiles_ns["99.9"] == (5e6 if small else 110e6)


def test_old_shapes_and_other_units_are_read() -> None:
    """The median comes from the times, bytes are compared as memory, and one failed benchmark leaves the others."""
    assert [(t.name, t.median_ns) for t in reading("codspeed.json").timings] == [("t.py::t", 1)]
    assert reading("hf_v1_no_median.json").timings[0].median_ns == 2e6
    for name, median in (("pf_bytes.json", 150), ("r06_before.json", 8_455_000), ("r06_after.json", 16_455_000)):
        assert [(m.unit, m.median, m.less_is_better) for m in reading(name).metrics] == [("bytes", median, True)]
    one = reading("pf_one_failed.json")
    assert [t.name for t in one.timings] == ["ok"]
    assert [(x.group, x.errors, x.operations) for x in one.operations] == [("only_calibrated", 1, 1)]
    assert "only_calibrated" in warnings(one)["failed benchmarks"]


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("hf_same_command.json", ["a", "a (2)"]),
        ("hf_same_command_params.json", ["a (n=1)", "a (n=2)"]),
        ("pb_same_name_two_groups.json", ["t.py::a (g1)", "t.py::a (g2)"]),
    ],
)
def test_equal_names_are_distinguished_and_said(name: str, names: list[str]) -> None:
    """Parameters or the group come first, and the order only where nothing else differs."""
    found = reading(name)
    assert [t.name for t in found.timings] == names
    assert "equal names" in warnings(found)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("lo_negative_min.csv", "'GET /a' has the minimum -0.5"), ("pb_null_median.json", "'t.py::a' has no median")],
)
def test_one_unreadable_benchmark_is_named_and_the_others_are_read(name: str, reason: str) -> None:
    """It is not read as something else."""
    found = reading(name)
    assert len(found.timings) == 1
    assert reason in warnings(found)["unreadable benchmarks"]


def test_an_unknown_exit_code_is_not_a_failure() -> None:
    """It is a warning."""
    found = reading("hf_exit_null.json")
    assert (found.operations[0].errors, found.timings[0].samples) == (1, 2)
    assert "unknown exit codes" in warnings(found)


def test_asv_and_github_action_benchmark_are_read() -> None:
    """Their times are known by name and by unit."""
    assert [(t.name, t.median_ns) for t in reading("asv.json").timings] == [("bench.time_x", 1e6)]
    assert [(t.name, t.median_ns) for t in reading("gha_benchmark.json").timings] == [("a", 1e6)]


def test_the_reason_is_whole_behind_a_long_name(tmp_path: Path) -> None:
    """The name is shortened in its middle."""
    path = tmp_path / "long.json"
    path.write_text((CASES / "hf_long_zero.json").read_text().replace('"times": [0.0,', '"times": [-1.0,'))
    with pytest.raises(UsageError) as refused:
        importers.reading(path)
    message = str(refused.value)
    assert "x…x" in message
    assert "has the time -1.0, which is not a time: did the clock go backwards?; measure again, or name another file" in message
    assert len(message) < 350
