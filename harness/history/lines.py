"""Which runs of a scenario are comparable: each other machine, setting, dataset or version begins a line of its own."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.gate import matching
from harness.gate.matching import MatchedPair, another_machine, changed_load, differences, incomparable_runs, other_versions
from harness.results.run import Run, RunKind, ScenarioResult

NO_MACHINE = ("file", "SHA-256", "release")
"""The facts about another tool's file that differ without making times incomparable: its name, its bytes, the kernel's build."""


@dataclass(frozen=True)
class PlacedResult:
    """One scenario's result in one run of the history."""

    place: int
    """The position of the run."""
    run: Run
    result: ScenarioResult
    code: int


@dataclass(frozen=True)
class ComparableRuns:
    """Results that are comparable with each other, in the order of the runs."""

    difference: str
    """What differs from the first line; "" for the first line itself."""
    results: list[PlacedResult]


def lines(results: Sequence[PlacedResult], differs: Callable[[PlacedResult, PlacedResult], str]) -> list[ComparableRuns]:
    """Return the results in lines: each joins the first line whose last result it is comparable with.

    `differs` is `other_times` or `other_work`.
    """
    found: list[ComparableRuns] = []
    for each in results:
        line = next((line for line in found if not differs(line.results[-1], each)), None)
        if line is None:
            line = ComparableRuns(differs(found[0].results[-1], each) if found else "", [])
            found.append(line)
        line.results.append(each)
    return found


def other_times(old: PlacedResult, new: PlacedResult) -> str:
    """Return why the times and ratios of two results cannot be compared; "" where they can."""
    if old.run.kind == new.run.kind == RunKind.FILE:
        machines = differences(_machine(old.run.environment), _machine(new.run.environment))
        machine = f"another machine or version: {', '.join(machines)}" if machines else ""
    else:
        machine = another_machine(old.run.environment, new.run.environment)
    load = changed_load(old.result.load_settings, new.result.load_settings)
    return "; ".join(filter(None, [_other_run(old, new), machine, f"another load: {load}" if load else ""]))


def other_work(old: PlacedResult, new: PlacedResult) -> str:
    """Return why the work counts of two results cannot be compared, whatever their machines are; "" where they can."""
    interpreter = other_versions(MatchedPair(old.result, new.result), old.run, new.run)[1]
    return "; ".join(filter(None, [_other_run(old, new), interpreter]))


def _other_run(old: PlacedResult, new: PlacedResult) -> str:
    if old.run.kind != new.run.kind:
        return f"another kind of run: {old.run.kind} and {new.run.kind}"
    settings = [warning.message for warning in incomparable_runs(old.run, new.run)]
    versions = other_versions(MatchedPair(old.result, new.result), old.run, new.run)[0]
    return "; ".join(filter(None, [*settings, versions]))


def _machine(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the facts about a machine and its versions, Python's without the patch level."""
    facts = {key: value for key, value in environment.items() if key not in (*NO_MACHINE, *matching.ALWAYS_DIFFERS)}
    return {key: re.sub(r"^(\d+\.\d+)\.\S*", r"\1", value) if "python" in key else value for key, value in facts.items()}
