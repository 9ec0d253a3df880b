"""Tables of times on narrow pages."""

from harness.report.blocks import Table
from harness.report.html.arm_columns import arm_columns
from harness.report.tables import FASTER
from harness.results.run import AA_CONTROL


def test_a_line_per_percentile_has_a_column_per_arm() -> None:
    """Each line has its label; an arm is in the same column everywhere, also if a line lacks the one before or after it."""
    head = ("cases", "unit", "baseline", "a", "b", "baseline", "b", "baseline", "a", "b", AA_CONTROL, "pairs")
    spans = (("", 2), ("p50", 3), ("p95", 2), ("p99", 1), (FASTER, 2), ("", 2))
    found = arm_columns(Table("", head, (), names=2, spans=spans))
    assert found.arms == 3
    assert found.labels == {2: "p50", 5: "p95", 7: "p99", 8: "faster", 10: "A/A", 11: "pairs"}
    assert found.positions == {6: "--c:4", 7: "--c:2;--e:-1", 8: "--c:3", 10: "--c:2;--e:-1", 11: "--c:2;--e:-1"}
    assert found.named == {2: 2, 8: 3, 9: 4}
