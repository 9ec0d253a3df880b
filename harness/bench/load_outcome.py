"""The part of a scenario's result that its load test gives."""

from dataclasses import dataclass

from harness.results.load import LoadResult
from harness.results.run import RunWarning


@dataclass(frozen=True)
class LoadOutcome:
    """The figures and failures that a load test adds to a scenario's result."""

    load: LoadResult | None = None
    """The arms' response times and capacities; None if there was no load."""
    left_out: str = ""
    """The reason why the load, or the search, was left out."""
    failed: str = ""
    """The failures of arms that decide, beyond the tolerance, and the worker's crash; empty if nothing failed."""
    cannot_run: tuple[tuple[str, str, str], ...] = ()
    """(arm, group, error) of operations that an arm cannot run as written: it was not put under load."""
    warnings: tuple[RunWarning, ...] = ()
