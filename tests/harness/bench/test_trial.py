"""A trial under way: its jobs know what is known when their turn comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.bench.pairing import SLOWED
from harness.bench.protocol import AnswersVerified, MemoryMeasured, PairTimes, SlotTimes
from harness.bench.result import ScenarioEvidence
from harness.bench.trial import PATIENCE_S, PATIENCE_TIMES, ScenarioRun
from harness.discovery import load
from harness.results.run import Memory, RunWarning
from harness.scenario import Setting

TOY = Path(__file__).parents[2] / "toys" / "adding.py"


def trial(tmp_path: Path, rtt_ms: float = 0.0) -> ScenarioRun:
    """Return a trial of the toy."""
    return ScenarioRun(ScenarioEvidence(load(TOY), "sqlite", rtt_ms), Setting(tmp_path, tmp_path))


def test_a_job_is_barred_from_what_was_found_not_to_run_meanwhile(tmp_path: Path) -> None:
    """What is planned before the answers are compared leaves out what the comparison shows."""
    found = trial(tmp_path)
    make = found.job("pairs", process=2)
    found.evidence.add(AnswersVerified(1, [("proposed", "sum", "it raises")]))
    assert (make().process, make().excluded) == (2, (("proposed", "sum"),))


def test_patience_grows_with_the_time_without_a_limit(tmp_path: Path) -> None:
    """An operation that takes long has many times as long under a limit, and one that was not measured has the least."""
    found = trial(tmp_path)
    make = found.limited("baseline", "sum", 1_000_000)
    assert make().timeout_s == PATIENCE_S
    found.evidence.add(MemoryMeasured(Memory("baseline", "sum", 0, 1, 7.0, [])))
    found.evidence.add(MemoryMeasured(Memory("proposed", "sum", 0, 1, 70.0, [])))
    assert make().timeout_s == PATIENCE_S + 7 * PATIENCE_TIMES
    assert make().limit_bytes == 1_000_000


def test_samples_of_a_distance_have_a_file_of_their_own(tmp_path: Path) -> None:
    """No trial overwrites another's, and one without samples has none."""
    assert trial(tmp_path).samples_file is None
    near, far = trial(tmp_path), trial(tmp_path, 5.0)
    for one in (near, far):
        one.evidence.samples.append(object())  # type: ignore[arg-type]  # any will do
    assert near.samples_file != far.samples_file


def test_what_no_figure_shows_is_a_warning_of_the_result(tmp_path: Path) -> None:
    """It stands with those that figures show."""
    found = trial(tmp_path)
    found.evidence.warnings.append(RunWarning("instructions", "could not be counted", "leave it out"))
    assert [warning.name for warning in found.evidence.result().warnings] == ["instructions"]


def test_controls_are_heard_beside_the_pairs_and_are_no_arm(tmp_path: Path) -> None:
    """A slowed baseline goes to what was planted, readings to drifts; neither is among the samples."""
    found = trial(tmp_path)
    found.evidence.injected = 0.5
    slots = [SlotTimes("baseline", 0, [100, 100]), SlotTimes("optimised", 1, [50]), SlotTimes(SLOWED, 2, [150, 152])]
    for process in (1, 2):
        for _ in range(8):
            found.evidence.add(PairTimes("sum", "sum 20000", slots, {"pure CPU": 1000}), process)
    result = found.evidence.result()
    assert {s.arm for s in found.evidence.samples} == {"baseline", "optimised"}
    assert [(d.name, d.samples, d.ratio) for d in result.controls.drifts] == [("pure CPU", 16, 1.0)]
    (planted,) = result.controls.injected
    assert (planted.group, planted.share, planted.pairs, planted.found) == ("sum", 0.5, 16, True)
    assert planted.slower == pytest.approx(0.51)
