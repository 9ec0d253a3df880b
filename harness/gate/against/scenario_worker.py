"""One side of a scenario, run by path with a job: of the tree on its path it takes what any of our versions has.

The job is a JSON file: `task`, `file` (the scenario's), `setting` (what `harness.scenario.Setting` is made of), `kept` (a folder of
this side's own) and `benchmarks` (group and arm by name). Tasks: serve: start what instances connect to, and stop it when the socket
closes · prepare: build the data · examine: answers and exact work · time: serve slices.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import pickle
import runpy
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.gate.against.protocol import Channel

CASES = 4
"""So many cases of a group are timed, in turn: they are inputs of one kind, and each of them has to be warm."""

beside = runpy.run_path(str(Path(__file__).resolve().with_name("protocol.py")))


def main() -> None:
    """Do the job; whatever goes wrong is said over the channel, with its kind."""
    channel = beside["Channel"]()
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        from harness.discovery import load  # noqa: PLC0415 - the side's own harness, which may lack it

        loaded = load(Path(job["file"]))
        scenario = loaded.scenario
        setting = _setting(job)
        done = {"serve": _serve, "prepare": _prepare, "examine": _examine, "time": _time}[job["task"]](
            channel, scenario, setting, job
        )
    except Exception as error:  # noqa: BLE001 - another version's code may raise anything; the coordinator names it
        text = str(error).strip().splitlines()
        channel.send(failed=f"{type(error).__name__}: {text[0] if text else ''}", kind=type(error).__name__)
    else:
        channel.send(end={**done, "title": loaded.title, "doc": loaded.doc, "strays": beside["strays"]()})


def _known(kind: Any, values: dict[str, Any]) -> Any:
    """Return a record of this tree's own version of `kind`, from those values that it knows."""
    names = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in values.items() if name in names})


def _setting(job: dict[str, Any]) -> Any:
    from harness import scenario as contract  # noqa: PLC0415 - the side's own

    values = dict(job["setting"])
    values["folder"], values["shared"] = Path(values["folder"]), Path(values["shared"])
    values["servers"] = {name: _known(contract.Server, server) for name, server in values["servers"].items()}
    return _known(contract.Setting, values)


def _serve(channel: Channel, scenario: Any, setting: Any, _: dict[str, Any]) -> dict[str, Any]:
    if setting.engine not in scenario.engines:
        channel.send(failed=f"it is for {', '.join(scenario.engines)}", kind="NotMeasurableError")
        return {}
    with scenario.servers(setting) as servers:
        found = {n: {"direct_url": s.direct_url, "url": s.url, "facts": dict(s.facts)} for n, s in servers.items()}
        channel.send(at="servers", servers=found)
        channel.order()
    return {}


def _prepare(_: Channel, scenario: Any, setting: Any, job: dict[str, Any]) -> dict[str, Any]:
    ready = scenario.prepare(setting)
    _cases(scenario, setting, job)
    return {"dataset": dict(ready.dataset), "engine_settings": dict(ready.engine_settings)}


def _cases(scenario: Any, setting: Any, job: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the cases by group, made once and kept, since every process starts with them."""
    kept = Path(job["kept"]) / "cases.pickle"
    if not kept.exists():
        kept.write_bytes(pickle.dumps(list(scenario.cases(setting))))
    grouped: dict[str, list[Any]] = {}
    for case in pickle.loads(kept.read_bytes()):  # noqa: S301 - written by this side, in its own folder
        grouped.setdefault(case.group, []).append(case)
    return grouped


def _examine(_: Channel, scenario: Any, setting: Any, job: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(_examined(scenario, setting, _cases(scenario, setting, job)))


async def _examined(scenario: Any, setting: Any, cases: dict[str, list[Any]]) -> dict[str, Any]:
    """Run the first case of every group on every arm twice: does it run, does it answer alike, what does it count."""
    declared = _declared(scenario)
    everything: list[list[str]] = []
    benchmarks: list[list[str]] = []
    exact: list[list[Any]] = []
    answers: dict[str, str] = {}
    cannot_run: dict[str, str] = {}
    for arm in scenario.arms:
        async with scenario.open(arm, setting) as instance:
            for group, (case, *_others) in cases.items():
                if (arm, group) in declared["skipped"]:
                    continue
                name = f"{group}[{arm}]"
                everything.append([name, group, arm])
                try:
                    seen = [await _once(scenario, instance, case) for _ in range(2)]
                except Exception as error:
                    if arm not in declared["as_written"]:
                        raise
                    cannot_run[name] = f"{type(error).__name__}: {error}"
                    continue
                if seen[0][0] is not None and seen[0][0] == seen[1][0]:
                    answers[name] = seen[0][0]
                if group not in declared["uncounted"]:
                    exact += [[name, metric, value, seen[1][1].get(metric) == value] for metric, value in seen[0][1].items()]
                if group not in declared["slow"]:
                    benchmarks.append([name, group, arm])
    return {
        "all": everything,
        "benchmarks": benchmarks,
        "exact": exact,
        "answers": answers,
        "cannot_run": cannot_run,
        "cases": {group: [case.name for case in found] for group, found in cases.items()},
        "arms": declared["arms"],
        "groups": declared["groups"],
        "tolerances": dict(getattr(scenario, "tolerances", {})),
        "higher_is_better": list(getattr(scenario, "higher_is_better", ())),
    }


def _declared(scenario: Any) -> dict[str, Any]:
    """Return what a scenario declares of its arms and groups, of today's contract or of the one before groups were objects."""
    arms = {name: getattr(arm, "description", arm) for name, arm in scenario.arms.items()}
    if isinstance(scenario.groups, Mapping):
        return {
            "arms": arms,
            "groups": dict(scenario.groups),
            "as_written": {"proposed"},
            "skipped": getattr(scenario, "sits_out", {}),
            "uncounted": getattr(scenario, "inexact_groups", ()),
            "slow": getattr(scenario, "heavy_groups", ()),
        }
    return {
        "arms": arms,
        "groups": {group.name: group.description for group in scenario.groups},
        "as_written": {name for name, arm in scenario.arms.items() if getattr(arm, "as_written", False)},
        "skipped": {(arm, group.name) for group in scenario.groups for arm in group.skip},
        "uncounted": {group.name for group in scenario.groups if group.uncounted},
        "slow": {group.name for group in scenario.groups if group.slow},
    }


async def _once(scenario: Any, instance: Any, case: Any) -> tuple[str | None, dict[str, float]]:
    probes: Sequence[Any] = scenario.probes(instance)
    async with AsyncExitStack() as stack:
        for probe in probes:
            await stack.enter_async_context(probe)
        answer = await scenario.run(instance, case)
    counts = {metric: value for probe in probes for metric, value in probe.counts().items()}
    shown = repr(scenario.normalise(case, answer))
    await scenario.reset(instance, case, answer)
    digest = None if " at 0x" in shown else hashlib.sha256(shown.encode()).hexdigest()  # an address is no answer
    return digest, counts


def _time(channel: Channel, scenario: Any, setting: Any, job: dict[str, Any]) -> dict[str, Any]:
    asyncio.run(_timed(channel, scenario, setting, job))
    return {}


async def _timed(channel: Channel, scenario: Any, setting: Any, job: dict[str, Any]) -> None:
    cases = _cases(scenario, setting, job)
    for arm in scenario.arms:
        mine = [(name, group) for name, group, its in job["benchmarks"] if its == arm and channel.wants(name)]
        if not mine:
            continue
        async with scenario.open(arm, setting) as instance:
            for name, group in mine:
                chosen = cases[group][:CASES]
                gc.collect()
                gc.freeze()
                channel.send(at=name, cases=len(chosen))
                while (order := channel.order()) is not None:
                    channel.send(ns=await _slice(scenario, instance, chosen[order[0]], order[1]))


def _all_of_it(*_: Any) -> None:
    """Report no time of its own: all of it counts."""


async def _slice(scenario: Any, instance: Any, case: Any, repeats: int) -> int:
    spent = 0
    # It was called `own_ns` before groups were objects, and was not there at all in the first versions.
    self_reported_ns = getattr(scenario, "self_reported_ns" if hasattr(scenario, "self_reported_ns") else "own_ns", _all_of_it)
    for _ in range(repeats):
        start = time.perf_counter_ns()
        answer = await scenario.run(instance, case)
        whole = time.perf_counter_ns() - start
        own = self_reported_ns(case, answer)
        spent += whole if own is None else max(1, own)
        await scenario.reset(instance, case, answer)
    return spent


if __name__ == "__main__":
    main()
