"""Read hyperfine's `--export-json`: `results`, each with `command`, aggregates in seconds, and `times`, one value per run.

`times` is missing in files of very old versions and of some converters, `median` in old ones; `exit_codes` has one entry per run,
null where it is unknown.
"""

from collections import Counter

import msgspec

from harness.importers.reading import (
    Benchmarks,
    Content,
    Number,
    Reading,
    Timing,
    all_nanoseconds,
    four_figures,
    listed,
    raw_timing,
)
from harness.results.run import RunWarning
from harness.results.warning_names import WarningName

FORMAT = "hyperfine's JSON"
_WHOLE = "a time is that of a whole process, including its start and, unless run with --shell=none, a correction for the shell"
LIMITATIONS = (RunWarning(WarningName.HYPERFINE, _WHOLE, "time the operation inside the process, with `harness run`"),)


class _Result(msgspec.Struct):
    command: str
    mean: Number = None
    median: Number = None
    min: Number = None
    max: Number = None
    times: list[Number] | None = None
    exit_codes: list[int | None] | None = None
    parameters: dict[str, str | int | float | bool | None] | None = None
    parameter: str | int | float | None = None
    """Of old versions."""


class _HyperfineFile(msgspec.Struct):
    results: list[_Result]


def recognises(content: Content) -> bool:
    """Return whether there are results of commands."""
    return b'"command"' in content.member("results")


def parse(content: Content) -> Reading:
    """Return the times of a file: of the runs that did not fail, where exit codes tell."""
    results = msgspec.json.decode(content.body, type=_HyperfineFile).results
    found, unknown, mixed = Benchmarks(), [], []
    for name, result in zip(found.names([(result.command, _parameters(result)) for result in results]), results, strict=True):
        codes = result.exit_codes or []
        failed = [code for code in codes if code]
        with found.benchmark(name):
            if codes:
                messages = Counter(f"exit code {code}" for code in failed)
                if not found.count(name, len(codes), len(failed), messages=dict(messages)):
                    continue
            if None in codes:
                unknown.append(name)
            if failed and len(result.times or []) != len(codes):
                mixed.append(name)
            found.add(_timing(name, result))
    if unknown:
        message = f"exit codes are missing in {listed(unknown)}: those runs count as successful"
        found.warnings.append(
            RunWarning(WarningName.UNKNOWN_EXIT_CODES, message, "measure again with a newer version of hyperfine")
        )
    if mixed:
        message = f"the times of failed runs are included in {listed(mixed)}"
        found.warnings.append(RunWarning(WarningName.FAILED_COMMANDS, message, "fix the command, and measure again"))
    return found.reading("hyperfine", FORMAT)


def _parameters(result: _Result) -> str:
    given = result.parameters or ({} if result.parameter is None else {"parameter": result.parameter})
    return ", ".join(f"{key}={value}" for key, value in sorted(given.items()))


def _timing(name: str, result: _Result) -> Timing:
    times, codes = result.times or [], result.exit_codes or []
    if len(times) == len(codes):
        times = [value for value, code in zip(times, codes, strict=True) if not code]
    if times:
        return raw_timing(name, all_nanoseconds("time", times))
    return Timing(name, len(codes) or None, *four_figures({key: getattr(result, key) for key in ("median", "mean", "min", "max")}))
