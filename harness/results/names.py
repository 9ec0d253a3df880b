"""Names of benchmarks: kept whole, so that distinct ones stay distinct, made visible, and shortened for display only."""

import re
import textwrap
from collections import Counter
from collections.abc import Sequence

SHOWN = 100
"""The number of characters of a name in a message."""


def visible(text: str) -> str:
    r"""Return a name on one line of printable characters, such that two names that differ still differ.

    Control characters are escaped, and spaces at an end or in a run are drawn, since a page and a terminal would collapse them.

    Example:
        >>> visible(" SELECT 1\n  FROM t")
        '␣SELECT 1\\n␣␣FROM t'
    """
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return re.sub(r"^ +| +$| {2,}", lambda run: "␣" * len(run[0]), printable)


def shortened(text: str, limit: int = SHOWN) -> str:
    """Return `text` with its middle left out if it has more than `limit` characters: names usually differ at an end."""
    if len(text) <= limit:
        return text
    tail = limit // 2
    return f"{text[: limit - tail - 1]}…{text[-tail:]}"


def short(text: str, limit: int) -> str:
    """Return a text on one line, cut behind a word if it is long."""
    line = visible(" ".join(text.split()))
    cut = textwrap.shorten(line, limit, placeholder="…")
    return shortened(line, limit) if cut == "…" else cut


def quoted(name: str) -> str:
    """Return a name for a message: in quotes, and shortened."""
    return repr(shortened(name))


def distinct(entries: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """Return a distinct name per entry of a name and a detail, and the names that occurred more than once.

    Names that occur once are kept. The others get their detail, such as their parameters, in brackets; those that are still equal
    are numbered in their order.

    Example:
        >>> distinct([("sort", "n=1"), ("sort", "n=2"), ("uniq", ""), ("uniq", "")])
        (['sort (n=1)', 'sort (n=2)', 'uniq', 'uniq (2)'], ['sort', 'uniq'])
    """
    occurrences = Counter(name for name, _ in entries)
    detailed = [f"{name} ({detail})" if occurrences[name] > 1 and detail else name for name, detail in entries]
    taken, found = set(detailed), list[str]()
    for name in detailed:
        number, free = 1, name
        while free in found or (number > 1 and free in taken):
            number += 1
            free = f"{name} ({number})"
        found.append(free)
    return found, [name for name, number in occurrences.items() if number > 1]
