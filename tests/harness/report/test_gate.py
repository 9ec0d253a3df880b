"""A gate's result in a terminal and as Markdown."""

from dataclasses import replace

import pytest

from harness.report import markdown
from harness.report.blocks import STATUSES, Paragraph
from harness.report.gate import MOST, MOST_CHANGED, MOST_FOLDED, brief, change, figure, full, heading, message, more, shown
from harness.results.gate import EXIT_CODES, GateResult, GateRow, GateVerdict
from harness.results.run import RunWarning
from tests.harness.report.gates import HOSTILE, benchmark, hostile, result, row, suite
from tests.harness.report.printing import printed


def test_every_verdict_has_its_sign() -> None:
    """Verdicts differ by more than their colour."""
    assert set(STATUSES) >= {*GateVerdict, *EXIT_CODES}
    assert len({STATUSES[verdict].sign for verdict in GateVerdict}) == len(GateVerdict)


def test_the_terminal_ends_with_the_verdict() -> None:
    """Changes come first, then reasons and warnings with their remedies, the tally, and the verdict."""
    text = printed(brief(result()), 100)
    assert text.splitlines()[-1] == "✗ regressed: something happened"
    flat = " ".join(text.split())
    for part in ("✗ regressed", "▲ improved", "+33.3 %", "+210 %", "20.0 MB", "not comparable settings size differs; use the same"):
        assert part in flat
    assert "warning shift all slower; run again" in flat
    assert "✗ 3 regressed, ≠ 1 not comparable, ? 1 inconclusive, ▲ 1 improved, = 1 equal, ○ 1 not judged" in flat
    assert max(map(len, printed(brief(result()), 80).splitlines())) <= 80


def test_the_largest_changes_are_first() -> None:
    """Rows are by verdict, then by size; equal and unjudged figures are only counted."""
    assert [(r.verdict, r.metric) for r in shown(result())] == [
        ("regressed", "status"),
        ("regressed", "vm_steps"),
        ("regressed", "statements"),
        ("inconclusive", "statements"),
        ("improved", "peak_memory"),
    ]


def test_markdown_has_a_row_per_change_and_folded_times() -> None:
    """The title is the verdict."""
    text = markdown.write(full(result()))
    assert text.startswith("## ✗ Gate failed: 3 of 8 figures regressed; fix first: caching: because it is regressed.\n\n| where |")
    assert (
        "| indexes · sqlite | optimised · prompts · vm steps | 10 | 31 | +210 % | ✗ **regressed** because it is regressed |" in text
    )
    assert "<summary>1 equal, 1 time that could not be judged</summary>" in text
    assert "- **settings**: size differs. Remedy: use the same." in text


def test_markdown_is_not_broken_by_names() -> None:
    """Names add no tag, cell or line."""
    text = markdown.write(full(hostile()))
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("| x")]
    assert rows
    assert {line.replace("\\|", "").count("|") for line in rows} == {7}
    assert not [line for line in text.splitlines() if line.startswith("::")]


def test_the_terminal_shows_hostile_names() -> None:
    """They are shown as text."""
    assert "regressed" in printed(brief(hostile()), 100)


def test_a_long_list_is_cut_off() -> None:
    """The number of further rows is given."""
    many = result(rows=[row("regressed")] * (MOST + 7) + [row("not judged", "time")] * (MOST + 3))
    assert "and 7 more" in printed(brief(many), 100)
    text = markdown.write(full(many))
    assert f"and {MOST + 7 - MOST_CHANGED} more: {MOST + 7 - MOST_CHANGED} regressed" in text
    assert f"and {MOST + 3 - MOST_FOLDED} more: {MOST + 3 - MOST_FOLDED} not judged" in text


def test_figures_are_written_in_their_unit() -> None:
    """Counts have all digits, times and bytes their unit, and a missing figure is a dash."""
    assert [figure(v, u) for v, u in ((15_810.0, ""), (2e6, "ns"), (2e7, "bytes"), (None, "ns"))] == [
        "15,810",
        "2.00 ms",
        "20.0 MB",
        "–",
    ]
    assert change(row("equal", change=1.0)).full == "+0 %"
    assert change(row("equal", change=0.5, low=0.4, high=0.6)).full == "-50 % [-60, -40] %"
    assert change(row("equal", change=None)).full == "–"


def test_a_result_without_rows_is_shown() -> None:
    """Sides that are not comparable have only a verdict."""
    bare = GateResult("a", "b", GateVerdict.NOT_COMPARABLE, "other tools")
    assert printed(brief(bare), 100).strip() == "≠ not comparable: other tools"
    assert "other tools" in markdown.write(full(bare))


def test_markdown_of_a_thousand_benchmarks_is_a_screen() -> None:
    """At most 60 lines, whatever changed, with the number of the others by verdict; long and hostile texts are short."""
    kinds = [("regressed", "time"), ("improved", "work"), ("inconclusive", "time"), ("not judged", "time"), ("equal", "work")]
    rows = [row(verdict, kind, scenario=f"b{place}" * 3_000) for place in range(200) for verdict, kind in kinds]
    warnings = [RunWarning("n" * 9_000, "m" * 9_000, "r")] * 30
    found = GateResult("a" * 9_000, "b", GateVerdict.REGRESSED, "s" * 9_000, rows, warnings, warnings)
    text = markdown.write(full(found))
    assert len(text.splitlines()) <= 60
    assert len(text) < 30_000, "GitHub takes comments of 65,536 characters"
    assert "and 586 more: 186 regressed, 200 inconclusive, 200 improved" in text
    assert more(rows[:2]) == "and 2 more: 1 regressed, 1 improved"


@pytest.mark.parametrize(
    ("verdict", "rows", "said"),
    [
        (
            "regressed",
            [row("regressed", "time", arm="", group="", scenario="test_list", metric="median", change=1.12, low=1.09, high=1.15)],
            "Gate failed: 1 of 1 figure regressed; fix first: test_list is 12 % slower [9, 15].",
        ),
        (
            "regressed",
            [row("regressed", "time", arm="", group="", scenario="test_list", metric="p95", change=3.0)] * 2,
            "Gate failed: 2 of 2 figures regressed; fix first: test_list is 200 % slower at p95.",
        ),
        (
            "regressed",
            [row("regressed")] * 3,
            "Gate failed: 3 of 3 figures regressed; fix first: indexes, optimised, prompts: statements 3 → 4 (+33.3 %): because ",
        ),
        ("regressed", [], "Gate failed: so."),
        ("improved", [row("improved")], "Gate passed: so."),
        ("equivalent", [], "Gate passed: so."),
        ("inconclusive", [row("inconclusive")], "Gate inconclusive: so."),
        ("not comparable", [], "Gate not comparable: so."),
    ],
)
def test_the_heading_is_the_verdict_with_the_worst_figure(verdict: str, rows: list[GateRow], said: str) -> None:
    """A time by its change with its interval, a count by its values, others by their reason; and the number of the others."""
    assert heading(GateResult("a", "b", GateVerdict(verdict), "so", rows)).startswith(said)


def test_a_comment_has_what_changed_or_is_undecided_and_folds_the_rest() -> None:
    """One sentence with the numbers, a row per benchmark to look at, and the other numbers in the title of what is folded."""
    found = suite(regressed=3, inconclusive=1, equivalent=2, unchanged=58)
    text = markdown.write(full(found))
    first, _, head, *_ = lines = text.splitlines()
    assert first.startswith("## ✗ Gate failed: 3 of 64 benchmarks regressed; fix first: test\\_parse\\[0")
    assert head == "| where | figure | change | detectable | verdict |"
    assert [line.split("**")[1] for line in lines if line.startswith("| bench") and "**" in line] == ["regressed"] * 3 + [
        "inconclusive"
    ]
    assert lines.count("<summary>58 unchanged: not timed, 2 equivalent</summary>") == 1
    assert " 38 more\n" in text, "names of benchmarks that were not timed, and the number of the others"
    assert lines[-1].endswith("✗ 3 regressed, ? 1 inconclusive, ✓ 2 equivalent, = 58 unchanged: not timed")


@pytest.mark.parametrize("verdict", ["regressed", "inconclusive", "unchanged", "equivalent", "improved"])
def test_a_comment_on_a_thousand_benchmarks_is_a_screen(verdict: str) -> None:
    """Also when all of them regressed, are undecided or were not timed."""
    text = markdown.write(full(suite(**{verdict: 1000})))
    assert len(text.splitlines()) <= 60
    assert "1,000" in text.splitlines()[0] or "1000" in text.splitlines()[0]
    if verdict in {"regressed", "inconclusive"}:
        assert f"and {1000 - MOST_CHANGED} more: {1000 - MOST_CHANGED} {verdict}" in text


def test_the_worst_undecided_benchmark_is_the_one_that_may_be_slowest() -> None:
    """Its interval reaches furthest; the sentence has the slowdowns that would have been seen."""
    rows = [
        benchmark("inconclusive", n, high=high, seen=seen)
        for n, (high, seen) in enumerate([(1.02, 0.02), (1.3, 0.12), (1.1, 0.05)])
    ]
    found = GateResult("a", "b", GateVerdict.INCONCLUSIVE, "3 benchmarks inconclusive", rows)
    assert [row.high for row in shown(found)] == [1.3, 1.1, 1.02]
    assert heading(found) == (
        "Gate inconclusive: 3 of 3 benchmarks undecided, none regressed; run again with a larger --budget, or allow "
        "a larger --margin (slowdowns from +2 % to +12 % were detectable)."
    )
    assert message(rows[1], "x").endswith("; detectable: +12 %")


def test_a_comment_is_not_obeyed() -> None:
    """Names of benchmarks, with their parameters, are text to GitHub and GitLab: no mention, markup, row, list or quick action."""
    names = [HOSTILE, "a\n/merge\n- x", "@team", "#12", "`x` | y", "</details>", "::error::x", "![x](http://e.example/)"]
    rows = [benchmark("unchanged", n, name=name) for n, name in enumerate(names)]
    rows += [benchmark("regressed", n, name=name) for n, name in enumerate(names)]
    text = markdown.write(full(GateResult("/close", "1. x", GateVerdict.REGRESSED, "/approve", rows)))
    assert not [line for line in text.splitlines() if line.startswith(("/", "::", "- ", "1. "))]
    assert "@team" not in text
    assert "#12" not in text
    assert text.count("</details>") == 1
    assert "![" not in text
    assert {line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("| b")} == {5}
    assert markdown.write([Paragraph("/merge"), Paragraph("1. x"), Paragraph("- x")]) == "\\/merge\n\n1\\. x\n\n\\- x\n"


def test_a_reason_that_says_more_than_the_numbers_is_below_them() -> None:
    """As that a gate was interrupted; one that only counts is left out."""
    found = suite(regressed=2, inconclusive=1)
    assert found.sentence not in markdown.write(full(found))
    stopped = replace(found, sentence=f"{found.sentence}; it was interrupted")
    assert markdown.write(full(stopped)).splitlines()[2] == "2 benchmarks regressed; it was interrupted."


def test_benchmarks_that_were_not_timed_have_their_names() -> None:
    """With their files only where two have the same name."""
    rows = [benchmark("unchanged", n, name=name) for n, name in enumerate(("test_a", "test_b"))]
    found = GateResult("old", "new", GateVerdict.EQUIVALENT, "2 benchmarks unchanged and not timed", rows)
    assert "**Unchanged, not timed:** test\\_a, test\\_b\n" in markdown.write(full(found))
    alike = [benchmark("unchanged", n, name="test_a") for n in (0, 1)]
    assert "test\\_0.py · pytest · test\\_a, bench/test\\_1.py · pytest · test\\_a\n" in markdown.write(
        full(replace(found, rows=alike))
    )
