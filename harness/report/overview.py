"""A whole run as blocks: a brief version for the terminal, a full one for Markdown. The page is composed in `html.page`."""

from __future__ import annotations

from collections.abc import Iterator

from harness.report import ablation, comparison, load, promises, review, tables
from harness.report.blocks import (
    Block,
    Cell,
    Code,
    Notice,
    Notices,
    Paragraph,
    Section,
    Table,
    Tone,
    folded,
    of,
    status,
    warning_notices,
)
from harness.report.numbers import DASH, MILLISECONDS, clock_time, ratio_with_interval, unit_of, whole
from harness.report.promises import locations, named
from harness.results.run import BASELINE, CONTROL, Latency, Ratio, Run, RunKind, ScenarioResult, ScenarioStatus

CANNOT_RUN = "cannot run as written"
NO_REASON = "no error was recorded"
NO_PROMISE = "No promise was tested in this run: it shows measurements, not verdicts."
NOTHING = "No scenario finished: there is nothing to judge."
SOME = 3
"""How many results are named of those that share a warning."""


def brief(run: Run) -> list[Block]:
    """Return a run for the terminal: verdicts or load, notices, warnings. Without colour and in 80 columns nothing is cut off."""
    if run.kind in comparison.KINDS:
        return comparison.blocks(run)
    if run.kind == RunKind.LOAD and not load.parts(run):
        return before_after(run)
    judged = verdicts(run)
    switches = [] if judged else ablations(run)
    under_load = [block for part in load.parts(run) for block in load.brief(part)]
    found = [*judged, *switches, *under_load]
    if not found:
        found = [Paragraph(NO_PROMISE) if run.scenarios else Paragraph(NOTHING, tone=Tone.BAD)]
    return [*found, *notices(run), *warning_notices("Warnings", run.warnings), *_scenario_warnings(run)]


def full(run: Run) -> list[Block]:
    """Return a run as a document: notices, verdicts, answers to the review, switches, load, warnings, and each scenario folded."""
    if run.kind in comparison.KINDS:
        return comparison.blocks(run)
    each = zip(run.scenarios, locations(run), strict=True)
    found = of(
        Paragraph(_facts(run)),
        *([] if run.scenarios else [Paragraph(NOTHING, tone=Tone.BAD)]),
        *notices(run),
        Paragraph(promises.tally_sentence(run)) if promises.rows(run) else None,
        *verdicts(run),
        *_answers(run),
        *ablations(run),
        *_load(run),
        *warning_notices("Warnings", run.warnings),
        *(scenario(result, where, blocks=run.kind == RunKind.LOAD) for result, where in each),
        Paragraph("Reproduce:"),
        Code(run.command),
    )
    return [Section(f"Advice on trial: {run.name}", tuple(found), folded=False)]


def _facts(run: Run) -> str:
    users = f", {run.environment['users']} users" if run.kind == RunKind.LOAD and "users" in run.environment else ""
    commit = f", commit {run.commit[:12]}" if run.commit else ""
    changed = " with uncommitted changes" if run.dirty else ""
    settings = f"{', '.join(run.settings.engines)}, {run.settings.size}, seed {run.settings.seed}"
    return f"{clock_time(run.started_at)}{commit}{changed}, {settings}{users}"


def notices(run: Run) -> list[Notice]:
    """Return what was interrupted, failed, was not run, or cannot run as written."""
    found = (
        [Notice("", "This run was interrupted", "what had finished is shown, the rest is missing", Tone.BAD)]
        if run.interrupted
        else []
    )
    for result, anchor, where in zip(run.scenarios, promises.anchors(run), locations(run), strict=True):
        if result.status not in {ScenarioStatus.OK, ScenarioStatus.NOT_RUN}:
            found.append(
                Notice(result.status, named(result.name, where), result.error or NO_REASON, Tone.BAD, link=anchor, verbatim=True)
            )
    for place, reason, results in promises.not_run(run):
        found.append(Notice("not run", f"{', '.join(r.name for r in results)} on {place.label}", reason, Tone.FLAT))
    broken = promises.broken_arms(run.scenarios)
    return [*found, *(Notice(CANNOT_RUN, f"{r.name}, {arm.name}", arm.cannot_run or "") for r, arm in broken)]


def verdicts(run: Run) -> list[Block]:
    """Return every promise of a run with its verdicts: a table, or a matrix for several places; none for a run without promises."""
    found = promises.rows(run)
    if not found:
        return []
    if len(promises.places(run)) > 1:
        return [promises.matrix_table(run), Paragraph(promises.legend(), quiet=True)]
    return [promises.promise_table(found, promises.heading(run))]


def _answers(run: Run) -> Iterator[Section]:
    for place in promises.places(run):
        for table in review.answers(promises.at(run, place)):
            yield Section(f"{table.caption}: {place.label}", (table,))


def ablations(run: Run) -> list[Block]:
    """Return the gain of each switch, a table per group, with how to read it; none for a run without ablation."""
    found = [block for part in ablation.parts(run) for block in (ablation.table(part), Paragraph(ablation.total(part.found)))]
    return [*found, Paragraph(ablation.READ, quiet=True)] if found else []


def _load(run: Run) -> list[Block]:
    found = load.parts(run)
    blocks: list[Block] = []
    for part in found:
        blocks += of(
            Paragraph(load.planned(part.load), f"{part.heading} under load:"),
            *load.notices(part.result),
            load.summary(part.result),
            load.ratios(part.result),
        )
    return [*blocks, Paragraph(load.READ, quiet=True)] if found else []


def measurements(result: ScenarioResult) -> list[Table]:
    """Return the tables of work, memory, growth and controls, and of percentiles against the baseline's."""
    found = [tables.percentile_ratios(result), tables.work_counts(result), tables.memory(result), tables.growth(result)]
    return [table for table in (*found, *tables.controls(result)) if table is not None]


def aa_control(control: Ratio) -> Paragraph:
    """Return the outcome of an A/A control: passed if the interval includes 1."""
    reading = f"the baseline against itself measured {ratio_with_interval(control)}"
    if control.low is None or control.high is None:
        return Paragraph(f"{reading}; one process gives no confidence interval.", f"A/A control, {control.group}:", quiet=True)
    if control.low <= 1 <= control.high:
        return Paragraph(f"{reading}.", f"A/A control passed, {control.group}:", quiet=True)
    return Paragraph(f"{reading}; read differences of this size as noise.", f"A/A control failed, {control.group}:", quiet=True)


def scenario(result: ScenarioResult, where: str, *, blocks: bool) -> Section | None:
    """Return one scenario's findings, measurements and warnings, folded; None without any."""
    findings = [
        Notice(status("observed" if f.holds else "not observed").label, f.message, f"{f.arm}: {f.evidence}")
        for f in result.findings
    ]
    timed = [] if result.load else [tables.ratios(result, blocks=blocks), *tables.percentiles(result)]
    name = named(result.title, where)
    return folded(
        name,
        of(
            Notices("Findings", tuple(findings)) if findings else None,
            *timed,
            *load.detail(result),
            *measurements(result),
            *map(aa_control, tables.aa_controls(result)),
            *warning_notices("Warnings", result.warnings),
        ),
    )


def _scenario_warnings(run: Run) -> list[Block]:
    """Return each scenario's warnings; at several places only each kind, with where it occurred."""
    if len(promises.places(run)) < 2:  # noqa: PLR2004 - one place, or none
        return [block for r in run.scenarios for block in warning_notices("Warnings", r.warnings, r.name)]
    found: dict[str, list[str]] = {}
    for result, where in zip(run.scenarios, locations(run), strict=True):
        for warning in result.warnings:
            found.setdefault(warning.name, []).append(named(result.name, where))
    made = []
    for name, names in found.items():
        some = "; ".join(names[:SOME]) + (f" and {len(names) - SOME} more" if len(names) > SOME else "")
        made.append(Notice("warning", name, f"in {len(names)} of {len(run.scenarios)} results ({some}); see the report"))
    return [Notices("Warnings", tuple(made))] if made else []


def speed(result: ScenarioResult) -> list[Block]:
    """Return one scenario's speed: a row per group and arm with ratio, p50 and p95 before → after; without verdicts."""
    failed = result.status != ScenarioStatus.OK
    verified = result.verified_cases and result.status != ScenarioStatus.FAILED
    return of(
        Paragraph("", f"{result.title} · {result.engine}, RTT {result.rtt_ms:g} ms"),
        Notice(result.status, result.name, result.error or NO_REASON, Tone.BAD) if failed else None,
        *(Notice(CANNOT_RUN, arm.name, arm.cannot_run) for arm in result.arms if arm.cannot_run),
        _speed_table(result),
        Paragraph(f"{whole(result.verified_cases)} answers compared, all equal", quiet=True) if verified else None,
        *warning_notices("Warnings", result.warnings),
    )


def _speed_table(result: ScenarioResult) -> Table | None:
    rows = []
    for group in tables.groups_of(result, result.ratios):
        title = f"{group}: {result.groups[group]}" if group in result.groups else group
        for ratio in (r for r in result.ratios if r.group == group):
            both = [_latency(result, BASELINE, group), _latency(result, ratio.arm, group)]
            arm = Cell("A/A control" if ratio.arm == CONTROL else ratio.arm)
            rows.append((Cell(title), arm, _ratio_cell(ratio), *(_before_after(both, label) for label in ("50", "95"))))
    head = ("cases", "arm", "times faster, 95 % CI", "p50", "p95")
    return Table("", head, tuple(rows), names=2, grouped=True) if rows else None


def _latency(result: ScenarioResult, arm: str, group: str) -> Latency | None:
    return next((x for x in result.latencies if (x.arm, x.group) == (arm, group)), None)


def _ratio_cell(ratio: Ratio) -> Cell:
    return tables.ratio_cell(ratio.ratio, ratio.low, ratio.high)


def _before_after(both: list[Latency | None], label: str) -> Cell:
    values = [None if x is None else x.percentiles_ns.get(label) for x in both]
    if values == [None, None]:
        return Cell(DASH, "too few samples")
    unit = unit_of(x.percentiles_ns.get("50") or x.mean_ns for x in both if x is not None)
    return Cell(f"{unit.write(values[0])} → {unit.write(values[1])} {unit.name}")


def before_after(run: Run) -> list[Block]:
    """Return a run of many users without load records: a row per scenario, group and arm with percentiles and the ratio."""
    rows = []
    for result, where in zip(run.scenarios, locations(run), strict=True):
        ratios = {(r.arm, r.group): _ratio_cell(r) for r in result.ratios}
        for group in tables.groups_of(result, result.latencies):
            for x in (x for x in result.latencies if x.group == group and x.arm != CONTROL):
                times = [MILLISECONDS.write(x.percentiles_ns.get(label)) for label in ("50", "95", "99")]
                cells = [x.arm, whole(x.samples), *times]
                name = Cell(f"{named(result.name, where)}: {group}")
                rows.append((name, *map(Cell, cells), ratios.get((x.arm, group), Cell(""))))
    head = ("operations", "arm", "count", "p50 ms", "p95 ms", "p99 ms", "times faster, 95 % CI")
    table = Table("", head, tuple(rows), names=2, grouped=True) if rows else None
    failed = [notice for notice in notices(run) if notice.label == ScenarioStatus.FAILED]
    return of(table, *failed, *warning_notices("Warnings", run.warnings))
