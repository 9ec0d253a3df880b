"""`harness ablate`: its help, one toy from start to end, and every usage error."""

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
usage: harness ablate [-h] [--traceback] [--engine ENGINE[,ENGINE]] [--size SIZE] [--seed SEED] [--rtt MS[,MS]]
                      [--quick] [--processes COUNT] [--budget DURATION] [--profile] [--allow-remote]
                      [--timeout DURATION] [--out DIR] [--scenarios DIR] [--lang LANG] [--json] [--all]
                      [SCENARIO]

Measure the contribution of each switch (ablation).

Each switch is measured added first, to the baseline, and removed last, from all switches together. SCENARIO is a name
in the scenarios directory, a scenario file, or a directory with one; it must declare switches (see harness.Scenario).
Its arms are: all switches off, each switch alone, all switches on, and all but each. They are verified, timed in
pairs and controlled as in `harness run`.

One process keeps an instance per arm open: 2 n + 3 instances for n switches, including the A/A control. Memory and
connections are multiplied accordingly. Ctrl-C keeps what was measured and still writes the report.

positional arguments:
  SCENARIO              name, file or directory of a scenario (default: the only one with switches)

options:
  -h, --help            show this help message and exit
  --traceback           print the traceback of an error, also by HARNESS_TRACEBACK=1
  --engine ENGINE[,ENGINE]
                        database engines: postgres, sqlite, turso or all (default: each scenario's first)
  --size SIZE           size of the dataset: tiny, small, medium, large (default: small)
  --seed SEED           seed of the data, the cases and the order (default: 0)
  --rtt MS[,MS]         round-trip times to the engine, in ms (default: 0)
  --quick               preview: tiny data, no slow groups, fewer processes, less time
  --processes COUNT     fresh processes per arm (default: 5; 3 with several engines or round-trip times); 0 compares
                        answers, counts work and measures memory, and times nothing
  --budget DURATION     time for the whole run, report included; answers are compared whatever it is (default: 150s)
  --profile             print where the time went: the phases of every scenario
  --allow-remote        allow servers on other machines, whose owners consent, to be measured and loaded
  --timeout DURATION    longest time of one operation (default: 60s)
  --out DIR             folder of the run (default: runs/<UTC time>-<commit>)
  --scenarios DIR       directory of scenario files (default: scenarios)
  --lang LANG           language of the report: en, ja (default: en)
  --json                print the run as JSON instead of tables
  --all                 print everything at the end, not the conclusion alone

{EXIT_CODES}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Ablate the toy once; it is the only scenario with switches in its folder, so it need not be named."""
    out = tmp_path_factory.mktemp("runs") / "toy"
    arguments = ["--scenarios", str(TOYS), "--quick", "--processes", "2", "--budget", "100", "--out", str(out)]
    return out, subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_help_is_the_public_interface(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the options of `harness run` and the number of open instances."""
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as ended:
        main(["ablate", "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == HELP


@pytest.mark.slow
def test_an_ablation_prints_a_table_and_writes_a_report(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The exit code is 0, every switch is in the table and in the report, and the report's path is printed last."""
    out, done = finished
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(out / "report.html")
    assert all(switch in done.stdout for switch in ("halve", "skip", "idle"))
    assert "No promise" not in done.stdout
    page = (out / "report.html").read_text()
    assert "Gain of each switch, alone and last" in page
    assert "half the rounds" in page


@pytest.mark.slow
def test_an_ablation_records_every_set_of_switches(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """All arms are verified and timed with the control, in the loaded group only, and every switch has a contribution."""
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
    """There are samples of all sets of switches."""
    (toy,) = read_run(finished[0]).scenarios
    assert toy.samples_file is not None
    assert set(read_samples(finished[0] / toy.samples_file)["arm"]) == {"baseline", *ARMS, AA_CONTROL}


@pytest.mark.slow
def test_switches_that_change_an_answer_fail_by_name(tmp_path: Path) -> None:
    """The exit code is 1, the message names the arm and the case, and nothing is timed."""
    wrong = TOY.read_text().replace("return int(case.args)", "return int(case.args) + (instance == 600)")
    (tmp_path / "wrong_switches.py").write_text(wrong)
    arguments = [str(tmp_path / "wrong_switches.py"), "--quick", "--processes", "1", "--out", str(tmp_path / "run")]
    done = subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    assert "all gives another answer than baseline to case 'count 1'" in " ".join(done.stdout.split())
    assert read_run(tmp_path / "run").scenarios[0].ablation == []


@pytest.mark.slow
def test_an_interruption_keeps_the_results_so_far(tmp_path: Path) -> None:
    """Ctrl-C while pairs are timed ends with exit code 3 and an ablation of what was timed."""
    out = tmp_path / "run"
    toy = tmp_path / "switching.py"
    toy.write_text(TOY.read_text().replace("for _ in range(instance):", "for _ in range(500 * instance):"))
    command = [*COMMAND, str(toy), "--processes", "2", "--budget", "120", "--out", str(out)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    for line in child.stderr:
        if "timing pairs" in line:
            break
    time.sleep(4)
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=60)
    assert child.returncode == 3, stderr
    (found,) = read_run(out).scenarios
    assert found.status == "interrupted"
    assert found.ablation[0].pairs > 0
    assert "Traceback" not in stdout + stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([str(TOYS / "adding.py")], "adding has no switches, so there is nothing to ablate; try `harness run adding`"),
        (["switchng"], "unknown scenario 'switchng'; choose from "),
        (["--scenarios", "no/such/folder"], "no folder 'no/such/folder'"),
        ([str(TOY), "--engine", "oracle"], "unknown engine 'oracle'"),
        ([str(TOY), "--processes", "-1"], "--processes: '-1' is not a whole number from 0"),
        ([str(TOY), "--budget", "nan"], "--budget: 'nan' is not a duration above 0"),
        ([str(TOY), str(TOY)], "unrecognized arguments"),
    ],
)
def test_usage_errors_are_one_line(
    arguments: list[str], complaint: str, refused: Callable[[Sequence[str], str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the option and the value; nothing is run."""
    monkeypatch.chdir(ROOT)
    refused(["ablate", *arguments], complaint)


def test_a_folder_must_hold_one_scenario_with_switches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """None and several are different messages, each with the next step."""
    for name in ("first_sums", "second_sums"):
        shutil.copy(TOYS / "adding.py", tmp_path / f"{name}.py")
    assert main(["ablate", "--scenarios", str(tmp_path)]) == 2
    assert "no scenario here declares switches" in capsys.readouterr().err
    for name in ("first_switches", "second_switches"):
        shutil.copy(TOY, tmp_path / f"{name}.py")
    assert main(["ablate", "--scenarios", str(tmp_path)]) == 2
    assert "several scenarios declare switches; choose one: first_switches, second_switches" in capsys.readouterr().err
