"""A fixed piece of pure Python: a control that depends on the interpreter and the core only, not on any data layer."""

ROUNDS = 7_000
"""Number of rounds that makes one call take about a millisecond on a usual machine, like a slot of a pair."""
CHECK = 7 * ROUNDS * (ROUNDS - 1) // 2
"""The return value of `spin`."""


def spin() -> int:
    """Do a fixed amount of arithmetic, dictionary and list work; return `CHECK`."""
    seen: dict[int, int] = {}
    kept: list[int] = []
    for number in range(ROUNDS):
        key = number % 97
        seen[key] = seen.get(key, 0) + number * 7
        if not key % 8:
            kept.append(seen[key])
    return sum(seen.values())
