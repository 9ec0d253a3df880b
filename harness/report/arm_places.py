"""The place of each arm among the colours, the same in the conclusion, on cards, in tables and in figures."""

from collections.abc import Iterable, Sequence
from itertools import count

from harness.results.run import AA_CONTROL, BASELINE, ArmResult


def arm_places(arms: Sequence[ArmResult], more: Iterable[str] = ()) -> dict[str, int]:
    """Return the name of each arm but the baseline → its place from 0; `more` are names that `arms` may lack.

    The conclusion draws an arm as written in the first colour, and another one in the next: so the first arm as written has place
    0, the last of the others, which is the optimised one, place 1, and all others the places that are left, in their order.
    """
    own = [arm for arm in arms if arm.name not in {BASELINE, AA_CONTROL}]
    written, others = ([arm.name for arm in own if arm.as_written == is_written] for is_written in (True, False))
    found = dict.fromkeys(written[:1], 0) | dict.fromkeys(others[-1:], 1)
    left = (place for place in count() if place not in {*found.values()})
    names = dict.fromkeys([*(arm.name for arm in own), *more])
    taken = dict(found)
    for name in names:
        if name not in {BASELINE, AA_CONTROL, *found}:
            taken[name] = next(left)
    return taken
