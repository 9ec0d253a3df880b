"""The first scenario of a project, by template: `sql`, `http`, `function` or `empty`."""

import importlib.machinery
import sys
from pathlib import Path

from harness.errors import UsageError
from harness.init.findings import Imported, Sources
from harness.init.function_scenario import function_scenario
from harness.init.http_scenario import http_scenario
from harness.init.sql_scenario import sql_scenario
from harness.init.templating import ScenarioText, template

TEMPLATES = ("sql", "http", "function", "empty")


def fitting(root: Path, sources: Sources, imported: Imported) -> list[str]:
    """Return the templates that fit the project's own code, the most specific one first."""
    found = []
    for name in TEMPLATES[:3]:
        try:
            if written(name, root, sources, imported).about:
                found.append(name)
        except UsageError:
            continue
    return found


def written(chosen: str, root: Path, sources: Sources, imported: Imported) -> ScenarioText:
    """Return the scenario of a template for the project; UsageError with the reason if the template does not fit."""
    if chosen == "sql":
        found = sql_scenario(sources, imported)
    elif chosen == "http":
        found = http_scenario(sources, imported)
    elif chosen == "function":
        found = (
            function_scenario(sources.functions[0]) if sources.functions else ScenarioText("shared_words", template("function_own"))
        )
    else:
        found = ScenarioText("first_scenario", template("empty"))
    return ScenarioText(_free(found.name, root), found.text, found.about)


def _free(name: str, root: Path) -> str:
    """Return a name that no importable module has: a scenario file must not shadow one."""
    path = [str(root), str(root / "src"), *sys.path]
    candidates = [name, f"{name}_bench", *(f"{name}_bench_{number}" for number in range(2, 100))]
    return next(c for c in candidates if importlib.machinery.PathFinder.find_spec(c, path) is None)
