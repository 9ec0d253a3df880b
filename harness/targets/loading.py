"""A plan's file as a loaded scenario, in every process that takes part."""

from pathlib import Path
from typing import Any

from harness.discovery import LoadedScenario
from harness.runnable import runnable
from harness.scenario import Scenario
from harness.targets import plan as plans
from harness.targets.http_scenario import HttpTarget
from harness.targets.locust_scenario import LocustTarget
from harness.targets.plan import HttpPlan


def load(file: Path) -> LoadedScenario:
    """Return the scenario of a plan; raise UsageError if the file cannot be read."""
    plan = plans.read(file)
    made: Scenario[Any] = HttpTarget(plan) if isinstance(plan, HttpPlan) else LocustTarget(plan)
    return LoadedScenario(plan.name, file, runnable(made), plan.title, "\n\n".join([plan.title, *plan.notes]))
