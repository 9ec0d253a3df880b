"""The run's folder at the end: the record, the histograms and, from a process that nobody has patched, the report."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec

from harness.load.histogram_file import write_histograms
from harness.load.protocol import LoadBlock
from harness.load.results import CollectedResults, Where
from harness.load.session import described, record, samples_file
from harness.load.shares import together
from harness.locust_adapter.wish import RunRequest
from harness.results.load import Tick
from harness.results.run import Run, RunSettings, ScenarioResult
from harness.results.store import write_run
from harness.runtime import machine
from harness.runtime.clock import utc_now
from harness.runtime.cores import Cores
from harness.runtime.workspace import git_commit

INTERRUPTED = 3


@dataclass
class RunResults:
    """What a run's engine processes have told, by who they are; `lost` names the shares of those that ended before their time."""

    started_at: datetime = field(default_factory=utc_now)
    blocks: dict[str, list[LoadBlock]] = field(default_factory=dict)
    ticks: list[Tick] = field(default_factory=list)
    places: dict[str, Where] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    cannot_run: list[tuple[str, str, str, str]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    interrupted: bool = False

    def add(self, who: str, blocks: Sequence[LoadBlock], ticks: Sequence[Tick]) -> None:
        """Take in some of an engine's blocks and ticks."""
        self.blocks.setdefault(who, []).extend(blocks)
        number = list(self.blocks).index(who) + 1
        self.ticks += [replace(tick, process=number) for tick in ticks]


def write(told: RunResults, wish: RunRequest, out: str) -> tuple[Path, Run]:
    """Write a run and return its folder and the record. What several workers did at the same time is one load: one process's.

    Raises:
        UsageError: the folder cannot be written.
    """
    folder = Path(out or f"runs/{utc_now():%Y%m%dT%H%M%SZ}-{git_commit()[0] or 'nocommit'}-load")
    took_part = {who: found for who, found in told.blocks.items() if found}
    ticks = told.ticks if len(wish.scenarios) == 1 else []  # a tick does not say of which scenario it tells
    heard = CollectedResults(
        blocks={1: together(took_part.values())} if took_part else {},
        ticks=ticks,
        lost=told.lost,
        interrupted=told.interrupted,
        cannot_run=told.cannot_run,
    )
    job, scenarios = wish.job(lambda _: [], wish.workers[0] if wish.workers else ""), wish.scenarios
    settings = RunSettings([wish.engine], wish.size, wish.seed, [wish.rtt_ms], quick=False, processes=len(took_part), budget_s=0.0)
    places = {s.name: told.places.get(s.name, Where(wish.engine, wish.rtt_ms)) for s in scenarios}
    most = max((block.users for found in heard.blocks.values() for block in found), default=0)
    whole = msgspec.structs.replace(job, in_flight_limit=job.in_flight_limit * max(1, len(wish.workers)))
    facts = {**machine.describe(Cores(None, None)), **told.facts, **described(whole, most), "workers": str(len(took_part))}
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    found = record(scenarios, places, heard, whole, settings, facts, (told.started_at, utc_now()), folder, command)
    if len(took_part) > 1:
        found = replace(found, scenarios=[_by_several(s, len(took_part)) for s in found.scenarios])
    for scenario in scenarios:
        write_histograms(heard.blocks, scenario.name, folder / samples_file(scenario, wish.engine))
    write_run(found, folder)
    return folder, found


def exit_code(run: Run) -> int | None:
    """Return what the run means to a shell; None leaves it to Locust, which knows of failed operations."""
    loads = [scenario.load for scenario in run.scenarios if scenario.load is not None]
    if any(load.lost_workers for load in loads) or any(scenario.status == "failed" for scenario in run.scenarios):
        return 1
    return INTERRUPTED if run.interrupted or any(load.invalid for load in loads) else None


def report(folder: Path) -> int:
    """Print the tables and write the HTML report; return the worst exit code. Tables and figures want an unpatched process."""
    sys.stdout.flush()
    commands: Mapping[str, list[str]] = {
        form: [sys.executable, "-m", "harness", "report", str(folder), "--format", form] for form in ("terminal", "html")
    }
    return max(subprocess.run(command, check=False).returncode for command in commands.values())


def _by_several(scenario: ScenarioResult, workers: int) -> ScenarioResult:
    """Say of a scenario's result how many processes made its load; what is said of a single one is not true of it."""
    warnings = [warning for warning in scenario.warnings if warning.name != "one process"]
    return replace(scenario, warnings=warnings, processes=workers)
