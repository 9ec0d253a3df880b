"""The blocks of a load test as a table."""

from collections.abc import Callable
from dataclasses import replace

from harness.report import load_blocks
from harness.report.numbers import DASH
from harness.results.load import LoadResult, Phase
from harness.results.run import ScenarioResult

HOSTILE = "<b>\x1b[31m" + "x" * 10_000


def test_each_block_has_a_row_in_its_order(load_result: ScenarioResult) -> None:
    """By process and time, with operations, times and the generator's CPU of its measured phase."""
    table = load_blocks.table(load_result)
    assert table is not None
    order = ["baseline", "proposed", "optimised", "optimised", "proposed", "baseline"]
    assert [row[1].text for row in table.rows] == 2 * order
    assert table.caption == "The run over time, by block"
    assert table.rows[0][8].text == "13 %"
    assert all(cell.text != DASH for row in table.rows for cell in row)


def test_two_blocks_of_one_arm_are_two_rows(under_load: LoadResult) -> None:
    """A block ends where its arm warms up again; warm-up and drain are not in its figures."""
    first = [tick for tick in under_load.ticks if tick.process == 0][:10]
    again = [replace(tick, at_s=tick.at_s + 10) for tick in first]
    found = load_blocks.blocks([*again, *first])
    assert len(found) == 2
    assert {tick.phase for block in found for tick in block} == {Phase.MEASURED}


def test_missing_figures_are_dashes_with_reasons(load_result: ScenarioResult, under_load: LoadResult) -> None:
    """No operation completed, too few for p99, CPU not sampled; a long name is cut."""
    ticks = [replace(t, arm=HOSTILE, p50_ns=None, p99_ns=None, cpu_percent={}) for t in under_load.ticks]
    table = load_blocks.table(replace(load_result, load=replace(under_load, ticks=ticks)))
    assert table is not None
    assert [(cell.text, bool(cell.note)) for cell in table.rows[0][6:]] == [(DASH, True)] * 3
    assert len(table.rows[0][1].text) <= 40


def test_a_part_of_many_blocks_is_called_that(load_result: ScenarioResult, under_load: LoadResult) -> None:
    """The caption has both numbers."""
    ticks = [replace(t, process=t.process + 2 * place) for place in range(8) for t in under_load.ticks]
    table = load_blocks.table(replace(load_result, load=replace(under_load, ticks=ticks)))
    assert table is not None
    assert len(table.rows) == load_blocks.MOST
    assert table.caption == "The run over time, by block: 60 of 96 blocks"


def test_a_load_without_ticks_has_no_table(make_result: Callable[..., ScenarioResult]) -> None:
    """Neither has a result without load."""
    assert load_blocks.table(make_result()) is None
