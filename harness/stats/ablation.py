"""Which switch brings how much, alone and last: from pairs in which every set of switches was timed on the same case.

A switch's gain *alone* is the time with all switches off over the time with it alone; its gain *last* is the time with all but it
over the time with all of them. All figures of a group come from the same pairs, as paired ratios with Student's t interval over
the fresh processes. Several questions are asked of a group at once (of every switch: does it bring anything alone, last, and is
there a difference; of all: a total, and does it differ from the product), so their p-values are corrected together (Holm 1979).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.results.run import BASELINE, Ablation, Gain, GainSum, Interaction, SwitchGain
from harness.stats.intervals import holm, p_of_no_effect, paired_ratio

ALL = "all"
"""The arm with every switch on; the one with none is the baseline, because all else is compared with it."""

SAME = 1.25
"""Two gains are called the same only if their ratio's whole interval is no further from 1 than this, either way: an interval that
merely holds 1 may be wide for lack of pairs, and would pass for agreement."""

Pair = Mapping[str, float]
"""One pair: arm → its time."""


def arms(switches: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return the arms of an ablation, name → the switches that are on: none, each alone, all, all but each; no set twice."""
    every = frozenset(switches)
    named = {BASELINE: frozenset[str](), **{f"only {s}": frozenset({s}) for s in switches}}
    named |= {ALL: every, **{f"all but {s}": every - {s} for s in switches}}
    first = {on: name for name, on in reversed(named.items())}
    return {name: on for name, on in named.items() if first[on] == name}


def ablation(group: str, switches: Mapping[str, str], processes: Mapping[int, Sequence[Pair]]) -> Ablation | None:
    """Return what the switches (name → description) bring in a group, from the pairs of each process; None without whole pairs.

    Times are positive and in one unit. A pair that lacks an arm does not count.
    """
    names = {on: name for name, on in arms(list(switches)).items()}
    kept: dict[int, list[dict[_Question, float]]] = {}
    for process, pairs in processes.items():
        whole = [pair for pair in pairs if pair.keys() >= set(names.values())]
        if whole:
            kept[process] = [_ratios(pair, list(switches), names) for pair in whole]
    if not kept:
        return None
    gains = _corrected({question: _gain(question, kept) for question in next(iter(kept.values()))[0]})
    return Ablation(
        group=group,
        pairs=sum(map(len, kept.values())),
        switches=_ranked([_switch(name, describes, gains) for name, describes in switches.items()]),
        total=gains["total", ""],
        product=gains["product", ""],
        surplus=gains["surplus", ""],
        together=_sum(gains["surplus", ""]),
    )


_Question = tuple[str, str]
"""What is asked, and of which switch; of all of them where it is empty."""


def _ratios(pair: Pair, switches: Sequence[str], names: Mapping[frozenset[str], str]) -> dict[_Question, float]:
    """Return every ratio that one pair answers."""
    every = frozenset(switches)
    none, everything = pair[BASELINE], pair[names[every]]
    found: dict[_Question, float] = {("total", ""): none / everything}
    for switch in switches:
        alone, last = none / pair[names[frozenset({switch})]], pair[names[every - {switch}]] / everything
        found |= {("alone", switch): alone, ("last", switch): last, ("difference", switch): last / alone}
    product = math.prod(found["alone", switch] for switch in switches)
    return found | {("product", ""): product, ("surplus", ""): found["total", ""] / product}


def _gain(question: _Question, processes: Mapping[int, Sequence[Mapping[_Question, float]]]) -> Gain:
    found, medians = paired_ratio({p: [(ratios[question], 1.0) for ratios in pairs] for p, pairs in processes.items()})
    return Gain(found.value, found.low, found.high, medians)


def _corrected(gains: dict[_Question, Gain]) -> dict[_Question, Gain]:
    """Add the p-values. The product is no question of its own: it is there to be compared with the total."""
    asked = {q: p_of_no_effect([math.log(m) for m in gain.processes]) for q, gain in gains.items() if q[0] != "product"}
    known = {q: p for q, p in asked.items() if p is not None}
    return gains | {q: replace(gains[q], p_corrected=p) for q, p in zip(known, holm(list(known.values())), strict=True)}


def _switch(name: str, describes: str, gains: Mapping[_Question, Gain]) -> SwitchGain:
    alone, last, difference = (gains[question, name] for question in ("alone", "last", "difference"))
    apart = _is_above(last, alone) or _is_above(alone, last)
    if apart and difference.is_clear:
        word = Interaction.NEEDS_OTHERS if difference.ratio > 1 else Interaction.REDUNDANT
    else:
        word = Interaction.ADDS_UP if _is_one(difference) else Interaction.INCONCLUSIVE
    return SwitchGain(name, describes, alone, last, difference, word)


def _sum(surplus: Gain) -> GainSum:
    if surplus.is_clear:
        return GainSum.MORE if surplus.ratio > 1 else GainSum.LESS
    return GainSum.AS_PRODUCT if _is_one(surplus) else GainSum.INCONCLUSIVE


def _is_one(gain: Gain) -> bool:
    """Whether the whole interval is as good as 1."""
    return gain.low is not None and gain.high is not None and gain.low >= 1 / SAME and gain.high <= SAME


def _is_above(one: Gain, other: Gain) -> bool:
    """Whether the whole interval of `one` lies above that of `other`."""
    return one.low is not None and other.high is not None and one.low > other.high


def _ranked(found: list[SwitchGain]) -> list[SwitchGain]:
    ranked = []
    for one in sorted(found, key=lambda s: -s.last.ratio):
        above = sum(_is_above(other.last, one.last) for other in found)
        below = sum(_is_above(one.last, other.last) for other in found)
        ranked.append(one if one.last.low is None else replace(one, rank_best=1 + above, rank_worst=len(found) - below))
    return ranked
