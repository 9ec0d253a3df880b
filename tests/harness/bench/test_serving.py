"""Tests of a run's servers: started once, checked after a failure, and reported with the reason if they cannot run."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.bench.serving import NO_NETWORK, served
from harness.bench.session import RunPlan, RunSession
from harness.bench.steps import Silent
from harness.discovery import load
from harness.errors import NotMeasurableError, ScenarioFailedError
from harness.results.run import RunSettings, ScenarioResult, ScenarioStatus
from harness.runnable import RunnableScenario, runnable
from harness.scenario import Server, Setting
from harness.servers.health import ServerWatch
from harness.services import HttpScenario

TOYS = Path(__file__).parents[2] / "toys"
DISTANT = load(TOYS / "distant.py")
ADDING = load(TOYS / "adding.py")


def results(tmp_path: Path, engines: list[str], rtts_ms: list[float]) -> list[ScenarioResult]:
    """Run both toys without timing anything."""
    settings = RunSettings(engines, "tiny", 0, rtts_ms, quick=True, processes=0, budget_s=100.0)
    return RunSession(RunPlan([ADDING, DISTANT], settings, tmp_path / "run", "test", memory=False), Silent()).run().scenarios


def setting(tmp_path: Path, engine: str = "sqlite", rtt_ms: float = 0.0) -> Setting:
    """Return a setting in a temporary folder."""
    return Setting(tmp_path, tmp_path, engine, rtt_ms=rtt_ms)


def test_servers_run_until_the_stack_is_closed(tmp_path: Path) -> None:
    """They accept connections before and not after it."""
    with ExitStack() as stack:
        found = served(DISTANT.scenario, setting(tmp_path), stack)
        assert ServerWatch(found.servers).fault() is None
    assert (
        ServerWatch(found.servers).fault()
        == f"the echo server at 127.0.0.1:{found.servers['echo'].direct_url.rpartition(':')[2]} stopped"
    )


@pytest.mark.parametrize(("engine", "rtt_ms", "reason"), [("oracle", 0.0, "it supports sqlite only"), ("sqlite", 5.0, NO_NETWORK)])
def test_an_unsupported_setting_is_refused_with_the_reason(tmp_path: Path, engine: str, rtt_ms: float, reason: str) -> None:
    """Another engine than the scenario's, and network latency without a server."""
    with ExitStack() as stack, pytest.raises(NotMeasurableError, match=reason):
        served(ADDING.scenario, setting(tmp_path, engine, rtt_ms), stack)


def test_a_scenario_that_adds_the_latency_itself_needs_no_server(tmp_path: Path) -> None:
    """Its instances start their services, as those of an `HttpScenario` do."""
    kind: Any = type("Two", (HttpScenario,), {"services": {"baseline": "a:b", "optimised": "c:d"}})
    with ExitStack() as stack:
        assert served(runnable(kind()), setting(tmp_path, "", 5.0), stack).servers == {}


def test_an_address_without_a_port_counts_as_reachable() -> None:
    """A server on a socket file is not checked."""
    assert ServerWatch({"redis": Server("unix:///run/redis.sock", "unix:///run/redis.sock")}).fault() is None


def test_a_server_is_unreachable_if_only_its_proxy_is() -> None:
    """The address behind the latency proxy is checked as well: that is the one the instances connect to."""
    with socket.create_server(("127.0.0.1", 0)) as near:
        free = socket.create_server(("127.0.0.1", 0))
        far = free.getsockname()[1]
        free.close()
        echo = Server(f"echo://127.0.0.1:{near.getsockname()[1]}", f"echo://127.0.0.1:{far}")
        fault = ServerWatch({"echo": echo}).fault()
    assert fault == f"the echo server at 127.0.0.1:{far} stopped"


@pytest.mark.slow
def test_scenarios_that_cannot_run_have_a_reason_and_the_others_a_result(tmp_path: Path) -> None:
    """Every combination has a result: run, not run with a reason, or failed with one line and an exit code."""
    found = {(r.name, r.engine, r.rtt_ms): r for r in results(tmp_path, ["sqlite", "missing", "dead"], [0.0, 5.0])}
    assert len(found) == 12
    assert found["distant", "sqlite", 0.0].status == found["adding", "sqlite", 0.0].status == "ok"
    not_run = found["distant", "missing", 0.0]
    assert (not_run.status, not_run.error, not_run.exit_code) == (ScenarioStatus.NOT_RUN, "there is no echo for this machine", 0)
    assert [(v.verdict, v.sentence) for v in not_run.verdicts] == [("not measured", "there is no echo for this machine")]
    failed = found["distant", "dead", 0.0]
    assert (failed.status, failed.exit_code) == ("failed", 2)
    assert failed.error == "no echo answers at 127.0.0.1:1; start it, or name another"
    assert found["adding", "sqlite", 5.0].error == NO_NETWORK
    assert found["adding", "dead", 0.0].error == "it supports sqlite only"


@pytest.mark.slow
def test_a_server_that_stops_during_the_run_is_named_and_other_results_are_kept(tmp_path: Path) -> None:
    """The scenario fails with the server's address, and the other scenario has its result."""
    settings = RunSettings(["mortal", "sqlite"], "tiny", 0, [0.0], quick=True, processes=0, budget_s=100.0)
    run = RunSession(RunPlan([ADDING, DISTANT], settings, tmp_path / "run", "test", memory=False), Silent()).run()
    found = {(r.name, r.engine): r for r in run.scenarios}
    failure = found["distant", "mortal"]
    assert failure.status == "failed"
    assert failure.error is not None
    assert failure.error.startswith("the echo server at 127.0.0.1:")
    assert " stopped, while comparing answers (" in failure.error
    assert "\n" not in failure.error
    assert found["adding", "sqlite"].status == "ok"


@pytest.mark.slow
def test_a_higher_rtt_uses_the_data_prepared_at_the_lowest(tmp_path: Path) -> None:
    """Digest and engine settings are recorded at every RTT, and answers are verified at each."""
    found = [r for r in results(tmp_path, ["sqlite"], [0.0, 5.0]) if r.name == "distant"]
    assert [(r.rtt_ms, r.status, r.verified_cases) for r in found] == [(0.0, "ok", 1), (5.0, "ok", 1)]
    assert found[0].dataset == found[1].dataset


def with_servers(servers: Callable[[Setting], AbstractContextManager[dict[str, Server]]]) -> RunnableScenario:
    """Return the toy with other servers."""
    scenario = load(TOYS / "adding.py").scenario
    scenario.servers = servers  # type: ignore[method-assign, assignment]
    return scenario


def test_an_error_of_the_servers_is_the_scenarios(tmp_path: Path) -> None:
    """Whatever they raise at their start fails the scenario with its line, and not the command."""

    @contextmanager
    def servers(setting: Setting) -> Iterator[dict[str, Server]]:
        raise FileNotFoundError("no such binary")
        yield {}

    with ExitStack() as stack, pytest.raises(ScenarioFailedError, match="FileNotFoundError: no such binary"):
        served(with_servers(servers), setting(tmp_path), stack)


def test_servers_that_hang_at_their_end_have_a_deadline_also_after_an_error(tmp_path: Path) -> None:
    """An interrupt must not wait for ever."""

    @contextmanager
    def servers(setting: Setting) -> Iterator[dict[str, Server]]:
        try:
            yield {}
        finally:
            time.sleep(600)

    def interrupted() -> None:
        with ExitStack() as stack:
            served(with_servers(servers), setting(tmp_path), stack, timeout_s=0.05)
            raise KeyboardInterrupt

    with pytest.raises(ScenarioFailedError, match=r"stopping its servers did not finish within 0\.5 s"):
        interrupted()
