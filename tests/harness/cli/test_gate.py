"""`harness gate` on stored runs: exit codes, outputs and errors."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness.cli import main
from harness.gate.against import checkout, environment, pytest_suites
from harness.gate.against.checkout import Checkout
from harness.gate.against.environment import OldEnvironment
from harness.gate.impact.proof import Impact
from harness.results.run import Run, RunKind, RunWarning
from harness.results.store import SCHEMA_VERSION, read_run, write_json, write_run
from harness.results.warning_names import WarningName
from tests.harness.gates import result, run

ROOT = Path(__file__).parents[3]
TOY = ROOT / "tests" / "toys" / "adding.py"
Refused = Callable[[Sequence[str], str], None]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to an empty project, outside GitHub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def gate(base: Run, candidate: Run, *options: str) -> int:
    """Run the command on two stored runs: the baseline a file, the candidate a folder."""
    write_json(base, Path("base.json"))
    write_run(candidate, Path("candidate"))
    return main(["gate", "base.json", "candidate", *options])


@pytest.mark.parametrize(
    ("base", "candidate", "code", "says"),
    [
        (run(), run(result(slower=1.1)), 0, "✓ equivalent: 4 work counts equal; 2 times could not be judged"),
        (run(), run(result(steps=50)), 0, "▲ improved: 2 work counts improved, nothing regressed"),
        (run(), run(result(statements=4)), 1, "✗ regressed: 2 work counts regressed"),
        (run(), run(result(status="failed", error="arms disagree")), 1, "it failed: arms disagree"),
        (
            run(result(work_counts=[])),
            run(result(work_counts=[])),
            3,
            "? inconclusive: no work count was judged that could decide",
        ),
        (run(result(), result("b")), run(interrupted=True), 4, "the run was interrupted before it measured all of 'b · sqlite'"),
        (run(), run(result("renamed")), 4, "≠ not comparable: scenarios: scenario 'indexes · sqlite' is missing in the candidate"),
        (run(), run(schema_version=SCHEMA_VERSION + 1), 4, f"has schema {SCHEMA_VERSION + 1}"),
        (run(schema_version=0), run(), 4, "base.json has schema 0"),
    ],
)
def test_every_verdict_has_its_exit_code(
    base: Run, candidate: Run, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The output has the reason."""
    assert gate(base, candidate) == code
    assert says in " ".join(capsys.readouterr().out.split())


def test_a_gate_writes_no_file_by_default(tmp_path: Path) -> None:
    """A better candidate does not replace the baseline either."""
    write_json(run(), Path("baselines/main.json"))
    before = Path("baselines/main.json").read_bytes()
    write_run(run(result(steps=1)), Path("better"))
    assert main(["gate", "baselines/main.json", "better"]) == 0
    assert Path("baselines/main.json").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["baselines", "better"]


def test_a_result_has_every_output(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """JUnit, Markdown, a page, GitHub annotations and summary are written in addition to the table."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    Path("summary.md").write_text("before\n")
    assert (
        gate(
            run(), run(result(statements=4)), "--junit", "out/gate.xml", "--markdown", "gate.md", "--html", "gate.html", "--github"
        )
        == 1
    )
    said = capsys.readouterr().out
    assert "✗ regressed" in said
    assert "\n::error title=harness gate::✗ regressed" in said
    assert ET.parse("out/gate.xml").getroot().get("failures") == "3"
    assert "<h1>Gate failed: " in Path("gate.html").read_text()
    assert Path("summary.md").read_text() == f"before\n{Path('gate.md').read_text()}\n"


def test_the_command_for_the_details_writes_nothing_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is this command with --all, without files, annotations and the job's summary; what is pytest's stays at its end."""
    written = ["--github", "--junit", "gate.xml", "--markdown=gate.md", "--html", "gate.html"]
    monkeypatch.setattr(sys, "argv", ["harness", "gate", "base.json", *written, "candidate", "--drift=3%"])
    gate(run(), run(result(statements=4)), *written)
    assert "harness gate base.json candidate --drift=3% --all\n" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["harness", "gate", "--against", "x y", "--github", "--", "pytest", "--junit", "a"])
    gate(run(), run(result(statements=4)))
    assert "harness gate --against 'x y' --all -- pytest --junit a\n" in capsys.readouterr().out


def test_not_comparable_runs_are_reported_as_junit() -> None:
    """A run of another schema gives a JUnit file with errors."""
    assert gate(run(), run(schema_version=99), "--junit", "gate.xml") == 4
    assert ET.parse("gate.xml").getroot().get("errors") == "2"


@pytest.mark.parametrize("form", ["--json", "--markdown=-"])
def test_machine_readable_output_is_not_mixed_with_annotations(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Annotations go to standard error."""
    assert gate(run(), run(result(statements=4)), form, "--github") == 1
    said = capsys.readouterr()
    assert "::error" in said.err
    assert "::error" not in said.out
    if form == "--json":
        found = json.loads(said.out)
        assert (found["verdict"], found["base"], found["candidate"]) == ("regressed", "base.json", "candidate")
    else:
        assert said.out.startswith("## ✗ Gate failed: ")


def test_tolerances_are_read_from_the_project(refused: Refused, capsys: pytest.CaptureFixture[str]) -> None:
    """They take precedence over the scenario's; invalid ones are usage errors."""
    Path("pyproject.toml").write_text('[tool.harness.gate.tolerances]\n"indexes.statements" = 0.5\n')
    assert gate(run(), run(result(statements=4))) == 0
    capsys.readouterr()
    for section, complaint in (
        ('"indexes.statements" = "much"', "is not a share of 0 or more"),
        ('"indexes.statements" = -1', "is not a share of 0 or more"),
        ('"indexes.statements" = nan', "is not a share of 0 or more"),
        (f'"indexes.statements" = {"9" * 400}', "is not a share of 0 or more"),
        ("statements = 0.5", "is not a metric of a scenario"),
        ("indexes.statements = 0.5", "is not a share of 0 or more"),
        ("oops", "pyproject.toml cannot be read"),
    ):
        Path("pyproject.toml").write_text(f"[tool.harness.gate.tolerances]\n{section}\n")
        refused(["gate", "base.json", "candidate"], complaint)
    Path("pyproject.toml").write_text("[tool.harness]\ngate = 3\n")
    refused(["gate", "base.json", "candidate"], "gate is not a table")


def test_only_selects_scenarios(refused: Refused, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a pattern for their names."""
    assert gate(run(result(), result("loading")), run(), "--only", "ind*") == 0
    capsys.readouterr()
    refused(
        ["gate", "base.json", "candidate", "--only", "x"], "no scenario matches 'x'; there are, for example, 'indexes', 'loading'"
    )


def saved(path: str, **medians_s: float) -> None:
    """Write pytest-benchmark's JSON."""
    stats = {"rounds": 30, "iterations": 1}
    benchmarks = [
        {
            "name": name,
            "fullname": f"t.py::{name}",
            "stats": stats | {"min": m, "max": m, "mean": m, "median": m, "data": [m * (1 + i / 1e4) for i in range(30)]},
        }
        for name, m in medians_s.items()
    ]
    Path(path).write_text(
        json.dumps({"machine_info": {}, "benchmarks": benchmarks, "datetime": "2026-01-01T00:00:00+00:00", "version": "5"})
    )


def test_files_of_other_tools_are_gated_by_their_times(capsys: pytest.CaptureFixture[str]) -> None:
    """They are usually inconclusive, unless identical; a file cannot be compared with a run, and runs have no --drift."""
    saved("old.json", a=0.1, b=0.1)
    saved("near.json", a=0.101, b=0.1)
    saved("slow.json", a=0.1, b=0.2)
    saved("other.json", a=0.1, c=0.1)
    saved("more.json", a=0.05, b=0.05, c=0.1)
    assert main(["gate", "old.json", "near.json"]) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "no benchmark's change is beyond the drift of 25 %" in said
    assert "work count" not in said
    assert main(["gate", "old.json", "old.json"]) == 0
    assert "✓ equivalent: identical files" in capsys.readouterr().out
    assert main(["gate", "old.json", "slow.json"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "regressed: t.py::b regressed at the median: 100 ms → 200 ms" in said
    assert "the arm itself" not in said
    assert main(["gate", "old.json", "slow.json", "--drift", "150%"]) == 3
    assert main(["gate", "slow.json", "old.json", "--only", "*::b"]) == 0
    assert main(["gate", "old.json", "more.json"]) == 0
    assert "added: 't.py::c'" in capsys.readouterr().out
    assert main(["gate", "old.json", "other.json", "--junit", "gate.xml"]) == 4
    assert "removed: 't.py::b'" in capsys.readouterr().out
    assert ET.parse("gate.xml").getroot().get("errors") == "2"
    assert main(["gate", "more.json", "old.json", "--allow-missing", "--drift", "120%"]) == 3
    assert main(["gate", "old.json", "other.json", "--except", "*::b"]) == 0
    write_run(run(), Path("candidate"))
    assert main(["gate", "old.json", "candidate"]) == 4
    assert main(["gate", "candidate", "candidate", "--drift", "50%"]) == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["gate"], "a gate needs two runs, BASE and CANDIDATE, not 0; name both, or use --against REF"),
        (["gate", "one.json"], "CANDIDATE, not 1"),
        (["gate", "a", "b", "c"], "CANDIDATE, not 3"),
        (["gate", "nowhere", "nothing"], "cannot read nowhere"),
    ],
)
def test_usage_errors_are_one_line(arguments: list[str], complaint: str, refused: Refused) -> None:
    """The line has the next step."""
    refused(arguments, complaint)


def test_a_comparison_is_refused(refused: Refused) -> None:
    """It has two sides already."""
    write_json(replace(run(), kind=RunKind.COMPARISON), Path("compared.json"))
    refused(["gate", "compared.json", "compared.json"], "compared.json is a comparison; name the two files")


def test_a_file_cut_short_or_with_nan_is_one_line(refused: Refused) -> None:
    """The line names the file."""
    write_json(run(result(statements=12345.5)), Path("base.json"))
    body = Path("base.json").read_text()
    Path("short.json").write_text(body[: len(body) // 2])
    Path("nan.json").write_text(body.replace("12345.5", "NaN"))
    refused(["gate", "base.json", "short.json"], "short.json")
    refused(["gate", "base.json", "nan.json"], "nan.json")


def measured(scenario: Path, out: Path) -> Run:
    """Run a scenario with the real command and return the run."""
    options = ("--quick", "--processes", "2", "--budget", "100", "--out", str(out))
    command = [sys.executable, "-m", "harness", "run", str(scenario), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return read_run(out)


def with_times_of(base: Run, candidate: Run) -> Run:
    """Return the candidate with the base's times: on a busy machine its own may differ from them by any factor."""
    (timed,), (counted,) = base.scenarios, candidate.scenarios
    return replace(candidate, scenarios=[replace(counted, latencies=timed.latencies, ratios=timed.ratios)])


def copied(folder: Path, steps: int) -> Path:
    """Copy the toy scenario with another number of steps per operation."""
    source, old = TOY.read_text(), "+= 1 if instance"
    assert source.count(old) == 1
    source = source.replace(old, f"+= {steps} if instance")
    folder.mkdir()
    (folder / TOY.name).write_text(source)
    return folder / TOY.name


@pytest.mark.slow
def test_one_more_step_fails_and_the_same_code_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three real runs: a baseline, the same code again, and a copy with one more step per operation."""
    same, worse = copied(tmp_path / "same", 1), copied(tmp_path / "worse", 2)
    base = measured(same, tmp_path / "a")
    assert gate(base, with_times_of(base, measured(same, tmp_path / "b")), "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["verdict"] for row in rows if row["kind"] == "work"} == {"equal"}
    assert {row["change"] for row in rows if row["kind"] == "time"} == {1.0}
    assert gate(base, with_times_of(base, measured(worse, tmp_path / "c")), "--json") == 1
    red = [row for row in json.loads(capsys.readouterr().out)["rows"] if row["verdict"] == "regressed"]
    assert [(row["arm"], row["metric"], row["base"], row["candidate"]) for row in red] == [("optimised", "steps", 1.0, 2.0)]


def test_an_explanation_calls_nothing_unchanged_where_the_old_environment_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its dependencies count as changed, so that the gate times every benchmark."""
    trees = Checkout("main", "0000000", tmp_path, tmp_path, Path(), "1111111", dirty=False)
    warning = RunWarning(WarningName.OLD_VERSION, "its dependencies differ and cannot be installed: no pip", "install pip")
    old = OldEnvironment(sys.executable, trees, [warning], is_assumed=True)
    monkeypatch.setattr(checkout, "checkout", lambda *_: nullcontext(trees))
    monkeypatch.setattr(environment, "old_environment", lambda *_: nullcontext(old))
    monkeypatch.setattr(pytest_suites, "explain", lambda *_: Impact({"test_a": []}))
    assert main(["gate", "--against", "main", "--explain", "test_a", "--", "pytest", "bench"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "everything is timed: its dependencies differ and cannot be installed: no pip",
        "test_a: timed, 1 difference",
        "  what is installed for it differs",
    ]
