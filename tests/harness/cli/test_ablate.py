"""`harness ablate`, as a person types it: its help, one toy from start to end, and every way of getting it wrong."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.cli import EXIT_CODES, main
from harness.results.run import AA_CONTROL, GainSum, Interaction
from harness.results.store import read_run, read_samples

ROOT = Path(__file__).parents[3]
TOYS = ROOT / "tests" / "toys"
TOY = TOYS / "switching.py"
ARMS = {"only halve", "only skip", "only idle", "all", "all but halve", "all but skip", "all but idle"}
COMMAND = [sys.executable, "-m", "harness", "ablate"]

HELP = f"""\
usage: harness ablate [-h] [--engine ENGINE[,ENGINE]] [--size SIZE] [--seed N] [--rtt MS[,MS]] [--quick]
                      [--processes N] [--budget S] [--out DIR] [--scenarios DIR] [--json]
                      [SCENARIO]

Turn a scenario's switches on one by one and off one by one: which optimisation brings how much, alone and last.

SCENARIO is the name of a file in the scenarios folder, a scenario file, or a folder with one; it has to have switches (see
harness.scenario.Scenario). Without a name it is the one scenario in the folder that has. Its arms are then: all switches off, each
alone, all on, all but each; they are compared, timed in pairs and controlled as in `harness run`, in the groups that users load.

Every arm's instance is open at once in a process, 2 n + 3 of them for n switches, the A/A control's included: that many times the
memory and the connections of one. Ctrl-C keeps what was measured and still writes the report.

positional arguments:
  SCENARIO              a name, a file or a folder (default: the one scenario with switches)

options:
  -h, --help            show this help message and exit
  --engine ENGINE[,ENGINE]
                        database engines, or all (default: sqlite)
  --size SIZE           how much data: tiny, small, medium, large (default: small)
  --seed N              seed of data, cases and order (default: 0)
  --rtt MS[,MS]         round-trip times to the engine, in ms (default: 0)
  --quick               a first look: tiny data, fewer processes, less time
  --processes N         fresh processes an arm is timed in (default: 5; 3 over several engines or distances)
  --budget S            seconds for timing pairs (default: 120)
  --out DIR             folder of the run (default: runs/<UTC time>-<commit>)
  --scenarios DIR       where names are looked up
  --json                print the run as JSON instead of tables

{EXIT_CODES}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Ablate the toy once; it is the one scenario with switches in its folder, so it need not be named."""
    out = tmp_path_factory.mktemp("runs") / "toy"
    arguments = ["--scenarios", str(TOYS), "--quick", "--processes", "2", "--budget", "0.5", "--out", str(out)]
    return out, subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_help_is_the_public_interface(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The options are those of `harness run`, and what is open at once is said."""
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as ended:
        main(["ablate", "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == HELP


@pytest.mark.slow
def test_an_ablation_ends_well_with_table_and_report(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Exit code 0, every switch in the table, and the report's path last; the report draws what each switch brings."""
    out, done = finished
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(out / "report.html")
    assert all(switch in done.stdout for switch in ("halve", "skip", "idle"))
    assert "No promise" not in done.stdout
    page = (out / "report.html").read_text()
    assert "What each switch brings, alone and last" in page
    assert "half the rounds" in page


@pytest.mark.slow
def test_an_ablation_records_every_set_of_switches(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """All arms are verified and timed with the control, in the group that users load alone, and every switch has its gains."""
    (toy,) = read_run(finished[0]).scenarios
    assert (toy.status, toy.processes, toy.verified_cases) == ("ok", 2, 2)
    assert {r.arm for r in toy.ratios} == {*ARMS, AA_CONTROL}
    assert (list(toy.groups), toy.verdicts, toy.memory, toy.work_counts) == (["count"], [], [], [])
    (found,) = toy.ablation
    assert (found.group, found.pairs) == ("count", toy.pairs)
    assert {s.switch for s in found.switches} == {"halve", "skip", "idle"}
    assert all(s.interaction in Interaction and s.alone.low is not None and s.rank_best for s in found.switches)
    assert found.together in GainSum


@pytest.mark.slow
def test_the_samples_of_every_arm_are_kept(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The raw operations lie beside the record, of all sets of switches."""
    (toy,) = read_run(finished[0]).scenarios
    assert toy.samples_file is not None
    assert {s.arm for s in read_samples(finished[0] / toy.samples_file)} == {"baseline", *ARMS, AA_CONTROL}


@pytest.mark.slow
def test_switches_that_change_an_answer_fail_by_name(tmp_path: Path) -> None:
    """Exit code 1 names the arm and the case, and nothing is timed."""
    wrong = TOY.read_text().replace("return int(case.args)", "return int(case.args) + (instance == 600)")
    (tmp_path / "wrong_switches.py").write_text(wrong)
    arguments = [str(tmp_path / "wrong_switches.py"), "--quick", "--processes", "1", "--out", str(tmp_path / "run")]
    done = subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    assert "all gives another answer than baseline to case 'count 1'" in " ".join(done.stdout.split())
    assert read_run(tmp_path / "run").scenarios[0].ablation == []


@pytest.mark.slow
def test_an_interruption_keeps_the_gains_so_far(tmp_path: Path) -> None:
    """Ctrl-C while pairs are timed ends with exit code 3 and an ablation of what was timed."""
    out = tmp_path / "run"
    command = [*COMMAND, str(TOY), "--processes", "2", "--budget", "120", "--out", str(out)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    for line in child.stderr:
        if "timing pairs" in line:
            break
    time.sleep(4)
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=60)
    assert child.returncode == 3, stderr
    (toy,) = read_run(out).scenarios
    assert toy.status == "interrupted"
    assert toy.ablation[0].pairs > 0
    assert {s.interaction for s in toy.ablation[0].switches} == {"inconclusive"}
    assert "Traceback" not in stdout + stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([str(TOYS / "adding.py")], "adding has no switches, so there is nothing to ablate; try `harness run adding`"),
        (["switchng"], "no scenario named 'switchng'; known: "),
        (["--scenarios", "no/such/folder"], "no scenario or folder named 'no/such/folder'"),
        ([str(TOY), "--engine", "oracle"], "no engine named 'oracle'"),
        ([str(TOY), "--processes", "0"], "--processes '0' is not a whole number above 0"),
        ([str(TOY), "--budget", "nan"], "--budget 'nan' is not a number of seconds above 0; try --budget 120"),
        ([str(TOY), str(TOY)], "unrecognized arguments"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    arguments: list[str], complaint: str, refused: Callable[[Sequence[str], str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the thing; nothing is run."""
    monkeypatch.chdir(ROOT)
    refused(["ablate", *arguments], complaint)


def test_a_folder_must_hold_one_scenario_with_switches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of none and of several, the line says which it is and what to do."""
    for name in ("first_sums", "second_sums"):
        shutil.copy(TOYS / "adding.py", tmp_path / f"{name}.py")
    assert main(["ablate", "--scenarios", str(tmp_path)]) == 2
    assert "none of these scenarios has switches" in capsys.readouterr().err
    for name in ("first_switches", "second_switches"):
        shutil.copy(TOY, tmp_path / f"{name}.py")
    assert main(["ablate", "--scenarios", str(tmp_path)]) == 2
    assert "several scenarios have switches; name one of them: first_switches, second_switches" in capsys.readouterr().err
