"""Is a server or a file that is broken in the middle of a command named, and is the rest measured? Each attempt is a whole command.

The scenario under attack breaks what it uses itself, the first time that it gets to a phase: nothing depends on the speed of
the machine. A scenario without a server stands beside it, and has to be measured. Alone: `python -m tools.chaos --only
broken_servers`, in full some minutes on two cores.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.results.run import Run, ScenarioStatus
from harness.results.store import read_run
from harness.runtime.snapshot_cache import FOLDER_VARIABLE
from tools.section import Requirement, Section, SectionTable

TITLE = "Is a broken server or file named, with the true cause, and are the others measured?"

COMMAND_S = 180.0
"""Seconds after which a command is ended, which misses the requirement."""
OPERATION_S = 3
"""The timeout of one operation, in seconds."""
DEADLINE_S = 10 * OPERATION_S + 30
"""Seconds after the fault in which it has to be named: the longest deadline of a command, and the time to end what was started."""
LANES = 2
"""Attempts side by side."""
KILLED, STOPPED = "SIGKILL", "SIGSTOP"
SAID = {
    KILLED: ("ended: SIGKILL", " stopped", "has ended"),
    STOPPED: ("is stopped (SIGSTOP)",),
    "connections": ("5 × ", "too many"),
    "reset": ("connection was closed", "reset by peer", "Connection lost", "connection_lost", "ConnectionReset"),
    "disk": ("No space left on device", "database or disk is full", "disk is full"),
    "memory": ("maxmemory", "out of memory"),
    "locked": ("database is locked",),
    "read-only": ("readonly database", "read-only"),
    "corrupt": ("malformed", "not a database"),
}
"""Fault → texts of which the failure has one; all of them are needed for `connections`."""
NEVER = ("run longer", "Traceback", "internal error", "inconclusive")
"""Words that a failure must not have."""

BYSTANDER = '''
"""What nothing breaks."""
from harness import Case, Group, Scenario


class Bystander(Scenario):
    """Add."""

    arms = {"baseline": "sum", "optimised": "sum again"}
    groups = [Group("sum", "a sum")]

    def cases(self, setting):
        return [Case("sum", "100", 100)]

    def open(self, arm, setting):
        return arm

    def run(self, instance, case):
        return sum(range(case.args))
'''
HOOK = '''
"""What is broken in the middle."""
import asyncio, os, signal, socket, struct, subprocess, sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from harness import Case, Group, Scenario
from harness.runtime import channel
from harness.servers.lifecycle import processes, servers

FAULT, PHASE, MARK, FOLDER = {fault!r}, {phase!r}, Path({mark!r}), Path({folder!r})
calls = 0


def phase():
    """Return the part of a command that this process is in."""
    main = sys.modules["__main__"]
    name = main.__spec__.name if main.__spec__ else Path(main.__file__).stem
    if name == "harness.load.worker":
        return "under load" if calls > 40 else "starting the load"
    if name == "scenario_worker":
        return "gate: " + Path(sys.argv[1]).stem
    return channel.doing()[0]


def is_due():
    """Return True the first time that any process of the command gets to the phase."""
    global calls
    calls += 1
    if phase() != PHASE:
        return False
    try:
        os.close(os.open(MARK, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def signalled(pid):
    """Kill a server, or stop it with all of its processes: those of PostgreSQL would serve their connections on."""
    import psutil
    process = psutil.Process(pid)
    for each in [process] if FAULT == "SIGKILL" else [process, *process.children(recursive=True)]:
        each.send_signal(getattr(signal, FAULT))


class Attacked(Scenario):
    """Broken."""

    arms = {{"baseline": "one", "optimised": "another"}}
    groups = [Group("g", "an operation")]

    def cases(self, setting):
        return [Case("g", "a case", 1)]
'''
POSTGRES = """
    engines = ["postgres"]

    def servers(self, setting):
        return servers(setting)

    def dsn(self, setting):
        return setting.servers["postgres"].url.replace("+asyncpg", "")

    async def prepare(self, setting):
        import asyncpg
        connection = await asyncpg.connect(self.dsn(setting))
        if is_due():
            await self.broken(connection, setting)
        await connection.fetchval("SELECT 1")
        await connection.close()

    @asynccontextmanager
    async def open(self, arm, setting):
        import asyncpg
        if FAULT == "connections" and not held:  # most of them now, as an operation has little time
            for _ in range(5):
                held.extend(await asyncio.gather(*(asyncpg.connect(self.dsn(setting)) for _ in range(15))))
        async with through_proxy(setting) if FAULT == "reset" else nothing() as proxy:
            dsn = self.dsn(setting) if proxy is None else proxy.dsn(self.dsn(setting))
            connection = await asyncpg.create_pool(dsn, min_size=1, max_size=5)
            if is_due():
                await self.broken(connection, setting, proxy)
            yield connection, setting, proxy
            await connection.close()

    async def run(self, instance, case):
        connection, setting, proxy = instance
        if is_due():
            await self.broken(connection, setting, proxy)
        if FAULT == "connections":
            found = await asyncio.gather(*(self.connected(setting) for _ in range(5)), return_exceptions=True)
            if errors := [each for each in found if isinstance(each, Exception)]:
                raise ExceptionGroup("five connections", errors)
        return await connection.fetchval("SELECT 1")

    async def connected(self, setting):
        import asyncpg
        connection = await asyncpg.connect(self.dsn(setting))
        await connection.close()

    async def broken(self, connection, setting, proxy=None):
        import asyncpg
        if FAULT == "connections":
            try:
                while True:
                    held.append(await asyncpg.connect(self.dsn(setting)))
            except asyncpg.TooManyConnectionsError:
                pass
        elif FAULT == "reset":
            proxy.reset()
        elif FAULT == "disk":
            import psutil
            owner = psutil.Process(processes(setting.servers)["postgres"]).uids().real
            os.chown(FOLDER / "small", owner, -1)
            await connection.execute("CREATE TABLESPACE small LOCATION '" + str(FOLDER / "small") + "'")
            await connection.execute("CREATE TABLE filler (x text) TABLESPACE small")
            await connection.execute("INSERT INTO filler SELECT repeat(md5(i::text), 30) FROM generate_series(1, 100000) i")
        else:
            signalled(processes(setting.servers)["postgres"])


held = []


@asynccontextmanager
async def nothing():
    yield None


class Proxy:
    def __init__(self, port, server):
        self.port, self.server, self.clients = port, server, []

    def dsn(self, dsn):
        return dsn.replace(":" + str(self.port) + "/", ":" + str(self.server.sockets[0].getsockname()[1]) + "/")

    def reset(self):
        for writer in self.clients:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


@asynccontextmanager
async def through_proxy(setting):
    from urllib.parse import urlsplit
    port = urlsplit(setting.servers["postgres"].url).port

    async def forward(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except OSError:
            pass
        writer.close()

    async def accept(reader, writer):
        other, sending = await asyncio.open_connection("127.0.0.1", port)
        proxy.clients.append(writer)
        await asyncio.gather(forward(reader, sending), forward(other, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy = Proxy(port, server)
    yield proxy
    server.close()
"""
REDIS = """
    def servers(self, setting):
        return servers(setting, "redis")

    def prepare(self, setting):
        import redis
        client = redis.Redis.from_url(setting.servers["redis"].url, socket_timeout=600)
        if is_due():
            signalled(processes(setting.servers)["redis"])
        client.set("prepared", "1")

    @asynccontextmanager
    async def open(self, arm, setting):
        import redis.asyncio as redis
        from redis.backoff import NoBackoff
        from redis.asyncio.retry import Retry
        client = redis.Redis.from_url(setting.servers["redis"].url, socket_timeout=600, retry=Retry(NoBackoff(), 0))
        await client.ping()
        if is_due():
            signalled(processes(setting.servers)["redis"])
        yield client, setting
        await client.aclose()

    async def run(self, instance, case):
        client, setting = instance
        if is_due():
            if FAULT == "memory":
                await client.setrange("large", 2**29 - 2, "x")
                await client.setrange("larger", 2**20, "x")
            else:
                signalled(processes(setting.servers)["redis"])
        await client.set("key", "x" * 100)
        return await client.get("key")
"""
SQLITE = """
    def prepare(self, setting):
        import sqlite3
        file = FOLDER / "small" / "data.db"
        if not file.exists():
            connection = sqlite3.connect(file)
            connection.execute("CREATE TABLE t (x)")
            connection.executemany("INSERT INTO t VALUES (?)", [("x" * 100,) for _ in range(2000)])
            connection.commit()
            connection.close()
        if is_due():
            self.broken(file)
        self.written(file)

    def open(self, arm, setting):
        return FOLDER / "small" / "data.db"

    def run(self, instance, case):
        if is_due():
            self.broken(instance)
        return self.written(instance)

    def written(self, file):
        import sqlite3
        connection = sqlite3.connect(file, timeout=0.2)
        try:
            connection.execute("INSERT INTO t VALUES (zeroblob(?))", (2_000_000 if FAULT == "disk" and MARK.exists() else 10,))
            found = connection.execute("SELECT count(*) FROM t").fetchone()[0]
            connection.rollback()
        finally:
            connection.close()
        return found

    def broken(self, file):
        import sqlite3
        if FAULT == "locked":
            self.held = sqlite3.connect(file, isolation_level=None)
            self.held.execute("BEGIN EXCLUSIVE")
        elif FAULT == "disk":
            (FOLDER / "small" / "filler").write_bytes(bytes(max(0, os.statvfs(FOLDER / "small").f_bavail - 30) * 4096))
        elif FAULT == "read-only":
            subprocess.run(["mount", "-o", "remount,ro", FOLDER / "small"], check=True)
        elif FAULT == "corrupt":
            with open(file, "r+b") as damaged:
                damaged.seek(100)
                damaged.write(os.urandom(os.path.getsize(file) - 100))
"""
HTTP = '''
from harness import HttpScenario


class Attacked(HttpScenario):
    """Broken."""

    services = {"baseline": "attacked_app:app", "optimised": "attacked_app:app"}
    groups = [Group("g", "a request")]

    def cases(self, setting):
        return [Case("g", "a case", "/")]

    async def run(self, instance, case):
        if is_due():
            signalled(instance.pid)
        return await super().run(instance, case)
'''
APPLICATION = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
"""
TARGET = """
import asyncio, os, pathlib, signal, sys

answered = 0


async def answer(reader, writer):
    global answered
    while await reader.readline():
        while await reader.readline() not in {b"\\r\\n", b""}:
            pass
        answered += 1
        if answered == 150:
            pathlib.Path(sys.argv[2]).touch()
            os.kill(os.getpid(), getattr(signal, sys.argv[1]))
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")


async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
"""
SCENARIOS = {"PostgreSQL": POSTGRES, "Redis": REDIS, "SQLite": SQLITE, "application": HTTP}
TARGETS = "HTTP target"


@dataclass(frozen=True)
class ServerFault:
    """A fault of a server in a phase of a command."""

    server: str
    fault: str
    phase: str
    """The activity in which the scenario breaks the server, as the harness names it."""
    command: str = "run"
    needs_mount: bool = False
    """Whether it needs a small file system, which only root can mount."""


@dataclass(frozen=True)
class AttemptOutcome:
    """The end of an attempt."""

    attempt: ServerFault
    happened: bool
    """Whether the fault happened."""
    code: int | None
    """The exit code; None if the command had to be ended."""
    said: str
    """The failure in the record, or what the gate printed."""
    seconds: float
    """Seconds from the fault until it was said."""
    others_kept: bool
    """Whether the other scenario was measured; True for a command that has none."""
    is_recorded: bool
    """Whether the record, and the report of a run, were written."""

    @property
    def is_named(self) -> bool:
        """Whether the failure has the true cause, and no wrong one."""
        texts = SAID[self.attempt.fault]
        enough = all if self.attempt.fault == "connections" else any
        return enough(text in self.said for text in texts) and not any(word in self.said for word in NEVER)

    @property
    def problems(self) -> list[str]:
        """The requirements that it misses."""
        if not self.happened:
            return ["the fault did not happen"]
        wanted = {4} if self.attempt.command == "gate" else {1}
        checks = {
            "it did not end": self.code is not None,
            f"exit code {self.code}": self.code is None or self.code in wanted,
            "the cause is not named": self.is_named,
            f"after {self.seconds:.0f} s": self.seconds <= DEADLINE_S,
            "the other scenario was not measured": self.others_kept,
            "no record or report": self.is_recorded,
        }
        return [text for text, holds in checks.items() if not holds]


def attempts() -> list[ServerFault]:
    """Return all attempts, the most telling first."""
    bench = (
        "comparing answers",
        "timing pairs",
        "measuring memory",
        "preparing the data",
        "opening",
        "counting work",
        "warming up",
    )
    under_load = [("under load", "load"), ("under load", "capacity")]
    gates = [("gate: examine", "gate"), ("gate: time", "gate")]
    every = [(phase, "run") for phase in bench] + under_load + gates
    few = [every[0], every[1], every[2], under_load[0]]
    found = [ServerFault("PostgreSQL", KILLED, *where) for where in every]
    found += [ServerFault("PostgreSQL", STOPPED, *where) for where in [*every[:4], *under_load]]
    found += [ServerFault("PostgreSQL", "connections", *where) for where in few]
    found += [ServerFault("PostgreSQL", "reset", *where) for where in few]
    found += [ServerFault("PostgreSQL", "disk", *where, needs_mount=True) for where in few[:2]]
    found += [ServerFault("Redis", KILLED, *where) for where in [*few, every[3]]]
    found += [ServerFault("Redis", STOPPED, *where) for where in few[:3]]
    found += [ServerFault("Redis", "memory", *where) for where in (every[0], every[1])]
    found += [ServerFault("SQLite", "locked", *where) for where in [*few, every[3]]]
    for fault, needs_mount in (("corrupt", False), ("disk", True), ("read-only", True)):
        found += [ServerFault("SQLite", fault, *where, needs_mount=needs_mount) for where in (every[0], every[2])]
    found += [ServerFault("application", fault, *where) for fault in (KILLED, STOPPED) for where in few]
    found += [ServerFault(TARGETS, fault, "under load", "load") for fault in (KILLED, STOPPED)]
    return found


def run(effort: float) -> Section:
    """Make the attempts, two at a time."""
    every = max(1, round(1 / effort))
    wanted = [each for each in attempts()[::every] if os.geteuid() == 0 or not each.needs_mount]
    with tempfile.TemporaryDirectory(prefix="harness-chaos-servers-") as folder, ThreadPoolExecutor(LANES) as lanes:
        places = [Path(folder) / f"{number}" for number in range(len(wanted))]
        return section(list(lanes.map(made, wanted, places)))


def made(attempt: ServerFault, folder: Path) -> AttemptOutcome:
    """Make an attempt in a new folder, and return its outcome."""
    with ExitStack() as stack:
        small = folder / "small"
        for each in (small, folder / "tmp", folder / "project" / "bench"):
            each.mkdir(parents=True)
        for each in (folder, *folder.parents[:1], small, folder / "tmp"):
            each.chmod(0o777)  # a server that root starts runs as another user
        if attempt.needs_mount:
            stack.enter_context(_mounted(small))
        mark, out = folder / "mark", folder / "out"
        command = _command(attempt, folder, mark, out, stack)
        return _outcome(attempt, command, folder, mark, out)


@contextmanager
def _mounted(folder: Path) -> Iterator[None]:
    subprocess.run([shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=8m,mode=777", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run([shutil.which("umount") or "umount", "--lazy", folder], check=False)


def _command(attempt: ServerFault, folder: Path, mark: Path, out: Path, stack: ExitStack) -> list[str]:
    """Write the scenarios, and return the command line."""
    if attempt.server == TARGETS:
        url = stack.enter_context(_target(attempt.fault, folder, mark))
        return [*_load(url), "--timeout", f"{OPERATION_S}s", "--out", str(out)]
    head = HOOK.format(fault=attempt.fault, phase=attempt.phase, mark=str(mark), folder=str(folder))
    if attempt.server == "application":
        head = head[: head.index("class Attacked")]
        (folder / "project" / "attacked_app.py").write_text(APPLICATION)
    project = folder / "project"  # a gate checks the other version out beside it, below the folder for temporary files
    bench = project / "bench"
    file = bench / "attacked.py"
    file.write_text(head + SCENARIOS[attempt.server])
    (bench / "bystander.py").write_text(BYSTANDER)
    timeout = ["--timeout", f"{OPERATION_S}s"]
    if attempt.command == "load":
        return [*_load(str(file)), *timeout, "--out", str(out)]
    if attempt.command == "capacity":
        slo = ["--slo", "p95 < 1s", "--kind", "rate", "--step", "1s", "--budget", "30s"]
        return ["capacity", str(file), *slo, *timeout, "--out", str(out)]
    if attempt.command == "gate":
        _commit(project, file)
        return ["gate", "--against", "HEAD", str(file.relative_to(project)), "--budget", "120s", *timeout]
    quick = ["--quick", "--processes", "1", "--budget", "100s"]
    return ["run", str(bench), *quick, *timeout, "--out", str(out)]


def _load(subject: str) -> list[str]:
    return ["load", subject, "--rate", "50", "--duration", "3s", "--block", "1500ms", "--warm-up", "200ms", "--drain", "2s"]


@contextmanager
def _target(fault: str, folder: Path, mark: Path) -> Iterator[str]:
    (folder / "target.py").write_text(TARGET)
    command = [sys.executable, str(folder / "target.py"), fault, str(mark)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/"
        finally:
            process.kill()


def _commit(folder: Path, file: Path) -> None:
    """Make the folder a repository whose commit has another version of the scenario."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false"]
    text = file.read_text()
    file.write_text(text.replace("SELECT 1", "SELECT  1"))
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "old"]):
        subprocess.run([*git, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    file.write_text(text)


def _outcome(attempt: ServerFault, words: Sequence[str], folder: Path, mark: Path, out: Path) -> AttemptOutcome:
    environment = {**os.environ, "TMPDIR": str(folder / "tmp"), FOLDER_VARIABLE: str(folder.parent / "cache")}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), str(folder / "project")])
    printed = folder / "printed"
    with printed.open("wb") as output:
        command = [sys.executable, "-m", "harness", *words]
        process = subprocess.Popen(
            command, cwd=folder / "project", env=environment, stdout=output, stderr=output, start_new_session=True
        )
        said_at = _said_at(process, out)
    code: int | None = process.poll()
    if code is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()
    happened = mark.exists()
    seconds = said_at - mark.stat().st_mtime if happened else math.nan
    text = printed.read_text(errors="replace")
    record: Run | None = None
    with suppress(Exception):  # a record that cannot be read is none
        record = read_run(out)
    results = {result.name: result for result in record.scenarios} if record else {}
    failed = [result.error or "" for result in results.values() if result.status == ScenarioStatus.FAILED]
    has_other = attempt.command == "run"
    kept = not has_other or ("bystander" in results and results["bystander"].status == ScenarioStatus.OK)
    is_report = attempt.command == "gate" or (record is not None and record.finished_at is not None and _has_report(out))
    said = "; ".join(failed) if failed else _conclusion(text)
    return AttemptOutcome(attempt, happened, code, said, seconds, kept, is_report)


def _conclusion(printed: str) -> str:
    """Return the conclusion of a gate, which is printed before its rows; without one, all that was printed."""
    words = " ".join(printed.split())
    return words.partition("≠ ")[2].partition(" Baseline HEAD ")[0] or words


def _has_report(out: Path) -> bool:
    return any(out.glob("*.html"))


def _said_at(process: subprocess.Popen[bytes], out: Path) -> float:
    """Wait for the end of a command; return the time at which its record has a failure, else that of its end."""
    ends, said_at = time.monotonic() + COMMAND_S, 0.0
    while process.poll() is None and time.monotonic() < ends:
        time.sleep(0.1)
        if not said_at:
            with suppress(OSError, ValueError):
                found = json.loads((out / "run.json").read_bytes())
                said_at = time.time() if any(each["status"] == "failed" for each in found["scenarios"]) else 0.0
    return said_at or time.time()


def section(outcomes: Sequence[AttemptOutcome]) -> Section:
    """Return the section with a row per attempt."""
    bad = [each for each in outcomes if each.problems]
    named = sum(each.happened and each.is_named for each in outcomes)
    in_time = sum(each.happened and each.code is not None and each.seconds <= DEADLINE_S for each in outcomes)
    kept = sum(each.others_kept for each in outcomes)
    rows = [
        [
            f"{each.attempt.server}: {each.attempt.fault}, {each.attempt.phase} ({each.attempt.command})",
            f"{each.seconds:.1f}",
            f"{each.code}",
            "; ".join(each.problems) or "named",
            each.said[:160],
        ]
        for each in outcomes
    ]
    total = len(outcomes)
    return Section(
        TITLE,
        "Each attempt is a command whose scenario breaks its own server, or its database file, at the first operation of a phase;"
        f" the timeout of one operation is {OPERATION_S} s. A gate cannot compare the versions then, and ends with 4; all others"
        " end with 1. Beside the scenario of a run stands one without a server.",
        [SectionTable("Attempts", ("server: fault, phase (command)", "seconds", "exit code", "outcome", "what was said"), rows)],
        [
            Requirement(f"the true cause is named: {named} of {total}", bool(outcomes) and named == total),
            Requirement(f"within {DEADLINE_S} s of the fault: {in_time} of {total}", in_time == total),
            Requirement(f"the other scenarios are measured: {kept} of {total}", kept == total),
            Requirement(f"all of it as it must be: {total - len(bad)} of {total}", not bad),
        ],
        [f"{each.attempt.server}, {each.attempt.fault}, {each.attempt.phase}: {'; '.join(each.problems)}" for each in bad],
    )
