"""Tests of a supervisor with a real load worker: it follows orders, reports its blocks, and exits."""

import re
import signal
import threading
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
from harness.load.protocol import LoadJob, StepStarted, WorkerReady
from harness.load.supervisor import Supervisor
from harness.results.load import LoadModel
from harness.results.run import RunSettings
from harness.runtime.child import Child, python_module
from harness.runtime.clock import FakeClock
from harness.scenario import Setting

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


def test_a_file_that_was_changed_since_the_start_is_refused(environment: LoadEnvironment) -> None:
    """Its load would be shown under the name of another version."""
    with pytest.raises(ScenarioFailedError, match="was changed during the run"):
        supervisor(environment, digests=["of another version"])
    supervisor(environment, digests=[load(TOYS / "adding.py").digest]).close()


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
    with pytest.raises(ScenarioFailedError, match=r"load worker exited unexpectedly during .* \(SIGKILL\)"):
        worker.run_block("baseline", users=1)
    worker.close()
    assert "SIGKILL" in str(worker.failed)


@pytest.mark.parametrize("code", [0, 3])
def test_a_worker_that_exits_within_a_block_has_failed(environment: LoadEnvironment, tmp_path: Path, code: int) -> None:
    """An operation that ends the process is a crash, whatever the exit code; the message has the step."""
    leaving = tmp_path / "adding.py"
    leaves = f"        if len(RAN) > 20:\n            posix._exit({code})\n        RAN.append(1)\n        await asyncio.sleep(0)"
    text = TOY_TEXT.replace("import asyncio\n", "import asyncio\nimport posix\n").replace(
        "        await asyncio.sleep(0)", leaves, 1
    )
    leaving.write_text(f"{text}\n\nRAN = []\n")
    worker = Supervisor(LoadJob([str(leaving)], environment.settings(0), block_s=0.5, arrivals="100", cycles=1))
    worker.start()
    worker.load()
    while worker.running:
        worker.wait()
    worker.close()
    assert re.fullmatch(rf"load worker exited unexpectedly during \w+ under load \(exit code {code}\)", str(worker.failed))


HANGS = {
    "verification": ("async def run(self, instance: dict[str, Any], case: Case) -> int:", "await asyncio.Event().wait()"),
    "loop": ("async def run(self, instance: dict[str, Any], case: Case) -> int:", "while True:\n            pass"),
    "open": ("async def open(self, arm: str, setting: Setting) -> AsyncIterator[dict[str, Any]]:", "time.sleep(600)"),
}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("verification", r"adding: baseline raised in case 'sum 20000': TimeoutError: no answer within 1 s in group 'sum'"),
        (
            "loop",
            r"baseline, case 'sum 20000' of group 'sum' blocks the event loop \(adding.py, line \d+\): no answer within 1 s",
        ),
        ("open", r"baseline: open\(\) blocks the event loop \(adding.py, line \d+\): no answer within 10 s"),
    ],
)
def test_a_scenario_that_hangs_before_any_load_is_named(
    environment: LoadEnvironment, tmp_path: Path, place: str, message: str
) -> None:
    """The worker ends by itself; the message has arm, case, line and timeout."""
    hanging, (where, code) = tmp_path / "adding.py", HANGS[place]
    text = TOY_TEXT.replace("import asyncio\n", "import asyncio\nimport time\n")
    hanging.write_text(text.replace(where, f"{where}\n        {code}", 1))
    worker = Supervisor(LoadJob([str(hanging)], environment.settings(0), block_s=0.1, timeout_s=1.0))
    with pytest.raises(ScenarioFailedError, match=message):
        worker.start()
    assert not worker.running


class SilentChild:
    """A child process that sends what a test wants, then nothing until it is ended."""

    def __init__(self, *reports: object) -> None:
        """Keep the reports."""
        self.reports, self.ended = list(reports), threading.Event()
        self.process = self

    def send(self, _message: object) -> bool:
        """Accept everything."""
        return True

    def receive(self, timeout_s: float | None = None) -> object | None:
        """Return the next report; then wait until the process has ended."""
        if self.reports:
            return self.reports.pop(0)
        if timeout_s is not None:
            raise TimeoutError
        self.ended.wait(60)
        return None

    def wait(self, _timeout_s: float | None = None) -> int:
        """Return the exit code of a killed process."""
        return -9

    def end(self) -> None:
        """End it."""
        self.ended.set()

    def close(self) -> None:
        """Release nothing."""

    def exit_description(self) -> str:
        """Return its signal."""
        return "SIGKILL"

    def poll(self) -> int:
        """Return the exit code."""
        return -9

    def stopped(self) -> str:
        """Return that it only waits."""
        return ""


def fake(monkeypatch: pytest.MonkeyPatch, *reports: object) -> tuple[Supervisor, SilentChild, FakeClock]:
    """Return a supervisor of a silent child, with a fake clock."""
    child, clock = SilentChild(*reports), FakeClock()
    monkeypatch.setattr("harness.load.supervisor.Child", lambda *_, **__: child)
    return Supervisor(LoadJob([], [Setting(Path(), Path())], block_s=0.1, timeout_s=60.0), clock), child, clock


def test_a_worker_that_does_not_get_ready_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step that it began is named, also if its process lets no other thread run."""
    worker, child, _ = fake(monkeypatch, StepStarted("optimised, case 'a' of group 'g'", "optimised", 60.0))
    with pytest.raises(ScenarioFailedError, match="optimised, case 'a' of group 'g' did not end within 60 s"):
        worker.start()
    assert child.ended.is_set()


def test_a_step_that_does_not_end_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a fake clock: within its timeout it is waited for; then the arm is named and the worker ended."""
    step = StepStarted("optimised under load", "optimised", 100.0)
    worker, child, clock = fake(monkeypatch, WorkerReady({}, []), step)
    worker.start()
    deadline = time.monotonic() + 60
    while worker._step is None and time.monotonic() < deadline:
        worker.wait()
    clock.advance(100_000_000_000)
    worker.check()
    assert not child.ended.is_set()
    clock.advance(10_000_000_000)
    worker.check()
    worker.close()
    assert child.ended.is_set()
    assert worker.failed == "optimised under load did not end within 100 s, so the load worker was ended; see --timeout"
    assert worker.hung_arm == "optimised"


def test_a_worker_that_waits_for_an_order_has_no_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two blocks it may wait for any time."""
    worker, child, clock = fake(monkeypatch, WorkerReady({}, []))
    worker.start()
    clock.advance(10**15)
    worker.check()
    assert not child.ended.is_set()
    worker.close()
    assert worker.failed is None


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


ENDINGS = {
    "forks": (
        "os.fork()",
        r"adding.py, line \d+ \(\w+ under load\): a process that is forked there goes on with the work of its parent",
    ),
    "descriptors": (
        "os.closerange(3, 256)",
        r"the connection to the load worker was closed|exited unexpectedly during \w+ under load",
    ),
    "clock": ("time.perf_counter_ns = lambda: 5", r"\w+ under load: the clock of the worker, time.perf_counter_ns, stands still"),
    "tasks": ("[task.cancel() for task in asyncio.all_tasks()]", r"\w+ (raised|under load).*CancelledError"),
    "loop": ("asyncio.get_running_loop().stop()", r"\w+ (raised|under load).*RuntimeError"),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_an_operation_that_breaks_its_process_under_load_is_named(environment: LoadEnvironment, tmp_path: Path, how: str) -> None:
    """The load worker ends, with the arm and the cause; the answers before any load were good."""
    breaking, (code, message) = tmp_path / "adding.py", ENDINGS[how]
    text = TOY_TEXT.replace("import asyncio\n", "import asyncio\nimport os\nimport time\n")
    breaks = f"        RAN.append(1)\n        if len(RAN) == 30:\n            {code}\n        await asyncio.sleep(0)"
    breaking.write_text(f"{text.replace('        await asyncio.sleep(0)', breaks, 1)}\n\nRAN = []\n")
    job = LoadJob([str(breaking)], environment.settings(0), block_s=1.0, arrivals="100", drain_s=1.0, cycles=1, timeout_s=5.0)
    worker = Supervisor(job)
    worker.start()
    worker.load()
    while worker.running:
        worker.wait()
    worker.close()
    assert re.search(message, str(worker.failed))
    assert worker.hung_arm in {"baseline", "proposed", "optimised"}


CLOSINGS = {
    "exits": ("sys.exit(0)", r"baseline|proposed|optimised", "SystemExit"),
    "hangs": ("await asyncio.Event().wait()", r"adding: \w+: closing its instance did not end within 1 s; see --timeout", ""),
}


@pytest.mark.parametrize("how", CLOSINGS)
def test_an_instance_that_does_not_close_is_named(environment: LoadEnvironment, tmp_path: Path, how: str) -> None:
    """All blocks were measured; the end of the worker is a failure with the arm."""
    closing, (code, message, error) = tmp_path / "adding.py", CLOSINGS[how]
    text = TOY_TEXT.replace("import asyncio\n", "import asyncio\nimport sys\n")
    (yields,) = re.findall(r"        yield \{.*", text)
    closing.write_text(text.replace(yields, f"{yields}\n        {code}"))
    worker = Supervisor(
        LoadJob([str(closing)], environment.settings(0), block_s=0.1, arrivals="100", drain_s=1.0, cycles=1, timeout_s=1.0)
    )
    worker.start()
    worker.load()
    while worker.running:
        worker.wait()
    blocks, _ = worker.received()
    worker.close()
    assert len(blocks) == 3
    assert re.search(message, str(worker.failed))
    assert error in str(worker.failed)


def test_threads_and_processes_that_stay_are_named(environment: LoadEnvironment, tmp_path: Path) -> None:
    """The worker has done its job, and ends; its supervisor has their names."""
    staying = tmp_path / "adding.py"
    text = TOY_TEXT.replace("import asyncio\n", "import asyncio\nimport subprocess\nimport threading\n")
    (yields,) = re.findall(r"        yield \{.*", text)
    stays = (
        "        threading.Thread(target=threading.Event().wait, name='stays').start()\n        subprocess.Popen(['sleep', '600'])"
    )
    staying.write_text(text.replace(yields, f"{stays}\n{yields}"))
    worker = Supervisor(LoadJob([str(staying)], environment.settings(0), block_s=0.1, arrivals="100", drain_s=1.0, cycles=1))
    worker.start()
    worker.load()
    while worker.running:
        worker.wait()
    worker.close()
    assert worker.failed is None
    assert {"thread 'stays'", "process 'sleep 600'"} <= set(worker.left)
