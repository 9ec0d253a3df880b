"""`harness baseline`: which runs are accepted, and why others are refused."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.cli import main
from harness.results.run import Run, RunKind
from harness.results.store import read_run, write_json, write_run
from tests.harness.gates import SETTINGS, result, run

Refused = Callable[[Sequence[str], str], None]
MAIN = Path("baselines/main.json")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to an empty project."""
    monkeypatch.chdir(tmp_path)


def accept(candidate: Run, *options: str) -> int:
    """Accept a stored run."""
    write_run(candidate, Path("run"))
    return main(["baseline", "accept", "run", *options])


def test_an_accepted_run_passes_its_own_baseline() -> None:
    """The baseline has the run's figures without its samples, in a file of the given name."""
    assert accept(run(result(samples_file="samples/indexes.csv"))) == 0
    kept = read_run(MAIN)
    assert kept.scenarios == [result()]
    assert kept.environment["baseline accepted"].endswith("+00:00")
    assert main(["gate", str(MAIN), "run"]) == 0
    assert accept(run(), "--as", "postgres-small", "--folder", "elsewhere") == 0
    assert Path("elsewhere/postgres-small.json").is_file()
    assert [p.name for p in Path("baselines").iterdir()] == ["main.json"]


def test_a_run_that_regressed_never_becomes_the_next_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise the next run would be compared with the worse one, and pass."""
    accept(run())
    before = MAIN.read_bytes()
    assert accept(run(result(statements=4))) == 1
    assert MAIN.read_bytes() == before
    said = capsys.readouterr().err
    assert "regressed against baselines/main.json: indexes · sqlite · baseline · prompts · statements +33.3 %" in said
    assert said.count("\n") == 1


def test_a_regression_on_purpose_is_kept_with_its_reason(capsys: pytest.CaptureFixture[str], refused: Refused) -> None:
    """The reason is in the baseline until a run without a regression replaces it."""
    accept(run())
    assert accept(run(result(statements=4)), "--regressed-on-purpose", "the audit log\nneeds it") == 0
    assert read_run(MAIN).environment["regressed on purpose"] == "the audit log needs it"
    main(["baseline", "show"])
    assert "regressed on purpose: the audit log needs it" in capsys.readouterr().out
    assert accept(run(result(statements=4)), "--regressed-on-purpose", "nothing regressed now") == 0
    assert "regressed on purpose" not in read_run(MAIN).environment
    capsys.readouterr()
    refused(["baseline", "accept", "run", "--regressed-on-purpose", " "], "--regressed-on-purpose: the reason is empty")


@pytest.mark.parametrize(
    ("candidate", "code", "says"),
    [
        (run(result(status="failed", error="no")), 1, "run cannot become a baseline: indexes on sqlite failed"),
        (run(interrupted=True), 2, "it was interrupted"),
        (run(finished_at=None), 2, "it did not finish; run again"),
        (run(result(status="interrupted")), 2, "it was interrupted"),
        (
            run(settings=SETTINGS.__class__(["sqlite"], "tiny", 0, [0.0], quick=True, processes=3, budget_s=6.0)),
            2,
            "it is a preview",
        ),
        (run(kind=RunKind.FILE), 2, "another tool measured it; give the file itself to `harness gate`"),
        (run(kind=RunKind.COMPARISON), 2, "it is a comparison; give the two files that it compares to `harness gate`"),
        (run(scenarios=[]), 2, "nothing was compared; run scenarios that count or time something"),
        (run(result(), result()), 2, "a run has two scenarios named 'indexes · sqlite'"),
    ],
)
def test_unfit_runs_are_refused_in_one_line(candidate: Run, code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No baseline is written."""
    assert accept(candidate) == code
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not MAIN.exists()


def test_a_comparison_in_place_of_the_baseline_is_refused(refused: Refused) -> None:
    """It is not replaced either, and the advice is about the baseline and not about the two files that it compares."""
    write_json(run(kind=RunKind.COMPARISON), MAIN)
    write_run(run(), Path("run"))
    refused(
        ["baseline", "accept", "run"],
        "baselines/main.json is a comparison and not a baseline; delete it, or choose another name with --as",
    )
    assert read_run(MAIN).kind == RunKind.COMPARISON


def test_a_baseline_of_renamed_scenarios_is_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    """A message says that nothing could be compared."""
    accept(run())
    assert accept(run(result("renamed"), dirty=True)) == 0
    said = capsys.readouterr().out
    assert "not comparable with the old baseline: scenarios: scenario 'indexes · sqlite' is missing" in said
    assert "with uncommitted changes" in said
    assert [r.name for r in read_run(MAIN).scenarios] == ["renamed"]


def test_baselines_are_listed_with_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    """There is a line per baseline, also for an unreadable one; without any, the exit code is 4."""
    assert main(["baseline", "show"]) == 4
    accept(run())
    Path("baselines/broken.json").write_text("{")
    capsys.readouterr()
    assert main(["baseline", "show"]) == 0
    broken, good = capsys.readouterr().out.splitlines()
    assert broken.startswith("baselines/broken.json: cannot be read: ")
    assert good == (
        "baselines/main.json: commit 3f9a1c2d5b, measured 2026-01-05T10:22:11+00:00, 1 scenario on sqlite, small, "
        "seed 0, 4 work counts"
    )


@pytest.mark.parametrize("name", ["../main", "", "a/b", ".hidden", "-x y"])
def test_invalid_names_are_refused(name: str, refused: Refused) -> None:
    """A name is a file name without a folder."""
    write_run(run(), Path("run"))
    refused(["baseline", "accept", "run", f"--as={name}"], "is not a valid baseline name")


@pytest.mark.parametrize(("arguments", "says"), [(["baseline"], "ACTION"), (["baseline", "accept", "gone"], "cannot read gone")])
def test_usage_errors_are_one_line(arguments: list[str], says: str, refused: Refused) -> None:
    """The line names the argument."""
    refused(arguments, says)
