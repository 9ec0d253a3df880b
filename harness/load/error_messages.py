"""Messages by which failed operations are counted: one printable line, one for many that differ in numbers alone."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest

from harness.error_groups import counted_kinds
from harness.errors import text_of

MESSAGE_CHARS = 120
"""The longest text of an error in a message; the rest is cut off."""
MAX_MESSAGES = 50
"""The number of distinct messages from which those that differ in numbers are counted together."""
LIKE = 5
"""Distinct messages that differ in numbers alone, such as HTTP statuses, and are still listed one by one."""
OTHER_MESSAGES = "other messages"
"""The name under which errors beyond `MAX_MESSAGES` are counted."""
_NUMBERS = re.compile(r"#|0x[0-9a-f]+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+", re.IGNORECASE)


def message_of(error: BaseException) -> str:
    """Return an error as one line: its type and the first line of its text, without characters that cannot be printed.

    Of a group it has the errors, with their numbers.
    """
    return counted_kinds(error, _line)


def _line(error: BaseException) -> str:
    kind = type(error).__name__
    line = next((line for line in text_of(error).splitlines() if line.strip()), "")
    line = " ".join("".join(c if c.isprintable() else " " for c in line[: 10 * MESSAGE_CHARS]).split())
    if not line:
        return kind
    return f"{kind}: {line}" if len(line) <= MESSAGE_CHARS else f"{kind}: {line[:MESSAGE_CHARS]}…"


def add_message(counts: Counter[str], message: str) -> None:
    """Count a message; the number of entries has a limit, whatever numbers messages contain."""
    if message not in counts and len(counts) >= MAX_MESSAGES:
        found = grouped(counts)
        counts.clear()
        counts.update(found)
        if len(counts) >= MAX_MESSAGES:
            message = OTHER_MESSAGES
    counts[message] += 1


def grouped(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts, the most frequent first; many messages that differ in numbers alone are one, with `#` for the numbers."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for message in counts:
        alike[_NUMBERS.sub("#", message)].append(message)
    found: Counter[str] = Counter()
    for masked, messages in alike.items():
        is_one = len(messages) > LIKE or any("#" in _NUMBERS.findall(message) for message in messages)
        shared = _with_shared_numbers(masked, messages) if is_one else ""
        for message in messages:
            found[shared or message] += counts[message]
    return dict(found.most_common())


def _with_shared_numbers(masked: str, messages: Sequence[str]) -> str:
    """Return the masked message with the numbers that all have in common, such as the code of a system's error."""
    columns = zip(*map(_NUMBERS.findall, messages), strict=True)
    numbers = (column[0] if len(set(column)) == 1 else "#" for column in columns)
    return "".join(chain.from_iterable(zip_longest(masked.split("#"), numbers, fillvalue="")))
