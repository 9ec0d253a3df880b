"""The Grafana dashboard, generated from the table of metrics: a metric that is added there gets its panel here.

`python -m service.observability.dashboards` prints the JSON that Grafana imports, or reads from a folder of provisioned dashboards.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from service.observability import metrics
from service.observability.metrics import Metric, MetricKind

WINDOW = "$__rate_interval"  # Grafana's variable: at least four scrapes, so that no window lacks a rate
QUANTILES = (0.5, 0.95, 0.99)
COLUMNS, WIDTH, HEIGHT = 3, 8, 8


@dataclass(frozen=True)
class Target:
    """One query of a panel, and the name of its lines."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel: its title, Grafana's unit of its axis, and its queries."""

    title: str
    unit: str
    targets: tuple[Target, ...]


def panels() -> list[Panel]:
    """Return the panels of all metrics, and those that combine metrics."""
    return [*(panel for metric in metrics.METRICS for panel in _of(metric)), *_RATIOS]


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana stores it. The data source is selected in the page."""
    return {
        "title": "Prompt service",
        "uid": "prompt-service",
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}]},
        "panels": [_drawn(number, panel) for number, panel in enumerate(panels())],
    }


def _panel(title: str, unit: str, expression: str, legend: str = "") -> Panel:
    return Panel(title, unit, (Target(expression, legend),))


def _of(metric: Metric) -> Iterator[Panel]:
    """Yield a metric's panels. Counters and histograms only grow, so their rate is shown."""
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels)
    if metric.kind is MetricKind.GAUGE:
        yield _panel(metric.help, metric.unit, metric.name, legend)
    elif metric.kind is MetricKind.COUNTER:
        yield _panel(f"{metric.help}, per second", "short", _rate(metric.name, metric.labels), legend)
    else:
        yield Panel(f"{metric.help}: percentiles", metric.unit, tuple(_quantile(metric.name, q) for q in QUANTILES))
        yield _panel(f"{metric.help}: rate, per second", "short", _rate(f"{metric.name}_count", metric.labels), legend)
        yield _panel(f"{metric.help}: seconds per second", metric.unit, _rate(f"{metric.name}_sum", metric.labels), legend)


def _rate(name: str, labels: Iterable[str] = (), chosen: str = "") -> str:
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{by} (rate({name}{chosen}[{WINDOW}]))"


def _quantile(name: str, quantile: float) -> Target:
    return Target(f"histogram_quantile({quantile}, {_rate(f'{name}_bucket', ['le'])})", f"p{quantile * 100:g}")


_5XX = '{status="5xx"}'
_SERVED, _SENT = f"{metrics.REQUESTS.name}_count", metrics.STATEMENTS.name
_HITS, _MISSES = (_rate(metric.name, ["cache"]) for metric in (metrics.CACHE_HITS, metrics.CACHE_MISSES))
_MEAN_S = f"{_rate(f'{_SENT}_sum', ['operation'])} / {_rate(f'{_SENT}_count', ['operation'])}"
_FAILED = f"{_rate(_SERVED, chosen=_5XX)} / {_rate(_SERVED)}"
_RATIOS = (
    _panel("Requests that failed in the service (5xx)", "percentunit", _FAILED),
    _panel("Mean time of a statement, by operation", "s", _MEAN_S, "{{operation}}"),
    _panel("Pool in use", "percentunit", f"{metrics.POOL_CHECKED_OUT.name} / {metrics.POOL_SIZE.name}", "{{pool}}"),
    _panel("Cache hit rate", "percentunit", f"{_HITS} / ({_HITS} + {_MISSES})", "{{cache}}"),
)


def _drawn(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, COLUMNS)
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": source,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": source, "expr": target.expression, "legendFormat": target.legend}
            for place, target in enumerate(panel.targets)
        ],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dashboard(), indent=2) + "\n")
