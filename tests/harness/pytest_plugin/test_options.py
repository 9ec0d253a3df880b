"""The pytest adapter's options: what is refused before anything is collected."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from harness.pytest_plugin.options import share


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--harness-size", "huge"], "no size named 'huge'; known: tiny, small, medium, large"),
        (["-p", "xdist.plugin", "-n", "2", "--benchmark-autosave"], "run this with -n 0"),
        (["-p", "xdist.plugin", "-n", "2", "--benchmark-only"], "run this with -n 0"),
        (["--harness-compare-fail=25%"], "add --benchmark-compare"),
        (["--harness-compare-fail=25%", "--benchmark-compare", "--benchmark-disable"], "no --benchmark-disable"),
        (["--harness-compare-fail=fast", "--benchmark-compare"], "'fast' is no percentage from 0 up; write, for example, 25%"),
        (["--harness-compare-fail=25%", "--benchmark-compare"], "save one first, with --benchmark-autosave"),
    ],
    ids=["size", "xdist", "xdist and only", "no compare", "disabled", "no percentage", "nothing saved"],
)
def test_what_can_only_mislead_is_wrong_use(project: Any, arguments: list[str], says: str) -> None:
    """Exit code 4 and a line that says what to do."""
    done = project.pytest(*arguments)
    assert done.returncode == 4, done.stdout + done.stderr
    assert says in done.stderr


@pytest.mark.slow
def test_a_gate_without_scenarios_is_wrong_use(project: Any) -> None:
    """It would pass whatever happens."""
    project.write("pytest.ini", "[pytest]\n")
    done = project.pytest("--harness-compare-fail=25%", "--benchmark-compare")
    assert done.returncode == 4
    assert "harness_scenarios names no folder" in done.stderr


@pytest.mark.slow
def test_parallel_workers_may_try_the_arms_where_no_times_are_wanted(project: Any) -> None:
    """Only measuring is refused."""
    done = project.pytest("-p", "xdist.plugin", "-n", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


@pytest.mark.parametrize("text", ["", "25", "-1%", "nan%", "inf%", "x%"])
def test_only_a_percentage_from_0_up_is_one(text: str) -> None:
    """So that a typing error gates nothing by accident."""
    with pytest.raises(argparse.ArgumentTypeError, match="percentage"):
        share(text)


def test_a_percentage_is_a_share() -> None:
    """With a fraction as well, which pytest-benchmark's own option has not."""
    assert share("2.5%") == 0.025
