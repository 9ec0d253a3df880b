"""Explanations: complete for every closed set, and found however a name is typed."""

import ast
from enum import StrEnum
from pathlib import Path

import pytest

from harness import explanations
from harness.cli import EXIT_CODES
from harness.doctor.verdict import Grade
from harness.report.blocks import STATUSES
from harness.results.gate import GateVerdict
from harness.results.load import LoadState
from harness.results.run import GainSum, Interaction, PromiseVerdict, ScenarioStatus
from harness.results.warning_names import WarningName
from harness.verdicts.advice import Action, Trust, Worth

ROOT = Path(explanations.__file__).parents[1]
SETS: dict[type[StrEnum], explanations.Texts] = {
    PromiseVerdict: explanations.PROMISES,
    GateVerdict: explanations.GATES,
    ScenarioStatus: explanations.STATUSES,
    Action: explanations.ACTIONS,
    Worth: explanations.WORTHS,
    Trust: explanations.TRUSTS,
    LoadState: explanations.LOAD_STATES,
    Interaction: explanations.SWITCHES,
    GainSum: explanations.SUMS,
    Grade: explanations.GRADES,
    WarningName: explanations.KINDS["warning"],
}


@pytest.mark.parametrize("members", SETS, ids=lambda members: members.__name__)
def test_every_member_of_a_closed_set_is_explained(members: type[StrEnum]) -> None:
    """Each member has an explanation, and nothing else has one."""
    assert list(SETS[members]) == list(members)


def test_every_exit_code_is_explained() -> None:
    """The exit codes are those of the help."""
    printed = [line.split()[0] for line in EXIT_CODES.splitlines()[1:]]
    assert list(explanations.EXIT_CODES) == printed


def test_every_status_of_a_report_is_explained() -> None:
    """Each status that has a sign in reports can be explained."""
    assert all(explanations.find(name) for name in STATUSES)


def test_texts_are_whole_and_name_pages_that_exist() -> None:
    """Each explanation has sentences and a page of the documentation."""
    for texts in explanations.KINDS.values():
        for name, found in texts.items():
            for text in (found.meaning, found.action):
                assert text.endswith("."), name
            assert (ROOT / found.page).is_file(), name


def test_every_warning_has_a_name_of_the_registry() -> None:
    """No warning is made with a text as its name, which could not be explained."""
    for file in sorted((ROOT / "harness").rglob("*.py")):
        if "report" in file.relative_to(ROOT).parts:  # shows what others named
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("RunWarning"):
                name = node.args[0]
                first = name.values[0] if isinstance(name, ast.JoinedStr) else name
                assert not isinstance(first, ast.Constant), f"{file}, line {node.lineno}: use WarningName"


@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        ("few pairs", ["trust", "warning"]),
        ("Few_Pairs", ["trust", "warning"]),
        ("few-processes, baseline", ["trust", "warning"]),
        ("cpu bound operations", ["warning"]),
        ("not timed in indexes · sqlite", ["trust", "warning"]),
        ("70", ["exit code"]),
        ("exit code 3", ["exit code"]),
        ("a/a control", ["control", "warning"]),
        ("a/a control off", ["warning"]),
        ("saturated", ["state under load"]),
        ("few pair", []),
        ("", []),
    ],
)
def test_find_takes_a_name_in_any_form(asked: str, kinds: list[str]) -> None:
    """Case, hyphens, underscores and the place behind a warning's name do not matter; an unknown name has no explanation."""
    assert [kind for kind, _, _ in explanations.find(asked)] == kinds


def test_find_finds_every_name() -> None:
    """Each name is found by itself."""
    for name in explanations.names():
        assert {found for _, found, _ in explanations.find(name)} == {name}
