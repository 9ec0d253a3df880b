"""Texts for a log contain no client data, and keep the database's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.observability.redaction import kinds, plan_line, scrubbed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT a1 FROM t2 WHERE b = 'O''Neil'  AND c = -4.5e3", "SELECT a1 FROM t2 WHERE b = ? AND c = ?"),
        ("x IN ($1, $2, ?)", "x IN ($1, $2, ?)"),
        ('SELECT "7up" FROM t', 'SELECT "7up" FROM t'),
    ],
)
def test_values_are_scrubbed_and_names_are_not(text: str, expected: str) -> None:
    """Quoted texts and numbers are removed; a digit in a name or a parameter's position stays."""
    assert scrubbed(text) == expected


@given(secret=st.text(min_size=3).filter(lambda s: s.strip() and s not in "SELECT x FROM t WHERE a = ? AND b = ?"))
def test_no_text_survives(secret: str) -> None:
    """Any quoted text is removed, including quotes in it."""
    quoted = secret.replace("'", "''")
    assert scrubbed(f"SELECT x FROM t WHERE a = '{quoted}' AND b = 12") == "SELECT x FROM t WHERE a = ? AND b = ?"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "  Index Cond: (((user_id)::text = 'ann'::text) AND (version > 5))",
            "  Index Cond: (((user_id)::text = ?::text) AND (version > ?))",
        ),
        ("  Filter: (content ~~ '%secret%'::text)", "  Filter: (content ~~ ?::text)"),
        ("Seq Scan on prompts  (cost=0.00..12.50 rows=50 width=36)", "Seq Scan on prompts  (cost=0.00..12.50 rows=50 width=36)"),
        (
            "SEARCH prompts USING INDEX idx_prompts_user_id (user_id=?)",
            "SEARCH prompts USING INDEX idx_prompts_user_id (user_id=?)",
        ),
    ],
)
def test_a_plan_keeps_its_estimates_and_loses_its_values(line: str, expected: str) -> None:
    """PostgreSQL writes values into conditions; costs and rows are its own."""
    assert plan_line(line) == expected


def test_parameters_are_described_by_type() -> None:
    """Types, with lengths of texts and bytes, and with names if they have any."""
    assert kinds(("x" * 36, 5, None, b"123", 1.5)) == ["str(36)", "int", "NoneType", "bytes(3)", "float"]
    assert kinds({"id_1": "abc", "limit": 5}) == ["id_1: str(3)", "limit: int"]
    assert kinds(None) == []
