"""Scenarios as Locust users. Only this package imports Locust; it needs the extra `locust`.

Importing Locust patches the process, and a patched process is a different program from the one to measure. So nothing is measured
here: Locust provides the command line, the web UI and the distribution, and each of its local or worker processes supervises one
unpatched load worker (`harness.load`), sends it the number of users and receives every block's histograms.
"""

from typing import Any

from harness.errors import missing_extra

try:
    from locust import events
except ModuleNotFoundError as error:
    raise missing_extra("locust", "locust", "a locustfile of scenarios") from error
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from harness.locust_adapter.request import add_options, users
from harness.locust_adapter.roles import Alone, Master, Reporter, Worker
from harness.locust_adapter.statistics import install

__all__ = ["users"]

install()
events.init_command_line_parser.add_listener(add_options)


@events.init.add_listener
def _ready(environment: Environment, **_: Any) -> None:
    runner = environment.runner
    kind = Master if isinstance(runner, MasterRunner) else Worker if isinstance(runner, WorkerRunner) else Alone
    role: Alone | Master | Worker = kind(environment)
    environment.events.test_start.add_listener(lambda **_: role.start())
    environment.events.test_stop.add_listener(lambda **_: role.stop())
    # Locust calls these in reverse order: added after its runner's own, this one has a worker report before the runner disconnects.
    environment.events.quitting.add_listener(lambda **_: role.stop())
    if isinstance(role, Reporter):
        environment.events.quitting.add_listener(lambda **_: role.quitting())
    role.ready()
