"""The summaries of result files, their comparison and a gate."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness import importers
from harness.gate import result_files
from harness.report.blocks import Table, cells
from harness.report.headings import NO_FILE, NOT_COMPARED_FILES, of_files
from harness.report.summaries import summary
from harness.report.summaries.files import gated
from harness.results.gate import GateVerdict
from harness.results.run import OperationCounts, Run, RunKind
from tests.harness.report import gates
from tests.harness.report.printing import printed

CASES = Path(__file__).parents[3] / "cases" / "files"
TAILS = (CASES / "r05_tail_before.json", CASES / "r05_tail_after.json")


def compared() -> Run:
    """Return two files side by side."""
    return result_files.side_by_side(importers.reading(TAILS[0]), importers.reading(TAILS[1]), result_files.FileRules()).run


def test_a_comparison_begins_with_its_verdict() -> None:
    """By default the number of each; below it a row per benchmark, and in a wide terminal the reason."""
    text = printed(summary(compared(), "harness compare a b --all"))
    assert text.splitlines()[0] == "Comparison: 1 slower."
    assert "http_req_duration  ✗ regressed  20.0 ms  14.0 ms   1.43×" in text
    assert text.splitlines()[-1] == "harness compare a b --all"
    assert "regressed at p99" in printed(summary(compared(), "x", 200), 200)
    assert printed(summary(compared(), "x", 80, "✗ regressed: it is slower")).startswith("✗ regressed: it is slower\n")


def test_a_file_has_its_highest_percentile() -> None:
    """Of one benchmark, and of several the range of their medians."""
    assert of_files(importers.read(TAILS[0])) == "http_req_duration answers 99 % of the operations within 50.0 ms."
    two = importers.read(TAILS[0])
    (result,) = two.scenarios
    slow = [replace(x, group="b", percentiles_ns={"50": 2e9}, process_medians_ns=[]) for x in result.latencies]
    several = replace(two, scenarios=[replace(result, latencies=[*result.latencies, *slow])])
    assert of_files(several) == "2 benchmarks, with medians from 20.0 ms to 2.00 s."
    untimed = replace(two, scenarios=[replace(result, latencies=[], operations=[OperationCounts("", "b", 9, 9)])])
    assert of_files(untimed).startswith("All 9 operations failed.")


@pytest.mark.parametrize("kind", [RunKind.FILE, RunKind.COMPARISON])
def test_a_file_without_benchmarks_says_so(make_run: Callable[..., Run], kind: RunKind) -> None:
    """Instead of an empty table."""
    run = make_run(kind=kind)
    assert of_files(run) in {NO_FILE, NOT_COMPARED_FILES}
    assert "benchmark  " not in printed(summary(run, "x"))


def test_a_gate_begins_with_its_verdict() -> None:
    """Then the figures that changed, each with its scenario, the reasons, and the numbers."""
    lines = printed(gated(gates.result(), "harness gate a b --all", 80)).splitlines()
    assert lines[0] == "✗ regressed: something happened"
    assert any(line.startswith("caching · status") and "✗ regressed" in line for line in lines)
    assert any("vm steps" in line and "+210 %" in line for line in lines)
    assert any("not comparable settings  size differs; use the same" in line for line in lines)
    assert lines[-1] == "harness gate a b --all"
    assert max(map(len, lines)) <= 80


def test_a_gate_without_rows_has_its_sentence() -> None:
    """And no table."""
    lines = printed(gated(gates.result(GateVerdict.EQUIVALENT, []), "x", 80)).splitlines()
    assert lines[0] == "✓ equivalent: something happened"
    assert not any(line.startswith("figure") for line in lines)


def test_what_was_detectable_has_a_column_only_where_something_is_undecided() -> None:
    """A column of dashes says nothing."""
    decided = gates.row("regressed", "time", base=None, candidate=None, metric="time", paired=True, detectable=0.02)
    for rows, is_there in (([decided], False), ([decided, replace(decided, verdict=GateVerdict.INCONCLUSIVE)], True)):
        (head,) = (line for line in printed(gated(gates.result(rows=rows), "x", 120)).splitlines() if line.startswith("figure"))
        assert ("detectable" in head) is is_there


def test_a_gate_fits_a_terminal() -> None:
    """A hundred rows, and names of any characters, take at most 24 lines; none is a command to the terminal."""
    many = gates.result(rows=[gates.row("regressed", group=f"{n}" * 900) for n in range(100)])
    for result in (many, gates.hostile()):
        text = printed(gated(result, "x", 80))
        assert len(text.splitlines()) <= 24
        assert "\x1b" not in text
        assert "\x00" not in text
    assert "90 more rows" in printed(gated(many, "x", 80))


def test_names_that_are_alike_can_be_told_apart_at_80_columns() -> None:
    """Ten benchmarks with long parameters have ten different names."""
    found = gates.suite(regressed=10)
    lines = printed(gated(found, "x", 80)).splitlines()
    names = [line.split("  ✗")[0] for line in lines if "  ✗ regressed" in line]
    assert len(set(names)) == 10
    assert names[3] == "test_parse[3…th tables, lists and links]"
    assert max(map(len, lines)) <= 80


def test_a_narrow_terminal_cuts_names_where_they_do_not_differ() -> None:
    """The first column shrinks, and names stay distinct."""
    names = [f"a common beginning of {n} and a common end" for n in range(5)]
    table = Table("", ("name", "x"), tuple(cells(name, "1") for name in names), is_one_line=True)
    lines = printed([table], 20).splitlines()[1:]
    assert len(set(lines)) == 5
    assert max(map(len, lines)) <= 20
