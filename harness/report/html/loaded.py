"""The page of a load test or a capacity search, and the section of a run's load tests on its page."""

from collections.abc import Iterable
from pathlib import Path

from harness.language import gettext, mark
from harness.report import capacity, figures, headings, load, load_blocks, numbers, overview, tables
from harness.report.arm_places import arm_places
from harness.report.blocks import of, warning_notices
from harness.report.html import data_files
from harness.report.promises import LocatedResult, located
from harness.results.names import shortened, visible
from harness.results.run import BASELINE, Run, ScenarioResult, ScenarioStatus

TEST, SEARCH = mark("Load test"), mark("Capacity search")
ARM_CLASSES = 6
"""The number of colours for arms in the style sheet."""


def content(run: Run, folder: Path | None, out: Path | None = None) -> dict[str, object]:
    """Return what the template shows of a run under load; figures that need histograms are drawn from `folder`."""
    wanted = [found for found in located(run) if found.result.status != ScenarioStatus.NOT_RUN]
    where = [
        ", ".join(run.settings.engines),
        gettext("{size} data, seed {seed}", size=run.settings.size or numbers.DASH, seed=run.settings.seed),
    ]
    where += [numbers.clock_time(run.started_at), gettext("commit {commit}", commit=overview.commit(run) or gettext("unknown"))]
    return {
        "kind": SEARCH if any(x.result.load and not x.result.load.arms and x.result.load.capacities for x in wanted) else TEST,
        "heading": headings.of_load_run(run),
        "where": [text for text in where if text],
        "notices_found": overview.notices(run),
        "loads": [_loaded(found, folder, out) for found in wanted],
        "warnings": warning_notices(mark("Warnings"), [*run.warnings, *(w for x in wanted for w in x.result.warnings)]),
        "environment": tables.facts(gettext("Environment"), mark("name"), run.environment),
        "duration": numbers.elapsed(run.started_at, run.finished_at),
    }


def section(result: ScenarioResult) -> dict[str, object]:
    """Return the conclusion of one scenario under load with its first tables."""
    return {
        "heading": headings.of_load(result),
        "planned": load.planned(result),
        "notices": load.notices(result),
        "tables": of(load.summary(result), load.by_group(result, with_total=False)),
        "classes": classes(result),
    }


def _loaded(found: LocatedResult, folder: Path | None, out: Path | None) -> dict[str, object]:
    result = found.result
    first = load.summary(result, with_capacities=False) if load.totals(result) else None
    return {
        "title": shortened(visible(found.named(result.title))),
        "located": found,
        "result": result,
        "classes": classes(result),
        "planned": load.planned(result) if result.load else "",
        "notices": load.notices(result),
        "tables": [*capacity.tables(result), *of(first, load.by_group(result, with_total=False), load.errors(result))],
        "figures": list(
            figures.of_scenario(result, folder, samples_link=data_files.address(result.samples_file or "", folder, out))
        ),
        "details": of(load.ratios(result), load_blocks.table(result), capacity.steps(result)),
        "percentiles": load.arms(result),
        "ends": capacity.reasons(result),
    }


def classes(result: ScenarioResult) -> dict[str, str]:
    """Return arm, as it is shown → its class in the style sheet."""
    arms = load.arms_of(result)
    places = arm_places(result.arms, arms)
    found = {name: f"arm-{place % ARM_CLASSES + 1}" for name, place in places.items()} | {BASELINE: "baseline"}
    return {cell.text: found[name] for name, cell in tables.named_cells(arms).items()}


def heads(names: Iterable[str]) -> str:
    """Return a table's column names as variables of its style, by which narrow pages label cells."""
    quoted = (gettext(name).replace("\\", "").replace('"', "'") for name in names)
    return ";".join(f'--h{place}:"{name}"' for place, name in enumerate(quoted, 1))
