"""Shared parts of `harness gate` and `harness baseline`: two stored runs into a gate's result, and a project's tolerances."""

import math
from pathlib import Path

from harness.cli import _project
from harness.errors import NotComparableError, UsageError
from harness.results.gate import GateResult
from harness.results.run import Run, RunKind

SECTION = "tool.harness.gate.tolerances"


def gated(base: Path, candidate: Path, only: str = "*") -> GateResult:
    """Return the gate's result on two stored runs, or on two result files of the same other tool.

    Files that cannot be compared are a result as well, `not comparable`, so that test reporters show it. UsageError if a file
    cannot be read, a tolerance is invalid, or `only` matches no scenario.
    """
    from harness import importers
    from harness.gate import result_files, stored_runs

    allowed = tolerances()
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


def tolerances() -> dict[str, float]:
    """Return "scenario.metric" → share from the project's `[tool.harness.gate.tolerances]`; none without such a file or section.

    UsageError if the file cannot be read, or a share is invalid.
    """
    file = Path(_project.PROJECT_FILE)
    section = _project.read_key(file, SECTION) if file.is_file() else None
    if section is None:
        return {}
    example = 'write "scenario.metric" = 0.02'
    if not isinstance(section, dict):
        raise UsageError(f"{file}: [{SECTION}] is not a table; {example} below it")
    for name, share in section.items():
        if not (isinstance(share, (int, float)) and not isinstance(share, bool) and math.isfinite(share) and share >= 0):
            raise UsageError(f"{file}: [{SECTION}] {name!r} is not a share of 0 or more; {example}")
        if "." not in name:
            raise UsageError(f"{file}: [{SECTION}] {name!r} is not a metric of a scenario; {example}")
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
