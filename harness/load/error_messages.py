"""Messages of failed operations, by which they are counted: one printable line, and one entry for messages that differ in numbers."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping

MESSAGE_CHARS = 120
"""The longest text of an error in a message; the rest is cut off."""
MAX_MESSAGES = 50
"""Distinct messages that are counted before those that differ in numbers are counted together."""
LIKE = 5
"""Distinct messages that differ in numbers alone, such as HTTP statuses, and are still listed one by one."""
OTHER_MESSAGES = "other messages"
"""The name under which errors beyond twice `MAX_MESSAGES` are counted."""
_NUMBERS = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+", re.IGNORECASE)


def message_of(error: BaseException) -> str:
    """Return an error as one line: its type and the first line of its text, without characters that cannot be printed."""
    kind = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the text comes from a scenario's own class
        return kind
    line = next((line for line in text.splitlines() if line.strip()), "")
    line = " ".join("".join(c if c.isprintable() else " " for c in line[: 10 * MESSAGE_CHARS]).split())
    if not line:
        return kind
    return f"{kind}: {line}" if len(line) <= MESSAGE_CHARS else f"{kind}: {line[:MESSAGE_CHARS]}…"


def add_message(counts: Counter[str], message: str) -> None:
    """Count a message; the number of entries has a limit, whatever numbers messages contain."""
    if message not in counts and len(counts) >= MAX_MESSAGES:
        message = _masked(message)
        if message not in counts and len(counts) >= 2 * MAX_MESSAGES:
            message = OTHER_MESSAGES
    counts[message] += 1


def grouped(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts, the most frequent first; messages that differ in numbers alone are one entry if there are many."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for message in counts:
        alike[_masked(message)].append(message)
    found: Counter[str] = Counter()
    for masked, messages in alike.items():
        for message in messages:
            found[masked if len(messages) > LIKE or masked in messages else message] += counts[message]
    return dict(found.most_common())


def _masked(message: str) -> str:
    return _NUMBERS.sub("#", message)
