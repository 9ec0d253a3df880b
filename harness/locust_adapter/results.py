"""The end of a run: its folder with record and histograms, the report from an unpatched process, and a tab in Locust's web UI."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import flask
import msgspec
from flask import Blueprint, Response, make_response, request
from locust.env import Environment

from harness.errors import INTERRUPTED, ScenarioFailedError
from harness.load.results import CollectedResults, ScenarioEnvironment, scenario_result
from harness.load.session import load_facts, record, save
from harness.load.totals import combined
from harness.locust_adapter.request import RunRequest
from harness.redaction import redacted
from harness.results.run import Run, ScenarioStatus
from harness.runtime import machine
from harness.runtime.clock import utc_now
from harness.runtime.cores import Cores
from harness.runtime.workspace import git_commit
from harness.text import printable, without_command

KEY = "verdicts"
_COLUMNS = {
    "name": "Scenario and operations",
    "arm": "Arm",
    "percentile": "Response time",
    "faster": "Times as fast as the baseline",
    "interval": "95 % confidence interval",
}
_NO_REPORT = "No report yet: it is written when a run ends."


def write(results: CollectedResults, request: RunRequest, out: str) -> tuple[Path, Run]:
    """Write a run and return its folder and record; `UsageError` if it cannot be written. Several workers are one load."""
    folder = Path(out or f"runs/{utc_now():%Y%m%dT%H%M%SZ}-{git_commit()[0] or 'nocommit'}-load")
    scenarios, blocks, took_part = request.scenarios, combined(results.blocks.values()), len(results.blocks)
    settings, rtt_ms = request.settings, request.settings.rtts_ms[0]
    collected = replace(
        results,
        blocks={1: blocks} if blocks else {},
        sharing=max(1, took_part),
        ticks=results.ticks if len(scenarios) == 1 else [],  # a tick does not name its scenario
        environments={s.name: ScenarioEnvironment(s.scenario.engines_of(settings)[0], rtt_ms) for s in scenarios}
        | results.environments,
        facts={**machine.describe(Cores(None, None)), **results.facts, "workers": str(took_part)},
    )
    limit = request.load.in_flight_limit * max(1, len(request.workers))
    whole = msgspec.structs.replace(request.load, in_flight_limit=limit)
    facts = load_facts(collected, whole, max((block.users for block in blocks), default=0))
    command = " ".join([Path(sys.argv[0]).name, *map(redacted, sys.argv[1:])])
    judged = [scenario_result(loaded, collected, whole) for loaded in scenarios]
    found = record(judged, collected, facts, replace(settings, processes=took_part), folder, command, utc_now())
    save(found, collected, folder)
    return folder, found


def exit_code(run: Run, on_error: int = 1) -> int:
    """Return the exit code of a run, by the rules of `harness load`; `on_error` is Locust's own option for failed operations."""
    loads = [scenario.load for scenario in run.scenarios if scenario.load is not None]
    if any(load.lost_workers for load in loads):
        return ScenarioFailedError.code
    if failed := [scenario for scenario in run.scenarios if scenario.status == ScenarioStatus.FAILED]:
        only_errors = all(s.load is not None and any(a.failing for a in s.load.arms) for s in failed)
        return on_error if only_errors else min(s.exit_code for s in failed)
    return INTERRUPTED if run.interrupted or any(load.invalid or load.unsustained for load in loads) else 0


def write_report(folder: Path) -> int:
    """Write the HTML report in an unpatched process; return its exit code; a signal is a failure."""
    return _report(folder, "html", stdout=subprocess.DEVNULL)


def print_summary(folder: Path) -> int:
    """Print the summary of a run, from an unpatched process, and the path of its report; return the exit code."""
    code = _report(folder, "terminal")
    if (page := folder / "report.html").is_file():
        sys.stdout.write(without_command(printable(str(page))) + "\n")
        sys.stdout.flush()
    return code


def _report(folder: Path, form: str, stdout: int | None = None) -> int:
    sys.stdout.flush()
    command = [sys.executable, "-m", "harness", "report", str(folder), "--format", form]
    code = subprocess.run(command, check=False, stdout=stdout).returncode
    return ScenarioFailedError.code if code < 0 else code


class VerdictPage:
    """The last run in Locust's web UI: a tab with the ratios, the report at /verdicts, and a link to it among the downloads."""

    def __init__(self, environment: Environment) -> None:
        web_ui = environment.web_ui
        assert web_ui is not None
        assert web_ui.app is not None
        self._rows: list[dict[str, str]] = []
        self._report: Path | None = None
        base = getattr(environment.parsed_options, "web_base_path", "") or ""
        pages = Blueprint("harness", __name__, url_prefix=base or None)
        pages.add_url_rule(f"/{KEY}", KEY, web_ui.auth_required_if_enabled(self._show_report))
        web_ui.app.register_blueprint(pages)
        web_ui.app.after_request(self._add_rows)
        web_ui.template_args |= {
            "extended_tabs": [{"title": "Verdicts", "key": KEY}],
            "extended_tables": [{"key": KEY, "structure": [{"key": key, "title": title} for key, title in _COLUMNS.items()]}],
            "extended_csv_files": [{"href": f"./{KEY}", "title": "Report of the last run, with verdicts"}],
        }

    def show(self, folder: Path, run: Run) -> None:
        """Show a run that has ended."""
        self._report, self._rows = (folder / "report.html").resolve(), rows(run)

    def _show_report(self) -> Response:
        if self._report is None or not self._report.is_file():
            return make_response(_NO_REPORT, 404)
        return flask.send_file(self._report, max_age=0)

    def _add_rows(self, response: Response) -> Response:
        if request.path.endswith("/stats/requests") and response.is_json:
            found: dict[str, Any] = response.get_json()
            found["extended_stats"] = [{"key": KEY, "data": self._rows}]
            response.set_data(flask.json.dumps(found))
        return response


def rows(run: Run) -> list[dict[str, str]]:
    """Return one row of the tab per ratio, or the reason why a scenario has none."""
    found: list[tuple[str, ...]] = []
    for scenario in run.scenarios:
        load = scenario.load
        if reason := scenario.error or (load.invalid if load else None):
            found.append((scenario.name, "", "", reason, ""))
        for r in load.ratios if load and not reason else ():
            interval = "too few cycles" if r.low is None or r.high is None else f"{r.low:.3g} to {r.high:.3g}"
            found.append((f"{scenario.name}: {r.group}", r.arm, f"p{r.percentile}", f"{r.ratio:.3g} ×", interval))
    return [dict(zip(_COLUMNS, row, strict=True)) for row in found]
