"""A run as Markdown for a pull request: verdicts first, then the measurements folded away, a scenario each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from harness.report import ablation, capacity, controls, load, matrix, numbers, review, tables, tails
from harness.report.promises import HEADINGS, SIGNS, PromiseRow, broken_arms, figure, places, rows, tally
from harness.results.run import Run, RunWarning, ScenarioResult, ScenarioStatus


def render(run: Run) -> str:
    """Return a run as GitHub-flavoured Markdown. Names and errors from the run are escaped."""
    return "\n".join(_lines(run)).rstrip() + "\n"


def _lines(run: Run) -> Iterator[str]:
    users = f", {escape(run.environment['users'])} users" if run.kind == "load" and "users" in run.environment else ""
    commit = f", commit {escape(run.commit[:12])}" if run.commit else ""
    settings = f"{', '.join(run.settings.engines)}, {run.settings.size}, seed {run.settings.seed}"
    yield f"## Advice on trial: {escape(run.name)}"
    yield ""
    dirty = " with uncommitted changes" if run.dirty else ""
    yield f"{escape(numbers.clock_time(run.started_at))}{commit}{dirty}, {escape(settings)}{users}"
    yield ""
    if run.interrupted:
        yield from ("**This run was interrupted**; what had finished is shown.", "")
    if not run.scenarios:
        yield from ("**No scenario finished**: there is nothing to judge.", "")
    yield from _troubles(run)
    promises = rows(run)
    if promises:
        yield from (_counts(run), "")
    if promises and len(matrix.places(run)) > 1:
        yield from _matrix(run)
    elif promises:
        yield from _promise_table(promises)
    for place in matrix.places(run):
        yield from _answers(run, place)
    yield from _ablation(run)
    yield from _load(run)
    yield from _warnings(run.warnings, "the whole run")
    for result, where in zip(run.scenarios, places(run), strict=True):
        yield from _scenario(result, where, blocks=run.kind == "load")
    yield from ("", "Reproduce:", "", *_code(run.command))


def _troubles(run: Run) -> Iterator[str]:
    for result, where in zip(run.scenarios, places(run), strict=True):
        if result.status not in {"ok", ScenarioStatus.NOT_RUN}:
            name = f"{result.title}, {where}" if where else result.title
            yield from (f"**{escape(name)}: {result.status}.**", "", *_code(result.error or "no error was recorded"), "")
    for place, reason, results in matrix.not_run(run):
        yield f"- not run on {escape(place.label)}: {escape(', '.join(r.title for r in results))}: {escape(reason)}"
    broken = broken_arms(run.scenarios)
    for result, arm in broken:
        yield f"- {escape(result.title)}: **{escape(arm.name)} cannot run as written**: {escape(arm.cannot_run or '')}"
    if broken:
        yield ""


def _counts(run: Run) -> str:
    parts = []
    for arm, name in HEADINGS.items():
        counted = [f"{counts[arm]} {word}" for word, counts in tally(run).items() if counts[arm]]
        if counted:
            parts.append(f"**{name}:** {', '.join(counted)}")
    return ". ".join(parts) + "."


def _matrix(run: Run) -> Iterator[str]:
    """Yield a table for each of the two arms: a row a promise, a column an engine at a distance."""
    columns = [escape(place.label) for place in matrix.places(run)]
    for arm, name in HEADINGS.items():
        yield f"| {name} | the review says | {' | '.join(columns)} |"
        yield "|" + "---|" * (len(columns) + 2)
        for row in matrix.matrix(run):
            cells = [_verdict(cell, arm) if cell else numbers.DASH for cell in row.cells]
            if any(cell and cell.of(arm) for cell in row.cells):
                yield f"| {escape(row.label)} | {escape(row.text)} | {' | '.join(cells)} |"
        yield ""


def _answers(run: Run, place: matrix.EnginePlace) -> Iterator[str]:
    """Yield the scorecard and the ranking of one place, folded away."""
    for table in review.answers(matrix.at(run, place)):
        yield from ("<details>", f"<summary>{escape(table.caption)}: {escape(place.label)}</summary>", "")
        yield from _table(table)
        yield from ("</details>", "")


def _promise_table(promises: Iterable[PromiseRow]) -> Iterator[str]:
    yield "| promise | the review says | as proposed | done right |"
    yield "|---|---|---|---|"
    for row in promises:
        cells = [_verdict(row, arm) for arm in HEADINGS]
        yield f"| {escape(row.label)} | {escape(row.text)} | {' | '.join(cells)} |"
        for verdict in row.others:
            sign = SIGNS.get(verdict.verdict, "")
            yield f"| | arm {escape(verdict.arm)} | {sign} **{verdict.verdict}** {escape(figure(verdict))} | |"
    yield ""


def _verdict(row: PromiseRow, arm: str) -> str:
    verdict = row.of(arm)
    if verdict is None:
        return numbers.DASH
    said = escape(figure(verdict) or verdict.sentence)
    if verdict.low is not None and verdict.high is not None and verdict.low != verdict.high:
        said += f" {escape(numbers.interval(verdict.low, verdict.high))}"
    return f"{SIGNS.get(verdict.verdict, '')} **{verdict.verdict}** {said}"


def _ablation(run: Run) -> Iterator[str]:
    found = ablation.parts(run)
    for part in found:
        yield from _table(ablation.table(part))
        yield from (escape(ablation.total(part.found)), "")
    if found:
        yield from (escape(ablation.READ), "")


def _load(run: Run) -> Iterator[str]:
    """Yield, for each scenario under load, what must be read before its figures, and an arm a row."""
    found = load.parts(run)
    for part in found:
        yield from (f"**{escape(part.heading)} under load:** {escape(load.planned(part.load))}", "")
        troubles = load.troubles(part.result)
        yield from (f"- **{escape(trouble.name)}**: {escape(trouble.message)}" for trouble in troubles)
        if troubles:
            yield ""
        for table in (load.summary(part.result), load.ratios(part.result), *capacity.tables(part.result)):
            yield from _table(table) if table else ()
    if found:
        yield from (escape(load.READ), "")


def _scenario(result: ScenarioResult, where: str, *, blocks: bool) -> Iterator[str]:
    found: list[tables.Table | None]
    if result.load is not None:
        found = [*load.arms(result), load.errors(result), capacity.steps(result)]
    else:
        found = [tables.ratios(result, blocks=blocks), *tables.percentiles(result), tails.ratios(result)]
    found += [tables.exact(result), tables.memory(result), tables.growth(result), *controls.tables(result)]
    shown = [table for table in found if table is not None]
    if not (shown or result.findings or result.warnings):
        return
    name = f"{result.title}, {where}" if where else result.title
    yield from ("<details>", f"<summary>{escape(name)}</summary>", "")
    for finding in result.findings:
        word = "holds" if finding.holds else "not observed"
        yield f"- **{word}:** {escape(finding.message)} ({escape(finding.arm)}: {escape(finding.evidence)})"
    if result.findings:
        yield ""
    for table in shown:
        yield from _table(table)
    for control in tables.controls(result):
        yield f"A/A control, {escape(control.group)}: {escape(numbers.ratio_in_words(control))}"
        yield ""
    yield from _warnings(result.warnings, name)
    yield from ("</details>", "")


def _table(table: tables.Table) -> Iterator[str]:
    yield f"**{escape(table.caption)}**"
    yield ""
    yield "| " + " | ".join(escape(name) for name in table.head) + " |"
    yield "|" + "|".join("---" if place < table.names else "---:" for place in range(len(table.head))) + "|"
    for row in table.rows:
        yield "| " + " | ".join(escape(cell.text) for cell in row) + " |"
    yield ""


def _warnings(warnings: Iterable[RunWarning], where: str) -> Iterator[str]:
    found = list(warnings)
    if found:
        yield f"Warnings about {escape(where)}:"
        yield ""
        yield from (f"- **{escape(d.name)}**: {escape(d.message)}. Remedy: {escape(d.remedy)}." for d in found)
        yield ""


def _code(text: str) -> list[str]:
    """Return `text` as a fenced block, with a fence longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, *text.splitlines(), fence]


def escape(text: str) -> str:
    """Return `text` as one line that Markdown, tables and HTML show as it is."""
    one_line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~#@^])", r"\\\1", one_line)
