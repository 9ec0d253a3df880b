"""A loaded run: typed rows, frames, and the example of the documentation."""

import re
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

import harness
from harness.errors import MissingExtraError, UsageError
from harness.results.loaded import LoadedRun, PercentileRow, RatioRow, VerdictRow, load_run
from harness.results.run import AA_CONTROL, Latency, PercentileRatio, PromiseVerdict, Ratio, Run, Slot, Verdict
from harness.results.store import HISTOGRAM_COLUMNS, SAMPLE_COLUMNS, write_histograms, write_run, write_samples
from tests.harness import gates

PAGE = Path(__file__).parents[3] / "docs" / "analysis.md"
PERCENTILES: dict[str, float | None] = {"50": 1e6, "95": 9e6, "99": None}


def record() -> Run:
    """Return a run of one scenario with every kind of row."""
    latencies = [
        Latency(arm, gates.GROUP, 90, 1e6, 1, 9, PERCENTILES, [1e6], {"50": (9e5, 1.1e6)}, {"50": 80.0})
        for arm in (*gates.ARMS, AA_CONTROL)
    ]
    verdict = Verdict("A1", "faster", "optimised", PromiseVerdict.CONFIRMED, "promised 2×, measured 2.1×", "×", value=2.1, low=2.05)
    result = gates.result(
        latencies=latencies,
        ratios=[Ratio("optimised", gates.GROUP, 2.1, 2.05, 2.2, [2.1], 30)],
        percentile_ratios=[PercentileRatio("optimised", gates.GROUP, "95", 90, None)],
        verdicts=[verdict],
        samples_file="samples/indexes.csv",
    )
    return gates.run(result)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a run's folder with raw samples."""
    write_run(record(), tmp_path / "runs" / "mine")
    slots = [Slot(1, pair, 0, arm, gates.GROUP, f"case {pair}", [100, 200]) for pair in range(3) for arm in gates.ARMS]
    write_samples(slots, tmp_path / "runs" / "mine" / "samples" / "indexes.csv")
    return tmp_path / "runs" / "mine"


def test_rows_are_typed(folder: Path) -> None:
    """They are those of the record, with the scenario, engine and RTT; missing figures are None."""
    run = load_run(folder)
    assert run.record == record()
    assert len(run.percentiles) == 9
    assert run.percentiles[0] == PercentileRow(
        *("indexes", "sqlite", 0.0, "baseline", gates.GROUP, "50"), 1e6, 9e5, 1.1e6, samples=90, effective_samples=80.0
    )
    assert run.percentiles[2].ns is None
    assert list(run.ratios) == [
        RatioRow("indexes", "sqlite", 0.0, "optimised", gates.GROUP, "paired", 2.1, 2.05, 2.2, 30),
        RatioRow("indexes", "sqlite", 0.0, "optimised", gates.GROUP, "95", None, None, None, 90),
    ]
    (verdict,) = run.verdicts
    assert isinstance(verdict, VerdictRow)
    assert (verdict.promise, verdict.verdict, verdict.value, verdict.high) == ("A1", "confirmed", 2.1, None)
    assert len(run.percentiles[1:3]) == 2
    assert (len(run.samples), len(run.samples[0]), len(run.samples[:1])) == (1, 12, 1)
    assert run.samples[0].columns["latency_ns"].sum() == 1800


def test_frames_have_a_column_per_field(folder: Path) -> None:
    """Missing figures are NaN, and numbers are numbers."""
    run = load_run(folder / "run.json")
    for table, kind in ((run.percentiles, PercentileRow), (run.ratios, RatioRow), (run.verdicts, VerdictRow)):
        frame = table.to_frame()
        assert list(frame.columns) == [field.name for field in fields(kind)]
        assert len(frame) == len(table)
    frame = run.percentiles.to_frame()
    assert frame["ns"].isna().sum() == 3
    assert frame["ns"].dtype == "float64"
    assert run.percentiles[:0].to_frame().dtypes.to_dict()["low_ns"] == "float64"
    samples = run.samples.to_frame()
    assert list(samples.columns) == ["scenario", "engine", "rtt_ms", *SAMPLE_COLUMNS]
    assert samples.groupby("arm")["latency_ns"].sum().to_dict() == {"baseline": 900, "optimised": 900}


def test_a_run_without_anything_has_empty_frames(tmp_path: Path) -> None:
    """With all their columns."""
    write_run(gates.run(scenarios=[]), tmp_path)
    run = harness.load_run(str(tmp_path))
    assert isinstance(run, LoadedRun)
    for table in (run.percentiles, run.ratios, run.verdicts, run.samples):
        assert len(table) == 0
        frame = table.to_frame()
        assert len(frame) == 0
        assert "scenario" in frame.columns
    assert run.samples.to_frame()["latency_ns"].dtype == "int64"


def test_samples_under_load_are_buckets(tmp_path: Path) -> None:
    """The columns of histograms."""
    made = gates.under_load(gates.loaded())
    write_run(replace(made, scenarios=[replace(made.scenarios[0], samples_file="samples/load.csv")]), tmp_path)
    write_histograms([(0, 1, 0, "baseline", gates.GROUP, "response", 100, 7)], tmp_path / "samples" / "load.csv")
    frame = load_run(tmp_path).samples.to_frame()
    assert list(frame.columns) == ["scenario", "engine", "rtt_ms", *HISTOGRAM_COLUMNS]
    assert frame["count"].tolist() == [7]


def test_files_that_cannot_be_read_are_refused(folder: Path) -> None:
    """A run at once, samples when they are used: the record stays usable without them."""
    with pytest.raises(UsageError, match="cannot read"):
        load_run(folder / "nothing")
    (folder / "samples" / "indexes.csv").unlink()
    run = load_run(folder)
    assert len(run.percentiles) == 9
    with pytest.raises(UsageError, match="cannot read the samples"):
        _ = run.samples
    assert "mine" in repr(run)


def test_frames_need_pandas(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, rows are as before, and a frame names the extra."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    run = load_run(folder)
    assert len(run.ratios) == 2
    for table in (run.ratios, run.samples):
        with pytest.raises(MissingExtraError, match=re.escape("pip install 'advice-on-trial[pandas]'")):
            table.to_frame()


def test_the_documented_example_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands in the page, on a run at that place."""
    monkeypatch.chdir(folder.parents[1])
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    slow, kept, table, ratios, medians = (names[name] for name in ("slow", "kept", "table", "ratios", "medians"))
    assert [row.arm for row in slow] == [*gates.ARMS, AA_CONTROL]  # type: ignore[attr-defined]
    assert kept == ["A1"]
    assert table["optimised", "50"].tolist() == [1e6]  # type: ignore[index]
    assert ratios["ratio"].tolist() == [2.1]  # type: ignore[index]
    assert medians.tolist() == [150.0, 150.0]  # type: ignore[attr-defined]
    assert (folder.parents[1] / "ratios.svg").read_text(encoding="utf-8").count("<path") > 1


def test_the_documented_columns_are_those_of_the_frames() -> None:
    """In their order."""
    text = PAGE.read_text(encoding="utf-8")
    for name, kind in (("percentiles", PercentileRow), ("ratios", RatioRow), ("verdicts", VerdictRow)):
        (row,) = re.findall(rf"^\| `{name}` \|.*$", text, flags=re.MULTILINE)
        columns = re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", row.split("|")[3]))
        assert columns == [field.name for field in fields(kind)]
