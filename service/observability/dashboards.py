"""The Grafana dashboard, generated from the table of metrics: a metric that is added there gets its panel here.

`python -m service.observability.dashboards` prints the JSON that Grafana imports, or reads from a folder of provisioned dashboards.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from service.observability.metrics import (
    CACHE_HITS,
    CACHE_MISSES,
    METRICS,
    POOL_CHECKED_OUT,
    POOL_SIZE,
    REQUESTS,
    STATEMENTS,
    Metric,
    MetricKind,
)

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


def panels(metrics: Iterable[Metric] = METRICS) -> list[Panel]:
    """Return the panels of these metrics, and those that combine metrics."""
    return [*(panel for metric in metrics for panel in _of(metric)), *_RATIOS]


def dashboard(title: str = "Prompt service", metrics: Iterable[Metric] = METRICS) -> dict[str, Any]:
    """Return the dashboard as Grafana stores it. The data source is selected in the page."""
    return {
        "title": title,
        "uid": "prompt-service",
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}]},
        "panels": [_drawn(number, panel) for number, panel in enumerate(panels(metrics))],
    }


def _of(metric: Metric) -> Iterator[Panel]:
    """Yield a metric's panels. Counters and histograms only grow, so their rate is shown."""
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels)
    if metric.kind is MetricKind.GAUGE:
        yield Panel(metric.help, metric.unit, (Target(metric.name, legend),))
    elif metric.kind is MetricKind.COUNTER:
        yield Panel(f"{metric.help}, per second", "short", (Target(_rate(metric.name, metric.labels), legend),))
    else:
        yield Panel(f"{metric.help}: percentiles", metric.unit, tuple(_quantile(metric.name, q) for q in QUANTILES))
        yield Panel(f"{metric.help}: rate, per second", "short", (Target(_rate(f"{metric.name}_count", metric.labels), legend),))
        yield Panel(
            f"{metric.help}: seconds per second",
            metric.unit,
            (Target(_rate(f"{metric.name}_sum", metric.labels), legend),),
        )


def _rate(name: str, labels: Iterable[str] = (), chosen: str = "") -> str:
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{by} (rate({name}{chosen}[{WINDOW}]))"


def _quantile(name: str, quantile: float) -> Target:
    return Target(f"histogram_quantile({quantile}, {_rate(f'{name}_bucket', ['le'])})", f"p{quantile * 100:g}")


_FAILED = '{status="5xx"}'
_RATIOS = (
    Panel(
        "Requests that failed in the service (5xx)",
        "percentunit",
        (Target(f"{_rate(f'{REQUESTS.name}_count', chosen=_FAILED)} / {_rate(f'{REQUESTS.name}_count')}"),),
    ),
    Panel(
        "Mean time of a statement, by operation",
        "s",
        (
            Target(
                f"{_rate(f'{STATEMENTS.name}_sum', ['operation'])} / {_rate(f'{STATEMENTS.name}_count', ['operation'])}",
                "{{operation}}",
            ),
        ),
    ),
    Panel("Pool in use", "percentunit", (Target(f"{POOL_CHECKED_OUT.name} / {POOL_SIZE.name}", "{{pool}}"),)),
    Panel(
        "Cache hit rate",
        "percentunit",
        (
            Target(
                f"{_rate(CACHE_HITS.name, ['cache'])} / "
                f"({_rate(CACHE_HITS.name, ['cache'])} + {_rate(CACHE_MISSES.name, ['cache'])})",
                "{{cache}}",
            ),
        ),
    ),
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
