"""What switches bring, on the page, in Markdown and in the terminal."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest
from rich.console import Console

from harness.report import ablation, html, markdown, review
from harness.report.figures.ablation import draw_run
from harness.report.figures.pairs import draw as draw_pairs
from harness.report.figures.percentile_curve import draw as draw_curves
from harness.report.svg import inline, look
from harness.report.terminal import verdict_table
from harness.results.run import Ablation, ArmResult, Gain, GainSum, Interaction, Priority, Review, Run, ScenarioResult, SwitchGain

HOSTILE = "<script>alert('x')</script> & $x$ 日本語の名前"
NONE = Gain(1.01, 0.97, 1.05, [1.0, 1.02], p_corrected=0.8)
TWICE = Gain(2.0, 1.9, 2.1, [1.95, 2.05], p_corrected=0.001)
BARE = Gain(1.4, None, None, [1.4])
FOUND = Ablation(
    group="mix",
    pairs=30,
    switches=[
        SwitchGain("caching", "answers from memory", NONE, TWICE, TWICE, Interaction.NEEDS_OTHERS, 1, 1),
        SwitchGain("indexes", "four indexes", NONE, NONE, NONE, Interaction.ADDS_UP, 2, 3),
        SwitchGain("pools", "a larger pool", BARE, BARE, BARE, Interaction.INCONCLUSIVE),
    ],
    total=TWICE,
    product=NONE,
    surplus=TWICE,
    together=GainSum.MORE,
)


@pytest.fixture
def run(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> Run:
    """A run of one ablated scenario."""
    return make_run(make_result(verdicts=[], ablation=[FOUND]))


def printed(run: Run, width: int) -> str:
    """Print without colour at a width."""
    sink = io.StringIO()
    Console(file=sink, width=width, no_color=True).print(verdict_table(run))
    return sink.getvalue()


def test_a_row_a_switch_with_its_gains(run: Run) -> None:
    """The table has gains, intervals, places and words; what is not told from none is called unclear in the cell itself."""
    (part,) = ablation.parts(run)
    first, second, bare = [[cell.text for cell in row] for row in ablation.table(part).rows]
    assert first[:8] == [
        "caching",
        "answers from memory",
        "needs others",
        "1",
        "1.01× unclear",
        "[0.970, 1.05]",
        "2.00×",
        "[1.90, 2.10]",
    ]
    assert second[2:4] == ["adds up", "2–3"]
    assert bare[2:6] == ["inconclusive", "–", "1.40× unclear", "–"]


def test_the_sum_is_a_sentence() -> None:
    """Total, product and what they amount to; an inconclusive sum claims neither."""
    assert "together they bring more than the product" in ablation.total(FOUND)
    assert "together they bring as much as the product" in ablation.total(replace(FOUND, together=GainSum.AS_PRODUCT))
    said = ablation.total(replace(FOUND, together=GainSum.INCONCLUSIVE))
    assert "whether together they bring more or less than the product is inconclusive" in said


def test_the_page_opens_with_the_switches(run: Run) -> None:
    """A figure and a table stand where verdicts would, with how they are read, before the scenario's card."""
    page = html.render(run)
    top = page[: page.index('<section class="card"')]
    assert "What each switch brings</h2>" in top
    assert "What each switch brings, alone and last" in top
    assert ablation.READ.split("“")[0] in top
    assert "No promise was on trial" not in page


def test_several_places_are_kept_apart(run: Run) -> None:
    """Each engine and distance has its own figure and table under its name."""
    near = run.scenarios[0]
    page = html.render(replace(run, scenarios=[near, replace(near, rtt_ms=5.0)]))
    assert "<h3>sqlite, RTT 0 ms</h3>" in page
    assert "<h3>sqlite, RTT 5 ms</h3>" in page
    assert [p.heading for p in ablation.parts(replace(run, scenarios=[near, replace(near, rtt_ms=5.0)]))] == [
        "indexes: mix, RTT 0 ms",
        "indexes: mix, RTT 5 ms",
    ]


def test_markdown_has_the_same_table(run: Run) -> None:
    """Before anything folded away."""
    text = markdown.render(run).split("<details>")[0]
    assert "| caching | answers from memory | needs others | 1 | 1.01× unclear |" in text
    assert "together they bring more than the product" in text


@pytest.mark.parametrize("width", [80, 140])
def test_the_terminal_has_the_same_and_it_fits(run: Run, width: int) -> None:
    """At 80 and at 140 columns nothing is cut."""
    text = printed(run, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for word in ("caching", "needs others", "inconclusive", "2–3", "unclear", "[1.90, 2.10]"):
        assert word in text
    assert "No promise" not in text


def test_nothing_ablated_draws_nothing(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """An ordinary run has neither figure nor section."""
    plain = make_run(make_result())
    assert draw_run(plain) is None
    assert "What each switch brings" not in html.render(plain) + markdown.render(plain) + printed(plain, 80)


def test_a_gain_that_is_unclear_is_drawn_hollow(run: Run) -> None:
    """Filled and hollow marks, and a line for total and product, whatever the switches are called."""
    named = replace(FOUND, switches=[replace(s, switch=HOSTILE, description=HOSTILE) for s in FOUND.switches])
    with look():
        drawing = draw_run(replace(run, scenarios=[replace(run.scenarios[0], ablation=[named])]))
        assert drawing is not None
        marks = [line for line in drawing.axes[0].lines if line.get_marker() in {"s", "o"}]
        assert [line.get_markerfacecolor() == "none" for line in marks] == [True, False, True, True, True, True]
        assert "<script>" not in inline(drawing, "one", "label")


def test_more_arms_than_colours_share_no_panel(make_result: Callable[..., ScenarioResult]) -> None:
    """Where arms would look alike, the figure is left out; the tables have them all."""
    names = ["baseline", *(f"only {i}" for i in range(9))]
    rows = [(1, 1, place, arm, "user's prompts", "c", 100) for place, arm in enumerate(names)]
    columns = ["process", "pair", "position", "arm", "group", "case", "latency_ns"]
    result = make_result(arms=[ArmResult(name, "") for name in names])
    with look():
        assert draw_pairs(result, pd.DataFrame(rows, columns=columns)) is None
        assert draw_curves(result, pd.DataFrame(rows, columns=columns)) is None
        assert draw_pairs(result, pd.DataFrame(rows[:4], columns=columns)) is not None


def test_the_reviews_priorities_stand_beside_the_places(run: Run) -> None:
    """An ablation answers the review's ranking in its order, with gains and places, on the page and in Markdown."""
    priorities = [
        Priority("Q", "P0", "high", "low", "2×", switch="indexes"),
        Priority("C", "P1", "high", "low", "10×", switch="caching"),
        Priority("E", "P3", "low", "high", "5×"),
    ]
    judged = replace(run, review=Review("a review", {"Q": "indexes", "C": "the cache"}, {}, priorities))
    (table,) = review.answers(judged)
    assert [[cell.text for cell in line[4:]] for line in table.rows] == [
        ["2×", "1.01× unclear", "1.01× unclear", "[0.970, 1.05]", "2–3"],
        ["10×", "1.01× unclear", "2.00×", "[1.90, 2.10]", "1"],
        ["5×", "–", "–", "–", "–"],
    ]
    for text in (html.render(judged), markdown.render(judged)):
        assert "places by ablation" in text


def test_a_review_that_names_no_switch_ranks_none(run: Run) -> None:
    """Without a switch in common there is nothing to rank by."""
    assert review.answers(replace(run, review=Review("a review", {}, {}, [Priority("Q", "P0", "high", "low", "2×")]))) == []
