"""The run over time: a panel per kind of figure."""

from dataclasses import replace

from harness.report.figures.load_timeline import draw
from harness.results.load import LoadResult, Tick
from harness.results.run import ScenarioResult
from tests.harness.report.drawn import rows_of


def changed(result: ScenarioResult, load: LoadResult, ticks: list[Tick]) -> ScenarioResult:
    """Return the result with other ticks."""
    return replace(result, load=replace(load, ticks=ticks))


def test_each_kind_of_figure_has_a_panel(load_result: ScenarioResult) -> None:
    """Response, rate, CPU, memory and each count; both processes follow one after another, with a line between them."""
    chart = draw(load_result, None)
    assert chart is not None
    assert [panel.title for panel in chart.panels] == [
        "response time, ms (log)",
        "operations per second",
        "CPU, % of a core",
        "resident memory, MB",
        "statements per operation",
        "cache hits per operation",
    ]
    assert all(panel.svg("").count('class="o"') == 1 and ">40</text>" in panel.svg("") for panel in chart.panels)
    assert chart.key == [("a0 box", "baseline"), ("a1 box", "proposed"), ("a2 box", "optimised")]


def test_blocks_are_shaded_and_warm_up_is_paler(load_result: ScenarioResult) -> None:
    """Each block has a shaded measured phase, and paler phases before and after it."""
    chart = draw(load_result, None)
    assert chart is not None
    svg = chart.panels[0].svg("")
    assert svg.count('class="s"') == 12
    assert svg.count('class="s u"') == 2 * 12


def test_the_table_has_the_measured_range_of_each_arm(load_result: ScenarioResult) -> None:
    """Each line has the lowest, median and highest value per arm, in this order."""
    chart = draw(load_result, None)
    assert chart is not None
    rates = [row for row in rows_of(chart) if row[0].text == "operations per second"]
    assert {row[2].text for row in rates} == {"baseline", "proposed", "optimised"}
    values = [[float(cell.text.replace(",", "")) for cell in row[3:]] for row in rows_of(chart)]
    assert all(row == sorted(row) for row in values)


def test_gaps_and_single_ticks_are_drawn(load_result: ScenarioResult, under_load: LoadResult) -> None:
    """One tick, a long pause, and missing figures are drawn; without ticks there is no figure."""
    one = under_load.ticks[5]
    bare = replace(one, at_s=90.0, p50_ns=None, p99_ns=None, cpu_percent={}, rss_bytes={}, counts={})
    for ticks in ([one], [one, bare, replace(bare, at_s=90.5)], [bare]):
        chart = draw(changed(load_result, under_load, ticks), None)
        assert chart is not None
        assert not any("nan" in panel.svg("") for panel in chart.panels)
    assert draw(changed(load_result, under_load, []), None) is None
    assert draw(replace(load_result, load=None), None) is None


def test_only_figures_that_were_counted_have_a_panel(load_result: ScenarioResult, under_load: LoadResult) -> None:
    """Without processes and counts there are two panels."""
    bare = [replace(t, cpu_percent={}, rss_bytes={}, counts={}, errors=0) for t in under_load.ticks]
    chart = draw(changed(load_result, under_load, bare), None)
    assert chart is not None
    assert len(chart.panels) == 2
