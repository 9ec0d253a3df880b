"""The summaries of previews and of ablations; those of runs of pairs are tested with their conclusion."""

from collections.abc import Callable
from dataclasses import replace

from harness.report.numbers import times
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


def test_a_scenario_without_promises_shows_its_ratios(make_run: MakeRun, make_result: MakeResult) -> None:
    """A row per group of cases, and a column per arm of the scenario; with several scenarios the row names its own."""
    result = make_result(verdicts=[])
    lines = printed(summary(make_run(result), "x")).splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("times faster, 95 % CI"))
    assert lines[place].split()[-2:] == ["proposed", "optimised"]
    expected = {r.arm: f"{times(r.ratio)} [" for r in result.ratios}
    assert lines[place + 1].startswith(result.ratios[0].group)
    assert expected["proposed"] in lines[place + 1]
    assert expected["optimised"] in lines[place + 1]
    both = printed(summary(make_run(result, make_result(name="other")), "x"))
    assert f"indexes · {result.ratios[0].group}" in both
    assert "other · " not in both


def test_many_groups_without_promises_fit_a_terminal(make_run: MakeRun, make_result: MakeResult) -> None:
    """The rows that do not fit in 24 lines are counted."""
    result = make_result(verdicts=[])
    ratios = [replace(r, group=f"{r.group} {number}") for number in range(40) for r in result.ratios]
    lines = printed(summary(make_run(replace(result, ratios=ratios)), "x")).splitlines()
    assert len(lines) <= 24
    assert "… and 31 more." in lines


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
