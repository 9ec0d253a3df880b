"""Names of benchmarks: kept whole, so that distinct ones stay distinct, made visible, and shortened for display only."""

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence

SHOWN = 100
"""The number of characters of a name in a message."""
CUT = 12
"""The least limit at which a name is cut in more than one place."""


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


def abbreviated(names: Iterable[str], limit: int = SHOWN) -> dict[str, str]:
    """Return name → the name in at most `limit` characters, cut where names do not differ: distinct ones stay distinct.

    Long names that all end, or all begin alike lose a part of that. Names whose ends are alike keep what lies between them. Only
    where that does not fit either are they numbered, and then longer than `limit`.

    Example:
        >>> list(abbreviated(["test_list[a long id, first, of many]", "test_list[a long id, second, of many]"], 20).values())
        ['test_l…first…f many]', 'test_l…second… many]']
    """
    whole = list(dict.fromkeys(names))
    found = {name: shortened(name, limit) for name in whole}
    long = [name for name in whole if len(name) > limit]
    if len(long) > 1:
        found |= _without_common_end(long, limit)
    alike: dict[str, list[str]] = {}
    for name, shown in found.items():
        alike.setdefault(shown, []).append(name)
    for group in alike.values():
        if len(group) > 1 and limit >= CUT:
            found |= _between(group, limit)
    taken = {name for name in whole if found[name] == name}
    for name in whole:
        if found[name] != name:
            number, free = 1, found[name]
            while free in taken:
                number += 1
                free = f"{found[name]} ({number})"
            found[name] = free
            taken.add(free)
    return found


def _without_common_end(names: Sequence[str], limit: int) -> dict[str, str]:
    """Return names that all end alike, or else all begin alike, without a part of that; empty where it is not enough."""
    backwards = [name[::-1] for name in names]
    tail = _alike(backwards)
    fronts = [name[: len(name) - tail] for name in names]
    if all(len(front) < limit - 1 for front in fronts):
        return {name: f"{front}…{name[len(front) + 1 - limit :]}" for name, front in zip(names, fronts, strict=True)}
    head = _alike(names)
    ends = [name[head:] for name in names]
    if all(len(end) < limit - 1 for end in ends):
        kept = [len(end) + (limit - 1 - len(end)) // 2 for end in ends]  # with a part of what is before it
        return {name: f"{name[: limit - 1 - number]}…{name[-number:]}" for name, number in zip(names, kept, strict=True)}
    return {}


def _between(names: Sequence[str], limit: int) -> dict[str, str]:
    """Return names of which the ends are alike with what lies between: `head…difference…tail`."""
    head = _alike(names)
    tail = _alike([name[head:][::-1] for name in names])
    middles = {name: name[head : len(name) - tail] for name in names}
    inner = abbreviated(middles.values(), limit - 2 * (limit // 4) - 2)
    found = {}
    for name, middle in middles.items():
        spare = max(4, limit - len(inner[middle]))
        before = name[:head] if head <= spare // 2 else f"{name[: spare // 2 - 1]}…"
        room = max(1, spare - len(before))
        after = name[len(name) - tail :] if tail <= room else f"…{name[len(name) - room + 1 :]}" if room > 1 else "…"
        found[name] = f"{before}{inner[middle]}{after}"
    return found


def _alike(names: Sequence[str]) -> int:
    """Return the number of characters with which all names begin."""
    first, last = min(names), max(names)
    return next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


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
    taken, seen, found = set(detailed), Counter[str](), list[str]()
    for name in detailed:
        seen[name] += 1
        free = name if seen[name] == 1 else f"{name} ({seen[name]})"
        while seen[name] > 1 and free in taken:
            seen[name] += 1
            free = f"{name} ({seen[name]})"
        taken.add(free)
        found.append(free)
    return found, [name for name, number in occurrences.items() if number > 1]
