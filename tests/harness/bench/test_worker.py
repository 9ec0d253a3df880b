"""Tests of the worker's deadlines: whatever hangs in it is ended and named, and what it leaves running is ended as well."""

import textwrap
from pathlib import Path

import msgspec
import pytest

from harness.bench.instance import cases_of
from harness.bench.job import BenchJob, Effort, Figures, JobDone, PairTimes, Task
from harness.bench.process import LeftRunning, run_job
from harness.discovery import load
from harness.errors import ScenarioFailedError
from harness.runtime.child import JobFailed
from harness.runtime.watch import Lasting
from harness.scenario import Setting

TIMEOUT_S = 2.0
"""Of one operation: a healthy one takes microseconds, a process that waits for a core on a busy machine tenths of this."""
SCENARIO = '''\
"""Answer."""

import asyncio, ctypes, itertools, os, signal, threading, time
from contextlib import asynccontextmanager

from harness import Case, Group, Scenario

IMPORT
class Answering(Scenario):
    """Answer."""

    arms = {"baseline": "answers", "optimised": "does as the test says"}
    groups = [Group("g", "does it answer?")]

    def prepare(self, setting):
        PREPARE

    def cases(self, setting):
        return [Case("g", "n 0", 0)]

    @asynccontextmanager
    async def open(self, arm, setting):
        OPEN
        yield arm
        CLOSE

    async def run(self, instance, case):
        if instance == "optimised":
            RUN  # the line
        return case.args

    async def reset(self, instance, case, answer):
        RESET
'''


def job(tmp_path: Path, /, task: Task = Task.TRY, **bodies: str) -> BenchJob:
    """Return a job for a scenario with these bodies."""
    text = SCENARIO
    for name in ("IMPORT", "PREPARE", "OPEN", "CLOSE", "RUN", "RESET"):
        text = text.replace(name, textwrap.dedent(bodies.get(name, "pass")))
    file = tmp_path / "mine" / "answering.py"
    file.parent.mkdir()
    file.write_text(text)
    return BenchJob(task, file, Setting(tmp_path, tmp_path), timeout_s=TIMEOUT_S)


def line_of(file: Path, part: str) -> int:
    """Return the number of the line with this text."""
    return next(number for number, line in enumerate(file.read_text().splitlines(), 1) if part in line)


def outcome(job: BenchJob) -> JobFailed:
    """Return the failure with which a job ends."""
    *_, last = run_job(job)
    assert isinstance(last, JobFailed)
    return last


@pytest.mark.parametrize(
    "body",
    [
        "await asyncio.Event().wait()",
        "lock = threading.Lock(); lock.acquire(); lock.acquire()",
        "await asyncio.to_thread(time.sleep, 1e6)",
        "[None for _ in iter(int, 1)]",
        "sum(itertools.repeat(0))",
        "ctypes.PyDLL(None).pause()",
    ],
    ids=["task", "lock", "thread", "loop in Python", "loop in C", "call that keeps the interpreter"],
)
def test_an_operation_that_hangs_is_named_with_its_line(tmp_path: Path, body: str) -> None:
    """Whatever waits, the failure has the arm, the case, the phase and the line in the scenario's file."""
    hanging = job(tmp_path, RUN=body)
    message = outcome(hanging).message
    assert message.startswith("optimised did not finish case 'n 0' within 2 s (comparing answers)")
    assert f", at answering.py:{line_of(hanging.file, '# the line')};" in message


def test_a_stopped_worker_is_ended(tmp_path: Path) -> None:
    """A process that gets no processor does not answer questions either."""
    message = outcome(job(tmp_path, RUN="os.kill(os.getpid(), signal.SIGSTOP)")).message
    assert message.startswith("optimised did not finish case 'n 0' within 2 s (comparing answers), as its process is stopped")


@pytest.mark.parametrize(("part", "phase"), [("CLOSE", "closing"), ("RESET", "comparing answers")])
def test_other_code_of_the_scenario_has_the_deadline_too(tmp_path: Path, part: str, phase: str) -> None:
    """Resetting what was written and closing an instance may hang as well."""
    hang = "await asyncio.Event().wait()"
    hanging = job(tmp_path, CLOSE=hang) if part == "CLOSE" else job(tmp_path, RESET=hang)
    message = outcome(hanging).message
    assert f"did not finish {'case' if part == 'RESET' else 'within'}" in message
    assert f"({phase}), at answering.py:{line_of(hanging.file, 'await asyncio.Event')}" in message


def test_what_takes_many_operations_has_more_time(tmp_path: Path) -> None:
    """Building the data has ten times the timeout, and its parent sees how long it has been at it."""
    slow = msgspec.structs.replace(job(tmp_path, PREPARE="time.sleep(1e6)"), timeout_s=0.4)
    before: list[Lasting] = []
    *_, last = run_job(slow, before.append)
    assert isinstance(last, JobFailed)
    assert last.message.startswith("preparing the data did not finish within 4 s, at answering.py:")
    seen = before[-1].progress()
    assert seen.startswith("preparing the data · ")
    assert seen.endswith(" s without an answer (timeout 4 s)")


def test_cases_without_an_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator that never ends must not fill the memory until its deadline."""
    endless = job(tmp_path)
    endless.file.write_text(
        endless.file.read_text().replace('[Case("g", "n 0", 0)]', '(Case("g", str(n), n) for n in itertools.count())')
    )
    monkeypatch.setattr("harness.runnable.MAX_CASES", 1000)
    with pytest.raises(ScenarioFailedError, match="returns more than 1,000 cases"):
        cases_of(load(endless.file).scenario, endless)


def test_a_failure_does_not_wait_for_the_instances_to_close(tmp_path: Path) -> None:
    """The reason is that of the operation, although closing never ends, as that of a connection to a stopped server."""
    failing = job(tmp_path, RUN="raise OSError('the server stopped')", CLOSE="await asyncio.Event().wait()")
    body = failing.file.read_text().replace("        yield arm\n", "        try:\n            yield arm\n        finally:\n    ")
    failing.file.write_text(body)
    message = outcome(msgspec.structs.replace(failing, exit_s=0.1)).message
    assert "OSError: the server stopped" in message


@pytest.mark.parametrize(
    ("part", "where"),
    [
        ("IMPORT", "answering.py, line {line},"),
        ("PREPARE", "prepare() raised at {file}, line {line}"),
        ("OPEN", "baseline raised in open() at {file}, line {line}"),
        ("RUN", "optimised raised in case 'n 0' at {file}, line {line}"),
        ("RESET", "baseline raised in reset() of case 'n 0' at {file}, line {line}"),
        ("CLOSE", "optimised raised in open() at {file}, line {line}"),
    ],
)
@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("sys.exit(0)", "SystemExit: 0"),
        ("os._exit(0)", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise type('Odd', (BaseException,), {})('odd')", "Odd: odd"),
        ("raise asyncio.CancelledError", "CancelledError"),
    ],
    ids=["exit", "exit at once", "interrupt", "no exception", "cancelled"],
)
def test_what_is_no_exception_is_named_as_one_is(tmp_path: Path, part: str, where: str, body: str, error: str) -> None:
    """Wherever a scenario exits, or raises what `except Exception` does not catch: the arm, the case, the line and the reason."""
    failing = job(tmp_path, Task.TRY, **{part: body})
    failing.file.write_text(failing.file.read_text().replace("import asyncio, ctypes", "import sys, asyncio, ctypes"))
    message = outcome(failing).message
    line = line_of(failing.file, body)
    assert where.format(file=failing.file, line=line) in message
    assert error in message


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "SIGTERM"),
        ("ctypes.CDLL(None)._exit(0)", "exit code 0"),
        ("ctypes.string_at(0)", "SIGSEGV"),
    ],
)
def test_the_end_of_a_process_is_named_with_what_it_did(tmp_path: Path, body: str, how: str) -> None:
    """The activity is known, though the process could say nothing; a crash has the line as well."""
    crashing = job(tmp_path, RUN=body)
    message = outcome(crashing).message
    assert message.startswith(f"worker exited unexpectedly ({how}) while comparing answers · optimised · 'n 0'")
    assert (f" at answering.py:{line_of(crashing.file, '# the line')}" in message) == (how == "SIGSEGV")


@pytest.mark.parametrize("part", ["IMPORT", "PREPARE", "OPEN", "RUN"])
def test_a_forked_process_that_goes_on_fails_the_scenario(tmp_path: Path, part: str) -> None:
    """It would do the work of its parent a second time; the line at which it was forked is named."""
    forking = job(tmp_path, Task.TRY, **{part: "os.fork()"})
    message = outcome(forking).message
    assert f"answering.py, line {line_of(forking.file, 'os.fork()')} (" in message
    assert "a process that is forked there goes on with the work of its parent" in message


@pytest.mark.parametrize("part", ["OPEN", "RUN", "CLOSE"])
def test_closed_descriptors_fail_the_scenario(tmp_path: Path, part: str) -> None:
    """The channel is among them, and what the process did is named without it."""
    message = outcome(job(tmp_path, Task.TRY, **{part: "os.closerange(3, 256)"})).message
    assert message.startswith("worker exited unexpectedly (")
    assert f" while {'comparing answers · optimised' if part == 'RUN' else ''}" in message


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})", "Mute"),
        ("raise type('Mute', (Exception,), {'__str__': lambda self: os._exit(0)})", "Mute"),
        (r"raise ValueError('half \ud800 pair')", "ValueError: half"),
        ("raise ValueError('long ' * 1_000_000)", "ValueError: long long"),
        ("error = ValueError('own'); error.__cause__ = error; raise error", "ValueError: own"),
        ("raise StopIteration", "StopIteration"),
    ],
    ids=["text that raises", "text that exits", "half a character", "long text", "its own cause", "end of an iteration"],
)
def test_an_odd_error_is_named_in_a_line(tmp_path: Path, body: str, error: str) -> None:
    """Whatever its text is, or does."""
    message = outcome(job(tmp_path, RUN=body)).message
    assert error in message
    assert len(message) < 1000
    assert "\n" not in message


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("threading.Thread(target=time.sleep, args=(1e6,), name='poller').start()", "thread 'poller'"),
        ("asyncio.get_running_loop().run_in_executor(None, time.sleep, 1e6)", "thread 'asyncio_0'"),
        ("os.fork() or time.sleep(1e6)", "a forked process"),
        ("__import__('subprocess').Popen(['sleep', '1000'])", "process 'sleep 1000'"),
    ],
    ids=["thread", "executor", "fork", "process"],
)
def test_what_a_scenario_leaves_running_is_ended_and_named(tmp_path: Path, body: str, name: str) -> None:
    """The results are kept: the job is done, and its parent receives the names of what was still running."""
    leaving = msgspec.structs.replace(job(tmp_path, OPEN=body), exit_s=TIMEOUT_S)
    *_, left, last = run_job(leaving)
    assert isinstance(last, JobDone)
    assert isinstance(left, LeftRunning)
    assert name in left.names


def test_a_task_that_refuses_to_be_cancelled_is_ended(tmp_path: Path) -> None:
    """The event loop waits for it at its end, which is after the outcome."""
    body = """async def stubborn():
            while True:
                try:
                    await asyncio.sleep(1000)
                except BaseException:
                    pass
        self.task = asyncio.create_task(stubborn())"""
    leaving = msgspec.structs.replace(job(tmp_path, OPEN="pass"), exit_s=TIMEOUT_S)
    leaving.file.write_text(leaving.file.read_text().replace("        pass\n        yield", f"        {body}\n        yield"))
    *_, left, last = run_job(leaving)
    assert isinstance(last, JobDone)
    assert left == LeftRunning([f"its own exit at answering.py:{line_of(leaving.file, 'await asyncio.sleep(1000)')}"])


def test_a_clock_that_stands_still_fails_the_scenario(tmp_path: Path) -> None:
    """Neither a time of zero nor an endless wait for the budget comes out of it."""
    frozen = job(tmp_path, Task.PAIRS, OPEN="time.perf_counter_ns = lambda: 42")
    found = list(run_job(msgspec.structs.replace(frozen, budget_ns=1_000_000_000, effort=Effort())))
    assert not any(isinstance(event, PairTimes) for event in found)
    assert isinstance(found[-1], JobFailed)
    assert found[-1].message.startswith("the clock of the worker, time.perf_counter_ns, stands still")


CASES = Path(__file__).parents[2] / "cases" / "scenarios"


def test_args_that_cannot_be_pickled_are_named(tmp_path: Path) -> None:
    """With the case, the line and the next step, before anything runs."""
    failed = outcome(BenchJob(Task.TRY, CASES / "lambda_case.py", Setting(tmp_path, tmp_path)))
    assert "case 'n 0': its args cannot be pickled (a lambda at line 16); pass plain data and build the function in run()" in (
        failed.message
    )


@pytest.mark.slow
def test_memory_that_an_arm_moves_to_a_child_counts(tmp_path: Path) -> None:
    """Both arms add the same 300 MB, wherever they are."""
    added = {}
    for arm in ("baseline", "optimised"):
        measuring = BenchJob(Task.MEMORY, CASES / "memory_of_children.py", Setting(tmp_path, tmp_path), arm=arm, groups=("g",))
        (figures,) = [event for event in run_job(measuring) if isinstance(event, Figures)]
        (memory,) = figures.memory
        assert memory.error is None
        added[arm] = memory.added_bytes
    assert min(added.values()) > 250e6
    assert added["optimised"] > 0.8 * added["baseline"]
