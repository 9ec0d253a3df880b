"""A real Prometheus scrapes the service and has a result for every panel; histograms read from text give the same quantiles."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from prometheus_client import Histogram, start_http_server
from sqlalchemy import exc as errors
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.databases.engines import sqlite
from harness.errors import NotMeasurableError
from harness.servers import prometheus
from harness.servers.prometheus import distribution
from service.as_proposed.monitoring import PANELS, ReviewMonitoring
from service.observability.dashboards import WINDOW, panels
from service.observability.metrics import FINE, buckets_s
from service.observability.monitoring import Monitoring
from service.observability.slow_query_log import SlowQueryLog

STILL = "still_seconds"
"""A histogram in addition to the service's, whose observations are all made before the first scrape."""


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
