"""The monitoring of a service."""

from dataclasses import replace
from pathlib import Path

import pytest

from service.http.api import monitoring_for
from service.observability import metrics
from service.observability.slow_query_log import SlowQueryLog
from service.settings import ServiceSettings
from service.switches import Level, Switches


@pytest.mark.parametrize("level", [Level.BASELINE, Level.PROPOSED])
def test_a_service_without_monitoring_is_not_monitored(level: Level) -> None:
    """Neither the baseline nor the review's way, a decorator on its own methods, is monitored."""
    assert monitoring_for(ServiceSettings("sqlite://", "redis://h", Switches.all(level))) is None


def test_optimised_monitoring_has_all_metrics() -> None:
    """Every statement, request and pool metric is exposed from the start, or from its first observation."""
    found = monitoring_for(ServiceSettings("sqlite://", switches=Switches.alone("monitoring")))
    assert found is not None
    text = found.render().decode()
    assert all(metric.name in text for metric in (metrics.STATEMENTS, metrics.REQUESTS))


def test_a_slow_query_log_is_kept_only_if_requested(tmp_path: Path) -> None:
    """The log named in the settings is open while the application runs, and is part of the metrics."""
    watched = ServiceSettings("sqlite://", switches=Switches.alone("monitoring"))
    without = monitoring_for(watched)
    kept = monitoring_for(replace(watched, slow_log=tmp_path / "slow.jsonl", slow_ms=5.0))
    assert without is not None
    assert kept is not None
    assert without.slow is None
    assert isinstance(kept.slow, SlowQueryLog)
    assert kept.slow.threshold_s == 0.005
    assert [metrics.SLOW_DROPPED.name in found.render().decode() for found in (without, kept)] == [False, True]
