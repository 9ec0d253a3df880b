"""Tests of a run: the effort for each scenario, the jobs of a scenario run, and which trials are timed in parallel."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from harness.bench import result as module
from harness.bench import session as session_module
from harness.bench import under_load
from harness.bench.job import SLOWED, AnswersVerified, BenchJob, Figures, JobDone, PairTimes, SlotTimes, Task
from harness.bench.process import Event, LeftRunning
from harness.bench.result import LIMITED_S, LIMITED_TIMES, NO_TIME, NOTICED_S, ScenarioRun
from harness.bench.session import QUICK, SEVERAL, USUAL, RunPlan, RunSession, effort, ready_together
from harness.bench.steps import Silent
from harness.discovery import LoadedScenario, load
from harness.results.load import ALL
from harness.results.profile import RunPhase
from harness.results.run import Memory, RunSettings, RunWarning, ScenarioStatus
from harness.results.store import read_run
from harness.results.warning_names import WarningName
from harness.runtime.child import JobFailed
from harness.runtime.cores import Cores, Isolation
from harness.runtime.watch import Activity, Lasting
from harness.scenario import Group, LoadTest, Server, Setting
from harness.verdicts.measures import growth
from harness.verdicts.promise import Promise, at_most

TOYS, CASES = Path(__file__).parents[2] / "toys", Path(__file__).parents[2] / "cases" / "scenarios"
SERVERS = {"echo": Server("echo://127.0.0.1:1", "echo://127.0.0.1:2")}
ONE = RunSettings(engines=["sqlite"], size="small", seed=0, rtts_ms=[0.0], quick=False, processes=5, budget_s=100.0)
SEVERAL_RTTS = RunSettings(["sqlite"], "tiny", 0, [0.0, 5.0], quick=False, processes=1, budget_s=1.0)


def trial(tmp_path: Path, rtt_ms: float = 0.0) -> ScenarioRun:
    """Return a run of the toy scenario."""
    return ScenarioRun(load(TOYS / "adding.py"), Setting(tmp_path, tmp_path, rtt_ms=rtt_ms))


def test_several_engines_or_rtts_get_less_each() -> None:
    """Several engines, several RTTs, or both get the smaller effort, also in a quick run."""
    assert effort(ONE) is USUAL
    assert effort(replace(ONE, quick=True)) is QUICK
    assert effort(replace(ONE, rtts_ms=[0.0, 5.0])) is SEVERAL
    assert effort(replace(ONE, engines=["sqlite", "turso"], quick=True)) is SEVERAL


@pytest.mark.parametrize(
    ("rtt_ms", "busy", "isolation"),
    [(0.0, False, Isolation.MACHINE), (5.0, False, Isolation.CORE), (5.0, True, Isolation.MACHINE)],
)
def test_only_trials_that_leave_a_core_idle_are_timed_in_parallel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rtt_ms: float, isolation: Isolation, *, busy: bool
) -> None:
    """A server without latency needs a core; one with latency does not, unless the scenario declares itself busy."""
    loaded = load(TOYS / "distant.py")
    monkeypatch.setattr(loaded.scenario, "busy", busy)
    plan = RunPlan([loaded], SEVERAL_RTTS, tmp_path, "harness run distant")
    session = RunSession(plan, Silent(), Cores(0, 1, (0, 1)))
    trial = ScenarioRun(loaded, Setting(tmp_path, tmp_path, rtt_ms=rtt_ms, servers=SERVERS))
    assert session._isolation(trial) is isolation


def test_a_job_excludes_what_was_found_not_to_run_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that was planned before the answers were compared excludes what the comparison shows."""
    jobs: list[BenchJob] = []

    def run_job(job: BenchJob, *_: object) -> list[Event]:
        jobs.append(job)
        return [JobDone()]

    monkeypatch.setattr(module, "run_job", run_job)
    found = trial(tmp_path)
    session = RunSession(RunPlan([found.loaded], ONE, tmp_path / "run", "harness run adding"), Silent(), Cores(None, None))
    found.plan_pairs(USUAL, 5, with_slow=True, quick=False)
    session.schedule.trials[found.key] = found.timing
    step = session._opening_step(found, 2)
    found.add(AnswersVerified(1, [("proposed", "sum", "it raises")]))
    step.act()
    assert [(job.process, job.excluded) for job in jobs] == [(2, (("proposed", "sum"),))]


def test_what_hangs_fails_and_the_others_go_on(tmp_path: Path) -> None:
    """The scenario with an arm that never answers fails, with arm, case and line; the other one is measured."""
    hanging, adding = load(CASES / "hang_arm.py"), load(TOYS / "adding.py")
    settings = replace(ONE, size="tiny", quick=True, processes=1, budget_s=100.0)
    plan = RunPlan([hanging, adding], settings, tmp_path / "run", "harness run", memory=False, counting=False, timeout_s=2.0)
    failed, measured = RunSession(plan, Silent()).run().scenarios
    assert failed.status == ScenarioStatus.FAILED
    assert failed.error is not None
    assert failed.error.startswith("optimised did not finish case 'n 0' within 2 s (comparing answers), at hang_arm.py:25;")
    assert failed.exit_code == 1
    assert measured.status == ScenarioStatus.OK
    assert measured.latencies


def test_a_run_puts_all_arms_under_the_declared_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every arm completes the same load, whose figures are in the result beside those of pairs; a quick run leaves it out."""
    loaded = load(TOYS / "adding.py")
    monkeypatch.setattr(loaded.scenario, "load_test", LoadTest(100, seconds=1.2))
    monkeypatch.setattr(under_load, "WARM_UP_S", 0.0)
    settings = replace(ONE, size="tiny", quick=False, processes=1, budget_s=100.0)
    plan = RunPlan([loaded], settings, tmp_path / "run", "harness run", memory=False, counting=False)
    (result,) = RunSession(plan, Silent()).run().scenarios
    assert result.latencies
    assert result.load is not None
    assert result.load.error_tolerance > 0
    planned = {row.arm: row.operations for row in result.load.arms if row.group == ALL}
    assert set(planned) == {"baseline", "proposed", "optimised"}
    assert len(set(planned.values())) == 1
    assert not result.load.lost_workers
    preview = replace(plan, settings=replace(settings, quick=True), out=tmp_path / "preview")
    (quick,) = RunSession(preview, Silent()).run().scenarios
    assert quick.load is None
    assert "and this run gives it 0 s; try `harness load adding" in quick.load_left_out
    without = replace(plan, load=False, out=tmp_path / "without")
    assert RunSession(without, Silent()).run().scenarios[0].load is None


def test_work_is_counted_in_two_fresh_processes(tmp_path: Path) -> None:
    """A count that repeats within each process, and not between them, is marked, and those of other arms are not."""
    file, toy = tmp_path / "adding.py", (TOYS / "adding.py").read_text()
    by_process = toy.replace("import asyncio\n", "import asyncio\nimport os\n").replace("+= 1 if", "+= os.getpid() if")
    file.write_text(by_process)
    settings = replace(ONE, size="tiny", quick=True, processes=0, budget_s=60.0)
    plan = RunPlan([load(file)], settings, tmp_path / "run", "harness run", memory=False)
    (found,) = RunSession(plan, Silent()).run().scenarios
    assert {count.arm: count.repeats_exactly for count in found.work_counts if count.metric == "steps"} == {
        "baseline": True,
        "proposed": True,
        "optimised": False,
    }


def test_what_was_left_running_is_a_warning_and_the_next_processes_get_less_time(tmp_path: Path) -> None:
    """The names of all processes together make one warning; waiting as long for each further process would only take time."""
    found = trial(tmp_path)
    usual = found.job(Task.PAIRS)
    for names in (["thread 'poller'"], ["thread 'poller'", "process 'sleep 9'"]):
        found.add(LeftRunning(names))
    [warning] = [warning for warning in found.result().warnings if warning.name == "left running"]
    assert warning.message.endswith("was ended: thread 'poller', process 'sleep 9'")
    assert found.job(Task.PAIRS).exit_s < usual.exit_s


def test_servers_that_do_not_stop_cost_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a scenario's servers raise when they are stopped becomes a warning of the run."""

    @contextmanager
    def servers(setting: Setting) -> Iterator[dict[str, Server]]:
        yield {}
        raise RuntimeError("it does not stop")

    loaded = load(TOYS / "adding.py")
    monkeypatch.setattr(loaded.scenario, "servers", servers)
    settings = replace(ONE, size="tiny", quick=True, processes=1, budget_s=100.0)
    plan = RunPlan([loaded], settings, tmp_path / "run", "harness run", memory=False, counting=False)
    run = RunSession(plan, Silent()).run()
    assert run.scenarios[0].latencies
    (warning,) = [warning for warning in run.warnings if warning.name == "servers"]
    assert warning.message.endswith("RuntimeError: it does not stop")


def test_the_timeout_under_a_limit_grows_with_the_time_without_one(tmp_path: Path) -> None:
    """A slow operation gets a multiple of its time under a limit, and one that was not measured gets the minimum."""
    found = trial(tmp_path)

    def limited() -> BenchJob:
        return found.job(Task.MEMORY, arm="baseline", groups=("sum",), limit_bytes=1_000_000)

    assert limited().timeout_s == LIMITED_S
    found.add(Figures(memory=[Memory("baseline", "sum", 0, 1, 7.0, [])]))
    found.add(Figures(memory=[Memory("proposed", "sum", 0, 1, 70.0, [])]))
    assert limited().timeout_s == LIMITED_S + 7 * LIMITED_TIMES
    assert limited().limit_bytes == 1_000_000


def test_the_quickest_group_is_measured_first(tmp_path: Path) -> None:
    """What a large operation leaves in the process would be part of a small one's memory, so times of the baseline decide.

    They are those of comparing answers, which comes before, until pairs were timed.
    """
    found = trial(tmp_path)
    found.add(AnswersVerified(2, [], {"baseline": {"sum": 0.9, "other": 0.5}, "optimised": {"sum": 0.1, "other": 0.5}}))
    assert found.job(Task.MEMORY, arm="optimised", groups=("sum", "other")).groups == ("other", "sum")
    for group, nanoseconds in (("sum", 5), ("other", 900)):
        found.add(PairTimes(group, "case", [SlotTimes("baseline", [nanoseconds]), SlotTimes("optimised", [1000 - nanoseconds])]))
    assert found.job(Task.MEMORY, arm="optimised", groups=("other", "sum")).groups == ("sum", "other")


def memory_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded: LoadedScenario, **setting: object) -> list[BenchJob]:
    """Return the jobs that measure a scenario's memory, and check that each arm has a first one for all measured groups."""
    jobs: list[BenchJob] = []

    def run_job(job: BenchJob, *_: object) -> list[Event]:
        jobs.append(job)
        return [JobDone()]

    monkeypatch.setattr(module, "run_job", run_job)
    monkeypatch.setattr(module, "ServerWatch", lambda _: Broken(None))  # of servers that need not run
    session = RunSession(RunPlan([loaded], ONE, tmp_path / "run", "harness run"), Silent(), Cores(None, None))
    found = ScenarioRun(loaded, replace(Setting(tmp_path, tmp_path), **setting))  # type: ignore[arg-type]
    steps = list(session._memory_steps(found))
    for step in steps:
        step.act()
    measured = {group.name for group in loaded.scenario.groups if group.memory}
    assert {job.arm for job in jobs if set(job.groups) == measured} == set(loaded.scenario.arms)
    assert len({step.chain for step in steps}) == (1 if setting.get("servers") else len(steps))
    return jobs


@pytest.mark.parametrize("servers", [{}, SERVERS])
def test_one_process_per_arm_serves_all_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, servers: dict[str, Server]) -> None:
    """Without slow groups, growth and limits there is no further one; with servers, which they share, none run in parallel."""
    jobs = memory_jobs(tmp_path, monkeypatch, load(TOYS / "adding.py"), servers=servers)
    assert [(job.task, job.arm, job.groups, job.setting.scale) for job in jobs] == [
        (Task.MEMORY, arm, ("sum",), 1.0) for arm in ("baseline", "proposed", "optimised")
    ]


def test_growth_and_limits_of_memory_have_processes_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow group gets another process for its range; shares of the data are measured where a promise rests on them."""
    groups = [
        Group("sum", "all", slow=True, growth=(0.5,)),
        Group("part", "some", growth=(0.25,)),
        Group("without", "more", memory=False),
    ]
    promises = [Promise("X", "constant memory", at_most(0.2, "exponent"), growth("peak_memory", "sum"))]
    loaded = load(TOYS / "adding.py")
    for name, value in (("groups", groups), ("promises", promises), ("memory_limits_bytes", lambda _: {"sum": 1000})):
        monkeypatch.setattr(loaded.scenario, name, value)
    jobs = [job for job in memory_jobs(tmp_path, monkeypatch, loaded) if job.arm == "baseline"]
    assert sorted((job.setting.scale, job.limit_bytes or 0, job.groups) for job in jobs) == [
        (0.5, 0, ("sum",)),
        (1.0, 0, ("sum",)),
        (1.0, 0, ("sum", "part")),
        (1.0, 1000, ("sum",)),
    ]


def test_a_process_that_fails_costs_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups that it has not measured get its error, of which the scenario has failed; a warning names the arm."""
    measured = Memory("baseline", "sum", 10, 20, 0.1, [])
    monkeypatch.setattr(module, "run_job", lambda *_: [Figures(memory=[measured]), JobFailed("worker exited (signal 9)")])
    found = trial(tmp_path)
    found.carry_out(found.job(Task.MEMORY, arm="baseline", groups=("sum", "other")), Silent())
    result = found.result()
    error = "the process that measured it failed: worker exited (signal 9)"
    assert [(row.group, row.error) for row in result.memory] == [("sum", None), ("other", error)]
    assert (result.status, result.exit_code, result.error) == ("failed", 1, f"while memory was measured: {error}")
    (warning,) = [warning for warning in result.warnings if warning.name == "memory"]
    assert warning.message == f"that of baseline in other was not measured: {error}"


class Broken:
    """Stands in for the watch over servers: all is well at first, and later one has ended or is stopped."""

    def __init__(self, later: str | None, first: str | None = None) -> None:
        self.later, self.next = later, [first]

    def fault(self, *, contact: bool = True) -> str | None:
        """Return what is wrong, first of all nothing."""
        return self.next.pop() if self.next else self.later

    def ended(self) -> str | None:
        """Return what is wrong if a server has ended."""
        return self.later if "ended" in (self.later or "") else None

    def stopped(self) -> str | None:
        """Return what is wrong if a server is stopped."""
        return self.later if "stopped" in (self.later or "") else None


def with_broken_server(monkeypatch: pytest.MonkeyPatch, messages: list[Event], watch: Broken) -> list[BenchJob]:
    """Let jobs send these messages while a server breaks; return the jobs, as they are carried out."""
    jobs: list[BenchJob] = []

    def run_job(job: BenchJob, *_: object) -> Iterator[Event]:
        jobs.append(job)
        yield from messages

    monkeypatch.setattr(module, "ServerWatch", lambda _: watch)
    monkeypatch.setattr(module, "run_job", run_job)
    return jobs


RAISED = "baseline raised: ConnectionError: lost"
MEASURED = Figures(memory=[Memory("baseline", "sum", 0, 0, 0.0, [], error=RAISED)])


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (Task.EXAMINE, JobFailed(f"{RAISED}", during="comparing answers")),
        (Task.EXAMINE, JobFailed(f"{RAISED}; raise --timeout if it may take longer", 2, during="comparing answers")),
        (Task.EXAMINE, AnswersVerified(1, [("proposed", "sum", "ConnectionError: lost")])),
        (Task.MEMORY, JobFailed(RAISED, during="measuring memory")),
        (Task.MEMORY, MEASURED),
    ],
    ids=["failure", "timeout", "as written", "memory", "memory of a group"],
)
def test_a_failure_names_the_server_that_is_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: Task, message: Event
) -> None:
    """Whatever an operation raised then is neither a finding about an arm nor a figure, and more time would not help."""
    with_broken_server(monkeypatch, [message], Broken("Toy ended: SIGKILL"))
    found = trial(tmp_path)
    found.carry_out(found.job(task, arm="baseline", groups=("sum",)), Silent())
    result = found.result()
    assert (result.status, result.exit_code) == ("failed", 1)
    phase = "measuring memory" if task is Task.MEMORY else "comparing answers"
    assert (result.error or "").startswith(f"Toy ended: SIGKILL, while {phase} (")
    assert (result.error or "").endswith("ConnectionError: lost); run this scenario again")


def test_what_an_arm_raises_stays_its_own_while_the_servers_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An arm that cannot run as written is a finding, and a failure has its own message."""
    messages: list[Event] = [AnswersVerified(1, [("proposed", "sum", "ConnectionError: lost")]), JobFailed("no")]
    with_broken_server(monkeypatch, messages, Broken(None))
    found = trial(tmp_path)
    found.carry_out(found.job(Task.EXAMINE), Silent())
    assert found.result().error == "no"
    assert found.excluded == (("proposed", "sum"),)


def test_no_process_starts_without_a_server_that_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario after the one in which a server ended has the reason at once, instead of a timeout."""
    jobs = with_broken_server(monkeypatch, [JobDone()], Broken("", first="Toy is stopped (SIGSTOP)"))
    found = trial(tmp_path)
    found.carry_out(found.job(Task.EXAMINE), Silent())
    assert found.result().error == "not measured: Toy is stopped (SIGSTOP); run this scenario again"
    assert jobs == []


@pytest.mark.parametrize(
    ("fault", "seconds", "is_over"),
    [
        ("Toy ended: SIGKILL", NOTICED_S - 1, False),
        ("Toy ended: SIGKILL", NOTICED_S, True),
        ("Toy is stopped (SIGSTOP)", 59.0, False),
        ("Toy is stopped (SIGSTOP)", 60.0, True),
        (None, 599.0, False),
    ],
)
def test_an_activity_does_not_wait_for_a_server_that_will_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str | None, seconds: float, is_over: bool
) -> None:
    """One that has ended answers nothing more; one that is stopped has the time of an operation, whatever the activity has."""
    over = []

    def run_job(_: BenchJob, waiting: Callable[[Lasting], bool], *__: object) -> Iterator[Event]:
        over.append(waiting(Lasting(Activity(1, "preparing the data", times=10), seconds, 600.0)))
        yield JobDone()

    monkeypatch.setattr(module, "ServerWatch", lambda _: Broken(fault))
    monkeypatch.setattr(module, "run_job", run_job)
    found = trial(tmp_path)
    found.carry_out(found.job(Task.PREPARE), Silent())
    assert over == [is_over]


def test_every_arm_and_group_has_memory_or_a_reason(tmp_path: Path) -> None:
    """Those that cannot run, or are skipped, have the reason; those whose operation fails have the error; the rest have figures.

    The scenario has failed, since what ran while answers were compared did not then.
    """
    settings = replace(ONE, size="tiny", quick=True, processes=1, budget_s=100.0)
    plan = RunPlan([load(CASES / "memory_of_groups.py")], settings, tmp_path / "run", "harness run", counting=False)
    (result,) = RunSession(plan, Silent()).run().scenarios
    assert result.status == ScenarioStatus.FAILED
    assert (result.error or "").startswith("while memory was measured: baseline raised in case")
    found = {(row.arm, row.group): row for row in result.memory}
    assert set(found) == {(arm.name, group) for arm in result.arms for group in result.groups}
    assert found["optimised", "skipped"].not_measured == "it has none"
    assert found["optimised", "as_written"].not_measured is not None
    failing = [row for row in result.memory if row.group == "measured_only"]
    assert [row.error is not None for row in failing] == [True, True]
    assert "only when memory is measured" in (failing[0].error or "")
    rest = [row for row in result.memory if row.group != "measured_only" and row.not_measured is None]
    assert len(rest) == 4
    assert all(row.has_figures and row.repetitions > 1 for row in rest)
    assert found["baseline", "large"].added_bytes > 25_000_000
    assert len([warning for warning in result.warnings if warning.name == "memory"]) == 2


def test_samples_of_each_rtt_have_a_separate_file(tmp_path: Path) -> None:
    """No trial overwrites another's samples, and one without samples has no file."""
    assert trial(tmp_path).samples_file is None
    lowest, higher = trial(tmp_path), trial(tmp_path, 5.0)
    for one in (lowest, higher):
        one.slots.append(object())  # type: ignore[arg-type]  # any will do
    assert lowest.samples_file != higher.samples_file


def test_a_warning_that_follows_from_no_figure_is_in_the_result(tmp_path: Path) -> None:
    """It is listed with those that follow from figures."""
    found = trial(tmp_path)
    found.warnings.append(RunWarning("instructions", "could not be counted", "leave it out"))
    assert [warning.name for warning in found.result().warnings] == ["instructions"]


def test_controls_are_not_arms(tmp_path: Path) -> None:
    """Times of a slowed baseline go to the injected slowdowns and other controls to the drifts; neither is among the samples."""
    found = trial(tmp_path)
    found.injected = 0.5
    slots = [SlotTimes("baseline", [100, 100]), SlotTimes("optimised", [50]), SlotTimes(SLOWED, [150, 152])]
    for process in (1, 2):
        for _ in range(8):
            found.add(PairTimes("sum", "sum 20000", slots, {"pure CPU": 1000}), process)
    result = found.result()
    assert {s.arm for s in found.slots} == {"baseline", "optimised"}
    assert [(d.name, d.samples, d.ratio) for d in result.controls.drifts] == [("pure CPU", 16, 1.0)]
    (injected,) = result.controls.injected
    assert (injected.group, injected.share, injected.pairs, injected.found) == ("sum", 0.5, 16, True)
    assert injected.slower == pytest.approx(0.51)


def test_a_budget_that_ends_too_soon_says_what_it_would_need(tmp_path: Path) -> None:
    """Nothing is timed after it; the warning has the number of groups without a median, and a budget that is enough."""
    settings = replace(ONE, size="tiny", quick=True, processes=2, budget_s=1.5)
    plan = RunPlan([load(TOYS / "adding.py")], settings, tmp_path / "run", "harness run")
    run = RunSession(plan, Silent()).run()
    assert run.scenarios[0].latencies == []
    (warning,) = run.warnings
    assert warning.name == WarningName.BUDGET
    assert warning.message.startswith("it ended before 1 of 1 groups had the pairs of a median; about ")
    assert int(warning.message.split("about ")[1].split(" s")[0]) > settings.budget_s
    assert {row.not_measured for row in run.scenarios[0].memory} == {NO_TIME}


def test_the_phases_of_all_processes_are_in_the_result(tmp_path: Path) -> None:
    """Each phase that a run has took some time, and timed operations are told from their resets."""
    settings = replace(ONE, size="tiny", quick=True, processes=1)
    run = RunSession(RunPlan([load(TOYS / "adding.py")], settings, tmp_path / "run", "harness run"), Silent()).run()
    profile = run.scenarios[0].profile
    phases = {
        RunPhase.STARTING,
        RunPhase.PREPARING,
        RunPhase.VERIFICATION,
        RunPhase.COUNTING,
        RunPhase.WARM_UP,
        RunPhase.OPERATIONS,
    }
    assert phases | {RunPhase.RESETS, RunPhase.MEMORY} <= profile.keys()
    assert min(profile.values()) >= 0


class Steps(Silent):
    """An observer that keeps the descriptions of the steps."""

    def __init__(self, note: Callable[[str], None] = lambda _: None) -> None:
        """Call `note` with each."""
        self.found: list[str] = []
        self._note = note

    def step(self, description: str, number: int, total: int, left_s: float) -> None:
        """Keep a step's description."""
        self.found.append(description)
        self._note(description)


def two_toys(tmp_path: Path, processes: int) -> RunPlan:
    """Return the plan of a run of two toys that are timed in this number of processes."""
    files = [tmp_path / name for name in ("adding.py", "summing.py")]
    for file in files:
        file.write_text((TOYS / "adding.py").read_text())
    settings = replace(ONE, size="tiny", quick=True, processes=processes, budget_s=100.0)
    return RunPlan([load(file) for file in files], settings, tmp_path / "run", "harness run", memory=False, counting=False)


def test_processes_get_ready_side_by_side_and_time_one_after_another(tmp_path: Path) -> None:
    """Each round starts the processes of all scenarios before the first of them times pairs; the display shows that once."""
    steps = Steps()
    run = RunSession(two_toys(tmp_path, 2), steps).run()
    assert [result.status for result in run.scenarios] == [ScenarioStatus.OK, ScenarioStatus.OK]
    found = [step.rpartition(" · ")[2] for step in steps.found if " of 2" in step]
    opening, timing = "opening instances side by side, round {} of 2", "timing pairs, process {} of 2"
    assert found == [step.format(n) for n in (1, 2) for step in (opening, timing, timing)]


def test_no_more_processes_are_ready_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit of one, each is started after the one before has timed its pairs."""
    monkeypatch.setattr(session_module, "READY", 1)
    steps = Steps()
    RunSession(two_toys(tmp_path, 1), steps).run()
    assert [step.split(" · ")[-1][:7] for step in steps.found if " of 1" in step] == ["opening", "timing ", "opening", "timing "]


def test_the_budget_is_for_what_can_run(tmp_path: Path) -> None:
    """What does not support an engine or an RTT takes no part of it; without `budget_of` the budget of the settings is kept."""

    def budget_of(trials: int, load_tests: int) -> float:
        asked.append((trials, load_tests))
        return 90.0

    asked: list[tuple[int, int]] = []
    plan = two_toys(tmp_path, 0)
    settings = replace(plan.settings, rtts_ms=[0.0, 5.0])
    run = RunSession(replace(plan, settings=settings, budget_of=budget_of), Steps()).run()
    assert asked == [(2, 0)]
    assert len(run.scenarios) == 4
    assert run.settings.budget_s == 90.0
    assert RunSession(replace(plan, out=tmp_path / "other"), Steps()).run().settings.budget_s == 100.0


def test_processes_on_a_server_do_not_share_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with an embedded engine get ready together, with another server or without; the others one after another."""

    def trial(engine: str, *servers: str) -> ScenarioRun:
        found: Any = SimpleNamespace(setting=SimpleNamespace(engine=engine, servers=dict.fromkeys(servers)))
        return cast("ScenarioRun", found)

    first, second, third = trial("sqlite"), trial("sqlite", "redis"), trial("turso")
    one, other = trial("postgres", "postgres"), trial("postgres", "postgres", "redis")
    monkeypatch.setattr(session_module, "READY", 2)
    assert list(ready_together([one, first, second, other, third])) == [[first, second], [third], [one], [other]]
    assert list(ready_together([])) == []


def test_a_process_that_dies_while_it_waits_for_its_turn_fails_its_scenario_alone(tmp_path: Path) -> None:
    """The failure names its end, and the other scenario is measured."""

    def kill(description: str) -> None:
        if description.startswith("adding") and "timing pairs" in description:
            ready.extend(process for process in psutil.Process().children() if process.pid not in before)
            ready[0].kill()

    ready: list[psutil.Process] = []
    before = {process.pid for process in psutil.Process().children()}
    plan = two_toys(tmp_path, 1)
    failed, measured = sorted(
        RunSession(plan, Steps(kill)).run().scenarios, key=lambda result: result.status != ScenarioStatus.FAILED
    )
    assert len(ready) == 2
    assert failed.error == "worker exited unexpectedly (SIGKILL) while waiting for its turn"
    assert measured.status == ScenarioStatus.OK
    assert measured.latencies


def test_a_process_that_never_gets_its_turn_is_ended(tmp_path: Path) -> None:
    """Where the run ends before, as on Ctrl-C, nothing of it goes on."""

    def interrupt(description: str) -> None:
        if "timing pairs" in description:
            raise KeyboardInterrupt

    before = {process.pid for process in psutil.Process().children()}
    run = RunSession(two_toys(tmp_path, 1), Steps(interrupt)).run()
    assert run.interrupted
    assert {process.pid for process in psutil.Process().children()} <= before


def test_a_run_that_is_stopped_before_it_measures_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request to stop that arrives while the run makes its folders ends it as one that arrives later does."""

    @contextmanager
    def interrupted() -> Iterator[Path]:
        raise KeyboardInterrupt
        yield tmp_path

    monkeypatch.setattr(session_module, "workspace", interrupted)
    plan = two_toys(tmp_path, 1)
    assert RunSession(plan, Silent()).run().interrupted
    assert read_run(plan.out).interrupted


def test_a_scenario_that_fails_as_it_gets_ready_in_a_lane_fails_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where scenarios are timed in parallel, each is started when it is its turn; a start that fails is no error of the run."""
    monkeypatch.setattr(module, "run_job", lambda *_: iter([JobFailed("no room")]))
    found = trial(tmp_path)
    session = RunSession(
        RunPlan([found.loaded], SEVERAL_RTTS, tmp_path / "run", "harness run"), Silent(), Cores(None, None, (0, 1))
    )
    session._trials.append(found)
    found.plan_pairs(SEVERAL, 1, with_slow=True, quick=False)
    session.schedule.trials[found.key] = found.timing
    assert session._isolation(found) is Isolation.CORE
    session._timing_step(found, 1).act()
    assert found.failure is not None
    assert found.failure.message == "no room"


PROBES = """    def probes(self, instance):
        return [Counters(lambda: {"clicks": 3})]

    def cases("""


def test_a_metric_that_no_probe_of_the_scenario_gives_is_refused_before_timing(tmp_path: Path) -> None:
    """The scenario fails as a usage error with the line of the promise and the nearest metric; nothing was timed."""
    member = (TOYS.parent / "cases/scenarios/member.py").read_text().replace("    def cases(", PROBES)
    promise = 'Promise("X9", "less", cut(0.5), fewer("click", "lookup"))'
    changed = member.replace("promises = [", f"promises = [{promise}, ").replace(
        "from harness import", "from harness import cut, fewer,"
    )
    file = tmp_path / "clicking.py"
    file.write_text(changed.replace("from harness", "from harness.probes.cache import Counters\nfrom harness", 1))
    settings = replace(ONE, size="tiny", quick=True, processes=1, budget_s=5.0)
    run = RunSession(RunPlan([load(file)], settings, tmp_path / "run", "harness run"), Silent()).run()
    (result,) = run.scenarios
    assert (result.status, result.exit_code, result.ratios) == (ScenarioStatus.FAILED, 2, [])
    assert "promise 'X9' reads an unknown metric 'click'; did you mean 'clicks'? choose from 'clicks'" in (result.error or "")
