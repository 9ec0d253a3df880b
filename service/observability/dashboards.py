"""The Grafana dashboard, drawn from the table of metrics: a metric that is added there has its panel here.

`python -m service.observability.dashboards` prints the JSON that Grafana imports, or reads from a folder of provisioned dashboards.
"""

from __future__ import annotations

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
)

WINDOW = "$__rate_interval"
"""Grafana's variable: four scrapes at least, so that no window is without a rate."""

QUANTILES = (0.5, 0.95, 0.99)
COLUMNS, WIDTH, HEIGHT = 3, 8, 8


@dataclass(frozen=True)
class Target:
    """One expression of a panel, and how its lines are called."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel: its title, Grafana's unit of its axis, and what it draws."""

    title: str
    unit: str
    targets: tuple[Target, ...]


def panels(metrics: Iterable[Metric] = METRICS) -> list[Panel]:
    """Return the panels of these metrics, and those that set metrics against each other."""
    return [*(panel for metric in metrics for panel in _of(metric)), *_RATIOS]


def dashboard(title: str = "Prompt service", metrics: Iterable[Metric] = METRICS) -> dict[str, Any]:
    """Return the dashboard as Grafana stores it. The data source is chosen in the page."""
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
    """Yield a metric's panels. A counter's and a histogram's values only ever grow: what is shown is their rate."""
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels)
    if metric.kind == "gauge":
        yield Panel(metric.tells, metric.unit, (Target(metric.name, legend),))
    elif metric.kind == "counter":
        yield Panel(f"{metric.tells}, per second", "short", (Target(_rate(metric.name, metric.labels), legend),))
    else:
        yield Panel(f"{metric.tells}: percentiles", metric.unit, tuple(_quantile(metric.name, q) for q in QUANTILES))
        yield Panel(
            f"{metric.tells}: how many, per second", "short", (Target(_rate(f"{metric.name}_count", metric.labels), legend),)
        )
        yield Panel(
            f"{metric.tells}: seconds of it per second",
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
        "Requests that failed on our side",
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
