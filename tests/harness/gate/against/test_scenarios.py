"""Scenarios of two versions of a tree, through the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.cli import main
from harness.gate.against import allocation, verdicts
from harness.gate.against.gate_folder import PAIRS_FILE
from harness.stats import process_pairs

if TYPE_CHECKING:
    from tests.harness.gate.against.conftest import Toy

pytestmark = pytest.mark.slow
ROOT = str(Path(__file__).parents[4])
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, toy: Toy) -> None:
    """Change to the toy's folder, and decide by few and short process pairs."""
    monkeypatch.chdir(toy.folder)
    monkeypatch.setenv("PYTHONPATH", ROOT)
    monkeypatch.setattr(process_pairs, "ALPHA", 0.2)
    monkeypatch.setattr(verdicts, "FIRST_ROUND", 4)
    monkeypatch.setattr(allocation, "MIN_SLICES_S", 0.02)
    monkeypatch.setattr(allocation, "MAX_SLICES_S", 0.02)


def gate(captured: Captured, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Return the exit code, the result, and the text on standard error."""
    code = main(["gate", "--against", "main", "--json", "--margin", "100%", *arguments])
    out, err = captured.readouterr()
    return code, json.loads(out) if out else {}, err


def change(toy: Toy, before: str, after: str) -> None:
    """Change the scenario, uncommitted."""
    file = toy.folder / "scenarios" / "adding.py"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))


def test_a_scenario_without_an_engine_runs_once_and_adds_its_own_latency(toy: Toy, capsys: Captured) -> None:
    """Whatever engines are named; without a server it is measured at an RTT that it puts before its own services."""
    change(toy, 'engines = ("sqlite",)', "adds_latency = True")
    toy.commit()
    code, result, err = gate(capsys, "adding", "--engine", "sqlite,turso", "--rtt", "5")
    assert code == 0, err
    assert {(row["engine"], row["rtt_ms"]) for row in result["rows"]} == {("", 5.0)}
    assert len({(r["arm"], r["group"], r["metric"], r["kind"]) for r in result["rows"]}) == len(result["rows"])


def test_one_step_more_is_a_regression_whatever_the_time(toy: Toy, capsys: Captured) -> None:
    """A work count decides at once and is named, next to times of every arm."""
    change(toy, '+= 1 if instance["arm"] == "optimised"', '+= 2 if instance["arm"] == "optimised"')
    code, result, _ = gate(capsys, "adding")
    assert code == 1
    (worse,) = [r for r in result["rows"] if r["verdict"] == "regressed" and r["kind"] == "work"]
    assert (worse["arm"], worse["metric"], worse["base"], worse["candidate"]) == ("optimised", "steps", 1, 2)
    assert {r["arm"] for r in result["rows"] if r["kind"] == "time"} == {"baseline", "proposed", "optimised"}
    assert toy.worktrees == 1


def test_a_count_that_differs_between_fresh_processes_decides_nothing(toy: Toy, capsys: Captured) -> None:
    """It rises in the new version and repeats within each of its processes, and is shown as what does not repeat."""
    change(toy, "import asyncio\n", "import asyncio\nimport os\n")
    change(toy, '+= 1 if instance["arm"] == "optimised"', '+= 2 + os.getpid() if instance["arm"] == "optimised"')
    _, result, _ = gate(capsys, "adding")
    found = {row["arm"]: row for row in result["rows"] if row["kind"] == "work"}
    assert found["optimised"]["verdict"] == "not judged"
    assert found["optimised"]["reason"].startswith("it does not repeat in the candidate")
    assert found["optimised"]["candidate"] > found["optimised"]["base"]
    assert found["baseline"]["verdict"] == "equal"


def test_a_different_answer_is_not_comparable(toy: Toy, capsys: Captured) -> None:
    """An arm whose answer changed is not timed, and not comparable."""
    for line in ("return sum(list(range(case.args)))", "return sum(part[0] for part in [[n] for n in range(case.args)])"):
        change(toy, line, "return 13")
    change(toy, "return int(case.args * (case.args - 1) // 2)", "return 13")
    code, result, _ = gate(capsys, "adding")
    assert code == 4
    assert "sum[baseline]: the two versions give different answers" in result["sentence"]
    assert not [r for r in result["rows"] if r["kind"] == "time"]


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (
            "return (n for n in range(case.args))",
            "optimised answers case 'sum 20000' with a generator: the work is not done yet; return li",
        ),
        ("return [][case.args]", "optimised raised in case 'sum 20000', adding.py, line "),
    ],
)
def test_an_operation_that_fails_in_the_candidate_is_named(toy: Toy, capsys: Captured, new: str, message: str) -> None:
    """With the arm and the case; one that puts its work off would be the fastest of all."""
    change(toy, "return int(case.args * (case.args - 1) // 2)", new)
    code, result, _ = gate(capsys, "adding")
    assert code == 1
    assert message in json.dumps(result, ensure_ascii=False)


def test_the_first_scenarios_of_a_project_pass(toy: Toy, capsys: Captured) -> None:
    """The old version lacks the folder: nothing can have regressed, and the result says so."""
    toy.git("mv", "scenarios", "elsewhere")
    toy.git("commit", "--quiet", "--message", "no scenarios")
    (toy.folder / "elsewhere").rename(toy.folder / "scenarios")
    code, result, _ = gate(capsys, "adding")
    assert code == 0
    expected = "the old version has none of these benchmarks, so that nothing is compared yet; 3 benchmarks of the new one ran"
    assert result["sentence"] == expected


def test_a_renamed_scenario_is_not_comparable(toy: Toy, capsys: Captured) -> None:
    """The scenarios of both versions are compared, so that a missing one is reported."""
    (toy.folder / "scenarios" / "adding.py").rename(toy.folder / "scenarios" / "summing.py")
    code, result, _ = gate(capsys)
    assert code == 4
    assert "'adding · sqlite' is missing in the candidate" in result["sentence"]


def test_a_version_too_old_for_a_scenario_is_not_comparable_by_name(toy: Toy, capsys: Captured) -> None:
    """A failure of the old version is reported as such, not as a regression."""
    change(toy, "NUMBERS = 20_000", "import nothing_there\nNUMBERS = 20_000")
    toy.commit()
    change(toy, "import nothing_there\n", "")
    code, result, _ = gate(capsys, "adding")
    assert code == 4
    assert "adding: it fails in main" in result["sentence"]
    assert "nothing_there" in result["sentence"]


CACHING = """
    async def run(self, instance, case):
        if instance["arm"] == "optimised" and case.args in instance:
            return instance[case.args]
        instance["steps"][0] += 2
        instance[case.args] = sum(range(case.args))
        return instance[case.args]

"""


def test_an_arm_that_caches_does_not_excuse_the_baseline(toy: Toy, capsys: Captured) -> None:
    """Its counts are 0 in both versions; the baseline's rise from 2 to 3 and decide."""
    file = toy.folder / "scenarios" / "adding.py"
    head, _, rest = file.read_text().partition("    async def run(self")
    file.write_text(head + CACHING.lstrip("\n") + "    def probes(self" + rest.partition("    def probes(self")[2])
    toy.commit()
    change(toy, '["steps"][0] += 2', '["steps"][0] += 3')
    code, result, _ = gate(capsys, "adding")
    assert code == 1
    counts = {r["arm"]: (r["verdict"], r["base"], r["candidate"]) for r in result["rows"] if r["kind"] == "work"}
    assert counts == {"baseline": ("regressed", 2, 3), "proposed": ("regressed", 2, 3), "optimised": ("equal", 0, 0)}


def test_a_scenario_that_neither_version_can_import_is_a_usage_error(toy: Toy, capsys: Captured) -> None:
    """It is no regression: one line names the file and the import error."""
    change(toy, "NUMBERS = 20_000", "import nothing_there\nNUMBERS = 20_000")
    toy.commit()
    code, _, err = gate(capsys, "adding")
    assert code == 2
    *steps, error = err.splitlines()
    assert all(step.startswith(("comparing ", "adding: preparing ")) for step in steps)
    assert "adding.py, line " in error
    assert "cannot be imported: " in error
    assert "nothing_there" in error


def test_a_scenario_that_only_the_new_version_cannot_import_is_a_failure(toy: Toy, capsys: Captured) -> None:
    """The change broke it, so that it exits with 1, with the import error."""
    change(toy, "NUMBERS = 20_000", "import nothing_there\nNUMBERS = 20_000")
    code, result, _ = gate(capsys, "adding")
    assert code == 1
    (row,) = result["rows"]
    assert row["kind"] == "status"
    assert "nothing_there" in row["reason"]


def test_a_scenario_that_fails_in_both_versions_is_a_usage_error(toy: Toy, capsys: Captured) -> None:
    """It has not regressed: one line has the failure, and how to leave it out."""
    change(toy, "await asyncio.sleep(0)", "raise OSError('no server')")
    toy.commit()
    code, _, err = gate(capsys, "adding")
    assert code == 2
    error = err.splitlines()[-1]
    assert error.startswith(
        "harness: adding · sqlite fails in both versions: baseline raised in case 'sum 20000', adding.py, line "
    )
    assert error.endswith("; fix it, or leave it out: --except adding")


def test_identical_versions_are_not_timed(capsys: Captured) -> None:
    """A clean tree against its own commit passes, with its work counts compared."""
    code, result, _ = gate(capsys, "adding")
    assert code == 0
    assert result["sentence"].endswith(" are identical, so nothing was timed")
    assert {(row["verdict"], row["change"]) for row in result["rows"] if row["kind"] == "time"} == {("equivalent", None)}
    assert {row["verdict"] for row in result["rows"] if row["kind"] == "work"} == {"equal"}


def test_arms_that_a_change_cannot_touch_are_not_timed(toy: Toy, capsys: Captured) -> None:
    """Their work counts are compared, and they have no times; --time-all times them."""
    toy.write("notes.txt", "a file that no scenario uses")
    code, result, _ = gate(capsys, "adding")
    assert code == 0
    times = [row for row in result["rows"] if row["kind"] == "time"]
    assert {row["reason"].partition(";")[0] for row in times} == {"unchanged code: not timed"}
    assert {row["arm"] for row in times} == {"baseline", "proposed", "optimised"}
    _, result, _ = gate(capsys, "adding", "--time-all")
    assert not [row for row in result["rows"] if "not timed" in row["reason"]]


def test_explain_lists_what_differs_for_an_arm(toy: Toy, capsys: Captured) -> None:
    """It times nothing; a benchmark is named with its scenario, or alone, and a change shows its work."""
    explain = ["gate", "--against", "main", "--explain"]
    assert main([*explain, "*", "adding"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(";")[0] for line in lines if not line.startswith(" ")] == [
        f"adding · sqlite: sum[{arm}]: unchanged code: not timed" for arm in ("baseline", "proposed", "optimised")
    ]
    change(toy, '+= 1 if instance["arm"] == "optimised"', '+= 2 if instance["arm"] == "optimised"')
    for name in ("sum[optimised]", "adding · sqlite: sum[optimised]"):
        assert main([*explain, name, "adding"]) == 0
        out = capsys.readouterr().out
        assert out.startswith("adding · sqlite: sum[optimised]: timed, ")
        assert "1 → 2 steps (+100.0 %)" in out
    assert main([*explain, "nothing", "adding"]) == 2
    assert "no benchmark matches 'nothing'; there are, for example, 'adding · sqlite: " in capsys.readouterr().err


def test_scenarios_are_timed_in_common_rounds(toy: Toy, capsys: Captured) -> None:
    """Each process pair of the first rounds is of another scenario than the one before, and one work count decides for one only."""
    other = (toy.folder / "scenarios" / "adding.py").read_text().replace("NUMBERS = 20_000", "NUMBERS = 30_000")
    toy.write("scenarios/summing.py", other)
    toy.commit()
    toy.write("scenarios/summing.py", other.replace('+= 1 if instance["arm"]', '+= 2 if instance["arm"]'))
    code, result, _ = gate(capsys, "--time-all", "--budget", "4m", "--out", "kept")
    assert code == 1
    pairs = [json.loads(line) for line in (toy.folder / "kept" / PAIRS_FILE).read_text().splitlines()]
    rounds = [(pair["number"], {name.partition(" ")[0] for name in pair["logs"]}) for pair in pairs]
    assert rounds[:4] == [(1, {"adding"}), (1, {"summing"}), (2, {"adding"}), (2, {"summing"})]
    timed = {(row["scenario"], row["arm"]): row["verdict"] for row in result["rows"] if row["kind"] == "time"}
    assert set(timed) == {(name, arm) for name in ("adding", "summing") for arm in ("baseline", "proposed", "optimised")}
    assert {row["scenario"] for row in result["rows"] if row["verdict"] == "regressed" and row["kind"] == "work"} == {"summing"}


def test_only_the_arm_that_a_change_touches_is_timed(toy: Toy, capsys: Captured) -> None:
    """The function of one arm runs in none of the others."""
    change(toy, "return sum(list(range(case.args)))", "return by_list(case.args)")
    file = toy.folder / "scenarios" / "adding.py"
    file.write_text(file.read_text() + "\n\ndef by_list(n: int) -> int:\n    return sum(list(range(n)))\n")
    toy.commit()
    change(toy, "    return sum(list(range(n)))", "    return sum([*range(n)])")
    _, result, _ = gate(capsys, "adding")
    timed = {row["arm"] for row in result["rows"] if row["kind"] == "time" and "not timed" not in row["reason"]}
    assert timed == {"proposed"}


def test_an_unknown_ref_is_one_line(capsys: Captured) -> None:
    """It exits with 2 before anything is measured."""
    assert main(["gate", "--against", "nothing"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "harness: --against 'nothing' is not a commit, branch or tag here; choose from main"
    ]


def test_ctrl_c_leaves_nothing_behind(toy: Toy, tmp_path: Path) -> None:
    """Interrupted while it measures, it exits with 3 and a table; the worktree, its folder and its processes are removed."""
    change(toy, "NUMBERS = 20_000", "NUMBERS = 20_001")
    command = [sys.executable, "-m", "harness", "gate", "--against", "main", "adding"]
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    with subprocess.Popen(command, cwd=toy.folder, env=environment, stdout=-1, stderr=-1, text=True) as running:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("tmp/harness-*/adding-own-old/*.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert toy.worktrees == 2
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 3, err
    assert "unfinished: interrupted; continue it with --resume runs/" in " ".join(out.split())
    assert "\nharness: results are in runs/" in err
    assert toy.worktrees == 1
    assert list((tmp_path / "tmp").iterdir()) == []
