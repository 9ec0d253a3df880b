"""Other load generators that are programs: wrk and hey, and what they write about their requests."""

import csv
import io
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np

from harness.errors import ScenarioFailedError
from harness.stats.intervals import QUANTILES

WRK, HEY = "wrk", "hey"
_LUA = """done = function(summary, latency, requests)
  io.write(string.format("SEEN %d %.6f", summary.requests, summary.duration / 1e6))
  for _, p in ipairs({50, 90, 95, 99, 99.9}) do io.write(string.format(" %.3f", latency:percentile(p) / 1000)) end
  io.write("\\n")
end
"""
_WRK_SEEN = re.compile(r"^SEEN (\d+)((?: [\d.]+){6})$", re.MULTILINE)
_WRK_FAILED = re.compile(r"Socket errors:|Non-2xx")
_GOOD = "200"


class ToolResult(msgspec.Struct, frozen=True):
    """A tool's own figures: its operations, percentile → milliseconds, failed operations, and the seconds that it took."""

    operations: int
    percentiles_ms: dict[str, float]
    failed: int = 0
    seconds: float = 0.0


def is_installed(name: str) -> bool:
    """Return whether a Python package or a program on PATH is installed."""
    return find_spec(name) is not None or shutil.which(name) is not None


def run_wrk(url: str, connections: int, seconds: int) -> ToolResult:
    """Run wrk, which has no rate: each connection sends its next request when the last one has completed."""
    with tempfile.TemporaryDirectory() as name:
        script = Path(name) / "percentiles.lua"
        script.write_text(_LUA, encoding="utf-8")
        command = [WRK, "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--timeout", "30s"]
        return read_wrk(output(WRK, [*command, "--latency", "--script", str(script), url], seconds))


def run_hey(url: str, users: int, seconds: float, each_per_s: int | None = None) -> ToolResult:
    """Run hey with a number of users; `each_per_s` is the limit of a user's rate."""
    rate = [] if each_per_s is None else ["-q", str(each_per_s)]
    return read_hey(output(HEY, [HEY, "-z", f"{seconds:g}s", "-c", str(users), *rate, "-o", "csv", url], seconds))


def read_wrk(text: str) -> ToolResult:
    """Parse the line that the script makes wrk write; raise ScenarioFailedError without it, or if requests failed."""
    found = _WRK_SEEN.search(text)
    if found is None or _WRK_FAILED.search(text):
        raise ScenarioFailedError(f"wrk did not measure: {' '.join(text.split())[-300:]}")
    seconds, *percentiles_ms = map(float, found[2].split())
    return ToolResult(int(found[1]), dict(zip(QUANTILES, percentiles_ms, strict=True)), seconds=seconds)


def read_hey(text: str) -> ToolResult:
    """Parse hey's table of all requests, in seconds; raise ScenarioFailedError if it is none, or if requests failed."""
    try:
        table = csv.DictReader(io.StringIO(text))
        rows = [(float(row["offset"]), float(row["response-time"]), row["status-code"]) for row in table]
    except (KeyError, TypeError, ValueError) as error:
        raise ScenarioFailedError(f"hey wrote no table of requests: {text[:300]}") from error
    if not rows:
        raise ScenarioFailedError(f"hey measured nothing: {text[:300]}")
    refuse_failed("hey", sum(status != _GOOD for _, _, status in rows))
    at_ms = np.quantile([took_s * 1e3 for _, took_s, _ in rows], list(QUANTILES.values()))
    seconds = max(offset_s + took_s for offset_s, took_s, _ in rows)
    return ToolResult(len(rows), dict(zip(QUANTILES, at_ms.tolist(), strict=True)), seconds=seconds)


def refuse_failed(name: str, failed: int) -> None:
    """Raise ScenarioFailedError for figures that include failures."""
    if failed:
        raise ScenarioFailedError(f"{failed} requests of {name} failed, so its figures are not valid")


def output(
    name: str, command: Sequence[str], seconds: float, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> str:
    """Return a command's output; raise ScenarioFailedError, with the end of it, if it fails or does not end in time."""
    timeout_s = seconds + 60.0  # in addition to its duration
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s, env=environment, cwd=folder)
    except subprocess.TimeoutExpired:
        raise ScenarioFailedError(f"{name} did not end within {timeout_s:g} s; try fewer users") from None
    if done.returncode:
        raise ScenarioFailedError(f"{name} failed: {' '.join((done.stderr + done.stdout).split())[-300:]}")
    return done.stdout
