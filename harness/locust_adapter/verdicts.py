"""The last run's verdicts in Locust's web UI: a tab with the ratios, the report at /verdicts, and a link to it among the downloads.

By Locust's own means: a Flask blueprint, the arguments of its page's template, and what its page asks for every other second.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flask
from flask import Blueprint, Response, make_response, request
from locust.env import Environment

from harness.results.run import Run

KEY = "verdicts"
_COLUMNS = {
    "name": "Scenario and operations",
    "arm": "Arm",
    "percentile": "Response time",
    "faster": "Times shorter than the baseline's",
    "interval": "95 % interval",
}
_NOT_YET = "There is no report yet: it is written when a run ends."


class VerdictPage:
    """What the web UI shows of the run that ended last."""

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
            "extended_csv_files": [{"href": f"./{KEY}", "title": "Verdicts of the last run: the whole report"}],
        }

    def show(self, folder: Path, run: Run) -> None:
        """Show a run that has ended."""
        self._report, self._rows = (folder / "report.html").resolve(), rows(run)

    def _show_report(self) -> Response:
        if self._report is None or not self._report.is_file():
            return make_response(_NOT_YET, 404)
        return flask.send_file(self._report, max_age=0)

    def _add_rows(self, response: Response) -> Response:
        if request.path.endswith("/stats/requests") and response.is_json:
            found: dict[str, Any] = response.get_json()
            found["extended_stats"] = [{"key": KEY, "data": self._rows}]
            response.set_data(flask.json.dumps(found))
        return response


def rows(run: Run) -> list[dict[str, str]]:
    """Return a line of the tab for every ratio, or the reason why a scenario has none."""
    found = []
    for scenario in run.scenarios:
        load = scenario.load
        why = scenario.error or (load.invalid if load else None)
        if why:
            found.append({"name": scenario.name, "arm": "", "percentile": "", "faster": why, "interval": ""})
        for ratio in load.ratios if load and not why else ():
            interval = "too few cycles" if ratio.low is None or ratio.high is None else f"{ratio.low:.3g} to {ratio.high:.3g}"
            found.append(
                {
                    "name": f"{scenario.name}: {ratio.group}",
                    "arm": ratio.arm,
                    "percentile": f"p{ratio.percentile}",
                    "faster": f"{ratio.ratio:.3g} ×",
                    "interval": interval,
                }
            )
    return found
