"""The Markdown writer, with the report for a pull request."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.report import overview
from harness.report.blocks import Block, Cell, Notice, Notices, Paragraph, ReportSection, Table
from harness.report.markdown import MOST, escape, write
from harness.results.run import Run, ScenarioResult


def test_the_conclusion_comes_first(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """Heading, sentence and a row per optimisation stand above everything that is folded."""
    text = write(overview.full(make_run(make_result())))
    shown = text.split("<details>")[0].splitlines()
    assert shown[0] == "## Composite indexes: not decided."
    head, _, row = (line for line in shown if line.startswith("|"))
    assert head.startswith(
        "| optimisation | what to do | promised | proposed | optimised | p50 | p95 | memory | the catch | trust |"
    )
    assert row.startswith("| Composite indexes | ? **not decided** | 5–10× |")
    assert " → 0.5" in row


def test_every_promise_has_a_row_in_a_folded_table(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]
) -> None:
    """Every row has the table's columns, and the numbers of verdicts stand above them."""
    text = write(overview.full(make_run(make_result())))
    folded = next(part for part in text.split("<details>") if "All promises: 9" in part)
    table = [line for line in folded.splitlines() if line.startswith("| ")]
    assert len(table) == 1 + 9
    assert {line.count(" |") for line in table} == {4}
    assert "proposed: 2 confirmed, 5 fell short, 1 not measured, 1 measured." in text


def test_hostile_texts_are_text(make_run: Callable[..., Run], hostile_result: ScenarioResult) -> None:
    """Markup, vertical bars and backticks in names neither become elements nor break tables."""
    text = write(overview.full(make_run(hostile_result, command="a ``` b")))
    assert "<script>" not in text.replace(hostile_result.error or "", "")
    assert "````\na ``` b\n````" in text
    assert escape("a|b\n<c>") == r"a\|b &lt;c&gt;"


def test_failures_and_empty_runs_are_shown(make_run: Callable[..., Run], failed_result: ScenarioResult) -> None:
    """A failed scenario has its error; a run without scenarios has a sentence."""
    assert "arms disagree on case" in write(overview.full(make_run(failed_result)))
    assert "No scenario finished" in write(overview.full(make_run(interrupted=True)))
    assert "1,000 users" in write(overview.full(make_run(failed_result, kind="load", environment={"users": "1,000"})))


@given(st.text())
def test_no_name_mentions_or_commands(name: str) -> None:
    """Whatever a name has: one line without elements, mentions, ends of cells, control characters and workflow commands."""
    made = escape(name)
    assert "\n" not in made
    assert re.sub("<!-- -->", "", made).count("<") == 0
    assert not re.search(r"@[\w-]", made)
    assert "::" not in made
    assert not re.search(r"(?<!\\)(?:\\\\)*[|`]", made)
    assert all(unicodedata.category(c) not in {"Cc", "Cf"} for c in made)


def test_mentions_and_issues_are_interrupted() -> None:
    """GitHub would notify people and link issues even behind a backslash."""
    assert escape("@octocat fixes #12") == r"@<!-- -->octocat fixes \#<!-- -->12"
    assert escape("::error::x") == r":\:error:\:x"
    assert write([Notice("failed", "a", "::error::x\n\x1b[31m", verbatim=True)]).splitlines()[-3:-1] == [": :error::x", r"\x1b[31m"]


def test_a_matrix_comes_before_the_rows_of_each_place(
    make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]
) -> None:
    """At several places; the rows of each are folded."""
    text = write(overview.full(make_run(make_result(), make_result(rtt_ms=5.0))))
    shown = text.split("<details>")[0]
    assert "| optimisation | sqlite, RTT 0 ms | sqlite, RTT 5 ms |" in shown
    assert "✓ do it, ◆ do it optimised, ✗ leave it, ? not decided." in shown
    assert text.count("| optimisation | what to do | promised |") == 2


def test_a_preview_concludes_nothing(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """Its heading says that it is one, and no row has what to do or how far to trust it."""
    run = make_run(make_result())
    text = write(overview.full(replace(run, settings=replace(run.settings, quick=True, size="tiny"))))
    assert text.startswith("## Preview on tiny data (7 min 36 s): run without --quick for verdicts.")
    shown = text.split("<details>")[0]
    assert "what to do" not in shown
    assert "trust |" not in shown


def test_a_comment_has_at_most_as_many_characters_as_github_takes() -> None:
    """What does not fit is left out as a whole and named; the rest stays, and every section is closed."""
    big = ReportSection("big", (Paragraph("x" * MOST),))
    parts: tuple[Block, ...] = (
        Paragraph("first"),
        *[big] * 7,
        Notices("Remarks", (Notice("", "a", "b"),)),
        Table("last", ("a",), ((Cell("z"),),)),
    )
    text = write([ReportSection("all", parts, folded=False)], MOST)
    assert len(text) <= MOST
    assert text.startswith("## all\n\nfirst\n")
    assert "| z |" in text
    assert text.endswith("at most 65,536 characters: big, big, big, big, big and 2 more.\n")
    assert text.count("<details>") == text.count("</details>")
    whole = write([ReportSection("all", parts, folded=False)])
    assert len(whole) > 7 * MOST
    assert write([big], 2 * MOST) == write([big])


def test_a_hostile_run_fits_a_comment(make_run: Callable[..., Run], hostile_result: ScenarioResult) -> None:
    """Names and errors of 10,000 characters in every scenario."""
    long = replace(hostile_result, name="@x|" * 10_000, title="`y`" * 10_000, error="::z::\n" * 10_000)
    text = write(overview.full(make_run(*[replace(long, rtt_ms=float(n)) for n in range(9)]), everything=False), MOST)
    assert len(text) <= MOST
    assert "Left out, because a comment has at most" in text


def test_more_is_left_to_all(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """The tables of each scenario are only there with everything; its warnings are, folded, without."""
    run = make_run(make_result())
    short, long = write(overview.full(run, everything=False)), write(overview.full(run))
    assert "All promises: 9" in short
    assert "Warnings of scenarios: 1" in short
    assert "### Speed" not in short
    assert "### Speed" in long
