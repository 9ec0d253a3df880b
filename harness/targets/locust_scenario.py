"""A locustfile as a scenario: an operation is a task of one of its users, from its intended start to its end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

from harness.errors import NotMeasurableError
from harness.load import sampler
from harness.scenario import Case, Group, Scenario, Server, Setting
from harness.targets.http_scenario import DRAWN, server_pid
from harness.targets.locust_messages import TaskEnded, UsersJob
from harness.targets.locust_process import LocustUsers
from harness.targets.plan import LocustPlan

ENGINE = "locust"
"""The engine of locustfiles, for the record."""
PORTS = {"http": 80, "https": 443}
"""Scheme → its port."""
USERS = 20
"""Users that start before the load; further ones start when these are busy."""


class LocustTarget(Scenario[LocustUsers]):
    """The users of a plan."""

    engines = (ENGINE,)
    arms: Mapping[str, str]  # type: ignore[misc]  # of the plan, not of the class
    groups: Sequence[Group]  # type: ignore[misc]  # as above

    def __init__(self, plan: LocustPlan) -> None:
        """Take arms and groups from the plan."""
        self.plan = plan
        self.arms = plan.urls
        descriptions: dict[str, str] = {}
        for task in plan.tasks:
            descriptions.setdefault(task.group, task.description)
        self.groups = [Group(name, description, memory=False) for name, description in descriptions.items()]

    @contextmanager
    def servers(self, setting: Setting) -> Iterator[Mapping[str, Server]]:
        """Start nothing; refuse network latency, because users connect by themselves."""
        if setting.rtt_ms:
            raise NotMeasurableError("users of a locustfile connect by themselves, without network latency")
        yield {}

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return tasks, drawn by the weights of users and tasks."""
        tasks = self.plan.tasks
        drawn = random.Random(f"{setting.seed}/{setting.stream}/tasks")  # noqa: S311 - it has to be reproducible
        chosen = drawn.choices(tasks, [task.weight for task in tasks], k=DRAWN)
        return [Case(task.group, f"{task.user}, {task.description}", (task.user, task.index)) for task in chosen]

    def load_cases(self, setting: Setting) -> Sequence[Case]:
        """Return the cases in their order: groups have the shares of the plan, not equal ones."""
        return self.cases(setting)

    @asynccontextmanager
    async def open(self, arm: str, setting: Setting) -> AsyncIterator[LocustUsers]:
        """Yield the users, of whom some have started."""
        users = LocustUsers(users_job(self.plan, arm, setting.seed, USERS))
        try:
            await asyncio.to_thread(users.start)
            host = urlsplit(self.plan.hosts[arm])
            users.server = server_pid(host.hostname, host.port or PORTS[host.scheme]) if host.hostname else 0
            yield users
        finally:
            await asyncio.to_thread(users.close)

    async def run(self, instance: LocustUsers, case: Case) -> TaskEnded:
        """Have a user run the task, and wait for its end."""
        return await instance.run(*case.args)

    def targets(self, instance: LocustUsers) -> Mapping[str, int]:
        """Return the users' process and the server's, 0 if that is not known."""
        return {sampler.USERS: instance.pid, "server": instance.server}


def users_job(plan: LocustPlan, arm: str, seed: int, number: int) -> UsersJob:
    """Return the job of an arm's users: `number` of them, distributed by the weights of their classes, at least one of each."""
    weights: dict[str, float] = {}
    for task in plan.tasks:
        weights[task.user] = weights.get(task.user, 0.0) + task.weight
    total = sum(weights.values())
    users = {name: max(1, round(number * weight / total)) for name, weight in weights.items()}
    return UsersJob(plan.file, plan.arms[arm], users, seed=seed)
