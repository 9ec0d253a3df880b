"""The worker of one version's scenario for `harness gate --against`, run by path within that version's tree.

It uses the tree's own `harness`, of any of its versions since groups were a mapping. The job is a JSON file: `task`, `file` (the
scenario's), `setting` (of `harness.scenario.Setting`), `kept` (a folder) and `benchmarks` (group and arm by name). Tasks: serve:
start the scenario's servers, and stop them when the channel closes · prepare: build the data · examine: answers and work counts ·
recount: the same in another process · time: serve slices.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import runpy
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.gate.against.protocol import VersionChannel

CHECKING = ("harness.discovery", "harness.declarations", "harness.helper_files", "harness.runtime.source_code")
"""Modules that check a scenario's file before it is imported."""
CASES = 4
"""Cases of a group that are timed, alternating: they are inputs of the same kind, and each of them has to be warm."""
ANY_ENGINE = "any"
"""The engine of a scenario without a database, as in `harness.scenario`, which an earlier version has not."""

protocol = runpy.run_path(str(Path(__file__).resolve().with_name("protocol.py")))
begin, beat, LONG = protocol["begin"], protocol["beat"], protocol["LONG"]
operations = runpy.run_path(str(protocol["HARNESS"] / "bench" / "operations.py"))
answers = runpy.run_path(str(protocol["HARNESS"] / "answers.py"))
counted_kinds = runpy.run_path(str(protocol["HARNESS"] / "error_groups.py"))["counted_kinds"]
OWN = ("bench/operations.py", "answers.py", "error_groups.py")
recorder: Any = protocol["recorder"](__file__, *(str(protocol["HARNESS"] / file) for file in OWN))


class CaseFailedError(Exception):
    """An operation of a version that raised, or that answered with work that is not done; the message has the arm and the case."""


def main() -> None:
    """Do the job; an error is sent over the channel, with its type."""
    channel = protocol["VersionChannel"]()
    protocol["channel"]["refuse_exits"]()
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        begin("importing the scenario", times=LONG)
        from harness.discovery import load  # noqa: PLC0415 - the tree's own harness, which may be missing

        if recorder:  # they read the scenario's file to check it
            recorder.add_tools({spec.origin for spec in map(find_spec, CHECKING) if spec})
        loaded = load(Path(job["file"]))
        scenario: Any = loaded.scenario
        if not hasattr(scenario, "self_reported_ns"):  # it was `own_ns`, and first did not exist
            scenario.self_reported_ns = getattr(scenario, "own_ns", lambda *_: None)
        setting = _setting(scenario, job)
        found = TASKS[job["task"]](channel, scenario, setting, job)
        if asyncio.iscoroutine(found):
            found = asyncio.run(found)
    except CaseFailedError as error:
        channel.fail(str(error), type(error).__name__)
    except BaseException as error:  # noqa: BLE001 - another version's code may raise anything; the coordinator names it
        channel.fail(_described(error), type(error).__name__)
    else:
        if found is not None:
            channel.end(**found, title=loaded.title, doc=loaded.doc, recording=_recorded(found))


def _recorded(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what was recorded, None if it was not to be; the data and the cases are facts by their content."""
    if recorder is None:
        return None
    begin("digesting what was recorded", times=LONG)
    recorded: dict[str, Any] = recorder.found()
    if "dataset" in found:
        recorded["facts"]["the data set"] = repr(sorted(found["dataset"].items()))
    if "cases_digest" in found:
        unknown = f"of process {os.getpid()}"  # never the same as another one's
        recorded["facts"]["the digest of the cases' arguments"] = found["cases_digest"] or unknown
    windows = {name: ["", arm, name] for name, _, arm in found.get("benchmarks", ())}
    counts: dict[str, dict[str, float]] = {}
    for name, metric, value, _ in found.get("work_counts", ()):
        counts.setdefault(name, {})[metric] = value
    return recorded | {"benchmarks": windows, "counts": counts}


def _window(key: str) -> AbstractContextManager[None]:
    """Return the context in which what happens is recorded for an arm, or for a benchmark."""
    found: AbstractContextManager[None] = nullcontext() if recorder is None else recorder.within(key)
    return found


def _known(kind: Any, values: dict[str, Any]) -> Any:
    """Return a record of type `kind`, in this tree's version of it, from the values that it has fields for."""
    return kind(**{field.name: values[field.name] for field in fields(kind) if field.name in values})


def _setting(scenario: Any, job: dict[str, Any]) -> Any:
    """Return the setting; a job without an engine is for the scenario's first one, and a scenario without a database has none."""
    from harness import scenario as contract  # noqa: PLC0415 - the tree's own

    paths = {name: Path(job["setting"][name]) for name in ("folder", "shared")}
    servers = {name: _known(contract.Server, server) for name, server in job["setting"]["servers"].items()}
    engine = "" if ANY_ENGINE in scenario.engines else job["setting"]["engine"] or next(iter(scenario.engines))
    return _known(contract.Setting, {**job["setting"], **paths, "servers": servers, "engine": engine})


def _serve(channel: VersionChannel, scenario: Any, setting: Any, _: dict[str, Any]) -> dict[str, Any] | None:
    if setting.engine and setting.engine not in scenario.engines:
        channel.fail(f"it supports {', '.join(scenario.engines)} only", "NotMeasurableError")
        return None
    begin("starting its servers", times=LONG)
    with scenario.servers(setting) as servers:
        started = {name: _server(server) for name, server in servers.items()}
        adds_latency = bool(getattr(scenario, "adds_latency", False))  # an earlier version's scenarios do not
        channel.send("servers", engine=setting.engine, servers=started, adds_latency=adds_latency, recording=_recorded({}))
        channel.next_slice()
    return {}


def _server(server: Any) -> dict[str, Any]:
    """Return the fields of a server, with the names of today's contract and of the first one."""
    direct_url, url = (server.direct_url, server.url) if hasattr(server, "url") else (server.near, server.far)
    return {"direct_url": direct_url, "url": url, "near": direct_url, "far": url, "facts": dict(server.facts)}


def _prepare(_: VersionChannel, scenario: Any, setting: Any, job: dict[str, Any]) -> dict[str, Any]:
    begin("preparing the data", times=LONG)
    ready = scenario.prepare(setting)
    _cases(scenario, setting, job)
    return {"dataset": dict(ready.dataset), "engine_settings": dict(ready.engine_settings)}


def _cases(scenario: Any, setting: Any, job: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the cases by group, made once and cached."""
    begin("making the cases", times=LONG)
    grouped: dict[str, list[Any]] = {}
    for case in operations["cached_cases"](Path(job["kept"]) / "cases.pickle", lambda: scenario.cases(setting)):
        grouped.setdefault(case.group, []).append(case)
    return grouped


async def _examine(channel: VersionChannel, scenario: Any, setting: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Run the first case of every group on every arm, and twice more for its errors, answers and work counts.

    The first run fills what the arm keeps, so that counts are those of the operations that are timed.
    """
    cases = _cases(scenario, setting, job)
    declared = _declared(scenario)
    everything: list[list[str]] = []
    benchmarks: list[list[str]] = []
    work_counts: list[list[Any]] = []
    answers, cannot_run = dict[str, str](), dict[str, str]()
    for arm in scenario.arms:
        wanted = [g for g in cases if (arm, g) not in declared["skipped"] and channel.wants(f"{g}[{arm}]")]
        if not wanted:
            continue
        begin("opening", arm, times=LONG)
        with _window(arm):
            async with scenario.open(arm, setting) as instance:
                for group in wanted:
                    case = cases[group][0]
                    name = f"{group}[{arm}]"
                    begin("counting work", name, case.name)
                    everything.append([name, group, arm])
                    try:
                        others = cases[group][1:CASES] if recorder and group not in declared["slow"] else []
                        with _window(name):
                            first, second = await _count_work(scenario, instance, arm, case, others)
                    except CaseFailedError:
                        raise
                    except BaseException as error:
                        if arm not in declared["as_written"]:
                            raise _failed(error, job["file"], arm, case) from error
                        cannot_run[name] = _described(error)
                        continue
                    if first[1] is not None and first[1] == second[1]:
                        answers[name] = first[1]
                    if group not in declared["uncounted"]:
                        work_counts += [[name, *count] for count in operations["repeated_counts"](first[0], second[0])]
                    if group not in declared["slow"]:
                        benchmarks.append([name, group, arm])
                begin("closing", arm)
    found = {"all": everything, "benchmarks": benchmarks, "work_counts": work_counts, "answers": answers, "cannot_run": cannot_run}
    return found | {
        "cases": {group: [case.name for case in of_group] for group, of_group in cases.items()},
        "cases_digest": operations["digest"](
            [(case.name, case.group, case.args) for of_group in cases.values() for case in of_group]
        ),
        "arms": declared["arms"],
        "groups": declared["groups"],
        "tolerances": dict(getattr(scenario, "tolerances", {})),
        "higher_is_better": list(getattr(scenario, "higher_is_better", ())),
    }


async def _count_work(
    scenario: Any, instance: Any, arm: str, case: Any, others: Sequence[Any]
) -> list[tuple[dict[str, float], Any]]:
    """Run a case once, twice more for its counts and answers, which are returned, and more often, and others, to be recorded."""
    count = partial(operations["run_counted"], scenario, instance, case)
    await count()
    found = [await count(scenario.probes(instance), partial(_digest, scenario, arm, case)) for _ in range(2)]
    for _ in recorder.repeats() if recorder else ():
        await count()
    for other in others:
        await operations["run_counted"](scenario, instance, other)
    return found


def _declared(scenario: Any) -> dict[str, Any]:
    """Return a scenario's declarations of arms and groups, from today's contract or from the one before groups were objects."""
    arms = {
        "arms": {name: getattr(arm, "description", arm) for name, arm in scenario.arms.items()},
        "as_written": {name for name, arm in scenario.arms.items() if getattr(arm, "as_written", False)},
    }
    if isinstance(scenario.groups, Mapping):
        return arms | {
            "groups": dict(scenario.groups),
            "skipped": getattr(scenario, "sits_out", {}),
            "uncounted": getattr(scenario, "inexact_groups", ()),
            "slow": getattr(scenario, "heavy_groups", ()),
        }
    return arms | {
        "groups": {group.name: group.description for group in scenario.groups},
        "skipped": {(arm, group.name) for group in scenario.groups for arm in group.skip},
        "uncounted": {group.name for group in scenario.groups if group.uncounted},
        "slow": {group.name for group in scenario.groups if group.slow},
    }


def _described(error: BaseException) -> str:
    """Return an error's type and the first line of its text; of a group, those of its errors with their numbers."""
    found: str = counted_kinds(error, _line_about)
    return found


def _line_about(error: BaseException) -> str:
    """Return the type and the first line of the text of an error, whose own `__str__` may raise or exit."""
    try:
        text = str(error)[:10_000].strip().splitlines()
    except BaseException:  # noqa: BLE001 - see above
        text = []
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


def _failed(error: BaseException, file: str, arm: str, case: Any) -> CaseFailedError:
    """Return the error for an operation that raised: arm, case, the line in the scenario's file, and the error in one line."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == Path(file).name]
    place = f", {Path(file).name}, line {lines[-1]}" if lines else ""
    return CaseFailedError(f"{arm} raised in case {case.name!r}{place}: {_described(error)}")


def _digest(scenario: Any, arm: str, case: Any, answer: Any) -> Any:
    """Return the digest of an answer, None for one without a stable representation; CaseFailedError if its work is not done."""
    lazy = answers["find_lazy"](answer)
    if lazy is not None:
        raise CaseFailedError(f"{arm} answers case {case.name!r} with {lazy}: the work is not done yet; {lazy.remedy}")
    return operations["digest"](scenario.normalise(case, answer))


async def _time(channel: VersionChannel, scenario: Any, setting: Any, job: dict[str, Any]) -> dict[str, Any]:
    cases = _cases(scenario, setting, job)
    for arm in scenario.arms:
        mine = [(name, group) for name, group, its in job["benchmarks"] if its == arm and channel.wants(name)]
        if not mine:
            continue
        begin("opening", arm, times=LONG)
        async with scenario.open(arm, setting) as instance:
            for name, group in mine:
                chosen = cases[group][:CASES]
                gc.collect()
                gc.freeze()
                channel.send("benchmark", name=name, cases=len(chosen))
                while (wanted := channel.next_slice()) is not None:
                    case, each = chosen[wanted[0]], []
                    begin("timing", name, case.name)
                    for _ in range(wanted[1]):
                        beat()
                        try:
                            each.append((await operations["run_timed"](scenario, instance, case))[0])
                        except BaseException as error:
                            raise _failed(error, job["file"], arm, case) from error
                    channel.send("time", ns=each if len(each) <= protocol["EACH"] else [sum(each)])
            begin("closing", arm)
    return {}


TASKS: dict[str, Callable[..., Any]] = {
    "serve": _serve,
    "prepare": _prepare,
    "examine": _examine,
    "recount": _examine,
    "time": _time,
}

if __name__ == "__main__":
    main()
