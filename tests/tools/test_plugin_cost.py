"""The measurement of the plugin's cost, as a command."""

import pytest

from tools import plugin_cost


@pytest.mark.slow
def test_it_prints_both_costs_and_their_difference(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, whatever the figures: they depend on the machine."""
    assert plugin_cost.main(["--pairs", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("CPU time: ")
    assert printed.count(" ms") == 3
