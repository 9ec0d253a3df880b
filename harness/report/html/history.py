"""A history as one self-contained HTML page: the steps by commit, then the trends of each scenario's figures."""

from collections.abc import Iterable
from html import escape
from pathlib import Path

from harness.report import history as content
from harness.report.html.page import FOLDER, templates
from harness.report.trend import trend
from harness.results.history import FigureHistory, FigureKind, History, ScenarioHistory
from harness.results.store import write_bytes
from harness.text import encode

PAGE = "history.html"
FEW = 12
"""The number of trends up to which a list of them is unfolded."""


def write(history: History, out: Path) -> Path:
    """Write `history.html` into a folder and return its path; raise UsageError if the folder cannot be written."""
    return write_bytes(out / PAGE, encode(render(history)))


def render(history: History) -> str:
    """Return the page of a history."""
    style = "".join((FOLDER / name).read_text(encoding="utf-8") for name in ("style.css", "history.css"))
    cards = sorted(history.scenarios, key=lambda s: (-len(s.steps), s.name, s.engine, s.rtt_ms))
    return (
        templates()
        .get_template("history.html.j2")
        .render(
            run={"name": content.heading(history)},
            style=style,
            facts=content.facts(history),
            groups=[(group, content.step_table(group)) for group in content.step_groups(history)],
            warnings=content.warnings(history),
            runs=content.run_table(history),
            cards=[_card(scenario, len(history.runs)) for scenario in cards],
            read=content.READ,
        )
    )


def _card(scenario: ScenarioHistory, runs: int) -> dict[str, object]:
    stepped = [figure for figure in scenario.figures if figure.steps]
    rest = [figure for figure in scenario.figures if not figure.steps and figure.constant is None]
    lists = [(name, _rows([f for f in rest if f.kind == kind], runs)) for kind, name in content.KINDS.items()]
    same = content.constants(scenario.figures)
    number = sum(figure.constant is not None for figure in scenario.figures)
    return {
        "anchor": content.anchor(scenario),
        "title": content.located(scenario),
        "about": f"{content.counted(scenario.runs, 'run')}, {content.counted(len(scenario.steps), 'step')} in "
        f"{content.counted(len(scenario.figures), 'figure')}",
        "notes": list(content.line_notes(scenario)),
        "stepped": _rows(stepped, runs),
        "lists": [(f"{name} without a step: {len(rows):,}", rows, len(rows) <= FEW) for name, rows in lists if rows],
        "same": same,
        "unchanged": f"The same in every run: {content.counted(number, 'figure')}",
    }


def _rows(figures: Iterable[FigureHistory], runs: int) -> list[dict[str, object]]:
    found = []
    for figure in figures:
        name = f"{content.arm_and_group(figure)}, {content.metric(figure)}"
        first, last = content.ends(figure)
        steps = [(content.direction(step), content.change(step).full) for step in figure.steps]
        label = escape(f"{name}: {first.text} to {last.text}, {content.counted(len(steps), 'step')}")
        found.append(
            {
                "name": content.arm_and_group(figure),
                "metric": content.metric(figure),
                "trend": trend(figure, runs, label),
                "first": first,
                "last": last,
                "steps": steps,
                "ratio": figure.kind == FigureKind.RATIO,
            }
        )
    return found
