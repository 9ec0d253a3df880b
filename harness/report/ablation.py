"""What switches bring, in words and as tables: for the page, for Markdown and for the terminal."""

from __future__ import annotations

from dataclasses import dataclass

from harness.report.numbers import DASH, interval, times
from harness.report.promises import places
from harness.report.tables import Cell, Table
from harness.results.run import Ablation, Gain, GainSum, Run

READ = (
    "Alone: all off ÷ it alone. Last: all but it ÷ all on. Brackets are 95 % intervals over fresh processes. A gain is "
    "“unclear” where it is not told from none at 5 % after Holm's correction for all that is asked of a group. The place is by "
    "the gain last, and is shared where intervals overlap. “Adds up”: last is as good as alone, within a quarter; “needs "
    "others”: clearly more; “made redundant by others”: clearly less; “inconclusive”: the intervals are too wide to say."
)
NO_INTERVAL = "an interval needs at least two processes"


@dataclass(frozen=True)
class AblationPart:
    """One group of an ablated scenario: what it is called on a page, and what was found."""

    heading: str
    found: Ablation


def parts(run: Run) -> list[AblationPart]:
    """Return every group of every ablated scenario of a run."""
    each = zip(run.scenarios, places(run), strict=True)
    return [
        AblationPart(", ".join(text for text in (f"{result.name}: {found.group}", where) if text), found)
        for result, where in each
        for found in result.ablation
    ]


def bounded(gain: Gain) -> str:
    """Return a gain with its interval: `1.96× [1.90, 2.02]`."""
    return times(gain.ratio) + ("" if gain.low is None or gain.high is None else f" {interval(gain.low, gain.high)}")


def gained(gain: Gain) -> str:
    """Return a gain without its interval, and that it is unclear where it is."""
    return times(gain.ratio) if gain.is_clear else f"{times(gain.ratio)} unclear"


def place(best: int | None, worst: int | None) -> str:
    """Return the places a switch can have: `1`, or `1–3` where it cannot be told apart from others."""
    if best is None or worst is None:
        return DASH
    return str(best) if best == worst else f"{best}–{worst}"


def total(found: Ablation) -> str:
    """Return, in a sentence, what all switches bring together against the product of what each brings alone."""
    weighed = (
        f"whether together they bring more or less than the product is {GainSum.INCONCLUSIVE}"
        if found.together == GainSum.INCONCLUSIVE
        else f"together they bring {found.together}"
    )
    return (
        f"All on is {bounded(found.total)} as fast as all off; the gains alone multiply to {bounded(found.product)}; "
        f"{weighed} (total ÷ product {bounded(found.surplus)})."
    )


def table(part: AblationPart) -> Table:
    """Return a row a switch, the greatest gain last first."""
    head = (
        "switch",
        "it turns on",
        "interaction",
        "place",
        "gain alone",
        "95 %",
        "gain last",
        "95 %",
        "last ÷ alone",
        "95 %",
    )
    rows = []
    for switch in part.found.switches:
        gains = [(gained(switch.alone), switch.alone), (gained(switch.last), switch.last)]
        gains.append((times(switch.difference.ratio), switch.difference))
        cells = [
            Cell(switch.switch),
            Cell(switch.description),
            Cell(switch.interaction),
            Cell(place(switch.rank_best, switch.rank_worst)),
        ]
        for text, gain in gains:
            cells += [Cell(text), Cell(interval(gain.low, gain.high), NO_INTERVAL if gain.low is None else "")]
        rows.append(tuple(cells))
    return Table(f"{part.heading}, {part.found.pairs} pairs", head, tuple(rows), names=3)
