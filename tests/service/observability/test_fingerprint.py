"""Statements of one form have one fingerprint, whatever their values and their driver."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.observability.redaction import fingerprint, normal_form

MARKS: dict[str, Callable[[int], str]] = {"sqlite": lambda n: "?", "postgresql": lambda n: f"${n}::VARCHAR"}
DIALECTS = st.sampled_from(sorted(MARKS))


def marks(dialect: str, count: int) -> str:
    """Return `count` parameters as a driver of the dialect writes them."""
    return ", ".join(MARKS[dialect](n) for n in range(1, count + 1))


@settings(max_examples=30)
@given(dialect=DIALECTS, first=st.integers(1, 20), second=st.integers(1, 20))
def test_an_in_list_of_any_length_is_one_form(dialect: str, first: int, second: int) -> None:
    """A statement with one id and one with twenty have the same form."""
    one, other = (f"SELECT id FROM prompts WHERE id IN ({marks(dialect, n)}) ORDER BY id" for n in (first, second))
    assert normal_form(one, dialect) == normal_form(other, dialect) == "SELECT id FROM prompts WHERE id IN (?) ORDER BY id"


@settings(max_examples=30)
@given(dialect=DIALECTS, first=st.integers(1, 20), second=st.integers(1, 20))
def test_any_number_of_rows_is_one_form(dialect: str, first: int, second: int) -> None:
    """An INSERT of one row and one of twenty have the same form."""
    one, other = (f"INSERT INTO t (a, b) VALUES {', '.join([f'({marks(dialect, 2)})'] * n)}" for n in (first, second))
    assert normal_form(one, dialect) == normal_form(other, dialect) == "INSERT INTO t (a, b) VALUES (?, ?)"


@given(text=st.text(), number=st.integers())
def test_literals_are_not_part_of_the_form(text: str, number: int) -> None:
    """Values written into the SQL become `?` like parameters."""
    quoted = text.replace("'", "''").replace("\0", "")
    literal = normal_form(f"UPDATE t SET a = '{quoted}' WHERE b = {number}", "sqlite")
    assert literal == normal_form("UPDATE t SET a = ? WHERE b = ?", "sqlite") == "UPDATE t SET a = ? WHERE b = ?"


def test_drivers_and_spelling_do_not_matter() -> None:
    """The parameters of asyncpg, psycopg and SQLite, white space, comments and the case of keywords do not change the form."""
    spellings = [
        ("sqlite", "SELECT a\nFROM t  WHERE b = ?  /* page 3 */"),
        ("postgresql", "select a from t where b = $1::VARCHAR"),
        ("postgresql", "SELECT a FROM t WHERE b = %(b_1)s -- x"),
        ("postgresql", "SELECT a FROM t WHERE b = %s"),
    ]
    assert {normal_form(sql, dialect) for dialect, sql in spellings} == {"SELECT a FROM t WHERE b = ?"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a FROM t", "SELECT b FROM t"),
        ("SELECT a FROM t WHERE b = ?", "SELECT a FROM t WHERE b > ?"),
        ("SELECT a FROM t WHERE b IN (?, ?)", "SELECT a FROM t WHERE b NOT IN (?, ?)"),
        ("SELECT a FROM t WHERE b IN (?)", "SELECT a FROM t WHERE b IN (SELECT c FROM u)"),
        ("SELECT a FROM t LIMIT ?", "SELECT a FROM t LIMIT ? OFFSET ?"),
    ],
)
def test_other_statements_have_other_fingerprints(one: str, other: str) -> None:
    """The form represents the work of the database."""
    assert fingerprint(normal_form(one, "sqlite")) != fingerprint(normal_form(other, "sqlite"))


@pytest.mark.parametrize(
    "sql", ["SELECT bro ken FROM (WHERE 'secret' = 42", "PRAGMA key = 'secret'", "VACUUM INTO 'secret'", "'secret"]
)
def test_sql_that_cannot_be_parsed_has_a_form_without_values(sql: str) -> None:
    """Nothing is raised, and no quoted text is kept."""
    normal = normal_form(sql, "sqlite")
    assert "secret" not in normal or sql == "'secret"  # an open quote is not a value: no database accepts it
    assert "42" not in normal


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    """It is not a salted hash."""
    assert fingerprint("SELECT 1") == "60e6b55ff57fdf38"
