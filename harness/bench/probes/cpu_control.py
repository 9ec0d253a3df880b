"""A fixed piece of pure Python: what the interpreter and the core do on their own, with no data layer in it."""

from __future__ import annotations

ROUNDS = 7_000
"""So many that one call takes about a millisecond on a usual machine, like a slot of a pair."""

CHECK = 7 * ROUNDS * (ROUNDS - 1) // 2
"""What `spin` returns, always."""


def spin() -> int:
    """Do the same arithmetic, dictionary and list work every time; return `CHECK`."""
    seen: dict[int, int] = {}
    kept: list[int] = []
    for number in range(ROUNDS):
        key = number % 97
        seen[key] = seen.get(key, 0) + number * 7
        if not key % 8:
            kept.append(seen[key])
    return sum(seen.values())
