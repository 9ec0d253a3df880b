"""Running the blocks of one page in an empty folder."""

import gzip
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from harness import configuration
from harness.results.run import Run
from harness.results.store import COMPRESSED_RUN_FILE, read_run
from tests.docs.blocks import ROOT, Block, blocks, commands, transcript
from tests.docs.commands import OTHERS, OUTSIDE, check_command, steps

REASONS = {
    "it takes minutes",
    "it needs another environment",
    "it needs another machine",
    "it needs a network",
    "an earlier version printed it",
}
"""The reasons not to run a block."""
DURATION = re.compile(r"\b(?:under\s+\d+\s+s|(?:\d+\s+h\s+)?(?:\d+\s+min\s+)?\d+\s+s|(?:\d+\s+h\s+)?\d+\s+min)\b")
"""A duration as it is printed: how long something takes depends on the machine, and so does the form."""
SCENARIO = re.compile(r"^class \w+\(\w*Scenario\):", re.MULTILINE)
COMMAND_S = 180
"""The time limit of one command, which only a hang reaches."""
UNDECIDED = 3
"""The exit code of a load test whose generator was the limit, as on a busy machine."""
RECORDED = ROOT / "tests" / "docs" / "recorded"
"""The runs that pages show: what depends on times is that of one run, which is kept."""
REMARK = "harness: "
"""The beginning of what a command prints before its result."""
NEWEST = "runs/…"
"""A run whose name a page cannot know: the newest one."""

SHIM = '''\
#!{python}
"""The command with small budgets: what a page shows takes minutes, and is tried in seconds."""
import os
import sys

words = sys.argv[1:]
small = {{
    "run": ["--quick", "--processes", "2", "--budget", "6"],
    "ablate": ["--quick", "--processes", "2", "--budget", "6"],
    "load": ["--duration", "1s", "--block", "500ms", "--warm-up", "0", "--processes", "1"],
    "capacity": ["--duration", "1s"],
}}
added = [] if "WHOLE" in os.environ or {{"--processes", "--help"}} & {{*words}} else small.get("".join(words[:1]), [])
os.execv({python!r}, [{python!r}, "-m", "harness", *words, *added])
'''


@dataclass
class Session:
    """The run of one page."""

    page: Path
    folder: Path
    bin: Path
    """The folder with the command that uses small budgets."""
    stack: ExitStack
    ports: dict[str, str] = field(default_factory=dict)
    """A port of the page → the port that is used."""
    printed: str = ""
    """The output of the last command."""
    recorded: set[str] = field(default_factory=set)
    """The folders that have a recorded run."""
    is_whole: bool = False
    """Whether budgets and ports are those of the page, to record its runs."""

    def try_block(self, block: Block) -> None:
        """Run one block, or check what can be checked of one that is not run; AssertionError names what is wrong."""
        reason = next((text.removeprefix("not run: ") for text in block.before if text.startswith("not run: ")), None)
        if block.kind == "marker":
            self._prepare(block.text)
        elif reason is not None:
            assert reason in REASONS, f"{reason!r} is not a reason: {', '.join(sorted(REASONS))}"
            if block.kind in {"bash", "console", "indented"}:
                for command in commands(block):
                    check_command(command)
            else:
                self._read(block)
        elif block.kind in {"bash", "indented"}:
            self._run_all(block)
        elif block.kind == "console":
            self._compare(block)
        elif block.kind == "python":
            self._execute(block)
        elif block.kind == "text" and block.title:
            self._write(block)
        else:
            self._read(block)

    def _prepare(self, marker: str) -> None:
        verb, _, rest = marker.partition(" ")
        words = shlex.split(rest)
        if marker == "files first":
            for block in blocks(self.page):
                if block.title:
                    self._write(block)
        elif verb == "copy":
            source, target = ROOT / words[0], self.folder / (words[1] if len(words) > 1 else Path(words[0]).name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.parent == RECORDED:
                target.write_bytes(gzip.decompress(source.read_bytes()))
                self.recorded.add(target.name)
            else:
                (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
        elif verb == "run":
            self.command(rest, 0)
        elif verb == "serve":
            self._serve(*words)
        else:
            raise AssertionError(f"unknown marker {marker!r}")

    def _serve(self, port: str, folder: str, *options: str) -> None:
        self.ports[port] = port if self.is_whole else _free_port()
        command = [sys.executable, "-m", "http.server", self.ports[port], "--bind", "127.0.0.1", "--directory", folder, *options]
        server = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.stack.callback(server.wait)
        self.stack.callback(server.kill)
        for _ in range(200):
            with socket.socket() as client:
                client.settimeout(5)
                if client.connect_ex(("127.0.0.1", int(self.ports[port]))) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"no server at port {port}")

    def _with_ports(self, text: str) -> str:
        """Return a text with the ports that the servers of the page really have."""
        for shown, used in self.ports.items():
            text = text.replace(f"127.0.0.1:{shown}", f"127.0.0.1:{used}")
        return text

    def command(self, command: str, code: int) -> None:
        """Run a command of the shell, and check its exit code."""
        command = self._with_ports(command)
        if NEWEST in command:
            command = command.replace(NEWEST, f"runs/{self._newest().name}")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "HARNESS_TRACEBACK"))},
            "PATH": os.pathsep.join([str(self.bin), str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "80",
            "NO_COLOR": "1",
            **({"WHOLE": "1"} if self.is_whole else {}),
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{f"GIT_{role}_{part}": "a@b.example" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")},
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        self.printed = done.stdout
        allowed = {code, UNDECIDED} if code == 0 and re.match(r"harness (load|capacity|gate --against) ", command) else {code}
        assert done.returncode in allowed, f"`{command}` ended with {done.returncode}, not {code}:\n{done.stdout}"

    def _tried(self, command: str, code: int) -> None:
        program = shlex.split(command)[0]
        assert program in {"harness", *OTHERS}, f"{program!r} is not a program that pages use: {command}"
        assert program not in OUTSIDE, f"`{program}` changes more than the scratch folder; mark the block as not run"
        self.command(command, code)

    def _run_all(self, block: Block) -> None:
        for command, code in with_codes(commands(block), block):
            self._tried(command, code)

    def _compare(self, block: Block) -> None:
        pairs = transcript(block.text)
        for (command, lines), (_, code) in zip(pairs, with_codes([command for command, _ in pairs], block), strict=True):
            self._tried(command, code)
            if block.recorded and command == pairs[-1][0]:
                remarks = [line for line in lines if line.startswith(REMARK)]
                assert matches([*remarks, "..."], self.printed, self.folder), f"`{command}` printed:\n{self.printed}"
                measured = subjects(read_run(self._newest()))
                self.replay(block)
                shown = subjects(read_run(RECORDED / f"{block.recorded}.json.gz"))
                assert measured == shown, f"`{command}` measures {measured}, and {block.recorded} {shown}; record it again"
            else:
                is_exact = any(f" {name}" in command for name in self.recorded)
                assert matches(lines, self.printed, self.folder, is_exact=is_exact), f"`{command}` printed:\n{self.printed}"

    def _newest(self) -> Path:
        """Return the folder of the newest run that a command of this page wrote."""
        return max((self.folder / "runs").glob("*/run.json"), key=lambda file: file.stat().st_mtime).parent

    def replay(self, block: Block) -> None:
        """Put the recorded run where the last command of a block writes its own, and compare what it prints, figures included."""
        command, lines = transcript(block.text)[-1]
        target = self.place_recorded(block.recorded)
        record = read_run(target)
        assert shlex.split(record.command) == shlex.split(command), f"{block.recorded} is recorded by `{record.command}`"
        self.command(f"harness report {target.relative_to(self.folder)} --format terminal", 0)
        remarks = [line for line in lines if line.startswith(REMARK)]
        printed = "\n".join([*remarks, self.printed, f"{target.relative_to(self.folder)}/report.html"])
        assert matches(lines, printed, self.folder, is_exact=True), f"`{command}` printed, when it was recorded:\n{printed}"

    def check_recorded(self, block: Block) -> None:
        """Check a block of a page whose other commands are run elsewhere, if it shows a recorded run or what is read from one."""
        if block.recorded and block.kind == "console":
            self.replay(block)
        elif block.recorded:
            record = read_run(self.place_recorded(block.recorded))
            plans = ["\n".join(statement.plan) for result in record.scenarios for statement in result.statements]
            assert block.text.rstrip() in plans, f"the run does not have this plan, but:\n{plans}"
        elif any(f"harness report {name}" in block.text for name in self.recorded):
            self._compare(block)

    def place_recorded(self, name: str) -> Path:
        """Put a recorded run into the folder that it was written to, and return it."""
        file = RECORDED / f"{name}.json.gz"
        target = self.folder / "runs" / read_run(file).name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        shutil.copyfile(file, target / COMPRESSED_RUN_FILE)
        self.recorded.add(f"runs/{target.name}")
        return target

    def _write(self, block: Block) -> Path:
        """Write a file that the page shows, with the ports of the session; a fragment gets the names of `from harness import *`."""
        file = self.folder / (block.title or f"fragment_{block.line}.py")
        file.parent.mkdir(parents=True, exist_ok=True)
        is_fragment = block.kind == "python" and not block.title and not re.search(r"^(from|import) ", block.text, re.MULTILINE)
        file.write_text(("from harness import *\n\n" if is_fragment else "") + self._with_ports(block.text), encoding="utf-8")
        return file

    def _execute(self, block: Block) -> None:
        """Run a fragment; a file is written, and run at the end of the page, if no command has run it by then."""
        file = self._write(block)
        compile(block.text, str(file), "exec")
        if not block.title:
            self.command(f"PYTHONPATH=.:{ROOT} python {file.name}", 0)

    def finish(self) -> None:
        """Import every module that the page shows, and check every scenario."""
        titles = {block.title for block in blocks(self.page) if block.title.endswith(".py")}
        shown = {title for title in titles if (self.folder / title).exists()}
        folders = sorted({str(Path(title).parent) for title in shown if SCENARIO.search((self.folder / title).read_text("utf-8"))})
        for folder in folders:
            self.command(f"harness list --scenarios {shlex.quote(folder)}", 0)
        others = sorted(title for title in shown if str(Path(title).parent) not in folders)
        if others:
            self.command(
                f"PYTHONPATH=.:{ROOT} python -c {shlex.quote(f'import runpy; [runpy.run_path(file) for file in {others!r}]')}", 0
            )

    def _read(self, block: Block) -> None:
        """Parse a block of a data format; settings of a project are read as such."""
        if block.kind == "toml":
            file = self._write(block if block.title else replace(block, title="pyproject.toml"))
            if "harness" in tomllib.loads(block.text).get("tool", {}):
                configuration.read(file)
        elif block.kind == "yaml":
            for command in steps(yaml.safe_load(block.text)):
                check_command(command)
        elif block.kind == "json":
            json.loads(block.text)
        else:
            assert any(text.startswith("not run: ") for text in block.before), (
                f"a block of kind {block.kind!r} is not run; use bash, console, python, toml, yaml, json or text, or mark it"
            )
        if block.title and block.kind in {"yaml", "json"}:
            self._write(block)


def start(page: Path, folder: Path, stack: ExitStack) -> Session:
    """Return a session for a page in an empty folder; for that of an example in a copy of it."""
    place = folder / "home" / "first"
    if page.is_relative_to(ROOT / "examples"):
        shutil.copytree(page.parent, place, ignore=shutil.ignore_patterns("__pycache__", "runs"))
    else:
        place.mkdir(parents=True)
    shim = folder / "bin" / "harness"
    shim.parent.mkdir()
    shim.write_text(SHIM.format(python=sys.executable))
    shim.chmod(0o755)
    return Session(page, place, shim.parent, stack)


def _free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def with_codes(found: Sequence[str], block: Block) -> list[tuple[str, int]]:
    """Return the commands of a block with their exit codes."""
    return [(command, block.code if command is found[-1] else 0) for command in found]


def subjects(run: Run) -> list[tuple[str, list[str], list[str]]]:
    """Return what a run has measured: each scenario with its arms and groups."""
    return [(result.name, [arm.name for arm in result.arms], [*result.groups]) for result in run.scenarios]


def matches(lines: Sequence[str], printed: str, folder: Path, *, is_exact: bool = False) -> bool:
    """Return whether a command printed these lines in this order; `...` stands for any lines.

    Figures, widths of columns, folders and progress may differ, unless it has to be exact.
    """
    texts = ("\n".join(lines), printed)
    shown, actual = (
        [line.rstrip() for line in text.splitlines() if line.strip()] if is_exact else masked(text, folder) for text in texts
    )
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else f"{re.escape(line)}\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in actual)) is not None


def masked(text: str, folder: Path = ROOT) -> list[str]:
    """Return the lines of an output without what may differ: figures, widths of columns, folders, progress."""
    text = text.replace(str(folder), f"/{folder.name}")
    text = re.sub(r"(?:/[^\s/:]+)+/", "/", text)
    text = re.sub(r"\b\d{8}T\d{6}Z-\w+\b", "RUN", text)
    text = DURATION.sub("0 s", text)
    text = re.sub(r"\d[\d.,:]*(?:T\d[\d:+]*)?", "0", text)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith(("[0/0]", "process pair"))]
