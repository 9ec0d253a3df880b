"""Tests of the planted faults: each is a file that Python can read, whose fault is where its message must say that it is."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from harness.discovery import load
from harness.errors import UsageError
from tools.chaos.planted import PlantedFault, PlantedOutcome, faults, source

FAULTS = faults()


def test_there_are_many_of_every_kind() -> None:
    """Their names are unique, and every part of a scenario has some."""
    assert len(FAULTS) >= 150
    assert max(Counter(fault.scenario for fault in FAULTS).values()) == 1
    phases = Counter(fault.phase for fault in FAULTS)
    assert phases.keys() >= {"import", "constructor", "prepare", "cases", "open", "run", "reset", "normalise", "state", "closing"}
    assert phases["declarations"] >= 20


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.scenario)
def test_a_planted_file_is_python_with_one_scenario(fault: PlantedFault) -> None:
    """What is wrong is what it does, never that it cannot be read."""
    tree = ast.parse(fault.source)
    assert [node.name for node in tree.body if isinstance(node, ast.ClassDef)] == ["Injected"]
    assert fault.scenario.isidentifier()
    assert fault.outcome == PlantedOutcome.HARMLESS or fault.says


@pytest.mark.parametrize("phase", ["constructor", "prepare", "cases", "open", "run", "reset", "normalise", "state", "closing"])
def test_a_fault_is_in_its_phase_on_its_line(phase: str) -> None:
    """The line is that of the fault, and the method that contains it is that of the phase."""
    text, line = source(phase, "broken()\nagain()")
    assert text.split("\n")[line - 1].strip() == "broken()  # the fault"
    names = {"constructor": "__init__", "closing": "open"}
    (kind,) = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    within = [
        node.name for node in kind.body if isinstance(node, ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    assert within == [names.get(phase, phase)]


def test_a_file_without_a_fault_is_a_scenario(tmp_path: Path) -> None:
    """So that a failure is the fault's alone."""
    file = tmp_path / "planted_nothing.py"
    file.write_text(source("", "")[0])
    assert list(load(file).scenario.arms) == ["baseline", "optimised"]


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.phase == "declarations"], ids=lambda fault: fault.scenario)
def test_a_wrong_declaration_is_refused_with_its_line(tmp_path: Path, fault: PlantedFault) -> None:
    """When the file is loaded, before anything is measured."""
    with pytest.raises(UsageError) as refused:
        load(fault.write(tmp_path))
    assert not [part for part in (*fault.says, fault.scenario) if part not in str(refused.value)]


@pytest.mark.parametrize(
    "fault",
    [fault for fault in FAULTS if fault.phase in {"import", "constructor"} and "exit in" in fault.name],
    ids=lambda fault: fault.scenario,
)
def test_an_exit_while_a_file_is_loaded_is_refused_with_its_line(tmp_path: Path, fault: PlantedFault) -> None:
    """It never ends the process that loads it."""
    with pytest.raises(UsageError) as refused:
        load(fault.write(tmp_path))
    assert not [part for part in (*fault.says, fault.scenario) if part not in str(refused.value)]
