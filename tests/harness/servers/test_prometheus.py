"""A real Prometheus scrapes the service and has a result for every panel; histograms read from text give the same quantiles."""

import asyncio
import math
import threading
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, start_http_server
from sqlalchemy import exc as errors
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.databases.engines import sqlite
from harness.errors import NotMeasurableError
from harness.servers import prometheus
from harness.servers.prometheus import Distribution, distribution, series
from service.as_proposed.monitoring import PANELS, ReviewMonitoring
from service.observability.dashboards import WINDOW, panels
from service.observability.metrics import FINE, buckets_s
from service.observability.monitoring import Monitoring
from service.observability.slow_query_log import SlowQueryLog

STILL = "still_seconds"
"""A histogram in addition to the service's, whose observations are all made before the first scrape."""


def test_without_a_program_it_is_not_measurable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(prometheus.PATH_VARIABLE, raising=False)
    with pytest.raises(NotMeasurableError, match="install Prometheus"), prometheus.scraper(tmp_path, "127.0.0.1:1"):
        pass


class Service:
    """A service that is always busy: reads, an error, requests and a cache, over and over, until it is stopped."""

    def __init__(self, folder: Path) -> None:
        self.monitoring = Monitoring(SlowQueryLog(folder / "slow.jsonl"))
        self._query = (review := ReviewMonitoring()).monitor_query("select", "other")(_nothing)
        self.monitoring.registry.register(review.registry)
        still = Histogram(STILL, "", buckets=buckets_s(FINE), registry=self.monitoring.registry)
        for number in range(1, 300):
            still.observe(0.00007 * number)
        self._lookups = 0
        self._path = folder / "own.db"
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()))
        self.monitoring.watch_cache(lambda: {"lookups": self._lookups, "loads": self._lookups // 4})

    def __enter__(self) -> Self:
        """Start working."""
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop."""
        self._stopped.set()
        self._thread.join()

    async def _work(self) -> None:
        async with sqlite.engine(self._path) as engine:
            self.monitoring.watch(engine)
            while not self._stopped.is_set():
                await self._once(engine)
                await asyncio.sleep(0.02)

    async def _once(self, engine: AsyncEngine) -> None:
        self._lookups += 4
        await self._query()
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            with pytest.raises(errors.OperationalError):
                await connection.execute(text("SELECT no_such_column"))
        for status in (200, 500):

            async def app(_scope: Any, _receive: Any, send: Any, status: int = status) -> None:
                await send({"type": "http.response.start", "status": status})

            async def ignore(_message: Any) -> None:
                pass

            await self.monitoring.timed(app)({"type": "http", "method": "GET"}, ignore, ignore)  # type: ignore[arg-type]  # nothing is received


async def _nothing() -> None:
    pass


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Monitoring]]:
    """Yield the URL of a Prometheus that scrapes a busy service, and that service's metrics."""
    folder = tmp_path_factory.mktemp("prometheus")
    with Service(folder) as service:
        httpd, thread = start_http_server(0, "127.0.0.1", service.monitoring.registry)
        try:
            with prometheus.scraper(folder, f"127.0.0.1:{httpd.server_port}") as url:
                yield url, service.monitoring
        except NotMeasurableError as reason:
            pytest.skip(str(reason))
        finally:
            httpd.shutdown()
            httpd.server_close()
            thread.join()


@pytest.mark.slow
def test_every_panel_has_a_result(running: tuple[str, Monitoring]) -> None:
    """Each expression of the dashboard has a result that is a number."""
    url, _ = running
    for panel in panels():
        for target in panel.targets:
            found = prometheus.query(url, target.expression.replace(WINDOW, "5s"), timeout_s=10.0)
            assert found, f"{panel.title}: no result of {target.expression}"
            assert all(series["value"][1] != "NaN" for series in found), target.expression


@pytest.mark.slow
def test_all_but_one_of_the_reviews_panels_are_empty(running: tuple[str, Monitoring]) -> None:
    """The review's metrics are scraped too, and three of its four panels query series that do not exist."""
    url, _ = running
    assert prometheus.query(url, "rate(db_query_duration_seconds_bucket[5s])", timeout_s=10.0)
    shown = [title for title, expression in PANELS.items() if prometheus.query(url, expression)]
    assert shown == ["Queries per Second"]


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 0.95, 0.99, 1.0])
def test_a_quantile_equals_prometheus(running: tuple[str, Monitoring], share: float) -> None:
    """The quantile of a histogram that no longer changes is equal to the last digits."""
    url, monitoring = running
    [result] = prometheus.query(url, f"histogram_quantile({share}, {STILL}_bucket)", timeout_s=10.0)
    assert float(result["value"][1]) == pytest.approx(distribution(monitoring.render(), STILL).quantile(share), rel=1e-9)


TIMES_S = st.lists(st.floats(1e-4, 9), min_size=1, max_size=30)


def exposed(times_s: dict[str, list[float]], bounds_s: tuple[float, ...] = buckets_s(FINE)) -> bytes:
    """Return the exposed text of a histogram with one label, `kind`, and these observations."""
    registry = CollectorRegistry()
    histogram = Histogram("took_seconds", "", ["kind"], buckets=bounds_s, registry=registry)
    Counter("others", "", registry=registry).inc(7)
    for kind, values in times_s.items():
        for value in values:
            histogram.labels(kind).observe(value)
    return generate_latest(registry)


@settings(max_examples=25)
@given(TIMES_S, TIMES_S)
def test_series_are_added_up_or_selected_by_label(first: list[float], second: list[float]) -> None:
    """Without a label all series count, with one the matching series, with an unknown one none."""
    text = exposed({"a": first, "b": second})
    both, one = distribution(text, "took_seconds"), distribution(text, "took_seconds", kind="a")
    assert (both.count, one.count) == (len(first) + len(second), len(first))
    assert both.sum_s == pytest.approx(math.fsum(first + second))
    assert distribution(text, "took_seconds", kind="c") == distribution(text, "others") == Distribution()


@settings(max_examples=50)
@given(times_s=TIMES_S, share=st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_a_quantile_is_in_the_bucket_of_the_true_one(times_s: list[float], share: float) -> None:
    """Its error is at most one bucket."""
    estimated = distribution(exposed({"a": times_s}), "took_seconds").quantile(share)
    true = sorted(times_s)[max(0, math.ceil(share * len(times_s) - 1e-9) - 1)]
    bounds = buckets_s(FINE)
    number = bisect_left(bounds, true)
    assert (bounds[number - 1] if number else 0.0) <= estimated <= bounds[number]
    assert max(estimated / true, true / estimated) <= FINE * 1.01


def test_quantiles_in_the_outer_buckets_are_prometheus() -> None:
    """They start from 0 in the lowest bucket, are the highest bound in the infinite one, and NaN without observations."""
    assert distribution(exposed({"a": [0.5] * 4}, (1.0, 2.0)), "took_seconds").quantile(0.5) == pytest.approx(0.5)
    assert distribution(exposed({"a": [9.0]}, (1.0, 2.0)), "took_seconds").quantile(0.5) == 2.0
    assert math.isnan(Distribution().quantile(0.5))


@settings(max_examples=25)
@given(TIMES_S, TIMES_S)
def test_since_returns_the_observations_between_two_readings(before: list[float], after: list[float]) -> None:
    """The difference of two readings is a reading of the second half; since an empty one, all of it."""
    first, both = (distribution(exposed({"a": times}), "took_seconds") for times in (before, before + after))
    since, alone = both.since(first), distribution(exposed({"a": after}), "took_seconds")
    assert since.cumulative == alone.cumulative
    assert since.sum_s == pytest.approx(alone.sum_s, abs=1e-9)
    assert both.since(Distribution()) == both


def test_histograms_with_different_bounds_cannot_be_subtracted() -> None:
    """Their difference has no meaning."""
    with pytest.raises(ValueError, match="different bounds"):
        Distribution((1.0,), (1.0,)).since(Distribution((2.0,), (1.0,)))


def test_every_series_is_named_with_its_labels() -> None:
    """The names are those of the text, with _bucket, _sum, _count and _total."""
    found = series(exposed({"a": [1.0]}))
    assert found["took_seconds_bucket"] == {"kind", "le"}
    assert found["took_seconds_sum"] == found["took_seconds_count"] == {"kind"}
    assert found["others_total"] == frozenset()
