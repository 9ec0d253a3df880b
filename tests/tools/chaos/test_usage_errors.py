"""Wrong usage: enough of every kind is tried, and an outcome that is wrong is named."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tools.chaos import usage_errors
from tools.chaos.commands_tried import Attempt, TriedOutcome, note, problem, tried
from tools.chaos.usage_errors import attempts, prepare, section

REFUSED = TriedOutcome(2, "", "harness: no such thing; do that\n", 0.5)


def test_every_kind_is_tried_many_times() -> None:
    """Several hundred attempts, each with a name that a page can show."""
    found = attempts()
    kinds = Counter(attempt.kind for attempt in found)
    assert sum(kinds.values()) > 500
    assert min(kinds.values()) >= 20
    assert all(note(attempt.name).isprintable() for attempt in found)


def test_every_command_with_options_is_tried() -> None:
    """Those of the package are found by themselves."""
    tried_commands = {attempt.words[0] for attempt in attempts() if attempt.kind == "options" and attempt.words}
    assert tried_commands >= {"run", "load", "capacity", "gate", "compare", "report", "history", "network", "data", "ablate"}


def test_a_wrong_outcome_misses_the_requirements() -> None:
    """The note has the kind, the attempt and what is wrong; a traceback is counted by itself."""
    one, two = Attempt("options", "run --seed", ["run"]), Attempt("paths", "report: pipe", ["report"])
    assert section([(one, REFUSED), (two, REFUSED)]).is_met
    found = section([(one, REFUSED), (two, replace(REFUSED, code=1))])
    assert [each.met for each in found.requirements] == [False, True]
    assert found.notes == ["paths: report: pipe: exit code 1 instead of 2"]
    assert found.tables[0].rows == [["options", "1", "1", "0.5"], ["paths", "1", "0", "0.5"]]
    assert [each.met for each in section([(one, TriedOutcome(70, "", "internal error (x)\n"))]).requirements] == [False, False]
    assert not section([]).is_met


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["options", "arguments", "paths", "outputs", "scenario files", "settings", "environment"])
def test_a_sample_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    """A few of each kind, spread over the commands."""
    of_kind = [attempt for attempt in attempts() if attempt.kind == kind and attempt.program == "harness"]
    chosen = of_kind[:: max(1, len(of_kind) // 8)]
    prepare(tmp_path)
    found = zip(chosen, tried(chosen, tmp_path), strict=True)
    assert [(attempt.name, what) for attempt, outcome in found if (what := problem(attempt, outcome))] == []


@pytest.mark.slow
def test_real_commands_have_right_exit_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a full device in place of the output, and the interpreter's optimisations."""
    monkeypatch.setattr(usage_errors, "REDIRECTED", usage_errors.REDIRECTED[:1])
    monkeypatch.setattr(usage_errors, "OPTIONS", (["-OO"],))
    prepare(tmp_path)
    assert [(attempt.name, what) for attempt, outcome in usage_errors.real(tmp_path) if (what := problem(attempt, outcome))] == []
