"""The summary of a run of pairs: what to do about each optimisation, or the gain of each switch."""

from collections import Counter
from collections.abc import Sequence

from harness.language import gettext, mark, word
from harness.report import ablation, conclusion, headings, promises
from harness.report.blocks import Block, Cell, Notice, Paragraph, Table, Tone, cells, of
from harness.report.numbers import DASH, elapsed, interval, ratio_with_interval, times
from harness.report.promises import LocatedResult, located, stop_reason
from harness.report.summaries.frame import MESSAGE, NAME, fitted, left_out, pointer
from harness.results.names import short, shortened
from harness.results.run import AA_CONTROL, BASELINE, Ablation, Run, ScenarioStatus, SwitchGain
from harness.verdicts.advice import Trust

SOME = 3
"""The number of reasons against trust that are named."""
FAILURES = 2
"""The most failures in a summary; each takes the place of two rows."""
SWITCH = 28
"""The most characters of a switch's name."""


def concluded(run: Run, more: str, width: int) -> list[Block]:
    """Return a run's conclusion, a row per optimisation, and the command that prints `more`; a preview has no verdicts."""
    made = conclusion.conclude(run)
    is_matrix = len(made.places) > 1
    names, stopped, unpromised = len(made.by_place()), stopped_scenarios(run), _unpromised(run)
    total = names + len(unpromised)

    def blocks(rows: int) -> list[Block]:
        table = None
        if rows and made.rows:
            table = conclusion.matrix(made, rows) if is_matrix else conclusion.table(made, rows, actions=not run.settings.quick)
        return of(
            *_opening(run, made),
            Paragraph(made.sentence) if made.sentence else None,
            table,
            _speeds(unpromised[: max(0, rows - names)], several=len(run.scenarios) > 1),
            left_out(total, rows),
            *stopped,
            *map(Paragraph, _totals(run, made)),
            pointer({"promise": len(promises.rows(run)), "warning": warnings(run)}, more),
        )

    return fitted(blocks, width, total)


def _unpromised(run: Run) -> list[tuple[LocatedResult, str]]:
    """Return each group of cases of the scenarios that promise nothing, whose paired ratios are then all there is to see."""
    found = [x for x in located(run) if not x.result.verdicts and not x.result.is_timed_under_load]
    return [(x, group) for x in found for group in dict.fromkeys(r.group for r in x.result.ratios)]


def _speeds(groups: Sequence[tuple[LocatedResult, str]], *, several: bool) -> Table | None:
    """Return how many times faster each arm is in each of these groups, a column per arm; None without groups.

    With `several` scenarios the rows name theirs.
    """
    ratios = {(x.named(x.result.name), r.group, r.arm): r for x, _ in groups for r in x.result.ratios if r.arm != AA_CONTROL}
    arms = list(dict.fromkeys(arm.name for x, _ in groups for arm in x.result.arms if arm.name != BASELINE))
    rows = []
    for x, group in groups:
        name = x.named(x.result.name)
        of_arms = [ratios.get((name, group, arm)) for arm in arms]
        gains = [DASH if r is None else ratio_with_interval(r) for r in of_arms]
        rows.append(cells(shortened(f"{name} · {group}" if several else group, 2 * NAME), *gains))
    head = (mark("times faster, 95 % CI"), *(shortened(arm, NAME) for arm in arms))
    return Table("", head, tuple(rows), wide=head[3:], is_one_line=True) if rows else None


def preview(run: Run) -> str:
    """Return that a run was a preview, with its size and time, and how to get verdicts."""
    took = elapsed(run.started_at, run.finished_at)
    if took == DASH:
        return gettext("Preview on {size} data: run without --quick for verdicts.", size=run.settings.size)
    return gettext("Preview on {size} data ({time}): run without --quick for verdicts.", size=run.settings.size, time=took)


def _opening(run: Run, made: conclusion.Conclusion) -> list[Paragraph]:
    """Return where the run was measured and its conclusion; first of a preview that it is one."""
    where = Paragraph(made.where, quiet=True)
    if run.settings.quick:
        return [Paragraph("", preview(run)), where] if made.rows else [Paragraph("", preview(run)), where, Paragraph(made.heading)]
    return [where, Paragraph("", made.heading)]


def stopped_scenarios(run: Run) -> list[Block]:
    """Return at most two notices of what failed or was interrupted, each short, the last with the number of the others."""
    failed = [x for x in located(run) if x.result.status in {ScenarioStatus.FAILED, ScenarioStatus.INTERRUPTED}]
    made = []
    for place, x in enumerate(failed[:FAILURES]):
        others = len(failed) - FAILURES if place == FAILURES - 1 else 0
        name = short(x.result.name, NAME)
        shown = gettext("{name} (and {count} more)", name=name, count=others) if others > 0 else name
        message = short(stop_reason(x.result), MESSAGE)
        made.append(Notice(x.result.status, shown, message, Tone.BAD))
    return [*made]


def unfinished(run: Run) -> list[str]:
    """Return that a run did not come to its end, if so."""
    if not run.incomplete:
        return []
    if run.interrupted:
        return [gettext("This run was interrupted: what had finished is shown.")]
    return [gettext("This run did not finish: what had finished is shown.")]


def warnings(run: Run) -> int:
    """Return the number of warnings of a run and of its scenarios."""
    return len(run.warnings) + sum(len(result.warnings) for result in run.scenarios)


def _totals(run: Run, made: conclusion.Conclusion) -> list[str]:
    """Return how far the rows can be trusted, and the totals, a line each; of a preview what its figures are worth."""
    lines = unfinished(run)
    if not made.rows:
        return lines
    kept, _, _, controls, _ = made.figures
    if not run.settings.quick:
        unsure = Counter(row.advice.trust for row in made.rows if row.advice.trust not in {Trust.SOLID, Trust.EXACT})
        reasons = ", ".join(f"{count} × {word(reason)}" for reason, count in unsure.most_common(SOME))
        text = mark("Trust: {solid} of {total} solid ({reasons}).") if reasons else mark("Trust: {solid} of {total} solid.")
        lines.append(gettext(text, solid=len(made.rows) - unsure.total(), total=len(made.rows), reasons=reasons))
        lines.append(kept.sentence)
    return [*lines, controls.sentence]


def ablated(run: Run, more: str, width: int) -> list[Block]:
    """Return the gains of the switches of an ablation: the largest last gain first."""
    parts = ablation.parts(run)
    rows = [(heading, found, switch) for heading, found in parts for switch in found.switches]

    def blocks(most: int) -> list[Block]:
        return of(
            Paragraph("", preview(run)) if run.settings.quick else None,
            Paragraph(conclusion.where(run), quiet=True),
            Paragraph("", headings.of_ablation(run)),
            _switches(rows[:most], several=len(parts) > 1) if most and rows else None,
            left_out(len(rows), most),
            *stopped_scenarios(run),
            *map(Paragraph, unfinished(run)),
            *(Paragraph(ablation.total(found)) for _, found in parts[:1]),
            pointer({"warning": warnings(run)}, more),
        )

    return fitted(blocks, width, len(rows))


def _switches(rows: list[tuple[str, Ablation, SwitchGain]], *, several: bool) -> Table:
    made = list[tuple[Cell, ...]]()
    for heading, _, x in rows:
        name = shortened(x.switch, SWITCH)
        alone, last = ablation.gain_text(x.alone), ablation.gain_text(x.last)
        bounds = interval(x.last.low, x.last.high) or DASH
        made.append(cells(name, ablation.rank(x), alone, last, bounds, word(x.interaction), times(x.difference.ratio), heading))
    columns = ("switch", "rank", "gain alone", mark("gain last"), "95 % CI", "interaction", mark("last ÷ alone"), mark("of"))
    head = columns if several else columns[:-1]
    return Table("", head, tuple(row[: len(head)] for row in made), wide=head[6:], texts=("interaction", "of"), is_one_line=True)
