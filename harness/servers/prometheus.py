"""Prometheus: a server that scrapes an application, and the same metrics read from their text without one."""

import contextlib
import json
import math
import os
import shutil
import time
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from harness.errors import NotMeasurableError
from harness.network.addresses import LOOPBACK, free_port
from harness.runtime.leftovers import owned_path
from harness.servers.guard import Command, guarded, unprivileged_user

PATH_VARIABLE = "HARNESS_PROMETHEUS"
"""Environment variable with the path of the program, if it is not on PATH."""

_CONFIG = "prometheus.yml"
_SCRAPE_INTERVAL = "200ms"
_REPLY_TIMEOUT_S = 5.0


@contextmanager
def scraper(folder: Path, target: str) -> Iterator[str]:
    """Start a Prometheus that scrapes `http://TARGET/metrics`, and yield its URL; NotMeasurableError if it is not installed."""
    name = os.environ.get(PATH_VARIABLE) or "prometheus"
    program = shutil.which(name)
    if program is None:
        raise NotMeasurableError(f"{name} is not on PATH; install Prometheus, or set {PATH_VARIABLE}")
    user = unprivileged_user("Prometheus", "prometheus", PATH_VARIABLE)
    home = owned_path("prometheus")
    scrape = {"job_name": "service", "static_configs": [{"targets": [target]}]}
    scrape |= {"scrape_interval": _SCRAPE_INTERVAL, "scrape_timeout": _SCRAPE_INTERVAL}
    files = {_CONFIG: json.dumps({"scrape_configs": [scrape]})}  # JSON is valid YAML
    address = f"{LOOPBACK}:{free_port()}"
    arguments = [f"--config.file={home / _CONFIG}", f"--storage.tsdb.path={home / 'data'}", f"--web.listen-address={address}"]
    url = f"http://{address}"

    def is_ready() -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/-/ready", timeout=1):  # noqa: S310 - loopback
            return True
        return False

    command = Command("Prometheus", [program, *arguments], folder / "prometheus.log", remove=home, user=user, files=files)
    with guarded(command, is_ready):
        yield url


def query(url: str, expression: str, *, timeout_s: float = 0.0) -> list[Any]:
    """Return Prometheus's result of an expression: a list of series, each with its "metric" labels and its "value".

    The query is repeated until it has a result, for at most `timeout_s` seconds: the first scrapes take a moment.
    """
    ends_s = time.monotonic() + timeout_s
    parameters = urllib.parse.urlencode({"query": expression})
    while True:
        with urllib.request.urlopen(f"{url}/api/v1/query?{parameters}", timeout=_REPLY_TIMEOUT_S) as reply:  # noqa: S310 - loopback
            found: list[Any] = json.load(reply)["data"]["result"]
        if found or time.monotonic() >= ends_s:
            return found
        time.sleep(0.1)


@dataclass(frozen=True)
class Distribution:
    """A histogram in Prometheus's format, its series added up."""

    bounds_s: tuple[float, ...] = ()
    """Upper bounds of the buckets in seconds, the last one infinite; empty if there are no series."""
    cumulative: tuple[float, ...] = ()
    """Number of observations up to each bound."""
    sum_s: float = 0.0
    """Sum of all observations in seconds."""

    @property
    def count(self) -> float:
        """Number of observations."""
        return self.cumulative[-1] if self.cumulative else 0.0

    def since(self, earlier: Self) -> Self:
        """Return the observations after an earlier reading of the same histogram, which may have had no series yet."""
        if not earlier.bounds_s:
            return self
        if earlier.bounds_s != self.bounds_s:
            raise ValueError("two histograms with different bounds cannot be subtracted")
        between = tuple(now - before for now, before in zip(self.cumulative, earlier.cumulative, strict=True))
        return type(self)(self.bounds_s, between, self.sum_s - earlier.sum_s)

    def quantile(self, share: float) -> float:
        """Return a quantile in seconds as `histogram_quantile` does; NaN without observations.

        Prometheus assumes observations to be evenly distributed within a bucket, and the lowest bucket to begin at 0. Observations
        in the infinite bucket count as the highest finite bound (promql/quantile.go, bucketQuantile).
        """
        if not self.count:
            return math.nan
        rank = share * self.count
        number = next(i for i, reached in enumerate(self.cumulative) if reached >= rank)
        if number == len(self.bounds_s) - 1:
            return self.bounds_s[-2]
        low_s, below = (self.bounds_s[number - 1], self.cumulative[number - 1]) if number else (0.0, 0.0)
        inside = self.cumulative[number] - below
        return low_s + (self.bounds_s[number] - low_s) * ((rank - below) / inside if inside else 0.0)


def distribution(exposed: bytes, name: str, **labels: str) -> Distribution:
    """Return the histogram `name` in exposed metrics, the series with these labels added up; an empty one if there are none."""
    cumulative: defaultdict[float, float] = defaultdict(float)
    sum_s = 0.0
    for family in text_string_to_metric_families(exposed.decode()):
        for sample in family.samples if family.name == name else []:
            if labels.items() <= sample.labels.items():
                if sample.name == f"{name}_bucket":
                    cumulative[float(sample.labels["le"])] += sample.value
                elif sample.name == f"{name}_sum":
                    sum_s += sample.value
    bounds = sorted(cumulative)
    return Distribution(tuple(bounds), tuple(cumulative[bound] for bound in bounds), sum_s)


def series(exposed: bytes) -> dict[str, frozenset[str]]:
    """Return the names of all series in exposed metrics, each with the names of its labels."""
    found: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for family in text_string_to_metric_families(exposed.decode()):
        for sample in family.samples:
            found[sample.name] |= set(sample.labels)
    return dict(found)
