"""The parsing of wrk's and hey's output."""

import sys

import pytest

from harness.errors import ScenarioFailedError
from harness.stats.intervals import QUANTILES
from tools.load_generator.programs import ToolResult, output, read_hey, read_wrk

HEY = "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset\n"
WRK = "  80 requests in 4.00s, 10KB read\nSEEN 80 4.000000 1.500 2.000 2.500 3.000 30.250\n"


def test_heys_table_is_parsed() -> None:
    """Seconds become milliseconds, percentiles are those of all requests, and the duration ends with the last response."""
    result = read_hey(HEY + "".join(f"0.{number:04d},0,0,0,0,0,200,3.0\n" for number in range(101)))
    assert result.operations == 101
    assert result.seconds == pytest.approx(3.01)
    assert result.percentiles_ms == pytest.approx({"50": 5.0, "90": 9.0, "95": 9.5, "99": 9.9, "99.9": 9.99})


@pytest.mark.parametrize(
    "output", ["", HEY, "Summary:\n  Total: 1 secs\n", HEY + "soon,0,0,0,0,0,200,0\n", HEY + "1.0,0,0,0,0,0,500,0\n"]
)
def test_hey_without_successful_requests_is_an_error(output: str) -> None:
    """No table, an empty one, invalid values and failures raise an error, not a rate of 0."""
    with pytest.raises(ScenarioFailedError, match="hey"):
        read_hey(output)


def test_wrks_script_output_is_parsed() -> None:
    """The script writes the number of requests, the seconds, and five percentiles in milliseconds."""
    assert read_wrk(WRK) == ToolResult(80, {"50": 1.5, "90": 2.0, "95": 2.5, "99": 3.0, "99.9": 30.25}, seconds=4.0)
    assert list(read_wrk(WRK).percentiles_ms) == list(QUANTILES)


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
    """A missing line of the script and failed requests raise an error: failures would look like a high rate."""
    with pytest.raises(ScenarioFailedError, match="wrk did not measure"):
        read_wrk(output)


def test_a_program_that_fails_is_quoted() -> None:
    """The message has the end of its output."""
    with pytest.raises(ScenarioFailedError, match="it failed: no such option"):
        output("it", [sys.executable, "-c", "raise SystemExit('no such option')"], 30.0)
