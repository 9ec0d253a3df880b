"""The parsing of tools' output, and a real run of each tool."""

from contextlib import suppress
from dataclasses import replace

import pytest

from harness.errors import ScenarioFailedError
from harness.stats.intervals import QUANTILES
from tools.validation.load.known import KnownServer, known_server
from tools.validation.load.situations import SITUATIONS, Situation
from tools.validation.load.tools import TOOLS, Tool, ToolResult, read_hey, read_wrk

HEY = "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset\n"
WRK = "  80 requests in 1.00s, 10KB read\nSEEN 80 1.500 2.000 2.500 3.000 30.250\n"


def test_heys_table_is_parsed() -> None:
    """Seconds become milliseconds, percentiles are those of all successful requests, and others count as failed."""
    rows = "".join(f"0.{number:04d},0,0,0,0,0,200,0\n" for number in range(101))
    result = read_hey(HEY + rows + "5.0,0,0,0,0,0,500,0\n")
    assert result.operations == 101
    assert result.failed == 1
    assert result.percentiles_ms == pytest.approx({"50": 5.0, "90": 9.0, "95": 9.5, "99": 9.9, "99.9": 9.99})


@pytest.mark.parametrize(
    "output", ["", HEY, "Summary:\n  Total: 1 secs\n", HEY + "soon,0,0,0,0,0,200,0\n", HEY + "1.0,0,0,0,0,0,500,0\n"]
)
def test_hey_without_successful_requests_is_an_error(output: str) -> None:
    """No table, an empty one, invalid values and failures only raise an error."""
    with pytest.raises(ScenarioFailedError, match="hey"):
        read_hey(output)


def test_wrks_script_output_is_parsed() -> None:
    """The script writes the number of requests and five percentiles in milliseconds."""
    result = read_wrk(WRK)
    assert result.operations == 80
    assert result.percentiles_ms == {"50": 1.5, "90": 2.0, "95": 2.5, "99": 3.0, "99.9": 30.25}
    assert list(result.percentiles_ms) == list(QUANTILES)


@pytest.mark.parametrize(
    "output",
    [
        "",
        WRK.replace(" 30.250", ""),
        WRK + "  Non-2xx or 3xx responses: 3\n",
        WRK + "  Socket errors: connect 2, read 0, write 0, timeout 0\n",
        WRK + "  Socket errors: connect 0, read 1, write 0, timeout 0\n",
    ],
)
def test_wrk_with_failures_is_an_error(output: str) -> None:
    """A missing line of the script and failed requests raise an error."""
    with pytest.raises(ScenarioFailedError, match="wrk"):
        read_wrk(output)


def test_a_missing_tool_is_detected() -> None:
    """A program that is not on PATH is not installed; this harness always is."""
    assert TOOLS[0].is_installed
    assert not replace(TOOLS[-1], needs="no-such-program").is_installed


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
    if not tool.is_installed:
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

    assert result_of(replace(TOOLS[0], run=run), KnownServer(0, 0)).operations == 1
    assert seconds == [2, 15, 60]
