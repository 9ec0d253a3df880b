"""A history as blocks: its heading, the steps of each commit, and for each scenario the figures with and without steps."""

import math
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.language import gettext, mark, ngettext
from harness.report.blocks import (
    Block,
    Cell,
    CellStatus,
    Notice,
    Notices,
    Paragraph,
    ReportSection,
    Table,
    Tone,
    cells,
    of,
    warning_notices,
)
from harness.report.numbers import DASH, clock_time, counted, duration, interval, percent, times, whole
from harness.results.history import FigureHistory, FigureKind, History, HistoryPoint, HistoryRun, HistoryStep, ScenarioHistory
from harness.results.names import shortened, visible
from harness.text import encode

READ = (
    mark(
        "All trends share one horizontal axis: the runs, the oldest on the left, evenly spaced. The vertical axis of each is "
        "its own, logarithmic; changes below 10 % look as small as they are. Bars: 95 % confidence intervals. Hollow: "
        "interrupted, or operations failed."
    ),
    mark(
        "A vertical line is a step: the figure changed between the two commits around it, and stayed. Without one, no lasting "
        "change is shown, which does not prove that there is none."
    ),
    mark(
        "A work count steps if it differs from the run before and repeats exactly in both, or differs by more than its "
        "tolerance. A count that differed between two runs of one commit never steps."
    ),
    mark(
        "A ratio is paired with the baseline arm inside its run: above 1 is faster. It steps if the runs on both sides, up to "
        "three each, are all apart by more than 5 %, and the interval of their change excludes less."
    ),
    mark(
        "A time steps by the same rule beyond the drift of separate runs, 25 % for a median, 56 % for p95 and 95 % for p99 by "
        "default; it needs two runs on each side, and what all times of a run have in common is taken out."
    ),
    mark(
        "Intervals of changes are corrected for the number of places that were tested, so that fewer than 5 of 100 such pages "
        "would have a step by chance."
    ),
    mark(
        "Runs on another machine, with other settings, data, load or versions are lines of their own, in other colours, and are "
        "never compared. Work counts do not depend on the machine."
    ),
)
MOST = 10
"""The number of arms and groups with steps at one commit, and of runs with remarks, that are shown at once."""
MOST_NAME, MOST_TEXT = 60, 300
"""The number of characters of a name and of a message that are shown."""
ALIKE = 0.005
"""The share up to which two changes are shown as the same."""
SHORT = 12
"""The number of characters of a commit in a command."""
COMMIT = re.compile(r"[0-9a-f]{7,64}", re.IGNORECASE)
KINDS = {
    FigureKind.RATIO: mark("Ratios to the baseline arm"),
    FigureKind.TIME: mark("Percentiles"),
    FigureKind.WORK: mark("Work counts"),
    FigureKind.METRIC: mark("Other figures"),
}


@dataclass(frozen=True)
class StepRow:
    """A step with the scenario and the figure that it belongs to."""

    scenario: ScenarioHistory
    figure: FigureHistory
    step: HistoryStep


@dataclass(frozen=True)
class StepGroup:
    """The steps at one commit."""

    title: str
    label: str
    """The commit, or the name of the run."""
    about: str
    command: str
    """That lists the commits in question; "" where they are not known by git's names."""
    anchor: str
    subjects: list[list[StepRow]]
    """Those of one arm and group together, what became worse first, then the largest change."""

    @property
    def number(self) -> int:
        """The number of steps."""
        return sum(map(len, self.subjects))


def short(text: str, limit: int = MOST_NAME) -> str:
    """Return a name or a message as printable characters on one line, with its middle left out if it is long."""
    return shortened(visible(text), limit)


def heading(history: History) -> str:
    """Return the result in one sentence without a full stop."""
    runs = ngettext("{count} run", "{count} runs", len(history.runs))
    commits = ngettext("{count} commit", "{count} commits", history.commits)
    steps = sum(len(scenario.steps) for scenario in history.scenarios)
    if not any(scenario.figures for scenario in history.scenarios):
        return gettext("{runs} without a figure", runs=runs)
    if history.commits == 1:
        return gettext("{runs} of one commit: there is no earlier one to compare with", runs=runs)
    if not steps:
        return gettext("No step in {runs} of {commits}", runs=runs, commits=commits)
    places = history.stepped
    several = gettext("{number} of {commits}", number=len(places), commits=commits)
    at = short(history.runs[places[0]].label) if len(places) == 1 else several
    return ngettext("{count} step at {commit}, in {runs}", "{count} steps at {commit}, in {runs}", steps, commit=at, runs=runs)


def facts(history: History) -> list[tuple[str, str]]:
    """Return the facts about a history."""
    moments = sorted(run.started_at for run in history.runs if run.started_at)
    figures = sum(len(scenario.figures) for scenario in history.scenarios)
    known = [
        (mark("runs"), f"{len(history.runs):,}"),
        (mark("commits"), f"{history.commits:,}"),
        (mark("from"), clock_time(moments[0]) if moments else ""),
        (mark("to"), clock_time(moments[-1]) if moments else ""),
        (mark("scenarios"), f"{len(history.scenarios):,}"),
        (mark("figures"), f"{figures:,}"),
    ]
    return [(name, value) for name, value in known if value]


def value(amount: float, figure: FigureHistory) -> str:
    """Return a figure with its unit."""
    if figure.kind == FigureKind.TIME:
        return duration(amount)
    if figure.kind == FigureKind.RATIO:
        return times(amount)
    return f"{whole(amount)} {figure.unit}".strip()


def arm_and_group(figure: FigureHistory) -> str:
    """Return the arm and the group of a figure: `optimised · page`."""
    return " · ".join(short(part) for part in (figure.arm, figure.group or gettext("the arm itself")) if part)


def metric(figure: FigureHistory) -> str:
    """Return the name of a figure: `p95`, `vm steps`; "" for a metric, whose group is its name."""
    return "" if figure.kind == FigureKind.METRIC else short(figure.metric)


def change(step: HistoryStep) -> Cell:
    """Return the change of a figure, with its interval."""
    if step.change is None:
        return Cell(DASH, gettext("a figure is 0"))
    bounds = "" if step.low is None or step.high is None else f"[{percent(step.low - 1)}, {percent(step.high - 1)}]"
    return Cell(percent(step.change - 1), detail=bounds)


def direction(step: HistoryStep) -> CellStatus:
    """Return whether a step is for the better or the worse."""
    if step.better is None:
        return CellStatus(gettext("changed"), "•", Tone.FLAT)
    return CellStatus(gettext("better"), "▲", Tone.GOOD) if step.better else CellStatus(gettext("worse"), "✗", Tone.BAD)


def located(scenario: ScenarioHistory) -> str:
    """Return a scenario's title with its engine and RTT."""
    return " · ".join(short(part) for part in (scenario.title or scenario.name, scenario.place) if part)


def step_groups(history: History) -> list[StepGroup]:
    """Return the steps by the commit at which they happened, the newest first, the largest change first."""
    rows: dict[tuple[int, int], list[StepRow]] = defaultdict(list)
    for scenario in history.scenarios:
        for figure, step in scenario.steps:
            rows[step.run, step.before_run].append(StepRow(scenario, figure, step))
    groups = []
    for (after, before), found in sorted(rows.items(), reverse=True):
        new, old = history.runs[after], history.runs[before]
        moment = clock_time(new.started_at) or gettext("at an unknown time")
        about = gettext("Measured {moment}; the run before it is of {commit}.", moment=moment, commit=short(old.label))
        groups.append(
            StepGroup(
                _title(new), short(new.label), about, _command(old, new), f"step-{after}-{before}", by_subject(_in_order(found))
            )
        )
    return groups


def _title(run: HistoryRun) -> str:
    label = short(run.label)
    return gettext("At {commit}", commit=label) if run.commit else gettext("In the run {run}", run=label)


def _command(old: HistoryRun, new: HistoryRun) -> str:
    known = [run.commit for run in (old, new) if run.commit and COMMIT.fullmatch(run.commit)]
    if len(set(known)) < len((old, new)):
        return ""
    return f"git log --oneline {known[0][:SHORT]}..{known[1][:SHORT]}"


def _in_order(rows: Sequence[StepRow]) -> list[StepRow]:
    """Return steps with those of one arm and group together, those first of which one became worst; ratios and times first."""
    worst: dict[tuple[str, str], tuple[bool, float]] = {}
    for row in rows:
        factor = row.step.change
        size = (row.step.better is not False, -abs(math.log(factor)) if factor else -math.inf)
        worst[_subject(row)] = min(worst.get(_subject(row), size), size)
    return sorted(rows, key=lambda row: (worst[_subject(row)], _subject(row), list(FigureKind).index(row.figure.kind)))


def _subject(row: StepRow) -> tuple[str, str]:
    return anchor(row.scenario), arm_and_group(row.figure)


def step_table(subjects: Sequence[Sequence[StepRow]]) -> Table:
    """Return the steps of arms and groups, a row each, a column per kind of figure."""
    kinds = [kind for kind in FigureKind if any(row.figure.kind == kind for rows in subjects for row in rows)]
    found = []
    for of_subject in subjects:
        texts = ["; ".join(_changed(row) for row in of_subject if row.figure.kind == kind) or DASH for kind in kinds]
        found.append(cells(*_about(of_subject), *texts))
    heads = tuple(gettext(KINDS[kind]).lower() for kind in kinds)
    return Table("", (mark("scenario"), mark("arm · group"), mark("direction"), *heads), tuple(found), names=3 + len(heads))


def short_step_table(subjects: Iterable[Sequence[StepRow]]) -> Table:
    """Return the steps of arms and groups, a row each, with one figure of each kind."""
    found = []
    for of_subject in subjects:
        first = {row.figure.kind: _values(row) for row in reversed(of_subject)}
        more = len(of_subject) - len(first)
        shown = "; ".join(first[kind] for kind in FigureKind if kind in first)
        found.append(cells(*_about(of_subject), gettext("{texts}; {count} more", texts=shown, count=more) if more else shown))
    return Table("", ("scenario", "arm · group", "direction", mark("changed")), tuple(found), names=4, grouped=True)


def by_subject(rows: Iterable[StepRow]) -> list[list[StepRow]]:
    """Return steps by arm and group, in their order."""
    subjects: dict[tuple[str, str], list[StepRow]] = defaultdict(list)
    for row in rows:
        subjects[_subject(row)].append(row)
    return list(subjects.values())


def _about(rows: Sequence[StepRow]) -> tuple[Cell, Cell, Cell]:
    """Return the scenario, the arm and group, and the direction of steps if all have the same."""
    found = {direction(row.step) for row in rows}
    shown = next(iter(found)) if len(found) == 1 else CellStatus(gettext("mixed"), "•", Tone.FLAT)
    scenario = Cell(located(rows[0].scenario), link=anchor(rows[0].scenario))
    return scenario, Cell(arm_and_group(rows[0].figure)), Cell("", status=shown)


def _values(row: StepRow) -> str:
    """Return a step in words: `p50 3.97 ms → 10.4 ms`."""
    figure, step = row.figure, row.step
    return f"{metric(figure)} {value(step.before, figure)} → {value(step.after, figure)}".strip()


def _changed(row: StepRow) -> str:
    """Return a step with its change: `p50 3.97 ms → 10.4 ms (+161 %)`; of a time, beside that of all times if it differs."""
    step = row.step
    if step.change is None:
        return _values(row)
    text = mark("{values} ({change})")
    if abs(step.change * step.before / step.after - 1) > ALIKE:
        text = mark("{values} (beside all times {change})")
    return gettext(text, values=_values(row), change=change(step).full)


def anchor(scenario: ScenarioHistory) -> str:
    """Return the id of a scenario's card."""
    whole = f"{scenario.name} {scenario.engine} {scenario.rtt_ms:g}"
    plain = re.sub(r"[^a-z0-9]+", "-", whole.lower()).strip("-")[:MOST_NAME]
    return f"scenario-{plain}-{zlib.crc32(encode(whole)):08x}"


def run_table(history: History) -> Table:
    """Return the runs, the newest first."""
    rows = [
        cells(
            short(run.label),
            clock_time(run.started_at) or DASH,
            short(run.name),
            short("; ".join(run.remarks), MOST_TEXT) or DASH,
        )
        for run in reversed(history.runs)
    ]
    return Table(
        gettext("The runs, the newest first"),
        (mark("commit"), mark("measured"), mark("run"), mark("remarks")),
        tuple(rows),
        names=4,
    )


def line_notes(scenario: ScenarioHistory) -> Iterator[Paragraph]:
    """Yield what distinguishes the lines of a scenario's trends."""
    of_times = mark("Ratios and times have {count} lines that are not comparable.")
    of_work = mark("Work counts have {count} lines that are not comparable.")
    for text, found in ((of_times, scenario.time_lines), (of_work, scenario.work_lines)):
        if len(found) > 1:
            described = [
                f"{number}: {short(line, MOST_TEXT) or gettext('as in the first run')}"
                for number, line in enumerate(found, start=1)
            ]
            yield Paragraph("; ".join(described) + ".", lead=gettext(text, count=len(found)), quiet=True)


def ends(figure: FigureHistory) -> list[tuple[int, str, str]]:
    """Return the first and the last value of each line of a figure, with the line's number and the last value's interval."""
    found = []
    for line in figure.lines:
        values = [value(point.value, figure) for point in (line.points[0], line.points[-1])]
        shown = values[-1] if len(line.points) == 1 else " → ".join(values)
        found.append((line.number, shown, _bounds(line.points[-1], figure)))
    return found


def _bounds(point: HistoryPoint, figure: FigureHistory) -> str:
    """Return the interval of a value, that of a time in its unit; "" without one."""
    if figure.kind == FigureKind.TIME and point.low is not None and point.high is not None:
        return f"[{duration(point.low)}, {duration(point.high)}]"
    return interval(point.low, point.high)


def constants(figures: Iterable[FigureHistory]) -> Table | None:
    """Return the figures that were the same in all runs, a row per arm and group; None without any."""
    rows: dict[str, list[str]] = defaultdict(list)
    for figure in figures:
        if figure.constant is not None:
            rows[arm_and_group(figure)].append(f"{metric(figure)} {value(figure.constant, figure)}".strip())
    found = tuple(cells(name, " · ".join(parts)) for name, parts in rows.items())
    return Table("", ("arm · group", mark("figures")), found, names=2) if found else None


def warnings(history: History) -> list[Block]:
    """Return the warnings, and the runs that are incomplete or have no commit."""
    cut = [run for run in history.runs if run.remarks]
    items = tuple(Notice("", short(run.label), short("; ".join(run.remarks), MOST_TEXT), Tone.SHORT) for run in cut[:MOST])
    more = len(cut) - len(items)
    rest = (
        (Notice("", ngettext("{count} more", "{count} more", more), gettext("see the list of runs"), Tone.SHORT),) if more else ()
    )
    return [
        *warning_notices(mark("Warnings"), history.warnings),
        *([Notices(gettext("Runs with remarks"), (*items, *rest))] if items else []),
    ]


def brief(history: History) -> list[Block]:
    """Return the history for the terminal: the steps of each commit, warnings, and the heading as the last line."""
    sections: list[Block] = []
    for group in step_groups(history):
        shown, rest = group.subjects[:MOST], group.subjects[MOST:]
        more = Paragraph(gettext("and {more}", more=counted(len(rest), "more row")), quiet=True) if rest else None
        title = f"{group.title}: {counted(group.number, 'step')}"
        sections.append(ReportSection(title, tuple(of(short_step_table(shown), more)), folded=False))
    return [*sections, *warnings(history), Paragraph(gettext("{sentence}.", sentence=heading(history)))]
