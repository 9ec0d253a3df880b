"""What is read from tools, and that each of them asks the server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.errors import ScenarioFailedError
from harness.stats.intervals import QUANTILES
from tools.validation.load.known import known_server
from tools.validation.load.situations import SITUATIONS
from tools.validation.load.tools import TOOLS, Tool, read_hey, read_wrk

HEY = "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset\n"
WRK = "  80 requests in 1.00s, 10KB read\nSEEN 80 1.500 2.000 2.500 3.000 30.250\n"


def test_hey_is_read_request_by_request() -> None:
    """Seconds become milliseconds, its percentiles those of all good requests, and others count as failed."""
    rows = "".join(f"0.{number:04d},0,0,0,0,0,200,0\n" for number in range(101))
    seen = read_hey(HEY + rows + "5.0,0,0,0,0,0,500,0\n")
    assert seen.operations == 101
    assert seen.failed == 1
    assert seen.percentiles_ms == pytest.approx({"50": 5.0, "90": 9.0, "95": 9.5, "99": 9.9, "99.9": 9.99})


@pytest.mark.parametrize(
    "said", ["", HEY, "Summary:\n  Total: 1 secs\n", HEY + "soon,0,0,0,0,0,200,0\n", HEY + "1.0,0,0,0,0,0,500,0\n"]
)
def test_hey_without_good_requests_is_refused(said: str) -> None:
    """No table, an empty one, one with other things in it, or one of failures only is no measurement."""
    with pytest.raises(ScenarioFailedError, match="hey"):
        read_hey(said)


def test_wrk_is_read_from_its_script() -> None:
    """The line that the script writes holds the number of requests and five percentiles in milliseconds."""
    seen = read_wrk(WRK)
    assert seen.operations == 80
    assert seen.percentiles_ms == {"50": 1.5, "90": 2.0, "95": 2.5, "99": 3.0, "99.9": 30.25}
    assert list(seen.percentiles_ms) == list(QUANTILES)


@pytest.mark.parametrize(
    "said",
    [
        "",
        WRK.replace(" 30.250", ""),
        WRK + "  Non-2xx or 3xx responses: 3\n",
        WRK + "  Socket errors: connect 2, read 0, write 0, timeout 0\n",
        WRK + "  Socket errors: connect 0, read 1, write 0, timeout 0\n",
    ],
)
def test_wrk_with_failures_is_refused(said: str) -> None:
    """No line of the script's, or requests that failed, is no measurement."""
    with pytest.raises(ScenarioFailedError, match="wrk"):
        read_wrk(said)


def test_a_tool_that_is_not_there_is_known() -> None:
    """A program that is not on PATH is not installed; this harness always is."""
    assert TOOLS[0].is_installed
    assert not replace(TOOLS[-1], needs="no-such-program").is_installed


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_tool_asks_the_server(tool: Tool) -> None:
    """Each tool that is installed counts about as many requests as the server does, and none of its percentiles falls."""
    if not tool.is_installed:
        pytest.skip(f"{tool.name} is not installed")
    pytest.importorskip("uvloop")
    with known_server(frozenset()) as server:
        seen = tool.ask(server, SITUATIONS[0].shortened(0.3))
        received = len(server.log().received_ns)
    assert 0 < seen.operations <= received
    assert list(seen.percentiles_ms) == list(QUANTILES)
    assert list(seen.percentiles_ms.values()) == sorted(seen.percentiles_ms.values())
