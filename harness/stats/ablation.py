"""The gains of switches, alone and last, from pairs in which every set of switches was timed on the same case.

A switch's gain *alone* is the time with all switches off over the time with it alone; its gain *last* is the time with all but it
over the time with all of them. All figures of a group are paired ratios from the same pairs. A group has several hypotheses (per
switch: its gain alone, its gain last, and their difference; for all of them: the total gain, and its difference from the product),
so their p-values are corrected together (Holm 1979).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from harness.results.run import BASELINE, Ablation, Gain, GainSum, Interaction, SwitchGain
from harness.stats.intervals import holm, p_of_no_effect, paired_ratio

ALL = "all"
"""The arm with every switch on; the one with none is the baseline, which all others are compared with."""
SAME = 1.25
"""Two gains count as equal only if the whole interval of their ratio is within this factor of 1: an interval that merely contains 1
may be wide for lack of pairs."""


def arms(switches: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return the arms of an ablation, name → the switches that are on: none, each alone, all, all but each; no set twice."""
    every = frozenset(switches)
    named = {BASELINE: frozenset[str](), **{f"only {s}": frozenset({s}) for s in switches}}
    named |= {ALL: every, **{f"all but {s}": every - {s} for s in switches}}
    first = {on: name for name, on in reversed(named.items())}
    return {name: on for name, on in named.items() if first[on] == name}


def are_ablated(names: Iterable[str]) -> bool:
    """Return whether arms are those of an ablation, by their names."""
    found = list(names)
    switches = [name.removeprefix("only ") for name in found if name.startswith("only ")]
    return bool(switches) and set(arms(switches)) == set(found)


def ablation(group: str, switches: Mapping[str, str], processes: Mapping[int, Sequence[Mapping[str, float]]]) -> Ablation | None:
    """Return the gains of switches (name → description) in a group from the pairs of each process; None without complete pairs.

    Times are positive and in the same unit. A pair that lacks an arm is left out.
    """
    names = {on: name for name, on in arms(list(switches)).items()}
    kept: dict[int, list[dict[_Hypothesis, float]]] = {}
    for process, pairs in processes.items():
        whole = [pair for pair in pairs if pair.keys() >= set(names.values())]
        if whole:
            kept[process] = [_ratios(pair, list(switches), names) for pair in whole]
    if not kept:
        return None
    gains = {}
    for hypothesis in next(iter(kept.values()))[0]:
        found, medians = paired_ratio({p: [(ratios[hypothesis], 1.0) for ratios in pairs] for p, pairs in kept.items()})
        gains[hypothesis] = Gain(found.value, found.low, found.high, medians)
    gains = _corrected(gains)
    total, product, surplus = (gains[name, ""] for name in ("total", "product", "surplus"))
    together = GainSum.AS_PRODUCT if _is_one(surplus) else GainSum.INCONCLUSIVE
    if surplus.is_clear:
        together = GainSum.MORE if surplus.ratio > 1 else GainSum.LESS
    ranked = _ranked([_switch(name, describes, gains) for name, describes in switches.items()])
    return Ablation(group, sum(map(len, kept.values())), ranked, total, product, surplus, together)


_Hypothesis = tuple[str, str]
"""A hypothesis and its switch; the switch is empty if it concerns all of them."""


def _ratios(pair: Mapping[str, float], switches: Sequence[str], names: Mapping[frozenset[str], str]) -> dict[_Hypothesis, float]:
    """Return the ratios of one pair for every hypothesis."""
    every = frozenset(switches)
    none, everything = pair[BASELINE], pair[names[every]]
    found: dict[_Hypothesis, float] = {("total", ""): none / everything}
    for switch in switches:
        alone, last = none / pair[names[frozenset({switch})]], pair[names[every - {switch}]] / everything
        found |= {("alone", switch): alone, ("last", switch): last, ("difference", switch): last / alone}
    product = math.prod(found["alone", switch] for switch in switches)
    return found | {("product", ""): product, ("surplus", ""): found["total", ""] / product}


def _corrected(gains: dict[_Hypothesis, Gain]) -> dict[_Hypothesis, Gain]:
    """Add the p-values. The product is not a hypothesis itself: it is compared with the total."""
    tested = {q: p_of_no_effect([math.log(m) for m in gain.processes]) for q, gain in gains.items() if q[0] != "product"}
    known = {q: p for q, p in tested.items() if p is not None}
    return gains | {q: replace(gains[q], p_corrected=p) for q, p in zip(known, holm(list(known.values())), strict=True)}


def _switch(name: str, describes: str, gains: Mapping[_Hypothesis, Gain]) -> SwitchGain:
    alone, last, difference = (gains[hypothesis, name] for hypothesis in ("alone", "last", "difference"))
    interaction = Interaction.ADDS_UP if _is_one(difference) else Interaction.INCONCLUSIVE
    if difference.is_clear and (_is_above(last, alone) or _is_above(alone, last)):
        interaction = Interaction.NEEDS_OTHERS if difference.ratio > 1 else Interaction.REDUNDANT
    return SwitchGain(name, describes, alone, last, difference, interaction)


def _is_one(gain: Gain) -> bool:
    """Return whether the whole interval counts as equal to 1."""
    return gain.low is not None and gain.high is not None and gain.low >= 1 / SAME and gain.high <= SAME


def _is_above(one: Gain, other: Gain) -> bool:
    """Return whether the whole interval of `one` lies above that of `other`."""
    return one.low is not None and other.high is not None and one.low > other.high


def _ranked(found: list[SwitchGain]) -> list[SwitchGain]:
    ranked = []
    for one in sorted(found, key=lambda s: -s.last.ratio):
        above = sum(_is_above(other.last, one.last) for other in found)
        below = sum(_is_above(one.last, other.last) for other in found)
        ranked.append(one if one.last.low is None else replace(one, rank_best=1 + above, rank_worst=len(found) - below))
    return ranked
