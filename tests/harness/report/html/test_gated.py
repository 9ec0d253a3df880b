"""The page of a gate: the verdict with its reason, what changed, and the rest folded."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.report import gate
from harness.report.html import gated
from harness.report.html.compact import compact
from harness.results.gate import GateResult, GateRow, GateVerdict, RowKind
from tests.harness.report.gates import hostile, result, row
from tests.harness.report.html.test_page import Outline


def test_the_heading_is_the_verdict_with_its_reason() -> None:
    """What changed is in front, the rest is folded with its counts."""
    page = gated.render(result())
    assert f"<h1>{gate.heading(result())}</h1>" in page
    front = page[: page.index("<details")]
    assert "+210 %" in front
    assert "size differs" in front
    assert "<summary>1 times that could not be judged</summary>" not in page
    assert "<summary>1 time that could not be judged</summary>" in page
    assert "<summary>1 figure equal or equivalent</summary>" in page
    assert "script" not in Outline(page).tags


def test_hostile_names_are_text() -> None:
    """In every cell, and the page is well-formed."""
    outline = Outline(gated.render(hostile()))
    assert "script" not in outline.tags
    assert not {"\x1b", "\x00"} & set("".join(outline.text))


def test_a_gate_of_nothing_is_a_sentence() -> None:
    """Sides without a common figure, and equal ones."""
    assert "Gate not comparable: other tools." in gated.render(GateResult("a", "b", GateVerdict.NOT_COMPARABLE, "other tools"))
    page = gated.render(GateResult("a", "b", GateVerdict.EQUIVALENT, "1 work count equal", [row("equal")]))
    assert "Gate passed: 1 work count equal." in page
    assert "1 work count equal" not in page.partition("</h1>")[2], "the heading has it"
    assert "something happened." in gated.render(result()).partition("</h1>")[2]
    assert "No figure changed, and none is undecided." in page


def test_what_was_not_timed_is_counted_by_itself() -> None:
    """A benchmark of unchanged code is not among the figures that were measured as equal."""
    untimed = GateRow(RowKind.TIME, "a", "pytest", 0.0, "", "test_a", "time", GateVerdict.EQUIVALENT, "unchanged", paired=True)
    page = gated.render(result(rows=[row("equal"), untimed]))
    assert "<summary>1 figure equal or equivalent</summary>" in page
    assert "<summary>1 unchanged: not timed</summary>" in page


def test_names_of_benchmarks_are_whole() -> None:
    """Those of an ordinary parametrised test fit; only much longer ones are cut, as in a terminal."""
    file, test = "benchmarks/serialisation/test_nested_structures.py", "TestNested::test_round_trip[list of dictionaries-1000]"
    rows = [replace(row(verdict), scenario=file, group=test, arm="") for verdict in ("regressed", "equal")]
    page = gated.render(result(rows=rows))
    assert page.count(file) == page.count(test) == 2
    page = gated.render(result(rows=[replace(each, group="x" * 500) for each in rows]))
    assert "x" * 100 not in re.sub(r'title="[^"]*"', "", page)


def test_many_figures_are_counted() -> None:
    """A thousand regressions are a page of a few screens."""
    page = gated.render(result(rows=[row("regressed", scenario=f"s{place}") for place in range(1_000)]))
    assert "and 900 more: 900 regressed" in page
    assert len(page.encode()) < 100_000


def test_the_page_is_written(tmp_path: Path) -> None:
    """Into any file; one that cannot be written is a usage error."""
    assert gated.write(result(), tmp_path / "deep" / "gate.html").read_text() == compact(gated.render(result()))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError):
        gated.write(result(), tmp_path / "file" / "gate.html")
