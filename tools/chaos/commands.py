"""The commands of the harness in a small project of their own, to be ended from outside, and what they leave."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.runtime.leftovers import owned_folder

ROOT = Path(__file__).parents[2]
ATTEMPT = "CHAOS_ATTEMPT"
"""Environment variable that everything has that an attempt starts; the harness does not know it."""
SCENARIO, STRAY, LOCUSTFILE = "scenarios/adding.py", "stray/leaves.py", "scenarios/locustfile.py"
END_S = 60.0
"""The longest that a command may take to end; one that is still running then is killed."""
SERVED_S = 6.0
"""The length of a command that ends only by a signal, in seconds."""
MEASURED = ("--size", "tiny", "--budget", "1", "--processes", "2")
_POLL_S = 0.05


@dataclass(frozen=True)
class HarnessCommand:
    """A command of the harness, of pytest or of Locust."""

    name: str
    words: tuple[str, ...]
    """Its arguments behind `python -m`; OUT stands for the folder of its results."""
    lasts: bool = False
    """Whether it ends only by a signal."""

    @property
    def has_run(self) -> bool:
        """Whether it writes a run that `harness report` reads."""
        return self.name in {"run", "run with a process that leaves its session", "load", "capacity", "ablate", "locust -f"}

    @property
    def is_resumable(self) -> bool:
        """Whether what it has written can be completed with `--resume`, so that its counts are those of a whole one."""
        return self.name == "run"


QUICK_PYTEST = ("-q", "-p", "no:cacheprovider", "--benchmark-only", "--harness-budget", "1", "--harness-processes", "2")
OTHER_VERSION = ("--time-all", "--budget", "3")
HEADLESS = ("--headless", "-u", "2", "-t", "3s", "--size", "tiny")
LOAD = ("--size", "tiny", "--rate", "50", "--duration", "1s", "--block", "500ms", "--warm-up", "0", "--processes", "1")
SEARCH = ("--slo", "p90 < 2s", "--kind", "users", "--max-users", "2", "--step", "150ms", "--warm-up", "0", "--size", "tiny")
COMMANDS = (
    HarnessCommand("run", ("harness", "run", SCENARIO, *MEASURED, "--out", "OUT")),
    HarnessCommand("run with a process that leaves its session", ("harness", "run", STRAY, *MEASURED, "--out", "OUT")),
    HarnessCommand("load", ("harness", "load", SCENARIO, *LOAD, "--out", "OUT")),
    HarnessCommand("capacity", ("harness", "capacity", SCENARIO, *SEARCH, "--out", "OUT")),
    HarnessCommand("ablate", ("harness", "ablate", "switching.py", *MEASURED, "--out", "OUT")),
    HarnessCommand("gate", ("harness", "gate", "base", "base", "--markdown", "OUT.md")),
    HarnessCommand(
        "gate --against", ("harness", "gate", "adding", "--against", "main", "--time-all", "--budget", "3", "--out", "OUT")
    ),
    HarnessCommand("report", ("harness", "report", "base", "--format", "html")),
    HarnessCommand("history", ("harness", "history", "base", "base", "--out", "OUT.html")),
    HarnessCommand("doctor", ("harness", "doctor", "--quick")),
    HarnessCommand("init", ("harness", "init", ".", "--dry-run", "--yes")),
    HarnessCommand("serve", ("harness", "serve", "--arm", "baseline"), lasts=True),
    HarnessCommand("data", ("harness", "data", "list")),
    HarnessCommand("pytest", ("pytest", *QUICK_PYTEST)),
    HarnessCommand(
        "locust -f", ("locust", "-f", LOCUSTFILE, "--headless", "-u", "2", "-t", "3s", "--size", "tiny", "--out", "OUT")
    ),
)
"""Every command that measures, starts something or writes something; the demo service of this project needs its requirements."""
PLUGINS = "pytest_benchmark.plugin,harness.pytest_plugin"
YIELD = '        yield {"arm": arm, "steps": [0]}'
LEAVES = """        import subprocess
        subprocess.Popen(["sleep", "600"], start_new_session=True)
"""


@dataclass
class StartedCommand:
    """A command that was started, with what it makes."""

    command: HarnessCommand
    process: subprocess.Popen[bytes]
    out: Path
    """The folder of its results."""
    id: str
    """In the environment of every process that it starts."""
    printed: Path
    """The file with all that it prints."""
    started_s: float = field(default_factory=time.monotonic)

    @property
    def text(self) -> str:
        """Its output so far."""
        return self.printed.read_text(errors="replace")

    def wait(self, timeout_s: float = END_S) -> bool:
        """Wait for its end; return whether it ended in time, else it is killed."""
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False
        return True

    def sleep_until(self, moment_s: float) -> bool:
        """Wait until some seconds after its start, or its end; return whether it still runs."""
        while self.process.poll() is None and time.monotonic() < self.started_s + moment_s:
            time.sleep(min(_POLL_S, max(0.0, self.started_s + moment_s - time.monotonic())))
        return self.process.poll() is None

    def wait_until_ours(self) -> None:
        """Wait until it has handlers of its own for signals: before, Python is starting, or importing pytest or Locust."""
        while self.process.poll() is None:
            with contextlib.suppress(OSError, StopIteration, ValueError):
                lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
                caught = int(next(line for line in lines if line.startswith("SigCgt:")).split()[1], 16)
                if caught >> (signal.SIGTERM - 1) & 1:
                    break
            time.sleep(_POLL_S / 10)
        self.started_s = time.monotonic()

    def processes(self, within_s: float = 0.0) -> list[str]:
        """Return the command lines of the processes that still run some seconds later, without its own."""
        ends_s = time.monotonic() + within_s
        while (left := list(self._running())) and time.monotonic() < ends_s:
            time.sleep(_POLL_S)
        return [words for _, words in left]

    def watchers(self) -> list[int]:
        """Return the ids of the processes that watch over it."""
        return [pid for pid, words in self._running() if "leftovers.py" in words]

    def _running(self) -> Iterator[tuple[int, str]]:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                is_own = f"{ATTEMPT}={self.id}".encode() in (folder / "environ").read_bytes().split(b"\0")
                words = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ").strip()
            except OSError:
                continue
            if is_own and words and int(folder.name) != self.process.pid:
                yield int(folder.name), words


class Project:
    """A git repository with scenarios, a run to compare with, and a temporary folder that only the attempts use."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.temporary = folder / "project", folder / "tmp"
        self._numbers = iter(range(10**6))
        toys, here = ROOT / "tests/toys", self.folder
        (here / "scenarios").mkdir(parents=True)
        (here / "stray").mkdir()
        self.temporary.mkdir()
        shutil.copyfile(toys / "adding.py", here / SCENARIO)
        shutil.copyfile(ROOT / LOCUSTFILE, here / LOCUSTFILE)
        shutil.copyfile(toys / "switching.py", here / "switching.py")
        (here / STRAY).write_text((toys / "adding.py").read_text().replace(YIELD, LEAVES + YIELD))
        (here / "pyproject.toml").write_text('[tool.harness]\nscenarios = "scenarios"\ncommands = "commands"\n')
        for name in ("commands", "datasets", "fixtures", "service"):  # of the demo service
            (here / name).symlink_to(ROOT / name)
        for words in ("init -q -b main", "add -A", "commit -q -m first", "commit -q --allow-empty -m second"):
            self._git(*words.split())
        whole = HarnessCommand("base", ("harness", "run", SCENARIO, *MEASURED, "--out", "base"))
        started = self.start(whole)
        if not started.wait() or started.process.returncode not in {0, 3}:
            raise RuntimeError(f"the run to compare with cannot be made: {started.text[-500:]}")

    def _git(self, *words: str) -> str:
        config = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", *config, *words]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True).stdout

    def start(self, command: HarnessCommand, more: Sequence[str] = (), *, nohup: bool = False) -> StartedCommand:
        """Start a command; with `nohup`, one that ignores SIGHUP."""
        number, mark = next(self._numbers), secrets.token_hex(8)
        out, printed = self.folder / f"out{number}", self.folder.parent / f"printed{number}.txt"
        words = [word.replace("OUT", str(out)) for word in (*command.words, *more)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("HARNESS_", "PYTEST_"))}
        environment |= {ATTEMPT: mark, "TMPDIR": str(self.temporary), "PYTHONPATH": str(ROOT)}
        environment["XDG_CACHE_HOME"] = str(self.folder.parent / "cache")
        if command.words[0] == "pytest":
            environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": PLUGINS}
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN) if nohup else None
        try:
            with printed.open("wb") as file:
                process = subprocess.Popen(
                    [sys.executable, "-m", *words],
                    cwd=self.folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                    restore_signals=not nohup,
                )
        finally:
            if before is not None:
                signal.signal(signal.SIGHUP, before)
        return StartedCommand(command, process, out, mark, printed)

    def folders(self) -> list[str]:
        """Return what is in the temporary folder, and the git worktrees besides the project's own."""
        worktrees = [line for line in self._git("worktree", "list", "--porcelain").splitlines() if line.startswith("worktree ")]
        return [*sorted(path.name for path in self.temporary.iterdir()), *worktrees[1:]]

    def clear(self) -> None:
        """Remove what an attempt left, so that the next one is not blamed for it."""
        for path in self.temporary.iterdir():
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
        self._git("worktree", "prune")


@contextmanager
def project() -> Iterator[Project]:
    """Yield a new project, removed at the end."""
    with owned_folder("chaos") as folder:
        yield Project(folder)


def available(commands: Sequence[HarnessCommand] = COMMANDS) -> list[HarnessCommand]:
    """Return the commands whose packages are installed."""
    from importlib.util import find_spec  # noqa: PLC0415 - for this alone

    needs = {"locust -f": ("locust",), "pytest": ("pytest_benchmark",), "serve": ("fastapi", "uvicorn", "uvloop", "httptools")}
    return [command for command in commands if all(find_spec(name) for name in needs.get(command.name, ()))]


def duration_s(whole: StartedCommand) -> float:
    """Wait for the end of an undisturbed command; return how long it takes."""
    if whole.command.lasts:
        whole.sleep_until(SERVED_S)
        whole.process.send_signal(signal.SIGTERM)
    whole.wait()
    return SERVED_S if whole.command.lasts else time.monotonic() - whole.started_s
