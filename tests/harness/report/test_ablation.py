"""Gains of switches, on the page, in Markdown and in the terminal."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.report import ablation, html, markdown, overview, review
from harness.report.figures.ablation import draw_run
from harness.results.run import Ablation, Gain, GainSum, Interaction, Priority, Review, Run, ScenarioResult, SwitchGain
from tests.harness.report.printing import printed

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


def test_each_switch_has_a_row_with_its_gains(run: Run) -> None:
    """The table has gains, intervals, ranks and interactions; a gain that is not significant is called unclear."""
    (part,) = ablation.parts(run)
    first, second, bare = [
        [text for cell in row for text in (cell.text, cell.detail) if text] for row in ablation.table(*part).rows
    ]
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
    assert bare[2:6] == ["inconclusive", "–", "1.40× unclear", "1.40× unclear"]
    assert "two processes" in ablation.table(*part).rows[2][4].note


def test_the_sum_is_a_sentence() -> None:
    """It has total, product and their comparison; an inconclusive sum claims nothing."""
    assert "all together gain more than the product" in ablation.total(FOUND)
    assert "all together gain as much as the product" in ablation.total(replace(FOUND, together=GainSum.AS_PRODUCT))
    undecided = ablation.total(replace(FOUND, together=GainSum.INCONCLUSIVE))
    assert "not enough data to say whether all together gain more or less than the product" in undecided


def test_the_page_opens_with_the_switches(run: Run) -> None:
    """A figure and a table replace the verdicts, with how to read them, before the scenario's card."""
    page = html.render(run)
    top = page[: page.index('<section class="card"')]
    assert "Gain of each switch</h2>" in top
    assert "Gain of each switch, alone and last" in top
    assert ablation.READ.split("“")[0] in top
    assert overview.NO_PROMISE not in page


def test_each_place_has_its_table(run: Run) -> None:
    """Each engine and RTT has a figure and a table under its name."""
    near = run.scenarios[0]
    page = html.render(replace(run, scenarios=[near, replace(near, rtt_ms=5.0)]))
    assert "<h3>sqlite, RTT 0 ms</h3>" in page
    assert "<h3>sqlite, RTT 5 ms</h3>" in page
    assert [heading for heading, _ in ablation.parts(replace(run, scenarios=[near, replace(near, rtt_ms=5.0)]))] == [
        "indexes: mix, RTT 0 ms",
        "indexes: mix, RTT 5 ms",
    ]


def test_markdown_has_the_same_table(run: Run) -> None:
    """It comes before folded sections."""
    text = markdown.write(overview.full(run)).split("<details>")[0]
    assert r"| caching | answers from memory | needs others | 1 | 1.01× unclear \[0.970, 1.05\] |" in text
    assert "all together gain more than the product" in text


@pytest.mark.parametrize("width", [80, 140])
def test_the_terminal_has_the_same_and_it_fits(run: Run, width: int) -> None:
    """Nothing is cut off at 80 and 140 columns."""
    text = printed(overview.brief(run), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for word in ("caching", "needs others", "inconclusive", "2–3", "unclear", "[1.90, 2.10]"):
        assert word in text
    assert "No promise" not in text


def test_nothing_ablated_draws_nothing(make_run: Callable[..., Run], make_result: Callable[..., ScenarioResult]) -> None:
    """A run without ablation has neither figure nor section."""
    plain = make_run(make_result())
    assert draw_run(plain) is None
    assert "Gain of each switch" not in html.render(plain) + markdown.write(overview.full(plain)) + printed(overview.brief(plain))


def test_a_gain_that_is_unclear_is_drawn_hollow(run: Run) -> None:
    """Marks are filled or hollow, whatever the switches are called."""
    named = replace(FOUND, switches=[replace(s, switch=HOSTILE, description=HOSTILE) for s in FOUND.switches])
    chart = draw_run(replace(run, scenarios=[replace(run.scenarios[0], ablation=[named])]))
    assert chart is not None
    svg = chart.panels[0].svg("")
    gains = [gain for switch in FOUND.switches for gain in (switch.alone, switch.last)]
    assert svg.count('class="c"') == len(gains)
    assert svg.count('class="q"') == sum(not gain.is_clear for gain in gains) > 0
    assert "<script>" not in svg


def test_the_reviews_priorities_are_next_to_the_ranks(run: Run) -> None:
    """An ablation answers the review's ranking in its order, with gains and ranks, on the page and in Markdown."""
    priorities = [
        Priority("Q", "P0", "high", "low", "2×", switch="indexes"),
        Priority("C", "P1", "high", "low", "10×", switch="caching"),
        Priority("E", "P3", "low", "high", "5×"),
    ]
    judged = replace(run, review=Review("a review", {"Q": "indexes", "C": "the cache"}, {}, priorities))
    (table,) = review.answers(judged)
    assert [[text for cell in line[4:] for text in (cell.text, cell.detail) if text] for line in table.rows] == [
        ["2×", "1.01× unclear", "1.01× unclear", "[0.970, 1.05]", "2–3"],
        ["10×", "1.01× unclear", "2.00×", "[1.90, 2.10]", "1"],
        ["5×", "–", "–", "–"],
    ]
    for text in (html.render(judged), markdown.write(overview.full(judged))):
        assert "ranks by ablation" in text


def test_a_review_without_switches_is_not_ranked(run: Run) -> None:
    """There is no ranking by ablation without a common switch."""
    assert review.answers(replace(run, review=Review("a review", {}, {}, [Priority("Q", "P0", "high", "low", "2×")]))) == []
