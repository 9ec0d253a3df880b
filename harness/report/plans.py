"""Statements and query plans of a scenario, each once: the plans of all arms next to each other, differing lines marked."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.language import gettext, ngettext
from harness.report.tables import listed
from harness.results.names import shortened, visible
from harness.results.run import BASELINE, ScenarioResult, Statement
from harness.text import printable

MOST_CHARACTERS = 4_000
"""The most characters of a statement, and of a line of a plan."""
MOST_LINES = 60
"""The most lines of a plan."""
LEFT, NEW = "−", "+"  # noqa: RUF001 - a minus sign is as wide as a plus
"""The marks of lines that only the baseline's plan has, and that only another arm's has."""
NAME = 40
"""The most characters of the name of a group of cases."""
TAB = 4
"""The number of spaces of a tabulator."""
STEPS = re.compile(r"\b(?:scan|scans|search|sort|use|using|join|loop|aggregate|materialize|group)\b", re.IGNORECASE)
"""Words of a plan's step; other lines are its conditions."""


@dataclass(frozen=True)
class PlanLine:
    """One line of a query plan."""

    text: str
    mark: str = ""
    """`LEFT`, `NEW`, or empty for a line that the plans share."""


@dataclass(frozen=True)
class PlanView:
    """A query plan with the arms that have it."""

    label: str
    lines: tuple[PlanLine, ...]


@dataclass(frozen=True)
class StatementView:
    """One statement with its uses and its different plans, the baseline's first."""

    sql: str
    uses: tuple[str, ...]
    """The arms that send it, with the number per operation: `list, detail: baseline 51×, optimised 1×`."""
    plans: tuple[PlanView, ...]


@dataclass
class _Use:
    """The uses of one plan of a statement."""

    arms: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def add(self, arm: str, group: str, place: str) -> None:
        for known, name in ((self.arms, arm), (self.groups, group), (self.places, place)):
            if name not in known:
                known.append(name)


Located = Sequence[tuple[str, ScenarioResult]]
"""The results of one scenario with the labels of their places."""


def statements(results: Located) -> list[StatementView]:
    """Return every different statement of a scenario once, in the order of the groups."""
    found: dict[str, list[tuple[str, ScenarioResult, Statement]]] = {}
    for place, result in results:
        for statement in sorted(result.statements, key=lambda s: _position(result, s)):
            found.setdefault(statement.sql, []).append((place, result, statement))
    return [_statement(sql, uses) for sql, uses in found.items()]


def _position(result: ScenarioResult, statement: Statement) -> tuple[int, int]:
    groups, arms = list(result.groups), [arm.name for arm in result.arms]
    known = statement.group in groups, statement.arm in arms
    return (
        groups.index(statement.group) if known[0] else len(groups),
        arms.index(statement.arm) if known[1] else len(arms),
    )


def _statement(sql: str, uses: Sequence[tuple[str, ScenarioResult, Statement]]) -> StatementView:
    counts: dict[tuple[str, str], dict[str, int]] = {}
    by_plan: dict[tuple[str, ...], _Use] = {}
    whole = _Use()
    shown: dict[tuple[str, ...], tuple[str, ...]] = {}
    for place, _, s in uses:
        of_case = counts.setdefault((place, s.group), {})
        of_case[s.arm] = of_case.get(s.arm, 0) + s.count
        whole.add(s.arm, s.group, place)
        if s.plan:
            lines = tuple(map(bare, s.plan))
            shown.setdefault(tuple(map(step, lines)), lines)
            by_plan.setdefault(tuple(map(step, lines)), _Use()).add(s.arm, s.group, place)
    every_arm = {arm.name for _, result, _ in uses for arm in result.arms}
    plans = [PlanView(_label(use, whole), _marked(key, shown[key], by_plan)) for key, use in by_plan.items()]
    return StatementView(cut(sql), tuple(_uses(counts, every_arm, whole)), tuple(plans))


def _uses(counts: dict[tuple[str, str], dict[str, int]], every_arm: set[str], whole: _Use) -> Iterable[str]:
    """Yield a line per different counts of the arms, with the groups and places that have them."""
    same: dict[tuple[tuple[str, int], ...], _Use] = {}
    for (place, group), by_arm in counts.items():
        same.setdefault(tuple(by_arm.items()), _Use()).add("", group, place)
    for pairs, use in same.items():
        numbers = {number for _, number in pairs}
        if len(numbers) == 1 and {arm for arm, _ in pairs} == every_arm:
            text = gettext("{count}× on all arms", count=numbers.pop())
        else:
            text = ", ".join(f"{visible(shortened(arm, NAME))} {number}×" for arm, number in pairs)
        at = f" ({where(use.places, whole.places)})" if len(use.places) < len(whole.places) else ""
        yield f"{names(use.groups)}: {text}{at}"


def _label(use: _Use, whole: _Use) -> str:
    """Return the arms of a plan, with groups and places where they are not all of the statement's."""
    parts = [names(use.arms)]
    if len(use.groups) < len(whole.groups):
        parts.append(names(use.groups))
    if len(use.places) < len(whole.places):
        parts.append(where(use.places, whole.places))
    return " · ".join(parts)


def _marked(key: tuple[str, ...], lines: tuple[str, ...], plans: dict[tuple[str, ...], _Use]) -> tuple[PlanLine, ...]:
    """Return the lines of a plan, marked where the baseline's plan of the same place, or the other arms', lacks them."""
    own = plans[key]
    others = [other for other in plans if other != key and set(plans[other].places) & set(own.places)]
    others = [other for other in others if set(plans[other].groups) & set(own.groups)] or others
    mark, against = LEFT, [other for other in others if BASELINE not in plans[other].arms]
    if BASELINE not in own.arms:
        mark, against = NEW, [other for other in others if BASELINE in plans[other].arms]
    made = [
        PlanLine(cut(line), mark if against and not any(text in other for other in against) else "")
        for text, line in zip(key, lines, strict=True)
    ]
    more = len(made) - MOST_LINES
    return (
        (*made[:MOST_LINES], PlanLine(ngettext("… {count} more line", "… {count} more lines", more))) if more > 0 else tuple(made)
    )


def changes(result: ScenarioResult, arm: str) -> dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]]:
    """Return the steps that only the baseline's plan of a statement has, and those only an arm's has → the groups with both."""
    found: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    plans = {(s.group, s.sql, s.arm): [step(bare(line)) for line in s.plan] for s in result.statements if s.plan}
    for (group, sql, name), before in plans.items():
        after = plans.get((group, sql, arm))
        if name != BASELINE or after is None:
            continue
        left, new = _steps(before, after), _steps(after, before)
        if left or new:
            groups = found.setdefault((left, new), [])
            groups += [group] * (group not in groups)
    return found


def _steps(lines: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """Return the lines that are not in another plan: its steps, and without any its conditions."""
    own = list(dict.fromkeys(line for line in lines if line not in others))
    return tuple([line for line in own if STEPS.search(line)] or own)


def bare(line: str) -> str:
    """Return a line of a plan without the planner's estimates, which differ where the plan does not."""
    return re.sub(r" *\((?:cost|actual)\b[^()]*\)", "", line)


def step(line: str) -> str:
    """Return a line of a plan without its position in the tree."""
    return line.strip().removeprefix("->").strip()


def where(places: Sequence[str], every: Iterable[str]) -> str:
    """Return places in a sentence: the engine alone where they are all of its places.

    Example:
        >>> where(["postgres, RTT 0 ms", "postgres, RTT 5 ms"], ["postgres, RTT 0 ms", "postgres, RTT 5 ms", "sqlite, RTT 0 ms"])
        'postgres'
    """
    of_engine: dict[str, set[str]] = {}
    for place in every:
        of_engine.setdefault(place.partition(", ")[0], set()).add(place)
    whole = [engine for engine, known in of_engine.items() if known <= set(places)]
    return "; ".join(dict.fromkeys(place.partition(", ")[0] if place.partition(", ")[0] in whole else place for place in places))


def names(found: Iterable[str], most: int = 4) -> str:
    """Return names in a sentence, each shortened, at most a few of them."""
    known = [visible(shortened(name, NAME)) for name in listed((), found)]
    more = len(known) - most
    shown = gettext(", ").join(known[:most])
    return gettext("{names} and {count} more", names=shown, count=more) if more > 0 else shown


def cut(text: str) -> str:
    """Return a text of several lines with control characters escaped, without what is beyond a length."""
    shown = printable(text.expandtabs(TAB))
    more = len(shown) - MOST_CHARACTERS
    end = ngettext("… ({count} more character)", "… ({count} more characters)", more)
    return shown[:MOST_CHARACTERS] + end if more > 0 else shown
