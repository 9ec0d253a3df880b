"""Names of benchmarks: visible, distinct, and shortened only for display."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results.names import CUT, abbreviated, distinct, quoted, short, shortened, visible


@given(st.text(st.characters(exclude_characters="\\␣"), max_size=8), st.text(st.characters(exclude_characters="\\␣"), max_size=8))
def test_names_that_differ_stay_different_on_one_printable_line(one: str, other: str) -> None:
    """This holds for white space, control characters and lone surrogates."""
    assert (visible(one) == visible(other)) == (one == other)
    assert visible(one).isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("test_q[a b]", "test_q[a b]"),
        ("test_q[a  b]", "test_q[a␣␣b]"),
        (" a ", "␣a␣"),
        ("a\n\tb", "a\\n\\tb"),
        ("a\u202eb", "a\\u202eb"),
        ("тест/ü 测试 🙂", "тест/ü 测试 🙂"),
    ],
)
def test_white_space_is_drawn_where_it_would_be_collapsed(text: str, shown: str) -> None:
    """Other scripts and single spaces are kept."""
    assert visible(text) == shown


def test_a_long_name_is_shortened_in_its_middle() -> None:
    """Its ends are kept, at the limit in all."""
    name = "t.py::test[" + "x" * 500 + "-1]"
    assert shortened("short") == "short"
    assert len(shortened(name, 40)) == 40
    assert shortened(name, 40).startswith("t.py::test[xxx")
    assert shortened(name, 40).endswith("xxx-1]")
    assert quoted(name)[:3] == "'t."
    assert len(quoted(name)) < 110


@given(st.lists(st.tuples(st.sampled_from(["a", "a (2)", "a (x)", "b"]), st.sampled_from(["", "x", "2"])), max_size=8))
def test_names_become_distinct_in_their_order(entries: list[tuple[str, str]]) -> None:
    """A name that occurs once is kept, even where a number would make another equal to it."""
    found, equal = distinct(entries)
    assert len(set(found)) == len(entries)
    names = [name for name, _ in entries]
    for (name, _), shown in zip(entries, found, strict=True):
        assert shown.startswith(name)
        assert (name in equal) == (names.count(name) > 1)


def test_many_equal_names_are_numbered_in_linear_time() -> None:
    """A file of fifty thousand entries with one name takes no longer than one of other names; each number is used once."""
    number = 50_000
    found, equal = distinct([("a", "")] * number + [("a (7)", "")])
    assert equal == ["a"]
    assert found[:3] == ["a", "a (2)", "a (3)"]
    assert found[5:7] == ["a (6)", "a (8)"]
    assert len(set(found)) == number + 1


@given(st.text(max_size=200), st.integers(4, 60))
def test_a_short_text_fits_and_is_printable(text: str, limit: int) -> None:
    """On one line, without control characters."""
    made = short(text, limit)
    assert len(made) <= limit
    assert made.isprintable()


PART = st.text(st.sampled_from("ab…"), max_size=6)
LONG = st.builds(lambda head, middle, tail: f"{head * 9}{middle}{tail * 9}", PART, PART, PART)


@given(st.lists(LONG, max_size=12, unique=True), st.integers(1, 40))
def test_abbreviated_names_stay_distinct(names: list[str], limit: int) -> None:
    """Whatever the names and the limit; names that fit are kept."""
    found = abbreviated(names, limit)
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    assert all(found[name] == name for name in names if len(name) <= limit)


@given(st.lists(st.integers(0, 10**6), max_size=30, unique=True), st.integers(2 * CUT, 60))
def test_a_name_is_cut_where_it_does_not_differ(numbers: list[int], limit: int) -> None:
    """Long names with equal ends fit into the limit and show what differs, without numbers behind them."""
    names = [f"GET /{'v' * 90}/{number:07}/{'w' * 90}" for number in numbers]
    found = abbreviated(names, limit)
    assert all(len(shown) <= limit and not shown.endswith(")") for shown in found.values())
    assert len(set(found.values())) == len(names)


def test_the_difference_of_two_names_is_shown_with_both_ends() -> None:
    """A parameter in the middle of a long id is kept, and so are the file and the last bracket."""
    names = [f"tests/bench/test_orders.py::test_list[{'x' * 200}-{size}-{'y' * 200}-eager]" for size in ("small", "large")]
    assert list(abbreviated(names, 40).values()) == [
        "tests/bench/test…small…yyyyyyyyyy-eager]",
        "tests/bench/test…large…yyyyyyyyyy-eager]",
    ]


def test_names_that_end_alike_lose_that_end() -> None:
    """What differs is kept whole, whatever is in front of it; so is what differs at the end of names that begin alike."""
    ends_alike = [f"test_{name} with a long common end" for name in ("a-417", "bcd-41", "e-4")]
    assert list(abbreviated(ends_alike, 20).values()) == ["test_a-417…ommon end", "test_bcd-41…mmon end", "test_e-4… common end"]
    begin_alike = [f"a long common beginning of {n}" for n in (1, 23)]
    assert list(abbreviated(begin_alike, 20).values()) == ["a long co…nning of 1", "a long co…ning of 23"]
