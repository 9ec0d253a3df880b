"""What tests read of charts."""

from harness.report.blocks import Cell
from harness.report.plot import Chart


def rows_of(chart: Chart) -> tuple[tuple[Cell, ...], ...]:
    """Return the rows of a chart's table."""
    assert chart.table is not None
    return chart.table.rows
