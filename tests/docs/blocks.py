"""The code blocks of README and docs: their kinds, and running them page by page.

A page is a session: its blocks are run in their order in one empty folder, with the commands of this version on the PATH and with
small budgets. Every block has to be of a kind that is run, or to have a marker with the reason why it is not. Markers are comments,
which no reader sees:

    <!-- test: files first -->                      writes all files of the page that have a title, before anything is run
    <!-- test: copy examples/words/words.py -->     copies a file or folder of the repository, to a second path if one is named
    <!-- test: run harness run bench --quick -->    runs a command that the page does not show
    <!-- test: serve 8000 www -->                   serves a folder at this port of the page
    <!-- test: exit 1 -->                           the last command of the next block ends with this code
    <!-- test: figures vary -->                     the next block's printed lines depend on times: its words are compared
    <!-- test: not run: it takes minutes -->        the next block is not run; its commands are parsed
"""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import yaml
from babel.messages.pofile import read_po
from markdown_it import MarkdownIt
from markdown_it.token import Token

from harness import configuration, explanations
from harness.cli import _parser
from harness.errors import EXTRAS
from harness.language import DOMAIN, FOLDER

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
    ]
)
"""Pages whose blocks are run here; those of examples are run with the wheel, in tests/examples, and CONTRIBUTING.md in a copy."""
REASONS = {
    "it takes minutes",
    "it needs another machine",
    "it needs a network",
    "it needs a remote repository",
    "it changes this repository",
    "it shows a form",
    "an earlier version printed it",
}
"""The reasons not to run a block."""
SCENARIO = re.compile(r"^class \w+\(\w*Scenario\):", re.MULTILINE)
MARKER = re.compile(r"<!-- test: (.*?) -->")
COMMAND_S = 180
"""The time limit of one command, which only a hang reaches."""
UNDECIDED = 3
"""The exit code of a load test whose generator was the limit, as on a busy machine."""
NEWEST = "runs/…"
"""A run whose name a page cannot know: the newest one."""

SHIM = '''\
#!{python}
"""The command with small budgets: what a page shows takes minutes, and is tried in seconds."""
import os
import sys

words = sys.argv[1:]
small = {{
    "run": ["--processes", "2", "--budget", "6"],
    "ablate": ["--processes", "2", "--budget", "6"],
    "load": ["--duration", "1s", "--block", "500ms", "--warm-up", "0", "--processes", "1"],
    "capacity": ["--duration", "1s"],
}}
added = small.get(words[0] if words else "", [])
if "--processes" in words:
    added = []
if words[:1] in (["run"], ["ablate"]) and "--quick" not in words and "--processes" not in words:
    added = ["--quick", *added]
os.execv({python!r}, [{python!r}, "-m", "harness", *words, *([] if {{"--help", "-h"}} & {{*words}} else added)])
'''


@dataclass(frozen=True)
class Block:
    """A code block, or a marker between blocks."""

    line: int
    kind: str
    """The language of a fenced block; "indented" of another one; "marker"."""
    text: str
    title: str = ""
    """The file that it is the content of."""
    before: tuple[str, ...] = ()
    """The markers that apply to it."""


def blocks(page: Path) -> list[Block]:
    """Return the blocks and markers of a page in their order."""
    return list(_blocks(page.read_text(encoding="utf-8")))


def _blocks(text: str) -> Iterator[Block]:
    pending: list[str] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "html_block":
            for marker in MARKER.findall(token.content):
                if marker.partition(" ")[0].rstrip(":") in {"exit", "figures", "not"}:
                    pending.append(marker)
                else:
                    yield Block(line, "marker", marker)
        elif token.type in {"fence", "code_block"}:
            yield _block(token, line, tuple(pending))
            pending = []
    if pending:
        raise AssertionError(f"the marker {pending[0]!r} applies to no block")


def _block(token: Token, line: int, before: tuple[str, ...]) -> Block:
    kind, _, rest = token.info.strip().partition(" ")
    title = re.search(r'title="([^"]+)"', rest)
    return Block(line, "indented" if token.type == "code_block" else kind, token.content, title[1] if title else "", before)


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
        elif block.kind == "text":
            assert self.printed, "no command before it printed it; show the command, or mark the block"
            missing = self._unknown(block.text)
            assert not missing, f"printed by no command: {missing}"
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
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
        elif verb == "run":
            self._command(rest, 0)
        elif verb == "serve":
            self._serve(*words)
        else:
            raise AssertionError(f"unknown marker {marker!r}")

    def _serve(self, port: str, folder: str = ".") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.ports[port] = str(free.getsockname()[1])
        command = [sys.executable, "-m", "http.server", self.ports[port], "--bind", "127.0.0.1", "--directory", folder]
        server = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.stack.callback(server.wait)
        self.stack.callback(server.kill)
        for _ in range(200):
            with socket.socket() as client:
                client.settimeout(5)
                if client.connect_ex(("127.0.0.1", int(self.ports[port]))) == 0:
                    return
            subprocess.run([sys.executable, "-c", "import time; time.sleep(0.05)"], check=True)
        raise AssertionError(f"no server at port {port}")

    def _with_ports(self, text: str) -> str:
        """Return a text with the ports that the servers of the page really have."""
        for shown, used in self.ports.items():
            text = text.replace(f"127.0.0.1:{shown}", f"127.0.0.1:{used}")
        return text

    def _command(self, command: str, code: int) -> None:
        """Run a command of the shell, and check its exit code."""
        command = self._with_ports(command)
        if NEWEST in command:
            newest = max((self.folder / "runs").iterdir(), key=lambda run: run.stat().st_mtime)
            command = command.replace(NEWEST, f"runs/{newest.name}")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "HARNESS_TRACEBACK"))},
            "PATH": os.pathsep.join([str(self.bin), str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "80",
            "NO_COLOR": "1",
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
        self._command(command, code)

    def _run_all(self, block: Block) -> None:
        for command, code in _with_codes(commands(block), block):
            self._tried(command, code)

    def _compare(self, block: Block) -> None:
        pairs = transcript(block.text)
        for (command, lines), (_, code) in zip(pairs, _with_codes([command for command, _ in pairs], block), strict=True):
            self._tried(command, code)
            if "figures vary" in block.before:
                missing = self._unknown("\n".join(lines))
                assert not missing, f"`{command}` does not print {missing}, but:\n{self.printed}"
            else:
                assert matches(lines, self.printed, self.folder), f"`{command}` printed:\n{self.printed}"

    def _unknown(self, text: str) -> list[str]:
        """Return the words that the last command did not print, and that neither reports nor the page's own code have."""
        own = "\n".join(file.read_text(encoding="utf-8") for file in self.folder.rglob("*.py"))
        return unknown_words(text, f"{self.printed}\n{own}")

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
            self._command(f"PYTHONPATH=.:{ROOT} python {file.name}", 0)

    def finish(self) -> None:
        """Import every module that the page shows, and check every scenario."""
        shown = {block.title for block in blocks(self.page) if block.title.endswith(".py")}
        folders = sorted({str(Path(title).parent) for title in shown if SCENARIO.search((self.folder / title).read_text("utf-8"))})
        for folder in folders:
            self._command(f"harness list --scenarios {shlex.quote(folder)}", 0)
        others = sorted(title for title in shown if str(Path(title).parent) not in folders)
        if others:
            self._command(
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
    """Return a session for a page in an empty folder."""
    place = folder / "home" / "first"
    place.mkdir(parents=True)
    shim = folder / "bin" / "harness"
    shim.parent.mkdir()
    shim.write_text(SHIM.format(python=sys.executable))
    shim.chmod(0o755)
    return Session(page, place, shim.parent, stack)


def commands(block: Block) -> list[str]:
    """Return the commands of a block, continued lines joined, comments removed."""
    if block.kind == "console" or re.search(r"^\$ ", block.text, re.MULTILINE):
        return [command for command, _ in transcript(block.text)]
    lines = re.sub(r"\\\n\s*", "", block.text).splitlines()
    return [found for line in lines if (found := _uncommented(line))]


def transcript(text: str) -> list[tuple[str, list[str]]]:
    """Return each command of a console block with the lines that it printed."""
    found: list[tuple[str, list[str]]] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line.startswith("$ "):
            found.append((_uncommented(line.removeprefix("$ ")), []))
        else:
            assert found, f"printed before any command: {line!r}"
            found[-1][1].append(line)
    return found


def _uncommented(line: str) -> str:
    return re.sub(r"(^|\s+)#(?!\w).*$", "", line).strip()


def _with_codes(found: Sequence[str], block: Block) -> list[tuple[str, int]]:
    code = next((int(text.removeprefix("exit ")) for text in block.before if text.startswith("exit ")), 0)
    return [(command, code if command is found[-1] else 0) for command in found]


def steps(found: object) -> Iterator[str]:
    """Yield the commands of the steps of a workflow, of GitHub or GitLab."""
    if isinstance(found, dict):
        for key, value in found.items():
            if key in {"run", "script", "before_script"}:
                lines = value if isinstance(value, list) else value.splitlines()
                yield from (part.strip() for line in lines for part in re.split(r"\|\||&&", line))
            else:
                yield from steps(value)
    elif isinstance(found, list):
        for value in found:
            yield from steps(value)


OUTSIDE = {"docker", "kubectl", "make", "pip", "pipx", "uv", "uvx"}
"""Programs that change more than a folder: they are never run."""
OTHERS = {*OUTSIDE, "cd", "export", "git", "locust", "mkdir", "pytest", "python", "sed"}
"""The programs besides `harness` that pages may use."""


def check_command(command: str) -> None:
    """Check what can be checked of a command without running it: its options, targets, extras and files.

    Raises:
        AssertionError: it cannot be used as it is; the message says why.
    """
    words = shlex.split(re.sub(r"\$\([^)]*\)|\$\{\{.*?\}\}", "VALUE", command))
    while words and re.match(r"\w+=", words[0]):
        words.pop(0)
    if not words:
        return
    program, *rest = words
    if program == "harness":
        check_parses(rest)
        return
    assert program in OTHERS, f"{program!r} is not a program that pages use: {command}"
    if program == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
        named = {word for word in rest if "=" not in word}
        assert named <= targets, f"no such target: {named - targets}"
    if program == "pip":
        for extras in re.findall(r"\[([\w,]+)\]", command):
            assert {*extras.split(",")} <= {*EXTRAS, "all"}, f"no such extra: {extras}"
    for word in rest:
        if re.match(r"(deploy|tools|scenarios|reports)/", word):
            assert (ROOT / word).exists(), f"no such file: {word}"


def check_parses(words: Sequence[str]) -> None:
    """Check that the arguments of `harness` are ones; the name of a command alone is one."""
    parser = _parser()
    if len(words) <= 2 and not any(word.startswith("-") for word in words):
        action = next(group for group in parser._actions if group.choices is not None)
        if words[:1] and words[0] in (action.choices or {}) and len(words) == 1:
            return
    problems: list[str] = []
    try:
        parser.parse_args([*words])
    except SystemExit as ended:
        if ended.code:
            problems.append(shlex.join(["harness", *words]))
    assert not problems, f"not a command: {problems[0]}"


def matches(lines: Sequence[str], printed: str, folder: Path) -> bool:
    """Return whether a command printed these lines: figures, folders and progress aside; `...` stands for any lines."""
    shown = _masked("\n".join(lines), folder)
    actual = _masked(printed, folder)
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else f"{re.escape(line)}\\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in actual)) is not None


def _masked(text: str, folder: Path) -> list[str]:
    text = text.replace(str(folder), f"/{folder.name}")
    text = re.sub(r"(?:/[^\s/:]+)+/", "/", text)
    text = re.sub(r"\b\d{8}T\d{6}Z-\w+\b", "RUN", text)
    text = re.sub(r"\d[\d.,:]*(?:T\d[\d:+]*)?", "0", text)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith(("[0/0]", "process pair"))]


@cache
def texts() -> frozenset[str]:
    """Return the words of all texts that a report can have, and of the names that a result can show."""
    with (FOLDER / "ja" / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as file:
        ids = [message.id if isinstance(message.id, str) else " ".join(message.id) for message in read_po(file)]
    return frozenset(word for text in (*ids, *explanations.names()) for word in _words(text))


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]{3,}", re.sub(r"\{[^{}]*\}", " ", text))


def unknown_words(text: str, printed: str) -> list[str]:
    """Return the words of a text that a command did not print and that no report has."""
    known = {*_words(printed), *texts()}
    return [word for word in _words(re.sub(r"\b\d{8}T\d{6}Z-\w+|\w+…\w*|…\w+|/\S+", " ", text)) if word not in known]


def inline_commands(page: Path) -> Iterator[str]:
    """Yield the commands in backquotes in the text of a page."""
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        for child in token.children or ():
            if child.type == "code_inline" and re.match(r"(harness|make) \S", child.content):
                yield textwrap.dedent(child.content)
