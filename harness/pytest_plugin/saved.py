"""What pytest-benchmark saved, and what it is about to save: the one place that reaches into its session.

`config._benchmarksession` is private, and has had the same shape for years; without it (pytest-benchmark is switched off, or
pytest-codspeed took its place) nothing here does anything.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

MARK = "harness"
"""The key of pytest-benchmark's JSON under which a run says of itself whether it failed."""

MACHINE = ("system", "machine", "python_implementation")
"""What of a machine must be equal for a time to be compared, beside its processor and the interpreter's minor version."""

SOME = 5
"""So many names are told where there are more."""

REMEDY = "name them as they were, or save a new run to compare with: --benchmark-autosave without --benchmark-compare"


@dataclass(frozen=True)
class SavedRun:
    """A file that this run is compared with: its name, what is in it, and why times of it say nothing here ("" if they do)."""

    path: str
    data: Mapping[str, Any]
    another_machine: str

    @property
    def benchmarks(self) -> dict[str, Mapping[str, Any]]:
        """What was saved, by pytest's node id."""
        return {bench["fullname"]: bench for bench in self.data["benchmarks"]}

    @property
    def failed(self) -> str:
        """Why the run that was saved had failed, "" if it had not."""
        return str((self.data.get(MARK) or {}).get("failed") or "")


@dataclass
class SavedRuns:
    """The files that pytest-benchmark loads, in its order, with what it finds this machine to be."""

    received: list[tuple[Mapping[str, Any], str]] = field(default_factory=list)

    def hear(self, data: Mapping[str, Any], machine_info: Mapping[str, Any]) -> None:
        """Take note of a file while it is loaded."""
        self.received.append((data, another_machine(data.get("machine_info") or {}, machine_info)))

    def runs(self, config: pytest.Config) -> list[SavedRun]:
        """Return the files by name."""
        mapping = getattr(session(config), "compared_mapping", None) or {}
        return [SavedRun(str(path), *heard) for path, heard in zip(mapping, self.received, strict=True)]


def session(config: pytest.Config) -> Any:
    """Return pytest-benchmark's session, None without one."""
    return getattr(config, "_benchmarksession", None)


def another_machine(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return in what the machine or interpreter of a saved run differs from this one, "" if in nothing that changes times."""
    sides = [{key: side.get(key) for key in MACHINE} for side in (old, new)]
    for side, facts in zip((old, new), sides, strict=True):
        facts["python"] = ".".join(str(side.get("python_version", "")).split(".")[:2])
        cpu = side.get("cpu")
        facts["cpu"] = cpu.get("brand_raw") if isinstance(cpu, Mapping) else None
    other = [f"{key} {sides[0][key]} and {sides[1][key]}" for key in sides[0] if sides[0][key] != sides[1][key]]
    return f"another machine or interpreter: {', '.join(other)}" if other else ""


def renamed(saved: Sequence[SavedRun], collected: Sequence[str], whole_files: set[str], root: Path) -> str:
    """Return which saved benchmarks are gone though their file was collected whole, or is gone itself; "" if none is."""
    now = set(collected)
    gone = []
    for name in dict.fromkeys(name for run in saved for name in run.benchmarks):
        file = name.partition("::")[0]
        if name not in now and (file in whole_files or not (root / file).exists()):
            gone.append(name)
    if not gone:
        return ""
    new = [name for name in collected if not any(name in run.benchmarks for run in saved)]
    hints = [(name, difflib.get_close_matches(name, new, 1, 0.6)) for name in gone[:SOME]]
    said = [f"{name} (now {close[0]}?)" if close else name for name, close in hints]
    more = f" and {len(gone) - SOME} more" if len(gone) > SOME else ""
    files = " and ".join(run.path for run in saved)
    return f"in {files} and not collected now: {', '.join(said)}{more}; {REMEDY}"


def other_parameters(saved: Sequence[SavedRun], items: Sequence[pytest.Item]) -> str:
    """Return which tests have the name of a saved benchmark and other parameters, "" if none: pytest counts what has no name."""
    other = []
    for item in items:
        callspec = getattr(item, "callspec", None)
        for run in saved:
            before = (run.benchmarks.get(item.nodeid) or {}).get("params") or {}
            now = callspec.params if callspec is not None else {}
            other += [item.nodeid for key, old in before.items() if key in now and not _same(old, now[key])]
    if not other:
        return ""
    names = ", ".join(dict.fromkeys(other[:SOME]))
    return f"saved under the same name with other parameters: {names}; give the parameters ids of their own, and save a new run"


def _same(old: Any, now: Any) -> bool:
    try:
        text = json.dumps(now, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError):
        return True  # it was saved as a description, which holds an address
    return json.dumps(old, sort_keys=True) == text


def regressions(config: pytest.Config) -> list[str]:
    """Return what `--benchmark-compare-fail` will find, before anything is saved: pytest-benchmark saves first, and looks then."""
    bench = session(config)
    if bench is None or not bench.compare_fail:
        return []
    known = list(bench.performance_regressions)
    for _ in bench.prepare_benchmarks():
        pass
    found = bench.performance_regressions[len(known) :]
    bench.performance_regressions[:] = known
    return [f"{name}: {why}" for name, why in found]


def withhold(config: pytest.Config) -> bool:
    """Keep pytest-benchmark from saving this run where it would be the next one to compare with; return whether it was to."""
    bench = session(config)
    if bench is None or not (bench.save or bench.autosave):
        return False
    bench.save = bench.autosave = None
    return bool(bench.benchmarks)


def is_saving(config: pytest.Config) -> bool:
    """Whether what is measured will be written, anywhere."""
    bench = session(config)
    return bench is not None and not bench.disabled and bool(bench.save or bench.autosave or bench.json)


def not_json(item: pytest.Item, extra_info: Mapping[str, Any]) -> Iterator[str]:
    """Yield what of a benchmark has no place in JSON: NaN and infinity, and objects, unless the test's name tells which it is."""
    callspec = getattr(item, "callspec", None)
    params = callspec.params if callspec is not None else {}
    parts = callspec.id.split("-") if callspec is not None else []
    for key, value in params.items():
        why = _unfit(value)
        counted = any(part.removeprefix(key).isdecimal() for part in parts if part.startswith(key))
        if why and (counted or why == NOT_FINITE):
            yield f"parameter {key!r} is {why}; give it an id and a plain value, and make the object in the test"
    for key, value in extra_info.items():
        if why := _unfit(value):
            yield f"extra_info[{key!r}] is {why}; put a plain finite value there"


NOT_FINITE = "NaN or infinite, or holds such a number, which JSON has not"


def _unfit(value: Any) -> str:
    try:
        json.dumps(value, allow_nan=False)
    except TypeError:
        return f"of type {type(value).__name__}, which would be saved as a description that differs from run to run"
    except ValueError:
        return NOT_FINITE
    return ""
