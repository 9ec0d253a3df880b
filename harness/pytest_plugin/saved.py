"""pytest-benchmark's saved runs, and the run it is about to save: the only module that reads its private session.

`config._benchmarksession` is private, but has kept its shape for years. Without it (pytest-benchmark is switched off, or replaced
by pytest-codspeed) the functions here do nothing.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.pytest_plugin.options import FAIL
from harness.pytest_plugin.settings import fail_beyond

MARK = "harness"
"""The key of pytest-benchmark's JSON under which a run stores whether it failed."""
DISTORTIONS = "distortions"
"""The key of a benchmark's `extra_info` under which it stores what distorted its times, if anything did."""
MACHINE = ("system", "machine", "python_implementation", "cpu")
"""The facts that must be equal for times to be compared, in addition to the interpreter's minor version."""
CLOSE = 0.6
"""The similarity from which on a test may be another's new name: node ids are long, and the file is part of them."""
REMEDY = "restore the old names, or save a new run to compare with: --benchmark-autosave without --benchmark-compare"


@dataclass(frozen=True)
class SavedRun:
    """A file that this run is compared with."""

    path: str
    data: Mapping[str, Any]
    another_machine: str
    """The reason why its times cannot be compared with those measured here; "" if they can."""

    @property
    def benchmarks(self) -> dict[str, Mapping[str, Any]]:
        """The saved benchmarks, by pytest's node id."""
        return {bench["fullname"]: bench for bench in self.data["benchmarks"]}

    @property
    def failed(self) -> str:
        """The reason why the saved run had failed, "" if it had not."""
        return str((self.data.get(MARK) or {}).get("failed") or "")


def runs(config: pytest.Config, received: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[SavedRun]:
    """Return the files that pytest-benchmark loaded, from the contents of each with its description of this machine."""
    mapping = getattr(session(config), "compared_mapping", None) or {}
    return [
        SavedRun(str(path), data, another_machine(data.get("machine_info") or {}, machine_info))
        for path, (data, machine_info) in zip(mapping, received, strict=True)
    ]


def session(config: pytest.Config) -> Any:
    """Return pytest-benchmark's session, None without one."""
    return getattr(config, "_benchmarksession", None)


def another_machine(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return the differences between two machines or interpreters that change times, "" if there are none."""
    from harness.gate import matching  # noqa: PLC0415 - only when runs are compared

    def facts(info: Mapping[str, Any]) -> dict[str, str]:
        cpu = info.get("cpu")
        known = {**info, "cpu": cpu.get("brand_raw") if isinstance(cpu, Mapping) else None}
        return {key: str(known.get(key)) for key in MACHINE} | {"python": str(info.get("python_version", ""))}

    return matching.another_machine(facts(old), facts(new), MACHINE)


def distortions() -> list[str]:
    """Return what distorts times of this process while pytest-benchmark measures them, such as tracemalloc; it pauses tracing."""
    from pytest_benchmark.fixture import PauseInstrumentation  # noqa: PLC0415 - only when something is timed

    from harness.runtime import machine  # noqa: PLC0415 - only when something is timed

    with PauseInstrumentation():  # type: ignore[no-untyped-call] # pytest-benchmark has no types
        return machine.distortions()


def distorted_otherwise(run: SavedRun, names: Iterable[str], now: Sequence[str]) -> str:
    """Return why times of these benchmarks, measured in a test's process, cannot be compared with the run's; "" if they can."""
    for name in names:
        if name in run.benchmarks:
            then = (run.benchmarks[name].get("extra_info") or {}).get(DISTORTIONS) or []
            if then != list(now):
                before, after = (", ".join(map(str, each)) or "nothing that distorts" for each in (then, now))
                return f"{name} was timed under {before}, and now under {after}"
    return ""


def refusals(
    config: pytest.Config, items: Sequence[pytest.Item], scenarios: set[str], runs: Sequence[SavedRun], whole_files: set[str]
) -> Iterator[str]:
    """Yield why the saved runs cannot be compared with this one, or would mislead, the most severe first.

    `scenarios` are the node ids of scenarios among the `items`; `whole_files` are the files that were collected whole.
    """
    for run in runs:
        if run.failed:
            yield f"{run.path} is a run that failed ({run.failed}), not a baseline; compare with another"
    if message := renamed(runs, [item.nodeid for item in items], whole_files, config.rootpath):
        yield message
    if message := other_parameters(runs, items):
        yield message
    if config.getoption("benchmark_compare_fail", default=None):
        own = [item.nodeid for item in items if item.nodeid not in scenarios]
        for run in runs:
            if reason := run.another_machine or distorted_otherwise(run, own, distortions()):
                yield (
                    f"{run.path}: {reason}; --benchmark-compare-fail would compare times that are not comparable: "
                    "save a run here and now, or leave the option out"
                )
    if fail_beyond(config) is not None and not any(name in run.benchmarks for run in runs for name in scenarios):
        yield (
            f"{FAIL} has nothing to compare: no saved run has any of the {len(scenarios)} scenario items collected here; "
            "save one first, with --benchmark-autosave"
        )


def renamed(saved: Sequence[SavedRun], collected: Sequence[str], whole_files: set[str], root: Path) -> str:
    """Return which saved benchmarks are missing though their file was collected whole, or is missing too; "" if none is."""
    before = dict.fromkeys((name for run in saved for name in run.benchmarks), "")
    files = {name: name.partition("::")[0] for name in before if name not in set(collected)}
    missing = {name: "" for name, file in files.items() if file in whole_files or not (root / file).exists()}
    if not missing:
        return ""
    from harness.gate import matching, verdict  # noqa: PLC0415 - only when runs are compared

    new = {name: "" for name in collected if name not in before}
    hints = matching.rename_hints(matching.renamed(missing, new, CLOSE))
    paths = " and ".join(run.path for run in saved)
    return f"in {paths} and not collected now: {verdict.listed(list(missing), quote=False)}{hints}; {REMEDY}"


def other_parameters(saved: Sequence[SavedRun], items: Sequence[pytest.Item]) -> str:
    """Return which tests have the name of a saved benchmark but other parameters, "" if none: pytest numbers unnamed ones."""
    other = []
    for item in items:
        now, _ = _parameters(item)
        for run in saved:
            before = (run.benchmarks.get(item.nodeid) or {}).get("params") or {}
            other += [item.nodeid for key, old in before.items() if key in now and not _same(old, now[key])]
    if not other:
        return ""
    from harness.gate import verdict  # noqa: PLC0415 - only when runs are compared

    names = verdict.listed(list(dict.fromkeys(other)), quote=False)
    return f"saved under the same name with other parameters: {names}; give the parameters ids, and save a new run"


def _parameters(item: pytest.Item) -> tuple[Mapping[str, Any], str]:
    """Return the parameters of a test and their id; none and "" without any."""
    callspec = getattr(item, "callspec", None)
    return (callspec.params, callspec.id) if callspec is not None else ({}, "")


def _same(old: Any, now: Any) -> bool:
    try:
        text = json.dumps(now, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError):
        return True  # it was saved as a description, which contains an address
    return json.dumps(old, sort_keys=True) == text


def large_changes(config: pytest.Config, run: SavedRun, names: Iterable[str]) -> list[str]:
    """Return the benchmarks of `names`, measured in a test's process, whose median changed much since the run."""
    from harness.pytest_plugin.compared import large_change  # noqa: PLC0415 - only when runs are compared

    now = {bench.fullname: bench.stats.median for bench in getattr(session(config), "benchmarks", []) if bench}
    before = {name: (bench.get("stats") or {}).get("median") for name, bench in run.benchmarks.items()}
    changes = {name: large_change(before.get(name), now.get(name)) for name in names}
    return [f"{name} {change}" for name, change in changes.items() if change]


def regressions(config: pytest.Config) -> list[str]:
    """Return what `--benchmark-compare-fail` will find, before anything is saved: pytest-benchmark saves first, and checks then."""
    bench = session(config)
    if bench is None or not bench.compare_fail:
        return []
    known = list(bench.performance_regressions)
    for _ in bench.prepare_benchmarks():
        pass
    found = bench.performance_regressions[len(known) :]
    bench.performance_regressions[:] = known
    return [f"{name}: {reason}" for name, reason in found]


def withhold(config: pytest.Config) -> bool:
    """Keep pytest-benchmark from saving this run as the next one to compare with; return whether it would have been saved."""
    bench = session(config)
    if bench is None or not (bench.save or bench.autosave):
        return False
    bench.save = bench.autosave = None
    return bool(bench.benchmarks)


def is_saving(config: pytest.Config) -> bool:
    """Return whether the measurements will be written to any file."""
    bench = session(config)
    return bench is not None and not bench.disabled and bool(bench.save or bench.autosave or bench.json)


def not_json(item: pytest.Item, extra_info: Mapping[str, Any]) -> Iterator[str]:
    """Yield what of a benchmark JSON cannot hold: NaN and infinity, and objects, unless the test's name identifies them."""
    params, identifier = _parameters(item)
    for key, value in params.items():
        problem = _json_problem(value)
        numbered = any(part.removeprefix(key).isdecimal() for part in identifier.split("-") if part.startswith(key))
        if problem and (numbered or problem == NOT_FINITE):
            yield f"parameter {key!r} is {problem}; give it an id and a plain value, and create the object in the test"
    for key, value in extra_info.items():
        if problem := _json_problem(value):
            yield f"extra_info[{key!r}] is {problem}; use a plain finite value"


NOT_FINITE = "NaN or infinite, or contains such a number, which JSON does not support"


def _json_problem(value: Any) -> str:
    try:
        json.dumps(value, allow_nan=False)
    except TypeError:
        return f"of type {type(value).__name__}, which would be saved as a description that differs from run to run"
    except ValueError:
        return NOT_FINITE
    return ""
