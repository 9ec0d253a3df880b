"""What a service is watched with."""

from __future__ import annotations

import pytest

from service import metrics
from service.instruments import instruments_for
from service.switches import Level, Switches


@pytest.mark.parametrize("level", [Level.BASELINE, Level.PROPOSED])
def test_a_service_without_monitoring_is_not_watched(level: Level) -> None:
    """Neither today's service nor the review's way, which is a decorator on methods of its own, has instruments."""
    assert instruments_for(Switches.all(level)) is None


def test_monitoring_done_right_has_all_metrics() -> None:
    """Every statement, request and pool is there to be read from the start, or from the first one on."""
    found = instruments_for(Switches.alone("monitoring"))
    assert found is not None
    assert found.middleware is not None
    text = found.render().decode()
    assert all(metric.name in text for metric in (metrics.STATEMENTS, metrics.REQUESTS))
