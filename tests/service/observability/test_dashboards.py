"""The dashboard queries only metrics that the service exposes, with valid PromQL."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from promql_parser import AggModifierType, AggregateExpr, Expr, VectorSelector, parse, walk
from sqlalchemy import exc as errors
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.servers.prometheus import series
from service.as_proposed.monitoring import PANELS
from service.observability.dashboards import WINDOW, dashboard, panels
from service.observability.metrics import METRICS
from service.observability.monitoring import Monitoring
from service.observability.slow_query_log import SlowQueryLog

OnEngine = Callable[..., Any]
EXPRESSIONS = [target.expression.replace(WINDOW, "5m") for panel in panels() for target in panel.targets]


def selected(expression: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the series that an expression selects, each with the labels that it is filtered or grouped by."""
    found: list[tuple[str, frozenset[str]]] = []

    def look(node: Expr, by: frozenset[str] = frozenset()) -> None:
        def visit(inner: Expr) -> bool | None:
            if isinstance(inner, VectorSelector):
                found.append((str(inner.name), by | {matcher.name for matcher in inner.matchers.matchers}))
            return None

        walk(node, visit)

    def aggregates(node: Expr) -> bool | None:
        if isinstance(node, AggregateExpr) and node.modifier is not None and node.modifier.type == AggModifierType.By:
            look(node.expr, frozenset(node.modifier.labels))
        return None

    tree = parse(expression)
    look(tree)
    walk(tree, aggregates)
    yield from found


@pytest.fixture(scope="module")
def exposed(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, frozenset[str]]:
    """Return the series of a service that has observed everything once: a read, an error, a request, a cache."""
    from harness.databases.engines import sqlite  # noqa: PLC0415 - this fixture alone opens a database

    async def see() -> bytes:
        monitoring = Monitoring(SlowQueryLog(tmp_path_factory.mktemp("log") / "slow.jsonl"))
        monitoring.watch_cache(lambda: {"lookups": 2, "loads": 1})
        own = copyfile(filled, tmp_path_factory.mktemp("own") / "own.db")
        async with sqlite.engine(own) as engine:
            await see_errors(engine, monitoring)

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 500})

        await monitoring.timed(app)({"type": "http", "method": "GET"}, None, _nothing)  # type: ignore[arg-type]  # the application receives nothing
        return monitoring.render()

    async def see_errors(engine: AsyncEngine, monitoring: Monitoring) -> None:
        monitoring.watch(engine)
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            with pytest.raises(errors.OperationalError):
                await connection.execute(text("SELECT no_such_column"))

    return series(asyncio.run(see()))


async def _nothing(_message: object) -> None:
    pass


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_names_only_exposed_series(expression: str, exposed: dict[str, frozenset[str]]) -> None:
    """It parses, and every series and label in it is exposed."""
    named = list(selected(expression))
    assert named
    for name, labels in named:
        assert name in exposed
        assert labels <= exposed[name]


def test_the_same_check_finds_the_defects_of_the_reviews_dashboard(exposed: dict[str, frozenset[str]]) -> None:
    """A panel of a metric that does not exist is detected."""
    assert any(name not in exposed for expression in PANELS.values() for name, _ in selected(expression))
    with pytest.raises(ValueError, match="expected type matrix"):
        parse("rate(db_errors_total)")


def test_every_metric_is_drawn() -> None:
    """Each metric of the table is in a panel, and counters only as rates."""
    together = " ".join(EXPRESSIONS)
    for metric in METRICS:
        assert metric.name in together
        if metric.kind != "gauge":
            uses = re.findall(rf"{metric.name}(?:_\w+)?", together)
            assert len(uses) == len(re.findall(rf"rate\({metric.name}", together))


def test_grafana_can_read_it() -> None:
    """The JSON has panels with distinct positions, a title, a unit, and targets with distinct letters."""
    read = json.loads(json.dumps(dashboard()))
    boxes = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in read["panels"]]
    assert len(set(boxes)) == len(boxes) == len(panels())
    assert len({panel["id"] for panel in read["panels"]}) == len(boxes)
    for panel in read["panels"]:
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in {"s", "short", "percentunit"}
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters) > 0


def test_promtool_accepts_every_expression(tmp_path: Path) -> None:
    """Promtool checks them as rules."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool on PATH")
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(EXPRESSIONS)]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert f"{len(EXPRESSIONS)} rules found" in checked.stdout


def test_promtool_refuses_an_invalid_expression(tmp_path: Path) -> None:
    """A rate without a window is invalid."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool on PATH")
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"groups": [{"name": "wrong", "rules": [{"record": "a:b", "expr": "rate(db_errors_total)"}]}]}))
    assert subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, check=False).returncode != 0
