"""The summaries of previews and of ablations; those of runs of pairs are tested with their conclusion."""

from collections.abc import Callable
from dataclasses import replace

from harness.report.summaries import summary
from harness.results.run import Ablation, Gain, GainSum, Interaction, Run, ScenarioResult, ScenarioStatus, SwitchGain
from tests.harness.report.printing import printed

MakeRun = Callable[..., Run]
MakeResult = Callable[..., ScenarioResult]
CLEAR, UNCLEAR = Gain(2.0, 1.9, 2.1, [1.95, 2.05], p_corrected=0.001), Gain(1.01, 0.97, 1.05, [1.0, 1.02], p_corrected=0.8)


def quick(run: Run) -> Run:
    """Return a run as a preview."""
    return replace(run, settings=replace(run.settings, quick=True, size="tiny"))


def test_a_preview_says_so_first(make_run: MakeRun, make_result: MakeResult) -> None:
    """The first line has its size, its time and how to get verdicts; no line has a verdict or what to do."""
    for width in (80, 200):
        text = printed(summary(quick(make_run(make_result())), "x", width), width)
        assert text.splitlines()[0] == "Preview on tiny data (7 min 36 s): run without --quick for verdicts."
        for word in ("what to do", "do it", "not decided", "Trust", "kept", "confirmed", "missed"):
            assert word not in text
    unfinished = quick(make_run(make_result(), finished_at=None))
    assert printed(summary(unfinished, "x")).startswith("Preview on tiny data: run without")


def test_an_empty_preview_has_its_sentence(make_run: MakeRun) -> None:
    """That nothing finished is said below."""
    assert "No scenario finished" in printed(summary(quick(make_run()), "x"))


def ablation(*gains: Gain) -> Ablation:
    """Return switches with these gains beside the others."""
    switches = [SwitchGain(f"s{n}", "d", UNCLEAR, gain, CLEAR, Interaction.ADDS_UP, 1, 2) for n, gain in enumerate(gains)]
    return Ablation("mix", 30, switches, CLEAR, CLEAR, UNCLEAR, GainSum.AS_PRODUCT)


def test_an_ablation_fits_a_terminal(make_run: MakeRun, make_result: MakeResult) -> None:
    """Forty switches with long names in several groups take at most 24 lines of 80 columns."""
    long = replace(ablation(CLEAR), switches=[replace(ablation(CLEAR).switches[0], switch="x" * 500 + str(n)) for n in range(40)])
    failed = make_result(name="b", verdicts=[], ablation=[long], status=ScenarioStatus.FAILED, error="y " * 5_000)
    run = make_run(make_result(verdicts=[], ablation=[long, replace(long, group="other")]), failed, interrupted=True)
    lines = printed(summary(run, "harness report x --all")).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "… and 110 more." in lines[-8:] or any(line.startswith("… and 1") for line in lines)
