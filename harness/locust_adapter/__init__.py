"""Scenarios as Locust users. Only this package imports Locust; it needs the extra `locust`.

Importing Locust patches the process, and a patched process is a different program from the one to measure. So nothing is measured
here: Locust provides the command line, the web UI and the distribution, and each of its local or worker processes supervises one
unpatched load worker (`harness.load`), sends it the number of users and receives every block's histograms.

Locust's events are forwarded to this process's role. Locust calls listeners in the order in which they were added.
"""

from typing import Any

import msgspec

from harness.errors import missing_extra

try:
    from locust import events
except ModuleNotFoundError as error:
    raise missing_extra("locust", "locust", "a locustfile of scenarios") from error
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from harness.locust_adapter.request import add_options, users
from harness.locust_adapter.roles import Alone, FromWorker, Master, Role, Worker
from harness.locust_adapter.statistics import install

__all__ = ["users"]

REPORT_KEY = "harness"
"""The key of the harness's data in a worker's report."""

_role: list[Role] = []
"""This process's role, once Locust is ready."""

install()


@events.init_command_line_parser.add_listener
def _options(parser: Any) -> None:
    add_options(parser)


@events.init.add_listener
def _ready(environment: Environment, **_: Any) -> None:
    runner = environment.runner
    kind = Master if isinstance(runner, MasterRunner) else Worker if isinstance(runner, WorkerRunner) else Alone
    _role[:] = [kind(environment)]
    # Locust calls these in reverse order: added after its runner's own, this one has a worker report before the runner disconnects.
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
            data[REPORT_KEY] = role.report()


@events.worker_report.add_listener
def _receive(client_id: str, data: dict[str, Any], **_: Any) -> None:
    for role in _role:
        if isinstance(role, Master) and REPORT_KEY in data:
            role.receive(client_id, msgspec.convert(data[REPORT_KEY], FromWorker))
