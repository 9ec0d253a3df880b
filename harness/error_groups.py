"""The errors in groups of errors, however deep, and how many there are of each kind.

Standard library only and loadable by path, because the gate's worker runs with another tree's `harness`, which may be an older
version.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator

SHOWN_KINDS = 3
"""The most kinds of errors of a group that are described; the others are counted."""
_NUMBER = re.compile(r"\d+")


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors of a group, and of the groups in it, in their order; of any other error, itself."""
    left = [error]
    while left:
        found = left.pop()
        if isinstance(found, BaseExceptionGroup):
            left += reversed(found.exceptions)
        else:
            yield found


def counted_kinds(error: BaseException, kind: Callable[[BaseException], str]) -> str:
    """Return what `kind` says about an error; of a group about its errors, the most frequent first, with their numbers."""
    shown: dict[str, str] = {}
    numbers = Counter[str]()
    for each in leaves(error):
        text = kind(each)
        masked = _NUMBER.sub("#", text)
        shown.setdefault(masked, text)
        numbers[masked] += 1
    ordered = numbers.most_common()
    parts = [f"{number} × {shown[masked]}" if number > 1 else shown[masked] for masked, number in ordered[:SHOWN_KINDS]]
    others = sum(number for _, number in ordered[SHOWN_KINDS:])
    return "; ".join([*parts, *([f"{others} others"] if others else [])])
