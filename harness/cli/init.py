"""Write a first scenario for a project, and its settings.

Looks at the project's code for SQLAlchemy tables, a Flask, FastAPI, Starlette or Django application, and functions whose arguments
can be drawn, and writes a scenario that runs as it is: a baseline and an optimised arm. Modules with tables or an application are
imported, in another process. Also written: a locustfile for the scenarios, [tool.harness] in pyproject.toml, and a line of
.gitignore. A file that exists is never overwritten; --dry-run shows what would be written.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from harness import options as converters
from harness.errors import UsageError
from harness.text import printable

if TYPE_CHECKING:
    from harness.init.files import PlannedFile
    from harness.init.findings import Imported, Sources
    from harness.init.templating import ScenarioText

TEMPLATES = {"sql": "SQLAlchemy tables", "http": "a web application", "function": "a function", "empty": "to fill in"}
WORKFLOWS = ("github", "gitlab")
WIDTH = 80
MAX_FINDINGS, MAX_PROBLEMS = 4, 1


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    help_ = "the project's folder (default: the nearest one with a pyproject.toml, or the current one)"
    parser.add_argument("folder", nargs="?", type=converters.path, metavar="FOLDER", help=help_)
    help_ = "sql, http, function or empty (default: what fits the code)"
    parser.add_argument("--template", choices=list(TEMPLATES), metavar="TEMPLATE", help=help_)
    parser.add_argument("--ci", choices=WORKFLOWS, metavar="CI", help="also write a workflow: github or gitlab")
    parser.add_argument("--yes", action="store_true", help="ask nothing, as where standard input is not a terminal")
    parser.add_argument("--dry-run", action="store_true", help="write nothing; print every file")


def run(options: argparse.Namespace) -> int:
    """Write the files, print what was found, what was written and what to do next; return 0."""
    from harness.cli._console import print_lines
    from harness.init import files, scenarios
    from harness.init.address import UNKNOWN_OWNER
    from harness.init.inspection import inspect_modules
    from harness.init.sources import read_sources
    from harness.init.tree import source_tree

    root = _root(options.folder)
    folder = files.scenario_folder(root)
    tree = source_tree(root)
    sources = read_sources(tree)
    imported = inspect_modules(root, sources)
    _print_findings(root, sources, imported, is_complete=tree.is_complete)
    existing = files.existing_scenarios(root, folder)
    is_asking = not options.yes and sys.stdin.isatty()
    scenario = None
    if options.template or not existing:
        chosen = options.template or _chosen(scenarios.fitting(root, sources, imported), is_asking=is_asking)
        scenario = scenarios.written(chosen, root, sources, imported)
    plan = files.planned(root, folder, scenario, options.ci or "", _suite(sources))
    if options.dry_run:
        _print_files(root, plan)
        return 0
    if is_asking and not _agreed([_shown(root, file) for file in plan if file.is_written]):
        print_lines("nothing was written")
        return 0
    files.write(plan)
    if scenario is None:
        _line(f"exists   {folder} with {', '.join(existing)}; for one more: --template")
    _print_written(root, plan, scenario)
    _print_next(root, folder, scenario, sources)
    if any(UNKNOWN_OWNER in file.text for file in plan):
        print(f"  replace {UNKNOWN_OWNER} in the workflow: the owner of the harness on GitHub")
    return 0


def _root(named: Path | None) -> Path:
    """Return the project's folder; UsageError if it is not a folder."""
    from harness.configuration import configuration

    if named is None:
        file = configuration(Path.cwd()).file
        return Path.cwd() if file is None else file.parent
    if not named.is_dir():
        raise UsageError(f"{named} is not a folder; name the folder of a project, or leave it out")
    return named.resolve()


def _suite(sources: Sources) -> str:
    """Return the folder of a project's pytest-benchmark suite, of one at its root the file; empty without one."""
    if not sources.benchmarks:
        return ""
    file = Path(sources.benchmarks[0].file)
    return str(file if file.parent == Path() else file.parent)


def _chosen(fitting: list[str], *, is_asking: bool) -> str:
    """Return the template: the most specific one that fits, or the one that the user chooses."""
    if not is_asking or len(fitting) < 2:  # noqa: PLR2004 - a choice needs two
        return fitting[0] if fitting else "function"
    default = fitting[0]
    answer = _answer(f"template: {', '.join(f'{name} ({TEMPLATES[name]})' for name in fitting)} [{default}] ") or default
    if answer not in TEMPLATES:
        raise UsageError(f"unknown template {answer!r}; choose from {', '.join(TEMPLATES)}")
    return answer


def _agreed(names: list[str]) -> bool:
    return not names or _answer(f"write {', '.join(names)}? [Y/n] ").lower() in {"", "y", "yes"}


def _answer(question: str) -> str:
    """Return the user's answer; "no" where the input ends instead."""
    try:
        return input(printable(question)).strip()
    except EOFError:
        print()
        return "no"


def _line(text: str) -> None:
    """Print a line that fits the terminal's usual width."""
    from harness.cli._console import print_lines

    shown = printable(text)
    print_lines(shown if len(shown) <= WIDTH else f"{shown[: WIDTH - 1]}…")


def _print_findings(root: Path, sources: Sources, imported: Imported, *, is_complete: bool) -> None:
    from harness.cli._console import print_lines

    found = [
        *(f"{len(schema.tables)} tables of {schema.module}.{schema.expression}" for schema in imported.schemas[:2]),
        *(f"synchronous engine in {place}" for place in sources.sync_engines[:1]),
        *(f"asynchronous engine in {place}" for place in sources.async_engines[:1]),
        *(f"{app.framework} application {app.label}" for app in sources.apps[:1]),
        *(f"pytest-benchmark suite {place.file}" for place in sources.benchmarks[:1]),
        *(f"locustfile {place.file}" for place in sources.locustfiles[:1]),
        *(f"function {site.module}.{site.name}" for site in sources.functions[:1]),
    ]
    print_lines(f"project: {root}")
    for each in found[:MAX_FINDINGS]:
        _line(f"  found {each}")
    if not is_complete:
        _line("  more files than are looked at: name a folder of the project instead")
    problems = [*imported.problems, *sources.problems]
    for problem in problems[:MAX_PROBLEMS]:
        for line in textwrap.wrap(problem, WIDTH, initial_indent="  ", subsequent_indent="    ", max_lines=3, placeholder=" …"):
            print_lines(line)
    if len(problems) > MAX_PROBLEMS:
        print_lines(f"  and {len(problems) - MAX_PROBLEMS} more files that cannot be read or imported")


def _shown(root: Path, file: PlannedFile) -> str:
    return str(file.path.relative_to(root))


def _print_files(root: Path, plan: list[PlannedFile]) -> None:
    from harness.cli._console import print_lines

    for file in plan:
        note = {
            "write": "",
            "add to": " (these lines are added)",
            "exists": " (exists, and would stay)",
            "done": " (is so already)",
        }
        print_lines(f"--- {_shown(root, file)}{note[file.status]}")
        print_lines(*(file.added or file.text).rstrip("\n").split("\n"))
    print_lines("nothing was written (--dry-run)")


def _print_written(root: Path, plan: list[PlannedFile], scenario: ScenarioText | None) -> None:
    for file in plan:
        if file.status == "write":
            about = f": {scenario.about}" if scenario and scenario.about and file.path.stem == scenario.name else ""
            _line(f"wrote    {_shown(root, file)}{about}")
        elif file.status == "add to":
            _line(f"added    {'; '.join(filter(None, file.added.splitlines()))} to {_shown(root, file)}")
        elif file.status == "exists":
            _line(f"exists   {_shown(root, file)}, not changed; {file.hint or '--dry-run shows the other one'}")
        else:
            _line(f"exists   {_shown(root, file)}, with this content already")


def _print_next(root: Path, folder: str, scenario: ScenarioText | None, sources: Sources) -> None:
    from harness.cli._console import print_lines

    print_lines("next:")
    if root != Path.cwd():
        print_lines(f"  cd {root}")
    _line(f"  harness run        # measures {folder}, and writes a report")
    if scenario:
        _line(f"  look for TODO in {folder}/{scenario.name}.py: the change to try")
    if sources.benchmarks:
        _line(f"  harness gate --against HEAD -- pytest {sources.benchmarks[0].file}")
