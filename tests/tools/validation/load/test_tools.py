"""A real run of each tool."""

from contextlib import suppress
from dataclasses import replace

import pytest

from harness.errors import ScenarioFailedError
from harness.stats.intervals import QUANTILES
from tools.load_generator.programs import ToolResult, is_installed
from tools.validation.load.server import SITUATIONS, KnownServer, Situation, known_server
from tools.validation.load_times import TOOLS, Tool


def test_a_missing_tool_is_detected() -> None:
    """A program that is not on PATH is not installed; this harness always is."""
    assert is_installed(TOOLS[0].needs)
    assert not is_installed("no-such-program")


DURATIONS = (0.3, 3.0, 12.0)
"""Shares of a situation's duration, in the order in which they are tried: a busy machine may leave no time in a short one."""


def result_of(tool: Tool, server: KnownServer) -> ToolResult:
    """Return a tool's result of the shortest run in which it counted a request.

    Raises:
        ScenarioFailedError: the longest run failed.
    """
    *shorter, longest = (SITUATIONS[0].shortened(share) for share in DURATIONS)
    for situation in shorter:
        with suppress(ScenarioFailedError):
            result = tool.run(server, situation)
            if result.operations:
                return result
    return tool.run(server, longest)


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_tool_sends_requests_to_the_server(tool: Tool) -> None:
    """Each installed tool counts at most as many requests as the server, and its percentiles ascend."""
    if not is_installed(tool.needs):
        pytest.skip(f"{tool.name} is not installed")
    pytest.importorskip("uvloop")
    with known_server(frozenset()) as server:
        result = result_of(tool, server)
        received = len(server.log().received_ns)
    assert 0 < result.operations <= received
    assert list(result.percentiles_ms) == list(QUANTILES)
    assert list(result.percentiles_ms.values()) == sorted(result.percentiles_ms.values())


def test_a_run_too_short_for_a_request_is_repeated_longer() -> None:
    """A tool that counts nothing, or fails, in short runs is measured in the longest one."""
    seconds: list[int] = []

    def run(server: KnownServer, situation: Situation) -> ToolResult:
        seconds.append(situation.seconds)
        if len(seconds) == 1:
            raise ScenarioFailedError("no request completed")
        return ToolResult(len(seconds) - 2, {})

    server = KnownServer(0, None)  # type: ignore[arg-type] # it is not used
    assert result_of(replace(TOOLS[0], run=run), server).operations == 1
    assert seconds == [2, 15, 60]
