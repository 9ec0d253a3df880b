"""Shared parts of `harness gate` and `harness baseline`: two runs into a gate's result, and a result into all its outputs.

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
    """Declare the outputs of a result."""
    parser.add_argument("--junit", metavar="FILE", type=Path, help="also write JUnit XML, for a test reporter")
    parser.add_argument("--markdown", metavar="FILE", help="also write Markdown; - prints it instead of the table")
    parser.add_argument("--github", action="store_true", help="also print annotations for GitHub Actions and write the job summary")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")


def gated(base: Path, candidate: Path, only: str = "*") -> GateResult:
    """Return the gate's result on two stored runs, or on two result files of the same other tool.

    Files that cannot be compared are a result as well, `not comparable`, so that test reporters show it.

    Raises:
        UsageError: a file cannot be read, a tolerance is invalid, or `only` matches no scenario.
    """
    from harness import importers
    from harness.gate import result_files, stored_runs
    from harness.results.run import RunKind

    allowed = tolerances(PROJECT)
    try:
        runs = (_read(base), _read(candidate))
        for path, run in zip((base, candidate), runs, strict=True):
            if run.kind == RunKind.COMPARISON:
                raise UsageError(f"{path} is a comparison; name the two files that it compares")
        if all(run.kind == RunKind.FILE for run in runs):
            compared = result_files.side_by_side(importers.reading(base), importers.reading(candidate), only=only)
            return result_files.gated(compared)
        return stored_runs.gate(runs[0], runs[1], allowed, only=only, names=(str(base), str(candidate)))
    except NotComparableError as error:
        return stored_runs.refused(str(base), str(candidate), str(error))


def publish(result: GateResult, options: argparse.Namespace) -> int:
    """Print a result, write the other outputs, and return its exit code.

    Raises:
        UsageError: a file cannot be written.
    """
    from harness.report import gate, github, junit, markdown
    from harness.results.store import write_bytes

    if options.junit:
        write_bytes(options.junit, junit.render(result))
    if options.markdown and options.markdown != "-":
        write_bytes(Path(options.markdown), markdown.write(gate.full(result)).encode())
    if options.json:
        import msgspec

        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
        sys.stdout.buffer.flush()
    elif options.markdown == "-":
        print(markdown.write(gate.full(result)), end="")
    else:
        from harness.cli._console import print_blocks

        print_blocks(gate.brief(result))
    if options.github:
        _annotate(github.commands(result), github.summary(result), to_stderr=options.json or options.markdown == "-")
    return result.exit_code


def tolerances(file: Path) -> dict[str, float]:
    """Return "scenario.metric" → share from a project's `[tool.harness.gate.tolerances]`; none without such a file or section.

    Raises:
        UsageError: it cannot be read, or a share is invalid.
    """
    if not file.is_file():
        return {}
    try:
        section: object = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}; fix the file, it may set tolerances of the gate") from error
    for key in SECTION.split("."):
        section = section.get(key, {}) if isinstance(section, dict) else {}
    if not isinstance(section, dict):
        raise UsageError(f'{file}: [{SECTION}] is not a table; write "scenario.metric" = 0.02 below it')
    for name, share in section.items():
        if not (isinstance(share, (int, float)) and not isinstance(share, bool) and math.isfinite(share) and share >= 0):
            raise UsageError(f'{file}: [{SECTION}] {name!r} is not a share of 0 or more; write "scenario.metric" = 0.02')
        if "." not in name:
            raise UsageError(f'{file}: [{SECTION}] {name!r} is not a metric of a scenario; write "scenario.metric" = 0.02')
    return {name: float(share) for name, share in section.items()}


def _read(path: Path) -> Run:
    """Read a run or another tool's file; a run of another schema is not comparable rather than unreadable."""
    from harness import importers
    from harness.results import store

    version = store.schema_of(path)
    if version not in {None, store.SCHEMA_VERSION}:
        raise NotComparableError(
            f"{path} has schema {version}, this harness compares schema {store.SCHEMA_VERSION}; run it again "
            "and accept it as the new baseline"
        )
    return importers.read(path)


def _annotate(commands: list[str], summary: str, *, to_stderr: bool) -> None:
    for line in commands:
        print(line, file=sys.stderr if to_stderr else sys.stdout)
    summary_file = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary_file:
        try:
            with Path(summary_file).open("a", encoding="utf-8", errors="replace") as file:
                file.write(summary)
        except OSError as error:
            raise UsageError(
                f"cannot write the job summary {summary_file}: {error.strerror or error}; leave out --github"
            ) from error
