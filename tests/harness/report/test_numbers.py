"""Figures as text."""

import pytest

from harness.report.numbers import clock_time, duration, elapsed, interval, significant, unit_of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.012345, "0.0123"),
        (1, "1.00"),
        (9.996, "10.0"),
        (99.96, "100"),
        (123.4, "123"),
        (12_345, "12,300"),
        (-7.2, "-7.20"),
        (float("inf"), "–"),
        (3e-7, "3.00e-07"),
    ],
)
def test_three_significant_digits(value: float, text: str) -> None:
    """Figures have three significant digits at every magnitude, also where rounding adds a digit."""
    assert significant(value) == text


def test_a_table_has_one_unit() -> None:
    """The unit suits the middle of the values, and an empty table is in milliseconds."""
    assert unit_of([900.0, 2_000.0, 5e6]).name == "µs"
    assert unit_of([None]).name == "ms"
    assert duration(1_230_000) == "1.23 ms"


def test_unreadable_times_are_kept() -> None:
    """A time that cannot be read is returned unchanged, and has no duration."""
    assert clock_time("2026-01-05T10:22:11+00:00") == "2026-01-05 10:22 UTC"
    assert clock_time("yesterday") == "yesterday"
    assert elapsed("2026-01-05T10:22:11+00:00", "2026-01-05T11:29:47+00:00") == "1 h 7 min 36 s"
    assert elapsed("2026-01-05T10:22:11+00:00", None) == "–"
    assert interval(None, 2.0) == ""
