"""Read hyperfine's `--export-json`: `results`, each with `command`, aggregates in seconds, and `times`, one value per run.

`times` is missing in files of very old versions and of some converters; `exit_codes` has one entry per run.
"""

from collections import Counter
from dataclasses import replace

import msgspec

from harness.importers.reading import Content, Reading, Timing, nanoseconds, one_line, raw_timing
from harness.results.run import RunWarning

FORMAT = "hyperfine's JSON"
_WHOLE = "a time is that of a whole process, including its start and, unless run with --shell=none, a correction for the shell"
LIMITATIONS = (RunWarning("hyperfine's limitations", _WHOLE, "time the operation inside the process, with `harness run`"),)


class _Result(msgspec.Struct):
    command: str
    mean: float
    median: float
    min: float
    max: float
    times: list[float] | None = None
    exit_codes: list[int | None] | None = None
    parameters: dict[str, str] | None = None


class _HyperfineFile(msgspec.Struct):
    results: list[_Result]


def recognises(content: Content) -> bool:
    """Return whether there are results of commands."""
    return b'"command"' in content.member("results")


def parse(content: Content) -> Reading:
    """Return the times of a file."""
    results = msgspec.json.decode(content.body, type=_HyperfineFile).results
    occurrences = Counter(result.command for result in results)
    timings = tuple(_timing(result, occurrences[result.command] > 1) for result in results)
    failed = [timing.name for timing in timings if timing.errors]
    warnings = [RunWarning("failed commands", f"exited with an error: {', '.join(failed)}", "fix the command")] if failed else []
    return Reading("", "hyperfine", FORMAT, timings, warnings=tuple(warnings))


def _timing(result: _Result, twice: bool) -> Timing:
    parameters = ", ".join(f"{key}={value}" for key, value in sorted((result.parameters or {}).items()))
    name = one_line(f"{result.command} ({parameters})" if twice and parameters else result.command)
    errors = sum(code != 0 for code in result.exit_codes or [])
    if result.times:
        return replace(raw_timing(name, nanoseconds(name, result.times)), errors=errors)
    least, most, mean, median = nanoseconds(name, [result.min, result.max, result.mean, result.median])
    return Timing(name, len(result.exit_codes) if result.exit_codes else None, median, mean, least, most, errors=errors)
