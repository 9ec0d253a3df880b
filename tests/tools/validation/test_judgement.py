"""The question about verdicts that could be fooled."""

from dataclasses import replace

import pytest

from harness.results.gate import GateVerdict
from tools.validation import judgement


def test_every_kind_gets_its_verdict() -> None:
    """With a few pairs of each kind, both requirements are met and every row counts all of its pairs."""
    section = judgement.run(0.01)
    assert section.is_met
    (table,) = section.tables
    assert len(table.rows) == len(judgement.KINDS)
    assert all(row[2] == row[3] == str(judgement.FEWEST_PAIRS) for row in table.rows)


@pytest.mark.parametrize("kind", [judgement.KINDS[0], judgement.KINDS[-1]], ids=["failures", "same code"])
def test_a_wrong_verdict_misses_a_requirement(monkeypatch: pytest.MonkeyPatch, kind: judgement.Pairs) -> None:
    """Same code that regresses is a false alarm; a change that does not regress is missed."""
    swapped = replace(kind, right=GateVerdict.REGRESSED if kind.right is None else None)
    monkeypatch.setattr(judgement, "KINDS", (swapped,))
    met = [requirement.met for requirement in judgement.run(0.01).requirements]
    assert met == ([False, True] if kind.right is None else [True, False])
