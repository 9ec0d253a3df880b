"""The page on writing scenarios: every code block is a file of a project that runs as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.discovery import load
from harness.results.run import PromiseVerdict, Run
from harness.results.store import read_run

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "scenario.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r'```python title="([\w/.]+)"\n(.*?)```', PAGE, flags=re.DOTALL))
SCENARIOS = sorted(name for name in BLOCKS if name.startswith("bench/"))
LIMITS = {"bench/frequent_words.py": 15, "bench/author_page.py": 25, "bench/newest_posts.py": 25, "bench/search.py": 25}
"""The most lines that the first scenario of each kind may have, blank ones included."""
CEREMONY = 10
PROMISED = {"author_page": "B2", "author_page_http": "B3", "publish_posts": "W2", "cached_price": "R1", "newest_posts": "I2"}
"""Scenario → a promise about counts, which a preview decides."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write all blocks into a folder."""
    folder = tmp_path_factory.mktemp("project")
    for name, code in BLOCKS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code)
    (folder / "pyproject.toml").write_text("[tool.harness]\n")
    return folder


def harness(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the project, as its user does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=600, check=False)


def test_every_block_of_python_is_a_file() -> None:
    """Each has a title, by which it is found here."""
    assert len(re.findall(r"^```python", PAGE, flags=re.MULTILINE)) == len(BLOCKS)
    assert LIMITS.keys() < set(SCENARIOS)


@pytest.mark.parametrize("name", LIMITS)
def test_the_first_scenarios_are_short(name: str) -> None:
    """Within the limit, blank lines included, with lines of common length, and of few that are not about the subject."""
    lines = BLOCKS[name].splitlines()
    assert len(lines) <= LIMITS[name]
    assert max(map(len, lines)) <= 110
    ceremony = [line for line in lines if re.match(r"from harness |class |    (async )?def |    groups|        async with", line)]
    assert len(ceremony) <= CEREMONY


@pytest.mark.slow
def test_every_scenario_runs_and_keeps_its_promises_about_counts(project: Path) -> None:
    """All of them in one run, on SQLite, over HTTP and with Redis: no error, and each promise about statements is confirmed."""
    for package in ("mimesis", "flask", "fastapi", "uvicorn", "waitress", "redis"):
        pytest.importorskip(package)
    done = harness(project, "harness", "run", "bench", "--quick", "--processes", "1", "--budget", "60", "--out", "run")
    record = read_run(project / "run")
    assert [(result.name, result.error) for result in record.scenarios if result.error] == [], done.stderr
    assert {result.name for result in record.scenarios} == {Path(name).stem for name in SCENARIOS}
    assert done.returncode == 0, done.stdout + done.stderr
    confirmed(record, PROMISED)


@pytest.mark.slow
def test_a_foreign_blog_gets_its_verdict_on_postgres(project: Path, request: pytest.FixtureRequest) -> None:
    """With network latency; the plans of its statements are in the record."""
    request.getfixturevalue("postgres_url")
    pytest.importorskip("mimesis")
    words = ("run", "bench/author_page.py", "--engine", "postgres", "--rtt", "5", "--quick", "--processes", "2", "--budget", "40")
    done = harness(project, "harness", *words, "--out", "on-postgres")
    assert done.returncode == 0, done.stdout + done.stderr
    record = read_run(project / "on-postgres")
    confirmed(record, {"author_page": "B2"})
    (result,) = record.scenarios
    assert {statement.arm for statement in result.statements if statement.plan} == {"baseline", "optimised"}
    assert {"query_buffers", "blocks", "rows"} <= {count.metric for count in result.work_counts}


def confirmed(record: Run, promised: dict[str, str]) -> None:
    """Assert that these promises were kept."""
    found = {(result.name, verdict.promise): verdict.verdict for result in record.scenarios for verdict in result.verdicts}
    assert {found[key] for key in promised.items()} <= {PromiseVerdict.CONFIRMED, PromiseVerdict.EXCEEDED}


@pytest.mark.slow
def test_the_tests_pass(project: Path) -> None:
    """The test of the page counts the statements of the application, on a database that a fixture has filled."""
    pytest.importorskip("mimesis")
    plugins = [word for name in ("no:faker", "no:locust", "no:schemathesis", "no:randomly") for word in ("-p", name)]
    done = harness(project, "pytest", "-q", "-p", "no:cacheprovider", *plugins, "tests")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_is_accepted(name: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its declarations are checked without running it."""
    pytest.importorskip("flask")
    monkeypatch.syspath_prepend(str(project))
    loaded = load(project / name)
    assert set(loaded.scenario.arms) == {"baseline", "optimised"}
    assert len(loaded.scenario.promises) > 0
    for module in ("blog", "words", "prices", "catalogue"):
        sys.modules.pop(module, None)
