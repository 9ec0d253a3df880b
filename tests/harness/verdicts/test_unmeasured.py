"""Runs that measured nothing: one line with the reason and the next step, and none for all others."""

from dataclasses import replace

import pytest

from harness.results.load import LoadModel, LoadResult
from harness.results.run import Latency, PromiseVerdict, Run, RunKind, RunSettings, ScenarioResult, ScenarioStatus, Verdict
from harness.verdicts.unmeasured import unmeasured

OK = ScenarioResult("toy", "Toy", "Toy.", "toy.py", "sqlite", 0.0, ScenarioStatus.OK)
NOT_RUN = replace(OK, status=ScenarioStatus.NOT_RUN, error="it supports sqlite only")
JUDGED = Verdict("T1", "one statement", "optimised", PromiseVerdict.REFUTED, "measured 2", "statements", value=2.0)
UNJUDGED = replace(JUDGED, verdict=PromiseVerdict.NOT_MEASURED, value=None)
TIMED = Latency("sum", "optimised", 20, 1_000.0, 900, 1_100, {"50": 1_000.0})


def run_of(*results: ScenarioResult, kind: RunKind = RunKind.PAIRS, processes: int = 2, interrupted: bool = False) -> Run:
    """Return a finished run."""
    settings = RunSettings(["sqlite"], "tiny", 0, [0.0], quick=False, processes=processes, budget_s=1.5)
    return Run(2, kind, "run", "", "", "harness run", None, False, interrupted, settings, {}, list(results))  # noqa: FBT003 - not dirty


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (run_of(NOT_RUN), "nothing was measured: toy was not run: it supports sqlite only; choose another scenario, --engine or"),
        (run_of(NOT_RUN, processes=0), "nothing was measured: toy was not run: it supports sqlite only; choose another scenario"),
        (run_of(NOT_RUN, replace(NOT_RUN, name="other")), "toy was not run: it supports sqlite only, and 1 more; choose"),
        (run_of(), "nothing was measured: there was no scenario; choose another scenario"),
        (run_of(OK), "nothing was timed in the budget of 1.5 s; raise --budget"),
        (run_of(replace(OK, verdicts=[UNJUDGED]), NOT_RUN), "nothing was timed in the budget of 1.5 s; raise --budget"),
    ],
)
def test_a_run_without_any_figure_is_named_with_the_next_step(record: Run, message: str) -> None:
    """Nothing that ran, or nothing that was timed or judged, though times were requested."""
    assert message in unmeasured(record)


@pytest.mark.parametrize(
    "record",
    [
        run_of(replace(OK, latencies=[TIMED])),
        run_of(replace(OK, verdicts=[JUDGED, UNJUDGED])),
        run_of(NOT_RUN, replace(OK, name="other", load=LoadResult([LoadModel.OPEN], "", 1, 0))),
        run_of(OK, processes=0),
        run_of(NOT_RUN, replace(OK, name="other", status=ScenarioStatus.FAILED)),
        run_of(replace(OK, status=ScenarioStatus.INTERRUPTED)),
        run_of(OK, interrupted=True),
        run_of(OK, kind=RunKind.LOAD),
    ],
)
def test_a_run_with_a_figure_or_another_outcome_is_not_named(record: Run) -> None:
    """A time, a decided promise, a load test, answers without times on request; a failure and an interruption are outcomes."""
    assert unmeasured(record) == ""
