"""Scenarios as Locust users, with the extra `locust`. This package and the program `harness.targets.locust_users` import Locust.

Importing Locust patches the process, and a patched process is a different program from the one to measure. So nothing is measured
here: Locust provides the command line, the web UI and the distribution, and each of its local or worker processes supervises one
unpatched load worker (`harness.load`), sends it the number of users and receives every block's histograms.
"""

import shlex
import sys
from collections.abc import Callable
from typing import Any

from harness.errors import INTERNAL_ERROR, bug_report, missing_extra

try:
    from locust import events
except ModuleNotFoundError as error:
    raise missing_extra("locust", "locust", "a locustfile of scenarios") from error
import gevent
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from harness.locust_adapter.console import configure
from harness.locust_adapter.interrupts import to_this_greenlet
from harness.locust_adapter.request import add_options, are_scenarios, users
from harness.locust_adapter.roles import Alone, Master, Reporter, Worker
from harness.locust_adapter.statistics import install
from harness.runtime import leftovers
from harness.runtime.signals import end_when_asked

__all__ = ["users"]

install()
if "locust.main" in sys.modules:  # this process is Locust's
    end_when_asked()  # until there is something to keep
    leftovers.mark_all()
events.init_command_line_parser.add_listener(add_options)


@events.init.add_listener
def _ready(environment: Environment, **_: Any) -> None:
    runner, main = environment.runner, gevent.getcurrent()

    def heed(**_: Any) -> None:
        to_this_greenlet(once=isinstance(runner, WorkerRunner), greenlet=main, is_ending=lambda: role.is_ending)

    kind = Master if isinstance(runner, MasterRunner) else Worker if isinstance(runner, WorkerRunner) else Alone
    role: Alone | Master | Worker = kind(environment)
    if isinstance(runner, MasterRunner):
        heed()  # while it waits for its workers, which it then tells to stop

    def guarded(act: Callable[[], None]) -> Callable[..., None]:
        """Return a listener; Locust would end with 1, or go on, after an exception of it."""

        def listener(**_: Any) -> None:
            try:
                act()
            except Exception as error:  # noqa: BLE001 - every bug ends with its own exit code
                role.give_up(bug_report(error, shlex.join(sys.argv)), INTERNAL_ERROR)

        return listener

    def stop() -> None:
        role.is_ending = True
        try:
            role.stop()
        finally:
            role.is_ending = environment.web_ui is None and not isinstance(runner, WorkerRunner)  # else there may be another run

    environment.events.test_start.add_listener(guarded(role.start))
    environment.events.test_stop.add_listener(guarded(stop))
    # Locust calls these in reverse order: added after its runner's own, this one has a worker report before the runner disconnects.
    environment.events.quitting.add_listener(guarded(stop))
    if isinstance(role, Reporter):
        environment.events.quitting.add_listener(guarded(role.quitting))
        environment.events.quit.add_listener(guarded(role.print_last))
        configure(role.options, alone=are_scenarios(environment.user_classes))
    guarded(role.ready)()
    if environment.process_exit_code == INTERNAL_ERROR:
        sys.exit(INTERNAL_ERROR)
    gevent.spawn(heed)  # once Locust waits for the end of the run; it has set its own handler of SIGTERM by then
