"""The judging of attempts to break servers, and one attempt."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from harness.databases.postgres_server import installed_binaries
from tools.chaos.broken_servers import DEADLINE_S, KILLED, AttemptOutcome, ServerFault, attempts, made, section

KILL = ServerFault("SQLite", "locked", "comparing answers")
GOOD = AttemptOutcome(
    KILL,
    happened=True,
    code=1,
    said="baseline raised: OperationalError: database is locked",
    seconds=2.0,
    others_kept=True,
    is_recorded=True,
)
CONNECTIONS = replace(GOOD, attempt=replace(KILL, fault="connections"), said="TooManyConnectionsError: too many")


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        (GOOD, ""),
        (replace(GOOD, happened=False), "the fault did not happen"),
        (replace(GOOD, code=None), "it did not end"),
        (replace(GOOD, code=0), "exit code 0"),
        (replace(GOOD, code=3), "exit code 3"),
        (replace(GOOD, attempt=replace(KILL, command="gate")), "exit code 1"),
        (replace(GOOD, said="baseline raised"), "the cause is not named"),
        (replace(GOOD, said=f"{GOOD.said}; run longer"), "the cause is not named"),
        (CONNECTIONS, "the cause is not named"),
        (replace(CONNECTIONS, said="5 × TooManyConnectionsError: too many"), ""),
        (replace(GOOD, seconds=DEADLINE_S + 1), f"after {DEADLINE_S + 1:.0f} s"),
        (replace(GOOD, others_kept=False), "the other scenario was not measured"),
        (replace(GOOD, is_recorded=False), "no record or report"),
    ],
)
def test_each_requirement_is_judged(outcome: AttemptOutcome, problem: str) -> None:
    """An attempt that misses one has that problem, and the section misses a requirement; without one it is met."""
    assert outcome.problems == ([problem] if problem else [])
    found = section([GOOD, outcome])
    assert found.is_met == (not problem)
    assert len(found.tables[0].rows) == 2
    assert len(found.notes) == bool(problem)


def test_no_attempts_show_nothing() -> None:
    """A section without any is not met."""
    assert not section([]).is_met


def test_every_server_is_broken_in_every_command() -> None:
    """Each attempt differs from the others."""
    every = attempts()
    assert len(set(every)) == len(every)
    assert {each.command for each in every if each.fault == KILLED} == {"run", "load", "capacity", "gate"}


@pytest.mark.slow
@pytest.mark.parametrize("attempt", [KILL, ServerFault("PostgreSQL", KILLED, "comparing answers")], ids=["file", "server"])
def test_the_true_cause_is_named(attempt: ServerFault) -> None:
    """The scenario fails with it, and the other one is measured."""
    if attempt.server == "PostgreSQL" and installed_binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory() as folder:  # those of pytest are closed to the user of a server
        outcome = made(attempt, Path(folder) / "attempt")
    assert outcome.problems == [], outcome
