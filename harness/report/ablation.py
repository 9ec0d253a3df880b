"""The gain of each switch of an ablated scenario, alone and last, as tables and in words."""

from harness.language import gettext, mark, ngettext, word
from harness.report.blocks import Table, cells
from harness.report.numbers import DASH, ratio_with_interval, times
from harness.report.promises import located
from harness.report.tables import with_interval
from harness.results.run import Ablation, Gain, GainSum, Run, SwitchGain

READ = mark(
    "Alone: all off ÷ only this one on. Last: all but this one ÷ all on. Brackets are 95 % confidence intervals over fresh "
    "processes. A gain is “unclear” if it is not significant at 5 % after Holm's correction for all comparisons of the group. The "
    "rank is by the gain last; switches whose intervals overlap share ranks. “Adds up”: the gain last equals the gain alone, "
    "within a quarter; “needs others”: it is clearly larger; “made redundant by others”: clearly smaller; “inconclusive”: not "
    "enough data."
)


def parts(run: Run) -> list[tuple[str, Ablation]]:
    """Return every group of every ablated scenario of a run, with its heading."""
    return [(x.named(f"{x.result.name}: {found.group}"), found) for x in located(run) for found in x.result.ablation]


def gain_text(gain: Gain) -> str:
    """Return a gain, marked as unclear if it is not significant."""
    return times(gain.ratio) if gain.is_clear else gettext("{gain} unclear", gain=times(gain.ratio))


def rank(switch: SwitchGain) -> str:
    """Return the ranks a switch can have: `1`, or `1–3` where it cannot be distinguished from others."""
    best, worst = switch.rank_best, switch.rank_worst
    if best is None or worst is None:
        return DASH
    return str(best) if best == worst else f"{best}–{worst}"


def total(found: Ablation) -> str:
    """Return in a sentence what all switches gain together, against the product of what each gains alone."""
    total, product, surplus = map(ratio_with_interval, (found.total, found.product, found.surplus))
    text = mark(
        "All on is {total} as fast as all off; the gains alone multiply to {product}; "
        "all together gain {together} (total ÷ product {surplus})."
    )
    if found.together == GainSum.INCONCLUSIVE:
        text = mark(
            "All on is {total} as fast as all off; the gains alone multiply to {product}; "
            "not enough data to say whether all together gain more or less than the product (total ÷ product {surplus})."
        )
    return gettext(text, total=total, product=product, surplus=surplus, together=word(found.together))


def table(heading: str, found: Ablation) -> Table:
    """Return a row per switch, the largest gain last first."""
    head = (
        mark("switch"),
        mark("turns on"),
        mark("interaction"),
        mark("rank"),
        mark("gain alone, 95 % CI"),
        mark("gain last, 95 % CI"),
        mark("last ÷ alone, 95 % CI"),
    )
    rows = []
    for x in found.switches:
        gains = (with_interval(gain_text(gain), gain.low, gain.high) for gain in (x.alone, x.last))
        difference = with_interval(times(x.difference.ratio), x.difference.low, x.difference.high)
        rows.append(cells(x.switch, x.description, word(x.interaction), rank(x), *gains, difference))
    return Table(
        ngettext("{heading}, {count} pair", "{heading}, {count} pairs", found.pairs, heading=heading),
        head,
        tuple(rows),
        names=3,
        wide=(head[1], head[-1]),
    )
