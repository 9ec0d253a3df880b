"""Servers of a run: started once, asked whether they are still there, and said to be missing where they cannot run."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.bench.serving import NO_NETWORK, gone, served
from harness.bench.session import RunPlan, RunSession
from harness.bench.steps import Silent
from harness.discovery import load
from harness.errors import NotMeasurableError
from harness.results.run import RunSettings, ScenarioResult, ScenarioStatus
from harness.scenario import Server, Setting

TOYS = Path(__file__).parents[2] / "toys"
DISTANT = load(TOYS / "distant.py")
ADDING = load(TOYS / "adding.py")


def results(tmp_path: Path, engines: list[str], rtts_ms: list[float]) -> list[ScenarioResult]:
    """Run both toys without timing anything."""
    settings = RunSettings(engines, "tiny", 0, rtts_ms, quick=True, processes=0, budget_s=0.1)
    return RunSession(RunPlan([ADDING, DISTANT], settings, tmp_path / "run", "test", memory=False), Silent()).run().scenarios


def setting(tmp_path: Path, engine: str = "sqlite", rtt_ms: float = 0.0) -> Setting:
    """Return a setting in a folder of the test's own."""
    return Setting(tmp_path, tmp_path, engine, rtt_ms=rtt_ms)


def test_a_setting_gets_its_servers_for_as_long_as_the_stack_is_open(tmp_path: Path) -> None:
    """They answer until the stack is closed, and are gone after it."""
    with ExitStack() as stack:
        found = served(DISTANT.scenario, setting(tmp_path), stack)
        assert gone(found.servers) is None
    assert gone(found.servers) == f"the echo server at 127.0.0.1:{found.servers['echo'].direct_url.rpartition(':')[2]} is gone"


@pytest.mark.parametrize(("engine", "rtt_ms", "reason"), [("oracle", 0.0, "it is for sqlite"), ("sqlite", 5.0, NO_NETWORK)])
def test_what_makes_no_sense_is_refused_with_the_reason(tmp_path: Path, engine: str, rtt_ms: float, reason: str) -> None:
    """Another engine than the scenario's, and a distance where nothing is on a network."""
    with ExitStack() as stack, pytest.raises(NotMeasurableError, match=reason):
        served(ADDING.scenario, setting(tmp_path, engine, rtt_ms), stack)


def test_an_address_without_a_port_is_not_said_to_be_gone() -> None:
    """A server on a socket file cannot be asked, so nothing is claimed about it."""
    assert gone({"redis": Server("unix:///run/redis.sock", "unix:///run/redis.sock")}) is None


def test_a_server_that_only_the_detour_has_lost_is_gone() -> None:
    """The far address counts as well: that is where the instances connect."""
    with socket.create_server(("127.0.0.1", 0)) as near:
        free = socket.create_server(("127.0.0.1", 0))
        far = free.getsockname()[1]
        free.close()
        lost = gone({"redis": Server(f"redis://127.0.0.1:{near.getsockname()[1]}", f"redis://127.0.0.1:{far}")})
    assert lost == f"the redis server at 127.0.0.1:{far} is gone"


@pytest.mark.slow
def test_what_cannot_run_is_null_with_its_reason_and_the_rest_is_kept(tmp_path: Path) -> None:
    """Every combination has a result: run, null with a reason, or failed with one line and an exit code."""
    found = {(r.name, r.engine, r.rtt_ms): r for r in results(tmp_path, ["sqlite", "missing", "dead"], [0.0, 5.0])}
    assert len(found) == 12
    assert found["distant", "sqlite", 0.0].status == found["adding", "sqlite", 0.0].status == "ok"
    null = found["distant", "missing", 0.0]
    assert (null.status, null.error, null.exit_code) == (ScenarioStatus.NOT_RUN, "there is no echo for this machine", 0)
    assert [(v.verdict, v.sentence) for v in null.verdicts] == [("not measurable here", "there is no echo for this machine")]
    failed = found["distant", "dead", 0.0]
    assert (failed.status, failed.exit_code) == ("failed", 2)
    assert failed.error == "no echo answers at 127.0.0.1:1; start it, or name another"
    assert found["adding", "sqlite", 5.0].error == NO_NETWORK
    assert found["adding", "dead", 0.0].error == "it is for sqlite"


@pytest.mark.slow
def test_a_server_that_dies_in_mid_run_is_named_and_other_results_are_kept(tmp_path: Path) -> None:
    """The scenario fails with the address that went away; the scenario beside it has its result."""
    settings = RunSettings(["mortal", "sqlite"], "tiny", 0, [0.0], quick=True, processes=0, budget_s=0.1)
    run = RunSession(RunPlan([ADDING, DISTANT], settings, tmp_path / "run", "test", memory=False), Silent()).run()
    found = {(r.name, r.engine): r for r in run.scenarios}
    lost = found["distant", "mortal"]
    assert lost.status == "failed"
    assert lost.error is not None
    assert lost.error.startswith("the echo server at 127.0.0.1:")
    assert "is gone, in mid-run" in lost.error
    assert "\n" not in lost.error
    assert found["adding", "sqlite"].status == "ok"


@pytest.mark.slow
def test_a_second_distance_takes_over_what_the_first_prepared(tmp_path: Path) -> None:
    """Digest and engine settings stand at every distance, and answers are verified at each."""
    found = [r for r in results(tmp_path, ["sqlite"], [0.0, 5.0]) if r.name == "distant"]
    assert [(r.rtt_ms, r.status, r.verified_cases) for r in found] == [(0.0, "ok", 1), (5.0, "ok", 1)]
    assert found[0].dataset == found[1].dataset
