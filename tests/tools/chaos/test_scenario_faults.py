"""Tests of judging how commands end that meet planted faults."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tools.chaos.planted import PlantedFault, PlantedOutcome, faults
from tools.chaos.scenario_faults import CommandEnd, FaultResult, judged, judged_run, section, trials, tried_run

EVERY = {fault.name: fault for fault in faults()}
EXITS, STAYS, REFUSED = EVERY["sys.exit in run"], EVERY["thread that stays"], EVERY["no baseline"]
GOOD = {"name": "good", "status": "ok", "verified_cases": 2, "memory": [{}]}


def end(*scenarios: dict[str, Any], code: int | None = 1, output: str = "", report: bool = True) -> CommandEnd:
    """Return the end of a run with these scenarios."""
    return CommandEnd(code, output, {"scenarios": scenarios}, has_report=report)


def failed(fault: PlantedFault) -> dict[str, Any]:
    """Return the entry of a record that names a fault."""
    return {"name": fault.scenario, "status": "failed", "error": " ".join(fault.says), "warnings": []}


def test_a_fault_that_is_named_beside_a_measured_scenario_is_right() -> None:
    """The exit code, the status, the message, the other scenario and the report count."""
    assert judged_run([EXITS], end(failed(EXITS), GOOD))[0].problem == ""


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (end(failed(EXITS), GOOD, code=0), "exit code 0 instead of 1"),
        (end(failed(EXITS), GOOD, output="Traceback (most recent call last):"), "a traceback is printed"),
        (end(failed(EXITS), {**GOOD, "status": "failed"}), "the scenario without a fault was not measured"),
        (end(failed(EXITS), {**GOOD, "memory": []}), "the scenario without a fault was not measured"),
        (end(failed(EXITS)), "the scenario without a fault was not measured"),
        (end(failed(EXITS), GOOD, report=False), "no report"),
        (end({**failed(EXITS), "status": "ok"}, GOOD), "its status is ok"),
        (end({**failed(EXITS), "error": "it exited"}, GOOD), "it is not said: line"),
        (end({**failed(EXITS), "error": None}, GOOD), "it is not said: line"),
        (end(GOOD), "its status is None"),
        (CommandEnd(-9, ""), "exit code -9 instead of 1"),
        (CommandEnd(None, ""), "the command did not end"),
    ],
)
def test_whatever_is_wrong_with_a_run_is_said(wrong: CommandEnd, problem: str) -> None:
    """Each of them makes a requirement missed."""
    (found,) = judged_run([EXITS], wrong)
    assert problem in found.problem
    assert found.hangs == (wrong.code is None)
    assert not section([found]).is_met


def test_what_was_left_running_is_a_warning_of_a_measured_scenario() -> None:
    """Its name must be in it."""
    kept = {"name": STAYS.scenario, "status": "ok", "error": None, "warnings": [{"message": "there still ran: thread 'stays'"}]}
    assert judged_run([STAYS], end(kept, GOOD, code=0))[0].problem == ""
    assert "it is not said: stays" in judged_run([STAYS], end({**kept, "warnings": []}, GOOD, code=0))[0].problem


def test_a_refusal_names_the_file_and_the_line() -> None:
    """On standard error, with exit code 2."""
    says = f"harness: /x/{REFUSED.scenario}.py, {' '.join(REFUSED.says)}"
    assert judged("list", REFUSED, PlantedOutcome.REFUSED, CommandEnd(2, says)).problem == ""
    assert "exit code 0 instead of 2" in judged("list", REFUSED, PlantedOutcome.REFUSED, CommandEnd(0, says)).problem
    assert f"it is not said: {REFUSED.scenario}" in (
        judged("list", REFUSED, PlantedOutcome.REFUSED, CommandEnd(2, " ".join(REFUSED.says))).problem
    )


def test_every_fault_is_run_once() -> None:
    """What would change the command's own process, or end it before others are measured, is alone in it."""
    found = [together for trial, together in trials(faults()) if trial is tried_run]
    assert sorted(fault.name for together in found for fault in together) == sorted(EVERY)
    assert all(len(together) == 1 for together in found for fault in together if fault.outcome == PlantedOutcome.REFUSED)


def test_the_section_counts_by_command_and_part() -> None:
    """A problem is a note, and a command that hangs a requirement of its own."""
    right, wrong = FaultResult("run", EXITS, ""), FaultResult("load", replace(EXITS), "exit code 0 instead of 1")
    found = section([right, wrong])
    assert found.tables[0].rows == [["run", "1 of 1", "0 of 1"]]
    assert [requirement.met for requirement in found.requirements] == [True, False, True]
    assert found.notes == ["`load`, sys.exit in run: exit code 0 instead of 1"]


@pytest.mark.slow
def test_a_real_run_names_faults_and_keeps_the_others(tmp_path: Path) -> None:
    """An exit, a signal and a thread that stays, in one run with a scenario without a fault."""
    results = tried_run([EXITS, EVERY["SIGKILL in cases"], STAYS], tmp_path)
    assert [result.problem for result in results] == ["", "", ""]
