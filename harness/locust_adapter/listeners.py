"""Locust's events, each passed on to this process's role. Locust calls listeners in the order in which they were added."""

from __future__ import annotations

from typing import Any

import msgspec
from locust import events
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from harness.locust_adapter.master import Master
from harness.locust_adapter.roles import Alone, Role
from harness.locust_adapter.wish import add_options
from harness.locust_adapter.worker import FromWorker, Worker

REPORTED = "harness"
"""The name under which a worker's report holds what we add to it."""

_role: list[Role] = []
"""This process's role, once Locust is ready."""


@events.init_command_line_parser.add_listener
def _options(parser: Any) -> None:
    add_options(parser)


@events.init.add_listener
def _ready(environment: Environment, **_: Any) -> None:
    runner = environment.runner
    kind = Master if isinstance(runner, MasterRunner) else Worker if isinstance(runner, WorkerRunner) else Alone
    _role[:] = [kind(environment)]
    # Locust calls these backwards: added after its runner's own, ours has a worker report before the runner takes its leave.
    environment.events.quitting.add_listener(_quitting)
    _role[0].ready()


@events.test_start.add_listener
def _start(**_: Any) -> None:
    for role in _role:
        role.start()


@events.test_stop.add_listener
def _stop(**_: Any) -> None:
    for role in _role:
        role.stop()


def _quitting(**_: Any) -> None:
    for role in _role:
        role.quitting()


@events.report_to_master.add_listener
def _report(data: dict[str, Any], **_: Any) -> None:
    for role in _role:
        if isinstance(role, Worker):
            data[REPORTED] = role.report()


@events.worker_report.add_listener
def _hear(client_id: str, data: dict[str, Any], **_: Any) -> None:
    for role in _role:
        if isinstance(role, Master) and REPORTED in data:
            role.hear(client_id, msgspec.convert(data[REPORTED], FromWorker))
