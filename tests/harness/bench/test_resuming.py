"""A run that ended before its last step, and is completed: nothing is measured twice, and nothing is missing."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.bench.job import PairTimes, SlotTimes
from harness.bench.outcome import RESUMED, StepOutcome, StoredStep
from harness.bench.result import ScenarioRun
from harness.bench.session import RunPlan, RunSession
from harness.bench.steps import Silent
from harness.discovery import load
from harness.errors import UsageError
from harness.results.resumable import ResumableRequest
from harness.results.run import Run, RunSettings, ScenarioStatus
from harness.results.store import read_run, read_samples
from harness.results.unfinished import FOLDER, STEPS_FILE, UnfinishedRun
from harness.runtime.cores import Cores
from harness.scenario import Setting

TOYS, CASES = Path(__file__).parents[2] / "toys", Path(__file__).parents[2] / "cases" / "scenarios"
SETTINGS = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=True, processes=2, budget_s=100.0)


class KilledError(BaseException):
    """Ends a run as SIGKILL does: nothing that the run would do at its end is done."""


class Killing(Silent):
    """Ends the run when a step begins."""

    def __init__(self, part: str) -> None:
        """Wait for the first step whose description has this part."""
        self._part, self.steps = part, list[str]()

    def step(self, description: str, number: int, total: int, left_s: float) -> None:
        """End the run, if this is the step."""
        self.steps.append(description)
        if self._part in description:
            raise KilledError


def plan(folder: Path, names: Sequence[Path] = (TOYS / "adding.py",), **more: object) -> RunPlan:
    """Return the plan of a run."""
    return RunPlan([load(name) for name in names], SETTINGS, folder, "harness run", **more)  # type: ignore[arg-type]


def resumed(found: RunPlan, observer: Silent) -> Run:
    """Return the record of a run that is completed."""
    request = ResumableRequest("run", "harness run", [], {})
    unfinished = UnfinishedRun[StoredStep](found.out, request, StoredStep, is_resumed=True)
    return RunSession(replace(found, unfinished=unfinished, started_at="2026-01-01T00:00:00+00:00"), observer).run()


def counted(run: Run) -> object:
    """Return what does not depend on how quick the machine is."""
    return [
        (
            result.name,
            result.status,
            result.processes,
            result.verified_cases,
            sorted((c.arm, c.group, c.metric, c.value) for c in result.work_counts),
            sorted((x.arm, x.group) for x in result.latencies),
            sorted((x.arm, x.group, x.has_figures) for x in result.memory),
            [(f.arm, f.holds) for f in result.findings],
            [(v.promise, v.arm) for v in result.verdicts],
            sorted(result.dataset.items()),
        )
        for result in run.scenarios
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return the record of a run that was not interrupted."""
    return RunSession(plan(tmp_path_factory.mktemp("whole") / "run"), Silent()).run()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "left"),
    [
        ("preparing", "preparing"),
        ("comparing", "comparing"),
        ("memory of proposed", "memory of proposed"),
        ("timing pairs", "timing pairs, process 1"),
        ("timing pairs, process 2", "timing pairs, process 2"),
    ],
    ids=["nothing done", "data prepared", "answers compared", "memory measured", "half timed"],
)
def test_a_run_that_was_killed_is_completed(tmp_path: Path, whole: Run, part: str, left: str) -> None:
    """It equals one that was not; what was done is not done again, and the record says that it was resumed."""
    found, killing, going_on = plan(tmp_path / "run"), Killing(part), Killing("no such step")
    with pytest.raises(KilledError):
        RunSession(found, killing).run()
    partial = read_run(found.out)
    assert partial.incomplete == "did not finish"
    assert {result.status for result in partial.scenarios} <= {ScenarioStatus.INTERRUPTED}
    run = resumed(found, going_on)
    assert counted(run) == counted(whole)
    assert (run.resumed, run.interrupted, run.started_at) == (1, False, "2026-01-01T00:00:00+00:00")
    assert read_run(found.out) == run
    assert not (found.out / FOLDER).exists()
    assert any(left in step for step in going_on.steps)
    done = {step for step in killing.steps[:-1] if "opening" not in step and "memory" not in step}  # of memory several at once
    assert not done & set(going_on.steps)
    (result,) = run.scenarios
    assert result.samples_file is not None
    assert set(read_samples(found.out / result.samples_file)["process"]) == {1, 2}


@pytest.mark.slow
def test_a_run_may_be_killed_again_and_again(tmp_path: Path, whole: Run) -> None:
    """Each process does a little more, and the record has their number."""
    found = plan(tmp_path / "run")
    with pytest.raises(KilledError):
        RunSession(found, Killing("comparing")).run()
    for part in ("making the data again", "timing pairs, process 1", "timing pairs, process 2"):
        with pytest.raises(KilledError):
            resumed(found, Killing(part))
    run = resumed(found, Silent())
    assert counted(run) == counted(whole)
    assert run.resumed == 4


@pytest.mark.slow
def test_an_interruption_before_anything_is_measured_again_costs_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record has what was measured before, and can be resumed once more."""
    found = replace(plan(tmp_path / "run"), memory=False)
    with pytest.raises(KilledError):
        RunSession(found, Killing("timing pairs, process 2")).run()
    before = read_run(found.out)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunSession, "_serve", interrupt)
        run = resumed(found, Silent())
    assert (run.interrupted, run.scenarios) == (True, before.scenarios)
    assert read_run(found.out) == run
    assert resumed(found, Silent()).scenarios[0].processes == 2


@pytest.mark.slow
def test_a_scenario_that_failed_stays_failed(tmp_path: Path) -> None:
    """Its failure is a result as well, and the others are measured."""
    found = replace(plan(tmp_path / "run", (CASES / "hang_arm.py", TOYS / "adding.py")), timeout_s=2.0, memory=False)
    with pytest.raises(KilledError):
        RunSession(found, Killing("timing pairs, process 1")).run()
    before = read_run(found.out).scenarios[0]
    going_on = Killing("no such step")
    run = resumed(found, going_on)
    assert [result.status for result in run.scenarios] == [ScenarioStatus.FAILED, ScenarioStatus.OK]
    assert run.scenarios[0].error == before.error
    assert not [step for step in going_on.steps if "hang_arm" in step]


@pytest.mark.slow
def test_other_data_are_refused(tmp_path: Path) -> None:
    """The message has what differs; the steps stay, for a resumption with the right data."""
    found = plan(tmp_path / "run")
    with pytest.raises(KilledError):
        RunSession(found, Killing("comparing")).run()
    steps = found.out / FOLDER / STEPS_FILE
    steps.write_text(steps.read_text().replace("numbers-0", "numbers-7"))
    with pytest.raises(UsageError, match=r"because the data of adding · sqlite differ \(digest: numbers-7 before, numbers-0 now\)"):
        resumed(found, Silent())
    assert [json.loads(line)["step"] for line in steps.read_text().splitlines()].count(RESUMED) == 1
    assert read_run(found.out).incomplete == "did not finish"


def test_a_step_costs_the_same_in_a_run_of_many_scenarios(tmp_path: Path) -> None:
    """One line and the result of its own scenario are written, however many others there are; the record is as it was."""
    written = []
    for number in (1, 30):
        out = tmp_path / str(number)
        toy = load(TOYS / "adding.py")
        toys = [replace(toy, name=f"adding{place}") for place in range(number)]
        session = RunSession(RunPlan(toys, SETTINGS, out, "harness run"), Silent(), Cores(None, None))
        session._trials = [ScenarioRun(each, Setting(out, out, "sqlite")) for each in toys]
        session._open()
        session._write_record()
        record = (out / "run.json").read_bytes()
        pair = PairTimes("sum", "sum 1", [SlotTimes("baseline", [5, 6]), SlotTimes("optimised", [2, 3])])
        for trial in session._trials:
            trial.add(pair, 1)
        session._keep(session._trials[0], "timing", StepOutcome(messages=[(pair, 1, 1.0)]))
        assert (out / "run.json").read_bytes() == record
        assert [file.name for file in (out / FOLDER / "results").iterdir()] == ["00000.json"]
        written.append(sum(file.stat().st_size for file in (out / FOLDER).rglob("*.json*")))
        assert read_run(out).scenarios[0].pairs == 1
    assert written[0] == pytest.approx(written[1], rel=0.02)


@pytest.mark.slow
def test_what_is_stored_after_a_step_is_what_it_has_added(tmp_path: Path) -> None:
    """The record is not written again, and a line has what its own step has added."""
    found = replace(plan(tmp_path / "run"), memory=False)
    with pytest.raises(KilledError):
        RunSession(found, Killing("timing pairs, process 2")).run()
    lines = (found.out / FOLDER / STEPS_FILE).read_text().splitlines()
    messages = [json.loads(line)["outcome"].get("messages", []) for line in lines]
    assert sum(message[0]["type"] == "DataPrepared" for each in messages for message in each) == 1
    assert {message[1] for each in messages for message in each if message[0]["type"] == "PairTimes"} == {1}
    assert json.loads((found.out / "run.json").read_text())["scenarios"][0]["pairs"] == 0
    assert read_run(found.out).scenarios[0].pairs > 0
