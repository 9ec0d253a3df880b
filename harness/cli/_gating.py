"""What `harness gate` and `harness baseline` have in common: two runs into a gate's result, and a result into everything it is for.

`harness.cli._against` ends with `publish` as well, so that a result looks the same wherever its rows come from.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import NotComparableError, UsageError

if TYPE_CHECKING:
    from harness.results.gate import GateResult
    from harness.results.run import Run

PROJECT = Path("pyproject.toml")
SECTION = "tool.harness.gate.tolerances"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where a result goes."""
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write JUnit XML as well, for a test reporter")
    parser.add_argument("--markdown", metavar="FILE", help="write Markdown as well; - prints it instead of a table")
    parser.add_argument("--github", action="store_true", help="print annotations for GitHub Actions, and fill the job's summary")
    parser.add_argument("--json", action="store_true", help="print the result as JSON instead of a table")


def gated(base: Path, candidate: Path, only: str = "*") -> GateResult:
    """Return the gate's result on two stored runs, or two files of the same other tool.

    Files that do not go together are a result as well, `not comparable`, so that a test reporter hears of it.

    Raises:
        UsageError: a file cannot be read, a tolerance has no meaning, or `only` matches no scenario.
    """
    from harness import importers as readers  # noqa: PLC0415 - keeps `--help` quick
    from harness.gate import result_files as comparison  # noqa: PLC0415 - keeps `--help` quick
    from harness.gate import stored_runs as gate  # noqa: PLC0415 - keeps `--help` quick
    from harness.results.run import RunKind  # noqa: PLC0415 - keeps `--help` quick

    named = tolerances(PROJECT)
    try:
        runs = (_read(base), _read(candidate))
        for path, run in zip((base, candidate), runs, strict=True):
            if run.kind == RunKind.COMPARISON:
                raise UsageError(f"{path} is a comparison itself; name the two files that it compares")
        if all(run.kind == RunKind.FILE for run in runs):
            return comparison.gated(comparison.side_by_side(readers.reading(base), readers.reading(candidate), only=only))
        return gate.gate(runs[0], runs[1], named, only=only, names=(str(base), str(candidate)))
    except NotComparableError as error:
        return gate.refused(str(base), str(candidate), str(error))


def publish(result: GateResult, options: argparse.Namespace) -> int:
    """Print a result, write what was asked for, and return its exit code.

    Raises:
        UsageError: a file cannot be written.
    """
    from harness.report import gate, github, junit  # noqa: PLC0415 - keeps `--help` quick
    from harness.results.store import write_bytes  # noqa: PLC0415 - keeps `--help` quick

    if options.junit:
        write_bytes(options.junit, junit.render(result))
    if options.markdown and options.markdown != "-":
        write_bytes(Path(options.markdown), gate.markdown(result).encode())
    if options.json:
        import msgspec  # noqa: PLC0415 - only this format

        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
        sys.stdout.buffer.flush()
    elif options.markdown == "-":
        print(gate.markdown(result), end="")
    else:
        from rich.console import Console  # noqa: PLC0415 - only this format

        Console().print(gate.terminal(result))
    if options.github:
        _tell_github(github.commands(result), github.summary(result), to_stderr=options.json or options.markdown == "-")
    return result.exit_code


def tolerances(file: Path) -> dict[str, float]:
    """Return "scenario.metric" → share from a project's `[tool.harness.gate.tolerances]`; none without such a file or section.

    Raises:
        UsageError: it cannot be read, or one is no share from 0 up.
    """
    if not file.is_file():
        return {}
    try:
        section: object = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file} cannot be read ({error}); mend it, the gate's tolerances may stand there") from error
    for key in SECTION.split("."):
        section = section.get(key, {}) if isinstance(section, dict) else {}
    if not isinstance(section, dict):
        raise UsageError(f'{file}: [{SECTION}] is no table; write "scenario.metric" = 0.02 below it')
    for name, share in section.items():
        if not (isinstance(share, (int, float)) and not isinstance(share, bool) and math.isfinite(share) and share >= 0):
            raise UsageError(f'{file}: [{SECTION}] {name!r} is no share from 0 up; write "scenario.metric" = 0.02')
        if "." not in name:
            raise UsageError(f'{file}: [{SECTION}] {name!r} names no figure of a scenario; write "scenario.metric" = 0.02')
    return {name: float(share) for name, share in section.items()}


def _read(path: Path) -> Run:
    """Read a run or another tool's file; another schema is not comparable rather than unreadable."""
    from harness import importers as readers  # noqa: PLC0415 - keeps `--help` quick
    from harness.results import store as run_file  # noqa: PLC0415 - keeps `--help` quick

    version = run_file.schema_of(path)
    if version not in {None, run_file.SCHEMA_VERSION}:
        raise NotComparableError(
            f"{path} has schema {version}, this harness compares schema {run_file.SCHEMA_VERSION}; measure it again, "
            "and accept the run as the new baseline"
        )
    return readers.read(path)


def _tell_github(commands: list[str], summary: str, *, to_stderr: bool) -> None:
    for line in commands:
        print(line, file=sys.stderr if to_stderr else sys.stdout)
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if place:
        try:
            with Path(place).open("a", encoding="utf-8", errors="replace") as file:
                file.write(summary)
        except OSError as error:
            raise UsageError(f"cannot write the job's summary {place}: {error.strerror or error}") from error
