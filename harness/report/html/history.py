"""A history as one self-contained HTML page: the steps by commit, then the trends of each scenario's figures."""

from collections.abc import Iterable
from html import escape
from pathlib import Path

from harness.language import gettext
from harness.report import history as content
from harness.report.html.compact import compact
from harness.report.html.page import HISTORY_STYLE, style, templates
from harness.report.numbers import counted
from harness.report.trend import line_class, trend
from harness.results.history import FigureHistory, History, ScenarioHistory
from harness.results.store import write_bytes
from harness.text import encode, for_page

PAGE = "history.html"
FEW = 12
"""The number of trends up to which a list of them is unfolded."""


def write(history: History, out: Path) -> Path:
    """Write `history.html` into a folder and return its path; raise UsageError if the folder cannot be written."""
    return write_bytes(out / PAGE, encode(compact(render(history))))


def render(history: History) -> str:
    """Return the page of a history."""
    cards = sorted(history.scenarios, key=lambda s: (-len(s.steps), s.name, s.engine, s.rtt_ms))
    return (
        templates()
        .get_template("history.html.j2")
        .render(
            run={"name": content.heading(history)},
            style=style(HISTORY_STYLE),
            facts=content.facts(history),
            groups=[_group(group) for group in content.step_groups(history)],
            warnings=content.warnings(history),
            runs=content.run_table(history),
            cards=[_card(scenario, len(history.runs)) for scenario in cards],
            read=content.READ,
        )
    )


def _group(group: content.StepGroup) -> dict[str, object]:
    shown, rest = group.subjects[: content.MOST], group.subjects[content.MOST :]
    return {
        "group": group,
        "table": content.step_table(shown),
        "rest": content.step_table(rest) if rest else None,
        "more": counted(len(rest), "more row"),
    }


def _card(scenario: ScenarioHistory, runs: int) -> dict[str, object]:
    stepped = [figure for figure in scenario.figures if figure.steps]
    rest = [figure for figure in scenario.figures if not figure.steps and figure.constant is None]
    lists = [(name, _rows([f for f in rest if f.kind == kind], runs)) for kind, name in content.KINDS.items()]
    same = content.constants(scenario.figures)
    number = sum(figure.constant is not None for figure in scenario.figures)
    return {
        "anchor": content.anchor(scenario),
        "title": content.located(scenario),
        "about": gettext(
            "{runs}, {steps} in {figures}",
            runs=counted(scenario.runs, "run"),
            steps=counted(len(scenario.steps), "step"),
            figures=counted(len(scenario.figures), "figure"),
        ),
        "notes": list(content.line_notes(scenario)),
        "stepped": _rows(stepped, runs),
        "lists": [
            (gettext("{name} without a step: {count}", name=gettext(name), count=f"{len(rows):,}"), rows, len(rows) <= FEW)
            for name, rows in lists
            if rows
        ],
        "same": same,
        "unchanged": gettext("The same in every run: {figures}", figures=counted(number, "figure")),
    }


def _rows(figures: Iterable[FigureHistory], runs: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for figure in figures:
        name, ends = f"{content.arm_and_group(figure)} {content.metric(figure)}".strip(), content.ends(figure)
        steps = [(content.direction(step), content.change(step).full, step.evidence) for step in figure.steps]
        label = escape(for_page(f"{name}: {'; '.join(shown for _, shown, _ in ends)}; {counted(len(steps), 'step')}"))
        found.append(
            {
                "name": content.arm_and_group(figure),
                "metric": content.metric(figure),
                "trend": trend(figure, runs, label),
                "ends": [(line_class(number), *shown) for number, *shown in ends],
                "steps": steps,
            }
        )
    return found
