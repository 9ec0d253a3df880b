"""A whole run as blocks: a brief version for the terminal, a full one for Markdown. The page is composed in `html.page`."""

from collections import defaultdict
from collections.abc import Sequence

from harness.language import gettext, mark, word
from harness.report import ablation, comparison, conclusion, headings, load, promises, review, summaries, tables
from harness.report.blocks import (
    Block,
    Cell,
    Notice,
    Notices,
    Paragraph,
    ReportSection,
    Table,
    TableKind,
    Tone,
    cells,
    of,
    status,
    warning_notices,
)
from harness.report.numbers import DASH, clock_time, ratio_with_interval, whole
from harness.report.promises import LocatedResult, located, stop_reason
from harness.results.names import short
from harness.results.run import AA_CONTROL, PromiseVerdict, Ratio, Run, RunKind, ScenarioResult, ScenarioStatus

NO_PROMISE = mark("No promise was tested in this run: it shows measurements, not verdicts.")
NOTHING = conclusion.NOTHING
NOT_RUN = mark("not run")
"""The label of notices of scenarios that were not run."""
LABELS = (mark("failed"), mark("interrupted"), mark("general"), mark("invalid"), mark("note"), mark("warning"))
"""The other labels of notices."""
SOME = 3
"""The number of results that are named of those that share a warning."""
SHORT_NAME = 24
"""The most characters of an unknown verdict's name."""


def brief(run: Run, *, speeds: bool = False) -> list[Block]:
    """Return a run for the terminal: verdicts or load, notices, warnings; with `speeds` each scenario's speed as well."""
    if run.kind in comparison.KINDS:
        return comparison.blocks(run)
    every_speed = [block for result in run.scenarios for block in speed(result)]
    judged = verdicts(run)
    switches = [] if judged else ablations(run)
    is_load = run.kind == RunKind.LOAD
    under_load = [block for heading, result in load.parts(run) for block in load.brief(heading, result, by_groups=is_load)]
    found = [*judged, *switches, *under_load]
    if not run.scenarios:
        found = [Paragraph(gettext(NOTHING), tone=Tone.BAD)]
    elif not found:
        found = every_speed if is_load else [Paragraph(gettext(NO_PROMISE))]
    warnings = [*warning_notices(mark("Warnings"), run.warnings), *_scenario_warnings(run, in_full=speeds)]
    if is_load:  # failed operations come before any figure of the others
        return [*notices(run), *found, *warnings]
    return [*found, *notices(run), *warnings, *(every_speed if speeds else [])]


def full(run: Run, *, everything: bool = True) -> list[Block]:
    """Return a run as a document: its conclusion, what failed, and folded the promises, load and warnings; `everything` as asked.

    That are the tables of each scenario and the answers to the review.
    """
    if run.kind in comparison.KINDS:
        return comparison.blocks(run)
    judged = verdicts(run)
    found: list[Block | None] = [Paragraph(_facts(run)), *_concluded(run), *notices(run)]
    if judged:
        tally = Paragraph(promises.tally_sentence(run))
        found.append(ReportSection(gettext("All promises: {count}", count=len(promises.rows(run))), (tally, *judged)))
    found += [*ablations(run), *_load(run), *_folded_warnings(run, everything=everything)]
    if everything:
        answers = [(table, place) for place in promises.places(run) for table in review.answers(promises.at(run, place))]
        found += [ReportSection(f"{table.caption}: {place}", (table,)) for table, place in answers]
        found += map(scenario, located(run))
    found.append(Paragraph(gettext("Reproduce:"), code=run.command))
    return [ReportSection(_heading(run), tuple(of(*found)), folded=False)]


def _heading(run: Run) -> str:
    """Return the conclusion of a run in a sentence."""
    if run.kind == RunKind.LOAD:
        return headings.of_load_run(run)
    if not conclusion.is_there(run):
        return headings.of_ablation(run)
    if run.settings.quick and run.scenarios:
        return summaries.pairs.preview(run)
    return conclusion.conclude(run).heading


def _concluded(run: Run) -> list[Block]:
    """Return the figures of the whole, and a row per optimisation; at several places a matrix, with the rows of each folded."""
    if not conclusion.is_there(run):
        return []
    made, quick = conclusion.conclude(run), run.settings.quick
    figures = [f"{figure.value} {figure.label}" for figure in made.figures]
    found: list[Block | None] = [Paragraph(made.sentence) if made.sentence else None]
    tables = [(place.label, _conclusion_table(made, place.rows, quick=quick)) for place in made.places if place.rows]
    if len(made.places) > 1:
        signs = ", ".join(f"{sign} {word(action)}" for action, (sign, _) in conclusion.STATUSES.items())
        found += [_conclusion_matrix(made), Paragraph(f"{signs}.", quiet=True)]
        found += [ReportSection(label, (table,)) for label, table in tables]
    else:
        found += [table for _, table in tables]
    return of(*found, None if quick or not made.rows else Paragraph(f"{'; '.join(figures)}.", quiet=True))


def _conclusion_table(made: conclusion.Conclusion, rows: Sequence[conclusion.ConclusionRow], *, quick: bool) -> Table:
    """Return a row per optimisation at one place; of a preview without what to do and how far to trust it."""
    arms = [made.literal, made.optimised] if made.literal else [made.optimised]
    lines = []
    for row in rows:
        action = [] if quick else [Cell("", status=row.status)]
        gains = [row.literal, row.optimised] if made.literal else [row.optimised]
        changes = dict(row.percentiles)
        times = (changes.get("p50", DASH), changes.get("p95", DASH), row.memory)
        lines.append(
            cells(row.name, *action, row.promised, *gains, *times, row.catch, *([] if quick else [word(row.advice.trust)]))
        )
    verdict, trust = ([], []) if quick else (["what to do"], ["trust"])
    head = ("optimisation", *verdict, "promised", *arms, "p50", "p95", "memory", "the catch", *trust)
    return Table("", head, tuple(lines), texts=("what to do", "the catch", "trust"), kind=TableKind.VERDICTS)


def _conclusion_matrix(made: conclusion.Conclusion) -> Table:
    """Return what to do about each optimisation at each place, with the gain of the arm that this is about."""
    rows = [
        cells(name, *(Cell("") if row is None else Cell(f"{row.status.sign} {row.chosen.text}") for row in found))
        for name, found in made.by_place()
    ]
    return Table("", ("optimisation", *(place.label for place in made.places)), tuple(rows))


def _folded_warnings(run: Run, *, everything: bool) -> list[Block]:
    """Return the warnings of a run, and its scenarios' unless each of these has its own section."""
    found = warning_notices(mark("Warnings"), run.warnings)
    of_scenarios = [] if everything else _scenario_warnings(run, in_full=False)
    number = sum(len(result.warnings) for result in run.scenarios)
    return (
        [*found, ReportSection(gettext("Warnings of scenarios: {count}", count=number), tuple(of_scenarios))]
        if of_scenarios
        else found
    )


def _facts(run: Run) -> str:
    facts = [clock_time(run.started_at), gettext("commit {commit}", commit=commit(run)) if run.commit else ""]
    facts += [*filter(None, [", ".join(run.settings.engines)]), run.settings.size, gettext("seed {seed}", seed=run.settings.seed)]
    if run.kind == RunKind.LOAD and "users" in run.environment:
        facts.append(gettext("{count} users", count=run.environment["users"]))
    return gettext("{name}: {facts}", name=run.name, facts=", ".join(filter(None, facts)))


def commit(run: Run) -> str:
    """Return the short commit, and whether there were changes on top of it; empty for an unknown commit."""
    if not run.commit:
        return ""
    short_hash = run.commit[:12]
    return gettext("{commit} with uncommitted changes", commit=short_hash) if run.dirty else short_hash


def incomplete(run: Run) -> str:
    """Return that a run was interrupted or did not finish; empty if it ended by itself."""
    if not run.incomplete:
        return ""
    return gettext("This run was interrupted") if run.interrupted else gettext("This run did not finish")


def notices(run: Run) -> list[Notice]:
    """Return notices of interrupted, failed and skipped scenarios, and of arms that cannot run as written."""
    found = []
    if run.incomplete:
        found.append(Notice("", incomplete(run), gettext("what had finished is shown, the rest is missing"), Tone.BAD))
    if run.settings.quick and any(r.verdicts for r in run.scenarios):
        message = gettext("a quick run has little data, few pairs and few processes, so that any verdict may differ in a full run")
        found.append(
            Notice("", gettext("Every verdict is preliminary"), message, remedy=gettext("act on those of a full `harness run`"))
        )
    if unknown := dict.fromkeys(str(v.verdict) for r in run.scenarios for v in r.verdicts if v.verdict not in list(PromiseVerdict)):
        names = ", ".join(short(name, SHORT_NAME) for name in unknown)
        message = gettext(
            "written by version {version}, which knows more verdicts than this one; nothing is concluded from them",
            version=run.harness_version,
        )
        found.append(Notice(mark("unknown verdict"), names, message, Tone.OPEN, gettext("upgrade this package")))
    for x in located(run):
        r = x.result
        if r.status not in {ScenarioStatus.OK, ScenarioStatus.NOT_RUN}:
            found.append(Notice(r.status, x.named(r.name), stop_reason(r), Tone.BAD, link=x.anchor, verbatim=True))
    for (place, reason), results in promises.not_run(run).items():
        found.append(
            Notice(NOT_RUN, gettext("{names} at {place}", names=", ".join(r.name for r in results), place=place), reason, Tone.FLAT)
        )
    broken = [(f"{r.name}, {arm.name}", arm.cannot_run) for r in run.scenarios for arm in r.arms if arm.cannot_run]
    return [*found, *(Notice(mark("cannot run as written"), name, reason) for name, reason in dict.fromkeys(broken))]


def verdicts(run: Run) -> list[Block]:
    """Return every promise of a run with its verdicts: a table, or a matrix for several places; none for a run without promises."""
    found = promises.rows(run)
    if not found:
        return []
    if len(promises.places(run)) > 1:
        return [promises.matrix_table(run), Paragraph(promises.legend(), quiet=True)]
    return [promises.promise_table(found, promises.heading(run))]


def ablations(run: Run) -> list[Block]:
    """Return the gain of each switch, a table per group, with how to read it; none for a run without ablation."""
    found: list[Block] = []
    for heading, ablated in ablation.parts(run):
        found += [ablation.table(heading, ablated), Paragraph(ablation.total(ablated))]
    return [*found, Paragraph(gettext(ablation.READ), quiet=True)] if found else []


def _load(run: Run) -> list[Block]:
    blocks: list[Block] = []
    for heading, result in load.parts(run):
        plan = Paragraph(load.planned(result), gettext("{scenario} under load:", scenario=heading))
        blocks += of(plan, *load.notices(result), load.summary(result), load.ratios(result))
    return [*blocks, Paragraph(gettext(load.READ), quiet=True)] if blocks else []


def measurements(result: ScenarioResult) -> list[Block]:
    """Return a scenario's warnings and tables. Those of a load test replace the ordinary ones, which ignore overload."""
    timed, under_load = list[Block](), list[Block]()
    if result.load:
        under_load = [Paragraph(f"{load.planned(result)}.", quiet=True), *load.notices(result), *load.detail(result)]
    if not result.is_timed_under_load and (result.ratios or result.latencies):
        timed = of(tables.ratios(result), tables.percentile_ratios(result), tables.percentiles(result))
    controls = [_aa_control(ratio) for ratio in result.ratios if ratio.arm == AA_CONTROL]
    work = (make(result) for make in (tables.work_counts, tables.memory, tables.growth))
    sections = {
        gettext("Speed"): [*timed, *controls],
        gettext("Under load"): under_load,
        gettext("Work, memory, growth"): of(*work, *tables.controls(result)),
    }
    shown = [ReportSection(title, tuple(blocks), folded=False, level=3) for title, blocks in sections.items() if blocks]
    return [*warning_notices(mark("Warnings"), result.warnings), *shown]


def _aa_control(control: Ratio) -> Paragraph:
    """Return an A/A control's reading: passed if the interval includes 1. Whether one failed is decided over all of a run."""
    lead, text = mark("A/A control, {group}:"), mark("the baseline against itself measured {figure}.")
    if control.low is None or control.high is None:
        text = mark("the baseline against itself measured {figure}; one process gives no confidence interval.")
    elif control.low <= 1 <= control.high:
        lead = mark("A/A control passed, {group}:")
    else:
        text = mark(
            "the baseline against itself measured {figure}; the interval excludes 1: read differences of this size as noise."
        )
    figure = ratio_with_interval(control)
    return Paragraph(gettext(text, figure=figure), gettext(lead, group=control.group), quiet=True)


def scenario(found: LocatedResult) -> ReportSection | None:
    """Return one scenario's findings, warnings and measurements, folded; None without any."""
    findings = tuple(
        Notice(status("observed" if f.holds else "not observed").label, f.message, f"{f.arm}: {f.evidence}")
        for f in found.result.findings
    )
    blocks = of(Notices(gettext("Findings"), findings) if findings else None, *measurements(found.result))
    return ReportSection(found.named(found.result.title), tuple(blocks)) if blocks else None


def _scenario_warnings(run: Run, *, in_full: bool) -> list[Block]:
    """Return each scenario's warnings; at several places, unless `in_full`, only each kind, with where it occurred."""
    each = [(x.named(x.result.name), warning) for x in located(run) for warning in x.result.warnings]
    if in_full or len(promises.places(run)) < 2:  # noqa: PLR2004 - one place, or none
        made = [Notice("warning", f"{name}: {w.name}", w.message, remedy=w.remedy) for name, w in each]
    else:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for name, warning in each:
            found[warning.name].append(name)
        made = []
        for name, names in found.items():
            some, more = "; ".join(names[:SOME]), len(names) - SOME
            some = gettext("{names} and {count} more", names=some, count=more) if more > 0 else some
            text = mark("in {number} of {total} results ({names}); see the report")
            message = gettext(text, number=len(names), total=len(run.scenarios), names=some)
            made.append(Notice("warning", name, message))
    return [Notices(gettext("Warnings"), tuple(made))] if made else []


def speed(result: ScenarioResult) -> list[Block]:
    """Return one scenario's speed: ratios, the A/A control's included, and percentiles; nothing without any."""
    verified = result.verified_cases and result.status != ScenarioStatus.FAILED
    found = of(
        tables.ratios(result, with_control=True),
        tables.percentile_ratios(result),
        tables.percentiles(result),
        Paragraph(gettext("{count} answers compared, all equal", count=whole(result.verified_cases)), quiet=True)
        if verified
        else None,
    )
    return [Paragraph("", f"{result.title} · {result.place}"), *found] if found else []
