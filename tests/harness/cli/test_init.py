"""`harness init`: what it finds, writes and prints; and the scenarios that it writes, which run."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import main
from harness.results.store import read_run
from tests.harness.init.conftest import PROJECTS

HELP = """\
usage: harness init [-h] [--traceback] [--template TEMPLATE] [--ci CI] [--yes] [--dry-run] [FOLDER]

Write a first scenario for a project, and its settings.

Looks at the project's code for SQLAlchemy tables, a Flask, FastAPI, Starlette or Django application, and functions
whose arguments can be drawn, and writes a scenario that runs as it is: a baseline and an optimised arm. Modules with
tables or an application are imported, in another process. Also written: a locustfile for the scenarios,
[tool.harness] in pyproject.toml, and a line of .gitignore. A file that exists is never overwritten; --dry-run shows
what would be written.

positional arguments:
  FOLDER               the project's folder (default: the nearest one with a pyproject.toml, or the current one)

options:
  -h, --help           show this help message and exit
  --traceback          print the traceback of an error, also by HARNESS_TRACEBACK=1
  --template TEMPLATE  sql, http, function or empty (default: what fits the code)
  --ci CI              also write a workflow: github or gitlab
  --yes                ask nothing, as where standard input is not a terminal
  --dry-run            write nothing; print every file
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder, and make it the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def fill(folder: Path, name: str) -> None:
    """Write one of the projects."""
    for path, text in PROJECTS[name].items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def test_the_help_is_the_public_interface(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It names what is found, what is written, and that nothing is overwritten."""
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as ended:
        main(["init", "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(HELP)


def test_an_empty_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It gets two functions of its own, and the next step."""
    assert main(["init", "--template", "function", "--yes"]) == 0
    assert (
        capsys.readouterr().out
        == f"""\
project: {folder}
wrote    bench/shared_words.py
wrote    bench/locustfile.py
wrote    pyproject.toml
wrote    .gitignore
next:
  harness run        # measures bench, and writes a report
  look for TODO in bench/shared_words.py: the change to try
"""
    )
    assert main(["list"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["F1"]


def test_a_second_time_nothing_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scenarios that exist are named; another one has to be asked for."""
    main(["init", "--yes"])
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    capsys.readouterr()
    assert main(["init", "--yes"]) == 0
    assert "exists   bench with shared_words; for one more: --template\n" in capsys.readouterr().out
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert main(["init", "--yes", "--template", "empty"]) == 0
    printed = capsys.readouterr().out
    assert "wrote    bench/first_scenario.py\n" in printed
    assert "exists   pyproject.toml, with this content already\n" in printed


def test_added_lines_are_named_without_empty_ones(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table is set apart from what is there by an empty line, which is nothing to tell."""
    (folder / "pyproject.toml").write_text('[project]\nname = "shop"\n')
    assert main(["init", "--yes", "--template", "empty"]) == 0
    assert 'added    [tool.harness]; scenarios = "bench"; budget = "40s" to pyproject.toml\n' in capsys.readouterr().out


def test_a_dry_run_writes_nothing_and_shows_every_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What exists is marked, together with what would have been written."""
    (folder / "bench").mkdir()
    (folder / "bench" / "locustfile.py").write_text("mine")
    (folder / ".gitignore").write_text("*.pyc\n")
    before = sorted(folder.rglob("*"))
    assert main(["init", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "--- bench/shared_words.py\n" in printed
    assert "--- bench/locustfile.py (exists, and would stay)\n" in printed
    assert "from harness.locust_adapter import users\n" in printed
    assert "--- .gitignore (these lines are added)\n/runs/\n" in printed
    assert printed.endswith("nothing was written (--dry-run)\n")
    assert sorted(folder.rglob("*")) == before


def test_the_project_is_that_of_the_nearest_settings(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder below, the files go to the project's own; a folder that is named is taken as it is."""
    (folder / "pyproject.toml").write_text("")
    (folder / "deep").mkdir()
    monkeypatch.chdir(folder / "deep")
    assert main(["init", "--yes"]) == 0
    assert f"next:\n  cd {folder}\n  harness run" in capsys.readouterr().out
    assert (folder / "bench" / "shared_words.py").exists()
    assert main(["init", "--yes", "."]) == 0
    assert (folder / "deep" / "bench" / "shared_words.py").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["init", "nowhere"], "nowhere is not a folder; name the folder of a project, or leave it out"),
        (["init", "--template", "sql"], "the sql template does not fit: no SQLAlchemy tables were found"),
        (["init", "--template", "http"], "the http template does not fit: no Flask, FastAPI, Starlette or Django"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Nothing is written, and the exit code is that of a usage error."""
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_settings_that_cannot_be_used_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown key is a usage error before anything is written."""
    (folder / "pyproject.toml").write_text("[tool.harness]\nscenario = 'x'\n")
    assert main(["init", "--yes"]) == 2
    assert "[tool.harness] has an unknown key 'scenario'; did you mean 'scenarios'?" in capsys.readouterr().err
    assert [file.name for file in folder.iterdir()] == ["pyproject.toml"]


def test_an_application_that_cannot_be_imported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own error is printed with the line; something that runs is written nevertheless, in at most 20 lines of 80 columns."""
    pytest.importorskip("sqlalchemy")
    (folder / "models.py").write_text("import sqlalchemy\n\nraise RuntimeError('set DATABASE_URL, ' + 'please ' * 50)\n")
    (folder / "broken.py").write_text("def (:\n")
    (folder / "test_speed.py").write_text("def test_sum(benchmark): ...\n")
    assert main(["init", "--yes", "--ci", "github"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "  models cannot be imported: models.py, line 3: RuntimeError: set DATABASE_URL," in printed
    assert "  and 1 more files that cannot be read or imported" in printed
    assert "  harness gate --against HEAD -- pytest test_speed.py" in printed
    assert len(printed) <= 20
    assert all(len(line) <= 80 for line in printed[1:])
    assert main(["init", "--yes", "--template", "sql"]) == 2
    assert "the sql template does not fit: models cannot be imported: models.py, line 3" in capsys.readouterr().err


class Terminal(io.StringIO):
    """Standard input that is a terminal."""

    def isatty(self) -> bool:
        """Return that it is."""
        return True


def test_at_a_terminal_it_asks(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Which template, if several fit, and before it writes; no means no."""
    fill(folder, "inventory")
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert main(["init"]) == 0
    asked = capsys.readouterr().out
    assert "write bench/low_stock_calls.py, bench/locustfile.py, pyproject.toml, .gitignore? [Y/n] nothing was written" in asked
    assert not (folder / "bench").exists()
    monkeypatch.setattr(sys, "stdin", Terminal("\n"))
    assert main(["init"]) == 0
    assert (folder / "bench" / "low_stock_calls.py").exists()


def test_an_answer_that_ends_is_no_answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of the input nothing is written."""
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert main(["init"]) == 0
    assert list(folder.iterdir()) == []


CASES = [
    ("nothing", "function", "shared_words", ()),
    ("nothing", "empty", "first_scenario", ()),
    ("inventory", None, "low_stock_calls", ()),
    ("core", None, "visits_by_user_id", ("sqlalchemy", "aiosqlite", "mimesis")),
    ("blog", None, "author_posts", ("flask", "sqlalchemy", "aiosqlite", "mimesis")),
    ("blog", "http", "app_pages", ("flask", "sqlalchemy")),
    ("shop", None, "customer_orders", ("sqlalchemy", "aiosqlite", "mimesis")),
    ("django", None, "mysite_pages", ("django",)),
    ("shop", "http", "web_pages", ("fastapi", "httpx", "sqlalchemy", "aiosqlite")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "template", "scenario", "needs"), CASES)
def test_the_scenario_that_is_written_runs(
    tmp_path: Path, name: str, template: str | None, scenario: str, needs: tuple[str, ...]
) -> None:
    """`harness run` needs no argument; the arms agree, and pytest collects and verifies the same file."""
    for package in needs:
        pytest.importorskip(package)
    fill(tmp_path, name)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH")])),
    }

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-m", *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    printed = run("harness", "init", "--yes", *(["--template", template] if template else []))
    assert f"wrote    bench/{scenario}.py" in printed
    assert len(printed.splitlines()) <= 20
    run("harness", "run", "--processes", "0", "--size", "tiny", "--out", "run")
    (result,) = read_run(tmp_path / "run").scenarios
    assert (result.name, result.status, len(result.arms)) == (scenario, "ok", 2)
    assert all(not arm.errors for arm in result.arms)
    if scenario == "author_posts":
        counts = {count.arm: count.value for count in result.work_counts if count.metric == "statements"}
        assert counts == {"baseline": 21, "optimised": 2}
    assert re.search(r"2 passed", run("pytest", "-q", "-p", "no:cacheprovider", f"bench/{scenario}.py"))
