"""The action for GitHub and the job for GitLab: valid, pinned, safe, and every script of theirs runs."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.init.address import Address
from harness.init.templating import template

ROOT = Path(__file__).parents[1]
ACTION = ROOT / "action.yml"
GITLAB = ROOT / "harness" / "init" / "templates" / "gitlab.yml"
RECORDER = """\
#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word"; done >> "$RECORD"
echo == >> "$RECORD"
exit "${CODE:-0}"
"""
"""A program that records its arguments."""
CANCELLED = """\
#!/usr/bin/env bash
trap 'sleep 0.3; echo "## stopped" > "$OUT/gate.md"; exit 3' TERM
touch "$RECORD"
while :; do sleep 0.05; done
"""
"""A gate that takes a moment to write its results when it is stopped."""
SUITE = "def test_sum(benchmark):\n    benchmark(sum, range(100))\n"


def steps() -> list[dict[str, Any]]:
    """Return the steps of the action."""
    found: list[dict[str, Any]] = yaml.safe_load(ACTION.read_text())["runs"]["steps"]
    return found


def step(name: str) -> dict[str, Any]:
    """Return the step of the action with a name."""
    return next(each for each in steps() if each.get("name") == name)


def job() -> dict[str, Any]:
    """Return the job of the template for GitLab."""
    found: dict[str, Any] = yaml.safe_load(GITLAB.read_text())["performance"]
    return found


def test_the_action_is_valid() -> None:
    """By the schema of GitHub's actions."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions", "--output-format", "json"]
    done = subprocess.run([*command, str(ACTION)], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["status"] == "ok", done.stdout


def test_only_actions_of_github_are_used_and_pinned() -> None:
    """By their commits, with the version as a comment, also in the workflow that projects copy."""
    texts = [ACTION.read_text(), (ROOT / "harness/init/templates/github.txt").read_text()]
    used = [line.strip().removeprefix("- ") for text in texts for line in text.splitlines() if re.match(r"\s*(- )?uses:", line)]
    assert len(used) >= 5
    others = [line for line in used if not re.fullmatch(r"uses: actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)]
    assert others == ["uses: $action"]


def test_no_script_has_an_expression_in_it() -> None:
    """What a pull request or an input says reaches scripts in variables of the environment alone."""
    scripts = [each["run"] for each in steps() if "run" in each]
    assert len(scripts) >= 4
    assert not [script for script in scripts if "${{" in script]
    for each in steps():
        if "run" in each:
            assert each["shell"] == "bash"
    assert "token" not in json.dumps([each for each in steps() if each.get("name") != "Comment"]).lower()


@pytest.mark.parametrize(
    ("shell", "script"),
    [("bash", each["run"]) for each in steps() if "run" in each]
    + [("sh", "\n".join(job()[part])) for part in ("before_script", "script", "after_script")],
)
def test_every_script_can_be_parsed(shell: str, script: str) -> None:
    """By the shell that runs it."""
    done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@dataclass
class Job:
    """A checkout, and what runs the scripts of a job in it."""

    folder: Path
    checkout: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("bin", "temp", "home"):
            (self.folder / name).mkdir()
        identity = {f"GIT_{role}_{part}": "a@b.example" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GITHUB_", "CI_", "GIT_"))}
        self.environment = {
            **kept,
            **identity,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "HOME": str(self.folder / "home"),
            "PATH": os.pathsep.join([str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
            "RECORD": str(self.folder / "record"),
            "RUNNER_TEMP": str(self.folder / "temp"),
            **{f"GITHUB_{name}": str(self.folder / name.lower()) for name in ("OUTPUT", "PATH", "ENV", "STEP_SUMMARY")},
            "GITHUB_ACTION_PATH": "/action",
        }
        self.program("harness", f'#!/bin/sh\nexec {sys.executable} -m harness "$@"\n')

    def program(self, name: str, text: str) -> None:
        """Put a program on the PATH."""
        file = self.folder / "bin" / name
        file.write_text(text)
        file.chmod(0o755)

    def git(self, *arguments: str) -> str:
        """Run git in the checkout."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.checkout, env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def start(self, found: Mapping[str, Any], inputs: Mapping[str, str], **more: str) -> subprocess.Popen[str]:
        """Start a step of the action as GitHub does."""
        defaults = {name: each["default"] for name, each in yaml.safe_load(ACTION.read_text())["inputs"].items()}
        values = {f"inputs.{name}": value for name, value in {**defaults, **inputs}.items()}
        values["runner.temp"] = str(self.folder / "temp")

        def filled(text: str) -> str:
            return re.sub(r"\$\{\{ (.*?) \}\}", lambda match: values[match[1]], text)

        script = self.folder / "script.sh"
        script.write_text(found["run"])
        own = {name: filled(value) for name, value in found.get("env", {}).items()}
        return subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            cwd=self.checkout / filled(found.get("working-directory", ".")),
            env={**self.environment, **own, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, name: str, inputs: Mapping[str, str], **more: str) -> tuple[int, str]:
        """Run a step of the action; return its exit code and what it printed."""
        with self.start(step(name), inputs, **more) as process:
            printed = process.communicate(timeout=400)[0]
        return process.returncode, printed

    def shell(self, lines: list[str], **more: str) -> tuple[int, str]:
        """Run lines of a job as GitLab does; return the exit code and what they printed."""
        done = subprocess.run(
            ["sh", "-e", "-c", "\n".join(lines)],
            cwd=self.checkout,
            env={**self.environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    @property
    def recorded(self) -> list[list[str]]:
        """The arguments of each call of a recorder."""
        calls = Path(self.environment["RECORD"]).read_text().split("==\n")[:-1] if Path(self.environment["RECORD"]).exists() else []
        return [call.splitlines() for call in calls]

    def output(self, name: str) -> str:
        """Return a file that the steps wrote, empty without it."""
        file = self.folder / name
        return file.read_text() if file.exists() else ""


@pytest.fixture
def merge(tmp_path: Path) -> Job:
    """Return a job on a shallow checkout of the merge of a pull request that changes no file, so that nothing has to be timed."""
    origin, checkout = tmp_path / "origin", tmp_path / "checkout"
    (origin / "benchmarks").mkdir(parents=True)
    made = Job(tmp_path, origin)
    (origin / "benchmarks" / "test_sum.py").write_text(SUITE)
    made.git("init", "--quiet", "--initial-branch", "main")
    for number, branch in enumerate(("main", "main", "change", "main")):
        if branch == "change":
            made.git("checkout", "--quiet", "-b", branch)
        elif number == 3:
            made.git("checkout", "--quiet", branch)
        if branch == "main":
            (origin / f"file{number}").write_text("x")
        made.git("add", "--all")
        made.git("commit", "--quiet", "--allow-empty", "--message", f"{number}")
    made.git("checkout", "--quiet", "--detach", "main")
    made.git("merge", "--quiet", "--no-ff", "--message", "merge", "change")
    merged = made.git("rev-parse", "HEAD")
    made.git("update-ref", "refs/pull/7/merge", merged)
    checkout.mkdir()
    made.checkout = checkout
    made.git("init", "--quiet")
    made.git("remote", "add", "origin", f"file://{origin}")
    made.git("fetch", "--quiet", "--depth=1", "origin", "+refs/pull/7/merge:refs/remotes/pull/7/merge")
    made.git("checkout", "--quiet", "--detach", merged)
    made.environment |= {"GITHUB_SHA": merged, "GITHUB_BASE_REF": "main"}
    return made


@pytest.mark.slow
def test_a_pull_request_is_judged_against_what_it_is_merged_into(merge: Job) -> None:
    """The commit before the merge is fetched; the results are files, the summary of the job and an output."""
    code, printed = merge.run("Gate", {"command": "pytest benchmarks/"})
    assert code == 0, printed
    base = merge.git("rev-parse", "--short", "HEAD^1")
    assert merge.output("output") == "exit-code=0\n"
    assert {file.name for file in (merge.folder / "temp" / "harness-gate").iterdir()} == {"gate.html", "gate.md", "gate.xml", "run"}
    assert merge.output("step_summary").startswith(f"## ✓ Gate passed: HEAD^1 ({base}) and ".replace("^", "\\^"))
    assert "are identical, so nothing was timed" in " ".join(printed.split())
    assert merge.git("status", "--porcelain").replace("?? benchmarks/__pycache__/", "") == ""


def test_another_checkout_is_judged_against_the_base_branch(merge: Job) -> None:
    """Of the head of the pull request, the commit before may be one of its own."""
    merge.program("harness", RECORDER)
    code, printed = merge.run("Gate", {"command": "pytest x"}, GITHUB_SHA="0" * 40)
    assert code == 0, printed
    assert merge.recorded[0][:3] == ["gate", "--against", "origin/main"]
    assert merge.git("ls-remote", "origin", "main").split()[0] == merge.git("rev-parse", "origin/main")


def test_inputs_are_arguments_and_nothing_else(merge: Job) -> None:
    """Quotation marks group words; what a shell would execute or expand is text."""
    merge.program("harness", RECORDER)
    command = "pytest -k 'a or b' $(touch hacked) `touch hacked` *.py ; touch hacked"
    inputs = {
        "command": command,
        "margin": "5%; touch hacked",
        "budget": "10m",
        "options": "--time-all",
        "against": "$(touch hacked)",
    }
    code, printed = merge.run("Gate", inputs)
    assert code == 0, printed
    (found,) = merge.recorded
    assert found[:3] == ["gate", "--against", "$(touch hacked)"]
    assert found[found.index("--time-all") :][:5] == ["--time-all", "--margin", "5%; touch hacked", "--budget", "10m"]
    suite = ["pytest", "-k", "a or b", "$(touch", "hacked)", "`touch", "hacked`", "*.py", ";", "touch", "hacked"]
    assert found[-len(suite) :] == suite
    assert not (merge.checkout / "hacked").exists()
    assert merge.run("Gate", {"command": "pytest 'x"})[0] == 2


def test_a_baseline_is_that_of_the_base_commit(merge: Job) -> None:
    """Work is counted, and compared with the file that the pull request cannot edit; a run that fails is not compared."""
    merge.program("harness", RECORDER)
    code, printed = merge.run("Gate", {"baseline": "baselines/main.json", "options": "--engine sqlite"})
    assert code == 0, printed
    out = str(merge.folder / "temp" / "harness-gate")
    first, second = merge.recorded
    assert first == ["run", "all", "--processes", "0", "--out", f"{out}/candidate", "--engine", "sqlite"]
    assert second[:3] == ["gate", "HEAD^1:./baselines/main.json", f"{out}/candidate"]
    assert merge.run("Gate", {"baseline": "baselines/main.json"}, CODE="1")[0] == 1
    assert len(merge.recorded) == 3


def test_a_project_in_a_subfolder_has_its_own_baseline(merge: Job) -> None:
    """The file is relative to the folder of the project, whose name may have spaces, like every path of the action."""
    folder = "packages/my project"
    (merge.checkout / folder).mkdir(parents=True)
    merge.program("harness", RECORDER)
    inputs = {"baseline": "./baselines/main.json", "working-directory": folder}
    code, printed = merge.run("Gate", inputs, OUT=str(merge.folder / "temp" / "the results"))
    assert code == 0, printed
    assert merge.recorded[1][:3] == [
        "gate",
        "HEAD^1:./baselines/main.json",
        str(merge.folder / "temp" / "the results" / "candidate"),
    ]


@pytest.mark.parametrize(("strict", "code"), [("true", 3), ("false", 0)])
def test_an_inconclusive_gate_passes_only_where_the_workflow_says_so(merge: Job, strict: str, code: int) -> None:
    """The output keeps its exit code, and a regression fails in both cases."""
    merge.program("harness", RECORDER)
    found, printed = merge.run("Gate", {"fail-on-inconclusive": strict}, CODE="3")
    assert found == code
    assert ("lets pass" in printed) is (strict == "false")
    assert merge.output("output") == "exit-code=3\n"
    assert merge.run("Gate", {"fail-on-inconclusive": strict}, CODE="1")[0] == 1
    assert "did not run (exit code 3)" in merge.output("temp/harness-gate/gate.md")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_job_keeps_its_results(merge: Job, sent: signal.Signals) -> None:
    """The gate receives the signal, and the step waits for what it writes."""
    merge.program("harness", CANCELLED)
    with merge.start(step("Gate"), {}) as process:
        deadline = time.monotonic() + 60
        while not Path(merge.environment["RECORD"]).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(sent)
        process.communicate(timeout=60)
    assert process.returncode == 3
    assert merge.output("temp/harness-gate/gate.md") == "## stopped\n"
    assert merge.output("output") == "exit-code=3\n"


FAKE_PYTHON = """\
#!/bin/sh
if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi
[ "$3" = --version ] || for word in "$@"; do printf '%s\\n' "$word"; done >> "$RECORD"
[ "$3" = --version ] || echo == >> "$RECORD"
"""


@pytest.mark.parametrize(
    ("inputs", "installed"),
    [
        ({"command": "pytest x"}, ["requirements.txt", ".", "/action[pytest,report]"]),
        ({}, ["requirements.txt", ".", "/action[all]"]),
        ({"python": "", "extras": "sql"}, ["/action[sql]"]),
        ({"install": "python -m pip install mine && true"}, ["mine", "/action[all]"]),
    ],
)
def test_the_project_and_the_harness_are_installed(merge: Job, inputs: dict[str, str], installed: list[str]) -> None:
    """Into an environment that is cached, or the one that the job has made; by the project's files, or its own commands."""
    merge.program("python", FAKE_PYTHON)
    (merge.checkout / "requirements.txt").write_text("")
    (merge.checkout / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    code, printed = merge.run("Install the project and the harness", inputs)
    assert code == 0, printed
    environment = str(merge.folder / "home" / ".cache" / "harness" / "environment")
    has_own = inputs.get("python", "x") != ""
    assert (["-m", "venv", environment] in merge.recorded) is has_own
    assert [call[-1] for call in merge.recorded if "install" in call] == installed
    assert merge.output("path") == (f"{environment}/bin\n" if has_own else "")


def test_the_cache_is_another_one_for_other_commands(merge: Job) -> None:
    """And for another Python, or version of the action."""
    key = next(each for each in steps() if each.get("id") == "key")
    for inputs, more in (({}, {}), ({"install": "make"}, {}), ({}, {}), ({}, {"GITHUB_ACTION_PATH": "/other"})):
        with merge.start(key, inputs, **more) as process:
            process.communicate(timeout=60)
        assert process.returncode == 0
    first, other, again, newer = merge.output("output").splitlines()
    assert re.fullmatch(r"parts=[0-9a-f]{16}", first)
    assert first == again
    assert len({first, other, newer}) == 3


def test_a_comment_that_is_refused_fails_no_job(merge: Job) -> None:
    """As for a pull request from a fork; without results there is none."""
    merge.program("harness", RECORDER)
    assert merge.run("Comment", {"name": "times", "token": "x"}) == (0, "")
    assert merge.recorded == []
    (merge.folder / "temp" / "harness-gate").mkdir()
    (merge.folder / "temp" / "harness-gate" / "gate.md").write_text("## x\n")
    code, printed = merge.run("Comment", {"name": "times", "token": "x"}, CODE="2")
    assert (code, printed) == (0, "::warning title=harness comment::no comment; the summary of the job has the result\n")
    assert merge.recorded == [["comment", "harness-gate/gate.md", "--name", "times"]]


def variables(**more: str) -> dict[str, str]:
    """Return the variables of the template, with some set by a project."""
    found = job()["variables"]
    return {**{name: str(value) for name, value in found.items() if name.startswith("HARNESS_")}, **more}


@pytest.mark.slow
def test_the_job_for_gitlab_runs(merge: Job) -> None:
    """It installs, compares with what the request is merged into, and leaves JUnit, Markdown and a page; the tree stays clean."""
    merge.program("pip", RECORDER)
    (merge.checkout / ".cache/environment/bin").mkdir(parents=True)
    (merge.checkout / ".cache/environment/bin/python").symlink_to(sys.executable)
    (merge.checkout / ".cache/environment/bin/activate").write_text("")
    merge.git("fetch", "--quiet", "--unshallow", "origin")
    diff_base = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": merge.git("rev-parse", "HEAD^1"), "GITLAB_TOKEN": "x"}
    settings = variables(HARNESS_COMMAND="pytest benchmarks/ -k 'sum or x'", HARNESS_PACKAGE="x[y] @ git+https://a")
    code, printed = merge.shell([*job()["before_script"], *job()["script"]], **settings, **diff_base)
    assert code == 0, printed
    assert "are identical, so nothing was timed" in " ".join(printed.split())
    assert merge.recorded == [["install", "x[y] @ git+https://a"]]
    assert {file.name for file in (merge.checkout / "performance").iterdir()} == {"gate.html", "gate.md", "gate.xml", "run"}
    assert merge.git("status", "--porcelain").replace("?? benchmarks/__pycache__/", "") == ""


def test_the_job_for_gitlab_passes_its_variables_on(merge: Job) -> None:
    """The target of a merged result, the options, a baseline of the target branch; and the token to the comment alone."""
    merge.program("harness", RECORDER.replace("exit", 'echo "token ${GITLAB_TOKEN-unset}"; exit'))
    shas = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": "base", "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": "target", "GITLAB_TOKEN": "x"}
    code, printed = merge.shell(job()["script"], **variables(HARNESS_OPTIONS="--margin '5 %'"), **shas)
    assert (code, printed) == (0, "token unset\n")
    assert merge.recorded[0][:3] == ["gate", "--against", "target"]
    assert merge.recorded[0][-2:] == ["--margin", "5 %"]
    code, printed = merge.shell(job()["script"], **variables(HARNESS_BASELINE="b.json"), **shas)
    assert code == 0
    assert merge.recorded[1] == ["run", "all", "--processes", "0", "--out", "performance/candidate"]
    assert merge.recorded[2][:3] == ["gate", "target:b.json", "performance/candidate"]
    assert merge.shell(job()["script"], **variables(), **shas, CODE="1")[0] == 1
    (merge.checkout / ".cache/environment/bin").mkdir(parents=True)
    (merge.checkout / ".cache/environment/bin/activate").write_text("")
    (merge.checkout / "performance/gate.md").write_text("x")
    assert merge.shell(job()["after_script"], **shas) == (0, "token x\n")
    assert merge.recorded[-1] == ["comment", "gate.md"]


def test_the_page_shows_the_workflow_that_is_written() -> None:
    """And its five lines, and every input and output of the action."""
    page = (ROOT / "docs/ci.md").read_text()
    written = template("github", action=Address().action, inputs='        with:\n          command: "pytest benchmarks"')
    assert f'```yaml title=".github/workflows/performance.yml"\n{written}```\n' in page
    five = next(block for block in re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL) if "uses: OWNER/" in block)
    assert five.count("\n") == 5
    assert five.splitlines()[0] in written
    action = yaml.safe_load(ACTION.read_text())
    missing = [name for name in {**action["inputs"], **action["outputs"]} if f"`{name}`" not in page]
    assert missing == []
    assert yaml.safe_load(five)[1]["with"].keys() <= action["inputs"].keys()


def test_the_page_sets_variables_that_the_job_for_gitlab_has() -> None:
    """With values that it understands."""
    page = (ROOT / "docs/ci.md").read_text()
    shown = yaml.safe_load(re.findall(r'```yaml title="\.gitlab-ci\.yml"\n(.*?)```', page, flags=re.DOTALL)[0])
    assert shown["performance"]["variables"].keys() <= job()["variables"].keys()
    assert shown["include"][0]["remote"].endswith(str(GITLAB.relative_to(ROOT)))
