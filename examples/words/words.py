"""The most frequent words of a text."""

from collections import Counter


def frequent_by_loop(text: str, count: int) -> list[tuple[str, int]]:
    """Return the `count` most frequent words, counted in a loop."""
    found: dict[str, int] = {}
    for word in text.split():
        found[word] = found.get(word, 0) + 1
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:count]


def frequent_by_counter(text: str, count: int) -> list[tuple[str, int]]:
    """Return the `count` most frequent words, counted by `collections.Counter`."""
    return sorted(Counter(text.split()).items(), key=lambda pair: (-pair[1], pair[0]))[:count]
