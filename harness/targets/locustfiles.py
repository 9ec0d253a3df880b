"""From a locustfile to the plan of the load: its users, the servers that they load, and a first run of every task."""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from harness.errors import ScenarioFailedError, UsageError
from harness.network.addresses import refuse_remote
from harness.redaction import redacted
from harness.results.run import BASELINE
from harness.runtime.child import encode_path
from harness.targets.building import arm_names, name_of
from harness.targets.documents import bytes_of
from harness.targets.locust_messages import FoundUser, TaskEnded, UsersFound, UsersJob
from harness.targets.locust_process import LocustUsers
from harness.targets.locust_scenario import users_job
from harness.targets.plan import LocustPlan, LocustTask
from harness.targets.urls import is_url

START_S = 60.0
"""Seconds that importing a locustfile, and starting its users, may take, or the timeout of an operation if that is longer."""
SHOWN = 3
"""Failures that are listed."""
MAX_DESCRIPTION = 100
_IMPORTS_LOCUST = re.compile(rb"^\s*(?:from|import)\s+locust\b", re.MULTILINE)


def is_locustfile(file: Path) -> bool:
    """Return whether a Python file imports Locust, which a scenario does not."""
    return file.suffix == ".py" and file.is_file() and _IMPORTS_LOCUST.search(bytes_of(file)) is not None


def planned(file: Path, servers: Sequence[str], *, tries: bool, timeout_s: float) -> LocustPlan:
    """Return the plan for a locustfile and the servers that its users load, each of which is an arm; none means their own host.

    Every task is run once on each server, unless told otherwise by `tries`.

    Raises:
        UsageError: it cannot be imported, names no server or one on another machine, or a server does not answer.
        ScenarioFailedError: users cannot start, or every task fails.
    """
    limit_s = max(START_S, timeout_s)
    with LocustUsers(UsersJob(encode_path(file.resolve()))) as users:
        found = users.start(limit_s)
    hosts = [_host(file, found.users)] if not servers else [_checked(server) for server in servers]
    for host in hosts:
        if host:
            refuse_remote(host)
    arms = dict(zip(arm_names(len(hosts)), hosts, strict=True))
    urls = {arm: redacted(host) or "the servers that the locustfile names" for arm, host in arms.items()}
    plan = LocustPlan(
        name=name_of(file.stem),
        title=f"users of {file.name}: {' against '.join(urls.values())}",
        file=encode_path(file.resolve()),
        arms=arms if servers else dict.fromkeys(arms, ""),
        hosts=arms,
        urls=urls,
        tasks=_tasks(found.users),
        notes=_notes(found),
    )
    return _tried(plan, timeout_s, limit_s) if tries else plan


def _host(file: Path, users: Sequence[FoundUser]) -> str:
    """Return the host of the user classes; raise UsageError if one has none, or there are several."""
    missing = [user.name for user in users if user.needs_host and not user.host]
    if missing:
        raise UsageError(f"{missing[0]} of {file} has no host; name the server: harness load {file} http://127.0.0.1:8000")
    hosts = list(dict.fromkeys(user.host for user in users if user.host))
    if len(hosts) > 1:
        raise UsageError(
            f"{file} has users of several hosts: {', '.join(map(redacted, hosts[:SHOWN]))}; name one server after the file"
        )
    return hosts[0] if hosts else ""


def _checked(server: str) -> str:
    if not is_url(server) or server.partition("://")[0].lower() not in {"http", "https"}:
        raise UsageError(f"{redacted(server)} is not a URL of a server; write http://127.0.0.1:8000")
    return server.rstrip("/")


def _tasks(users: Sequence[FoundUser]) -> list[LocustTask]:
    """Return the tasks with the share of operations that each gets: users by their weights, tasks by theirs."""
    made = []
    for user in users:
        total = sum(task.weight for task in user.tasks)
        for task in user.tasks:
            name = f"{user.name}.{task.name}" if len(users) > 1 else task.name
            made.append(LocustTask(user.name, task.index, name, name, user.weight * task.weight / total))
    return made


def _notes(found: UsersFound) -> list[str]:
    notes = []
    if waiting := [user.name for user in found.users if user.waits]:
        notes.append(f"wait_time of {', '.join(waiting)} is not used: --rate or --users says when tasks start")
    if found.has_shape:
        notes.append(
            "the load shape of the locustfile is not used: --rate says when tasks start; write ramp:10..500 or steps:50,100"
        )
    return notes


def _tried(plan: LocustPlan, timeout_s: float, limit_s: float) -> LocustPlan:
    """Return the plan with groups named after the requests that the tasks make, after running each task once on every server."""
    for arm in reversed(plan.arms):  # the baseline comes last and is the one that names the groups
        job = msgspec.structs.replace(users_job(plan, arm, 0, 0))
        with LocustUsers(job) as users:
            users.start(limit_s)
            outcomes = asyncio.run(_outcomes(users, plan.tasks, timeout_s))
        failures = {task.group: ended for task, ended in zip(plan.tasks, outcomes, strict=True) if ended.error}
        refused = next((ended for ended in outcomes if ended.is_refused), None)
        if refused is not None and not any(ended.requests and not ended.is_refused for ended in outcomes):
            raise UsageError(f"{plan.urls[arm]}: no answer to {refused.error}; start the server, or check its address")
        if len(failures) == len(plan.tasks):
            first = next(iter(failures.values()))
            raise ScenarioFailedError(f"{plan.urls[arm]}: every task fails: {first.error}; fix the locustfile, or the server")
        if failures:
            listed = [f"{group} failed when tried on {arm}: {ended.error}" for group, ended in failures.items()]
            plan = msgspec.structs.replace(plan, notes=[*plan.notes, *listed[:SHOWN]])
        if arm == BASELINE:
            plan = msgspec.structs.replace(plan, tasks=_named(plan.tasks, outcomes))
    return plan


async def _outcomes(users: LocustUsers, tasks: Sequence[LocustTask], timeout_s: float) -> list[TaskEnded]:
    """Run each task once, one at a time."""
    found = []
    for task in tasks:
        try:
            async with asyncio.timeout(timeout_s):
                found.append(await users.tried(task.user, task.index))
        except TimeoutError:
            found.append(TaskEnded(0, f"no end within {timeout_s:g} s; see --timeout"))
    return found


def _named(tasks: Sequence[LocustTask], outcomes: Sequence[TaskEnded]) -> list[LocustTask]:
    """Return the tasks, each of which makes one request that no other makes in the group of that request's name."""
    requests: Mapping[str, int] = Counter(name for ended in outcomes for name in ended.requests)
    made = []
    for task, ended in zip(tasks, outcomes, strict=True):
        alone = ended.requests[0] if len(ended.requests) == 1 and requests[ended.requests[0]] == 1 else task.group
        listed = ", ".join(ended.requests) or "no request"
        listed = listed if len(listed) <= MAX_DESCRIPTION else f"{listed[: MAX_DESCRIPTION - 1]}…"
        made.append(msgspec.structs.replace(task, group=alone, description=f"{task.group}: {listed}"))
    return made
