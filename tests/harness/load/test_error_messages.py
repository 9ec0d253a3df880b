"""Messages of failed operations."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.error_messages import LIKE, MAX_MESSAGES, MESSAGE_CHARS, OTHER_MESSAGES, add_message, grouped, message_of


class UnreadableError(Exception):
    """An error whose text cannot be made."""

    def __str__(self) -> str:
        """Raise."""
        raise ValueError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConnectionRefusedError("pool exhausted"), "ConnectionRefusedError: pool exhausted"),
        (RuntimeError("database is locked\nand more"), "RuntimeError: database is locked"),
        (RuntimeError("\n\n  first \t line \n"), "RuntimeError: first line"),
        (ValueError("bell \x07, escape \x1b[31m, half a pair \udcff"), "ValueError: bell , escape [31m, half a pair"),
        (ValueError(), "ValueError"),
        (UnreadableError(), "UnreadableError"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (ExceptionGroup("tasks", [OSError("too many")] * 5), "5 × OSError: too many"),
        (OSError("x" * 5000), f"OSError: {'x' * MESSAGE_CHARS}…"),
    ],
)
def test_a_message_is_one_printable_line(error: BaseException, message: str) -> None:
    """It has the type and the first line, short and without control characters, whatever was raised."""
    assert message_of(error) == message


def test_messages_that_differ_in_numbers_are_one_entry() -> None:
    """The numbers that all have in common are kept; the rest is a sign."""
    counts = {f"OSError: [Errno 111] refused by 127.0.0.1, port {port}": 2 for port in range(5000, 5040)}
    assert grouped(counts) == {"OSError: [Errno 111] refused by 127.0.0.1, port #": 80}
    ids = {f"KeyError: {n:08x}-0000-4000-8000-{n:012x} at 0x7f{n:x}": 1 for n in range(1, 30)}
    assert list(grouped(ids).values()) == [29]


def test_a_few_statuses_are_listed_one_by_one() -> None:
    """HTTP 503 and 404 are different failures, the more frequent first."""
    assert list(grouped({"HTTPError: 404": 3, "HTTPError: 503": 9}).items()) == [("HTTPError: 503", 9), ("HTTPError: 404", 3)]


@given(st.lists(st.integers(0, 10_000), max_size=300))
def test_grouping_keeps_the_number_of_errors(numbers: list[int]) -> None:
    """Whatever numbers messages contain, their count is kept, entries are few, and grouping again changes nothing."""
    counts: Counter[str] = Counter()
    for number in numbers:
        add_message(counts, f"KeyError: user {number} of 7")
        assert len(counts) <= MAX_MESSAGES
    once = grouped(counts)
    assert sum(once.values()) == len(numbers)
    assert grouped(once) == once
    assert len(once) <= LIKE
    assert all("of 7" in message for message in once)


def test_further_messages_are_counted_together() -> None:
    """Texts that differ in words have a limit too."""
    counts: Counter[str] = Counter()
    for number in range(300):
        add_message(counts, "ValueError: " + "x" * (number + 1))
    assert len(counts) == MAX_MESSAGES + 1
    assert counts[OTHER_MESSAGES] == 250
