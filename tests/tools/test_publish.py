"""A published folder has the report, its Markdown and the record of a run that is fit to be published."""

import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.results.run import Run
from harness.results.store import COMPRESSED_RUN_FILE, read_run, write_run
from tests.harness import gates
from tools import publish as publishing
from tools.publish import MARKDOWN_FILE, checked, main, publish

FINISHED = replace(gates.run(), commit="abcdef0", dirty=False, interrupted=False, finished_at="2026-01-01T00:10:00+00:00")


@pytest.fixture(autouse=True)
def no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no picture: the tests of the page have a browser."""
    monkeypatch.setattr(publishing, "BROWSERS", ())


def test_the_record_is_published_with_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder can be read like the run's own; each file is printed with its size."""
    write_run(FINISHED, tmp_path / "run")
    out = tmp_path / "published"
    assert main([str(tmp_path / "run"), "--out", str(out)]) == 0
    assert read_run(out) == FINISHED
    assert {path.name for path in out.iterdir()} == {"report.html", MARKDOWN_FILE, COMPRESSED_RUN_FILE}
    assert capsys.readouterr().out.count(" MB\n") == 3


def test_publishing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """Nothing depends on the time, also if the published folder itself is published again."""
    write_run(FINISHED, tmp_path / "run")
    first = [path.read_bytes() for path in publish(tmp_path / "run", tmp_path / "out")]
    assert [path.read_bytes() for path in publish(tmp_path / "out", tmp_path / "out")] == first
    assert gzip.decompress(first[2]) == (tmp_path / "run" / "run.json").read_bytes()


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (replace(FINISHED, interrupted=True), "the run was interrupted"),
        (replace(FINISHED, finished_at=None), "the run did not finish"),
        (replace(FINISHED, dirty=True, commit=None), "uncommitted changes, and the run's commit is unknown"),
        (replace(FINISHED, settings=replace(FINISHED.settings, quick=True)), "the run is a preview"),
    ],
)
def test_an_unfit_run_is_refused(run: Run, message: str) -> None:
    """Each problem is named."""
    with pytest.raises(UsageError, match=message):
        checked(run)


def test_a_browser_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report is there already, and the picture is not."""
    monkeypatch.setattr(publishing, "BROWSERS", ("false",))
    assert shutil.which("false")
    write_run(FINISHED, tmp_path)
    with pytest.raises(UsageError, match="did not draw"):
        publish(tmp_path, tmp_path)
    assert (tmp_path / "report.html").exists()
