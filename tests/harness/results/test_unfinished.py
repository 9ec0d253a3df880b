"""What a run stores until it ends by itself: its request, its steps, and the results so far."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from harness.errors import UsageError
from harness.results.resumable import ResumableRequest
from harness.results.run import Run, RunKind, RunSettings, ScenarioResult, ScenarioStatus
from harness.results.store import SCHEMA_VERSION, read_run, write_run
from harness.results.unfinished import FOLDER, RESULTS, STEPS_FILE, UnfinishedRun, can_be_resumed, cannot_resume, request_of

REQUEST = ResumableRequest("run", "harness run x", ["x"], {"the commit": "abc"})
SETTINGS = RunSettings([], "tiny", 0, [0.0], quick=False, processes=5, budget_s=60.0)
RUN = Run(
    SCHEMA_VERSION,
    RunKind.PAIRS,
    name="run",
    started_at="2026-01-01T00:00:00+00:00",
    finished_at=None,
    command="harness run x",
    commit=None,
    dirty=False,
    interrupted=False,
    settings=SETTINGS,
    environment={},
)


class Step(msgspec.Struct):
    """A line of the journal."""

    name: str


def begun(run: Path, *, is_resumed: bool = False) -> UnfinishedRun[Step]:
    """Return what a run in this folder stores."""
    return UnfinishedRun(run, REQUEST, Step, is_resumed=is_resumed)


def result(name: str, status: ScenarioStatus = ScenarioStatus.OK, pairs: int = 0) -> ScenarioResult:
    """Return the result of a scenario."""
    return ScenarioResult(name, name, "", f"{name}.py", "", 0.0, status, pairs=pairs)


def test_steps_are_there_for_the_process_that_goes_on(tmp_path: Path) -> None:
    """They come in their order, with the request, until the run has ended."""
    first = begun(tmp_path)
    first.add(Step("one"))
    first.add(Step("two"))
    first.close()
    second = begun(tmp_path, is_resumed=True)
    assert second.lines() == [Step("one"), Step("two")]
    assert request_of(tmp_path) == REQUEST
    second.end()
    assert not can_be_resumed(tmp_path)
    assert not (tmp_path / FOLDER).exists()


def test_a_secret_is_not_stored(tmp_path: Path) -> None:
    """A message of a worker may contain a URL with a password."""
    unfinished = begun(tmp_path)
    unfinished.add(Step("postgresql://me:hunter2@db/x refused"))
    unfinished.keep(0, replace(result("a"), error="postgresql://me:hunter2@db/x refused"))
    stored = [file.read_text() for file in (tmp_path / FOLDER).rglob("*.json*")]
    assert not [text for text in stored if "hunter2" in text]
    assert [step.name for step in unfinished.lines()] == ["postgresql://***@db/x refused"]


def test_an_unfinished_run_has_the_latest_result_of_each_scenario(tmp_path: Path) -> None:
    """The record has what was known when it was written, and a file per scenario what came later; a finished one has all."""
    write_run(replace(RUN, scenarios=[result("a"), result("b")]), tmp_path)
    unfinished = begun(tmp_path)
    unfinished.keep(1, result("b", ScenarioStatus.INTERRUPTED, pairs=7))
    unfinished.keep(2, result("c"))
    found = read_run(tmp_path)
    assert [(r.name, r.status, r.pairs) for r in found.scenarios] == [
        ("a", ScenarioStatus.OK, 0),
        ("b", ScenarioStatus.INTERRUPTED, 7),
        ("c", ScenarioStatus.OK, 0),
    ]
    assert read_run(tmp_path / "run.json") == found
    write_run(replace(RUN, scenarios=[result("a")], finished_at="2026-01-01T00:01:00+00:00"), tmp_path)
    assert [r.name for r in read_run(tmp_path).scenarios] == ["a"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"name": 1}', b"[" * 100_000], ids=["empty", "cut", "list", "type", "deep"])
def test_a_damaged_result_is_named(tmp_path: Path, body: bytes) -> None:
    """The message has the file and what to do."""
    write_run(RUN, tmp_path)
    begun(tmp_path).keep(0, result("a"))
    (tmp_path / FOLDER / RESULTS / "00000.json").write_bytes(body)
    with pytest.raises(UsageError, match=r"00000\.json is not a scenario's result \(.*\); remove it, or name another run"):
        read_run(tmp_path)


def test_a_folder_without_steps_cannot_be_resumed(tmp_path: Path) -> None:
    """Such as one of an older version, or a copy of run.json alone."""
    with pytest.raises(UsageError, match=r"cannot be resumed, because its steps are not there, in unfinished/request\.json; start"):
        request_of(tmp_path)
    assert str(cannot_resume(Path("run"), "of it")) == "run cannot be resumed, because of it; start it again without --resume"


def test_a_run_that_can_be_resumed_is_not_overwritten(tmp_path: Path) -> None:
    """A second run into the same folder is refused, with the option that completes the first."""
    begun(tmp_path).close()
    with pytest.raises(UsageError, match=f"already contains a run; complete it with --resume {tmp_path}"):
        begun(tmp_path)


def test_a_damaged_journal_is_refused(tmp_path: Path) -> None:
    """The message has the file and the next step."""
    begun(tmp_path).close()
    (tmp_path / FOLDER / STEPS_FILE).write_bytes(b'{"name": 1}\n')
    with pytest.raises(UsageError, match=rf"{STEPS_FILE} cannot be read: .*; start it again without --resume"):
        begun(tmp_path, is_resumed=True).lines()


def test_a_run_that_is_still_measured_is_refused_until_its_process_is_dead(tmp_path: Path) -> None:
    """A process that was killed leaves the run to others."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom harness.results.resumable import ResumableRequest\n"
        "from harness.results.unfinished import UnfinishedRun\n"
        "held = UnfinishedRun(Path(sys.argv[1]), ResumableRequest('run', '', [], {}), dict)\n"
        "print('held', flush=True)\ntime.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, env=environment) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"held\n"
            with pytest.raises(UsageError, match="another process still measures into"):
                begun(tmp_path, is_resumed=True)
        finally:
            other.kill()
    begun(tmp_path, is_resumed=True).close()
