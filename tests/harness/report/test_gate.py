"""A gate's result for a person: in a terminal and as Markdown."""

from __future__ import annotations

import io

from rich.console import Console

from harness.report.gate import MOST, SIGNS, change, figure, markdown, shown, terminal
from harness.results.gate import EXIT_CODES, GateResult, GateVerdict
from tests.harness.report.gates import hostile, result, row


def printed(found: GateResult, width: int = 100) -> str:
    """What a terminal shows."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(terminal(found))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_every_word_has_a_sign_of_its_own() -> None:
    """Never a colour alone."""
    assert set(SIGNS) == {*GateVerdict, *EXIT_CODES}
    assert len(set(SIGNS.values())) == len(SIGNS)


def test_the_terminal_ends_with_the_verdict() -> None:
    """Changes first, then reasons and warnings with their remedies, the tally, and the verdict on the last line."""
    said = printed(result())
    assert said.splitlines()[-1] == "✗ regressed: something happened"
    flat = " ".join(said.split())
    for part in ("✗ regressed", "▲ improved", "+33.3 %", "×3.10", "20.0 MB", "not comparable settings size differs; use the same"):
        assert part in flat
    assert "warning shift all slower; run again" in flat
    assert "✗ 3 regressed, ≠ 1 not comparable, ? 1 inconclusive, ▲ 1 improved, = 1 equal, · 1 not judged" in flat
    assert max(map(len, printed(result(), 80).splitlines())) <= 80


def test_what_changed_most_stands_first_and_what_did_not_is_folded() -> None:
    """By word, then by size; equal and unjudged figures are counted."""
    assert [(r.verdict, r.metric) for r in shown(result())] == [
        ("regressed", "status"),
        ("regressed", "vm_steps"),
        ("regressed", "statements"),
        ("inconclusive", "statements"),
        ("improved", "peak_memory"),
    ]


def test_markdown_has_a_row_a_change_and_times_folded_away() -> None:
    """For a pull request."""
    text = markdown(result())
    assert text.startswith("## ✗ Gate: regressed\n\nsomething happened.\n")
    assert (
        "| indexes · sqlite | optimised · prompts · vm steps | 10 | 31 | ×3.10 | ✗ **regressed**: because it is regressed |" in text
    )
    assert "<summary>1 times that could not be judged</summary>" in text
    assert "- **settings**: size differs. use the same." in text


def test_markdown_is_not_broken_by_names() -> None:
    """No tag, no cell and no line of theirs."""
    text = markdown(hostile())
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("| x")]
    assert rows
    assert {line.replace("\\|", "").count("|") for line in rows} == {7}
    assert not [line for line in text.splitlines() if line.startswith("::")]


def test_the_terminal_stands_hostile_names() -> None:
    """They are shown, and are no markup."""
    assert "regressed" in printed(hostile())


def test_a_long_list_ends() -> None:
    """With how many more there are."""
    many = result(rows=[row("regressed")] * (MOST + 7) + [row("not judged", "time")] * (MOST + 3))
    assert "and 7 more" in printed(many)
    text = markdown(many)
    assert "and 7 more" in text
    assert "and 3 more" in text


def test_figures_are_written_in_their_unit() -> None:
    """Counts in full, times and bytes as a person writes them, and a dash for what is missing."""
    assert [figure(v, u) for v, u in ((15_810.0, ""), (2e6, "ns"), (2e7, "bytes"), (None, "ns"))] == [
        "15,810",
        "2.00 ms",
        "20.0 MB",
        "–",
    ]
    assert change(row("equal", change=1.0)) == "+0 %"
    assert change(row("equal", change=0.5, low=0.4, high=0.6)) == "-50 % [0.400, 0.600]"
    assert change(row("equal", change=None)) == "–"


def test_nothing_at_all_can_be_shown() -> None:
    """Of sides that do not go together."""
    bare = GateResult("a", "b", GateVerdict.NOT_COMPARABLE, "other tools")
    assert printed(bare).strip() == "≠ not comparable: other tools"
    assert "other tools" in markdown(bare)
