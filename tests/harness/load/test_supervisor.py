"""Tests of a supervisor with a real load worker: it follows orders, reports its blocks, and exits."""

import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.discovery import load
from harness.errors import ScenarioFailedError, UsageError
from harness.load.environment import LoadEnvironment, load_environment
from harness.load.protocol import LoadJob
from harness.load.supervisor import Supervisor
from harness.results.load import LoadModel
from harness.results.run import RunSettings
from harness.runtime.child import Child, python_module

TOYS = Path(__file__).parents[2] / "toys"
TOY_TEXT = (TOYS / "adding.py").read_text(encoding="utf-8")
SETTINGS = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=False, processes=1, budget_s=1.0)
pytestmark = pytest.mark.slow


@pytest.fixture
def environment() -> Iterator[LoadEnvironment]:
    """Yield the toy's data."""
    with load_environment([load(TOYS / "adding.py")], SETTINGS) as found:
        yield found


def supervisor(environment: LoadEnvironment, **how: Any) -> Supervisor:
    """Return a worker of short blocks, started."""
    usual: dict[str, Any] = {"block_s": 0.1, "arrivals": "100", "drain_s": 1.0, **how}
    found = Supervisor(LoadJob([str(TOYS / "adding.py")], environment.settings(0), **usual))
    found.start()
    return found


def test_a_worker_takes_its_cycles_and_ends_by_itself(environment: LoadEnvironment) -> None:
    """Two blocks of each arm, and facts about the process; nothing is left of it."""
    worker = supervisor(environment, cycles=2)
    worker.load()
    while worker.running:
        worker.wait()
    found, _ = worker.received()
    worker.close()
    assert sorted(b.arm for b in found) == sorted(["baseline", "proposed", "optimised"] * 2)
    assert all(sum(g.planned for g in b.groups.values()) == 10 for b in found)
    assert worker.failed is None
    assert "event loop" in worker.facts
    assert environment.scenarios["adding"].dataset["digest"] == "numbers-0"


def test_a_worker_on_request_runs_one_block_per_order(environment: LoadEnvironment) -> None:
    """The block has the arm and the load of the order."""
    worker = supervisor(environment, on_request=True)
    try:
        rate = worker.run_block("proposed", rate_factor=2.0)
        users = worker.run_block("baseline", users=2)
    finally:
        worker.close()
    assert (rate.arm, rate.users, sum(g.planned for g in rate.groups.values())) == ("proposed", 0, 20)
    assert (users.arm, users.users) == ("baseline", 2)


def test_stopping_lets_the_block_end(environment: LoadEnvironment) -> None:
    """An endless worker exits, and reports what it had measured."""
    worker = supervisor(environment, model=LoadModel.CLOSED, block_s=600.0)
    worker.load(users=2)
    time.sleep(0.3)
    worker.stop()
    (block,), _ = worker.received()
    worker.close()
    assert not worker.running
    assert 0 < block.measured_ns < 600e9
    assert worker.failed is None


def test_a_killed_worker_is_named_with_its_signal(environment: LoadEnvironment) -> None:
    """The supervisor records it, and a request for a block raises it."""
    worker = supervisor(environment, on_request=True)
    assert worker._child is not None
    worker._child.process.send_signal(signal.SIGKILL)
    with pytest.raises(ScenarioFailedError, match=r"load worker exited unexpectedly during the run \(SIGKILL\)"):
        worker.run_block("baseline", users=1)
    worker.close()
    assert "SIGKILL" in str(worker.failed)


def test_a_worker_that_cannot_start_reports_the_reason(environment: LoadEnvironment, tmp_path: Path) -> None:
    """The error is its message, not a traceback."""
    wrong = tmp_path / "adding.py"
    wrong.write_text(TOY_TEXT.replace("return sum(list(range(case.args)))", "return 13"))
    worker = Supervisor(LoadJob([str(wrong)], environment.settings(0), block_s=0.1))
    with pytest.raises(ScenarioFailedError, match="adding: proposed gives another answer"):
        worker.start()
    assert not worker.running


def test_a_usage_error_keeps_its_exit_code(environment: LoadEnvironment, tmp_path: Path) -> None:
    """A scenario that cannot be used as requested is a usage error, while data are built and while the worker starts."""
    refusal = 'raise UsageError("no numbers; name a file")'
    imported = TOY_TEXT.replace("from harness.scenario", "from harness.errors import UsageError\nfrom harness.scenario")
    data, opening = tmp_path / "data.py", tmp_path / "opening.py"
    data.write_text(imported.replace("        return Prepared(", f"        {refusal}\n        return Prepared("))
    with pytest.raises(UsageError, match="data: no numbers; name a file"), load_environment([load(data)], SETTINGS):
        pass
    opening.write_text(imported.replace("        yield {", f"        {refusal}\n        yield {{"))
    with pytest.raises(UsageError, match="no numbers; name a file"):
        Supervisor(LoadJob([str(opening)], environment.settings(0), block_s=0.1)).start()


def test_a_worker_without_a_supervisor_exits_without_output(environment: LoadEnvironment) -> None:
    """Neither its reports nor an error of its own become a traceback on a terminal."""
    job = LoadJob([str(TOYS / "adding.py")], environment.settings(0), block_s=0.1)
    with Child(python_module("harness.load.worker"), msgspec.json.Decoder(), exit_timeout_s=30.0) as child:
        child.send(job)
        child.end()
        assert (child.exit_description(), child.output()) == ("exit code 0", "")


def test_each_worker_has_separate_streams(environment: LoadEnvironment) -> None:
    """No two of them run the same cases."""
    assert [environment.settings(index)[0].stream for index in (0, 1, 2)] == [0, 1000, 2000]


def test_a_scenario_that_does_not_run_here_is_refused() -> None:
    """The message has the reason and the choices; its folder is removed."""
    with pytest.raises(UsageError, match=r"distant does not run here: there is no echo for this machine; choose"):
        load_environment([load(TOYS / "distant.py")], replace(SETTINGS, engines=["missing"])).__enter__()
