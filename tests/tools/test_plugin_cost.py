"""The measurement of the plugin's cost, without its environments, which its command builds."""

import sys
from pathlib import Path

import pytest

from tools import plugin_cost


def test_the_difference_is_that_of_the_pairs() -> None:
    """A disturbed pair does not move it, and both medians are printed."""
    line = "CPU time: 204 ms with the plugin, 200 ms without, median difference +4.0 ms"
    assert plugin_cost.summary([(204.0, 200.0), (204.5, 200.0), (203.0, 199.0), (900.0, 300.0), (204.0, 200.0)]) == line


def test_each_pair_has_both_environments_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of a pair alternates, and its times are told apart."""
    started = []

    def cpu_ms(python: str, _: Path) -> float:
        started.append(python)
        return {"with": 7.0, "without": 2.0}[python]

    monkeypatch.setattr(plugin_cost, "cpu_ms", cpu_ms)
    assert plugin_cost.measure(("with", "without"), tmp_path, 2) == [(7.0, 2.0), (7.0, 2.0)]
    assert started == ["with", "without", "without", "with", "with", "without"]


@pytest.mark.slow
def test_the_project_is_collected(tmp_path: Path) -> None:
    """A collection that fails would be measured in vain, so it is an error."""
    plugin_cost.project(tmp_path / "project")
    assert plugin_cost.cpu_ms(sys.executable, tmp_path / "project") > 0
