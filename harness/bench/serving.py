"""The servers that a run's instances connect to: started once by the coordinator, and checked after a failure."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from harness.errors import NotMeasurableError, ScenarioFailedError
from harness.network.addresses import refuse_remote
from harness.runtime.channel import LONG
from harness.runtime.child import JobFailed
from harness.runtime.deadline import deadline
from harness.runtime.watch import OPERATION_TIMEOUT_S, RAISE_TIMEOUT
from harness.scenario import Scenario, Server, Setting
from harness.servers.health import ServerWatch
from harness.user_code import UNDONE, user_code

NO_NETWORK = "it connects to no server, so there is no network latency to add"
"""The reason why a scenario without a server is not run at an RTT above 0."""


def served(scenario: Scenario[object], setting: Setting, stack: ExitStack, timeout_s: float = OPERATION_TIMEOUT_S) -> Setting:
    """Start the servers that a scenario's instances connect to, until the stack is closed; return the setting with them.

    Starting and stopping them may each take LONG times the timeout of one operation, `timeout_s`.

    Raises:
        NotMeasurableError: the scenario does not support this engine or RTT, or a server cannot run here.
        HarnessError: a server that should run does not, or one is on another machine, which is not permitted.
    """
    if setting.engine and setting.engine not in scenario.engines:
        raise NotMeasurableError(f"it supports {', '.join(scenario.engines)} only")
    servers = dict(stack.enter_context(_in_time(scenario, setting, LONG * timeout_s)))
    for server in servers.values():
        refuse_remote(server.direct_url)
    if setting.rtt_ms and not servers and not scenario.adds_latency:
        raise NotMeasurableError(NO_NETWORK)
    return replace(setting, servers=servers)


@contextmanager
def _in_time(scenario: Scenario[object], setting: Setting, timeout_s: float) -> Iterator[Mapping[str, Server]]:
    author = getattr(scenario, "written", scenario)
    with ExitStack() as stack:
        with user_code(author), deadline(timeout_s, "starting its servers", ScenarioFailedError):
            started = stack.enter_context(scenario.servers(setting))
        try:
            yield started
        finally:
            with user_code(author), deadline(timeout_s, "stopping its servers", ScenarioFailedError):
                stack.close()


def blamed(failed: JobFailed, watch: ServerWatch) -> JobFailed:
    """Return a failure with the server that is its cause, and while what it happened; itself if all servers serve."""
    fault = watch.fault()
    if fault is None:
        return failed
    during = f", while {failed.during}" if failed.during else ""
    found = failed.message.removesuffix(RAISE_TIMEOUT).removesuffix(f"; {UNDONE}")
    return JobFailed(f"{fault}{during} ({found}); run this scenario again", detail=failed.detail, during=failed.during)
