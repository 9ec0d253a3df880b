"""The folders and processes that a command makes besides its results, and their end with it, whatever ends it.

Each process of the harness has a token, made of its process id and its start time, so that another process with the same id is not
taken for it. The folders that it makes have the token in their names, the processes that it starts have it in their environment,
also those that leave its session. A small process beside it, the watcher, waits for its end: then it ends what is left of both. It
does so for other owners that have ended too, such as those of a machine that lost its power, when it starts.

Standard library only: run by path, without the packages of the environment, this is the watcher: `leftovers.py PID TOKEN FOLDER`.
"""

import contextlib
import itertools
import os
import re
import secrets
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

OWNERS = "HARNESS_OWNERS"
"""Environment variable of a process that a command started: the marks of all who started it, the last one nearest, with colons."""
GUARD = "HARNESS_GUARD"
"""Environment variable of a process that ends by itself, in order, when its starter ends."""
GUARD_S = 70.0
"""Seconds until such a process is killed: more than any server may take to stop."""
HURRIED_S = 3.0
"""The same in a command that has to end at once."""
FOREIGN_S = 7 * 86400.0
"""Seconds without a change after which a folder is removed whose owner is of another container, or of before a restart."""
SWEPT_S = 15.0
"""The longest wait, at the end of a command, for the watcher's first sweep."""
COMMAND_LENGTH = 60
"""The length to which a command line is cut in messages."""
SERVER_USERS = ("postgres", "redis", "nobody")
"""The users that servers run as which root starts; their folders belong to them."""
DAEMONS = ("fsmonitor--daemon", "credential-cache--daemon")
"""Arguments of processes that git leaves running on purpose."""

_FORM = "[0-9a-f]{24}"
_FOLDER = re.compile(rf"\.?harness-[a-z]+-({_FORM})-[0-9a-f]{{8}}")
_POLL_S = 0.02
_WAIT_S = 0.5
_ROUNDS = 50
_PROC = Path("/proc")
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Running:
    """A running process with a mark."""

    pid: int
    command: tuple[str, ...]
    """Its arguments."""
    is_guard: bool
    """Whether it ends by itself."""

    @property
    def name(self) -> str:
        """Return its name in messages."""
        return f"process {' '.join(self.command)[:COMMAND_LENGTH]!r}" if self.command else f"process {self.pid}"


# The owner's side


def token() -> str:
    """Return the token of this process: 24 hexadecimal digits, of which the last 8 stand for the machine since its start."""
    return _token_of(os.getpid())


def new_mark() -> str:
    """Return another mark for a process to start, and for what that starts; always equally long, as it moves the stack."""
    return f"{token()}.{next(_numbers):06x}"


def marks(mark: str) -> str:
    """Return the value of `OWNERS` for a process with this mark, which is marked by the starters of this process as well."""
    return ":".join(filter(None, (os.environ.get(OWNERS, ""), mark)))


@contextmanager
def owned_folder(kind: str, parent: Path | None = None) -> Iterator[Path]:
    """Yield a new folder, by default on the temporary disk, and remove it at the end with all that is in it, also after a crash.

    `kind` is a word of lower-case letters for its name, and `parent` another folder to make it in; raises OSError if that fails.
    """
    folder = new_folder(kind, parent)
    try:
        yield folder
    finally:
        remove(folder)


def new_folder(kind: str, parent: Path | None = None) -> Path:
    """Return a new folder as `owned_folder` does, to be removed with `remove`; it does not outlive this process."""
    folder = owned_path(kind, parent)
    folder.mkdir(mode=0o700)
    return folder


def owned_path(kind: str, parent: Path | None = None) -> Path:
    """Return the path of a folder that does not exist yet and that, once it does, does not outlive this process."""
    watch()
    where = Path(tempfile.gettempdir()).resolve() if parent is None else parent
    if parent is not None:
        sweep([parent])
    first = re.match(_FORM, os.environ.get(OWNERS, ""))
    owner = first[0] if first and is_alive(first[0]) else token()  # the first owner ends what the others leave
    return where / f"{'.' if parent else ''}harness-{kind}-{owner}-{secrets.token_hex(4)}"


def watch() -> None:
    """Start the watcher of this process, unless it has one or a process with a watcher started it; never an error."""
    global _watcher  # noqa: PLW0603 - one process, one watcher
    with _starting:
        if _watcher is not None and _watcher[0] == os.getpid():
            return
        if any(is_alive(found) for found in re.findall(_FORM, os.environ.get(OWNERS, "")) if found != token()):
            return
        environment = {name: value for name, value in os.environ.items() if name not in {OWNERS, GUARD}}
        command = [sys.executable, "-I", "-S", __file__, str(os.getpid()), token(), tempfile.gettempdir()]
        with contextlib.suppress(OSError):
            started = subprocess.Popen(
                command,
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            _watcher = os.getpid(), started


def mark_all() -> None:
    """Mark everything that this process starts from now on, in a program that is not ours as a whole, and watch over it."""
    watch()
    os.environ[OWNERS] = marks(new_mark())


@contextmanager
def marked() -> Iterator[str]:
    """Mark everything that this process starts meanwhile, by whatever means, and yield the mark.

    What it has started before, such as the servers of a program that runs commands within itself, has another one.
    """
    before, mark = os.environ.get(OWNERS), new_mark()
    os.environ[OWNERS] = marks(mark)
    try:
        yield mark
    finally:
        if before is None:
            os.environ.pop(OWNERS, None)
        else:
            os.environ[OWNERS] = before


def adopt() -> None:
    """Become the parent of all that this process's children leave behind, so that it is found without a mark too; Linux only.

    It is for a process that is a command: another program may not expect children that it did not start.
    """
    global _adopter  # noqa: PLW0603 - one process, one answer
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - the watcher does without

        if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1) == 0:
            _adopter = os.getpid()


def end_left(mark: str, grace_s: float = GUARD_S) -> list[str]:
    """End the processes with a command's mark that still run; return their names. It is for the end of the command.

    In a process that adopts, those without a mark are ended too.
    """
    if _watcher is None or _watcher[0] != os.getpid():
        return []
    return end(mark, grace_s, below=_adopter == os.getpid())


def clear_now() -> None:
    """End everything that this process has started and remove its folders, within some seconds; the watcher does the rest."""
    if _watcher is not None and _watcher[0] == os.getpid():
        end(token(), HURRIED_S, asked=True, below=_adopter == os.getpid())
        for folder, owner in _folders([Path(tempfile.gettempdir())]):
            if owner == token():
                remove(folder)


def _stop_watching() -> None:
    """End the watcher of a process that ends in order, once it has swept what others have left."""
    if _watcher is None or _watcher[0] != os.getpid():
        return
    watcher = _watcher[1]
    assert watcher.stdout is not None
    with contextlib.suppress(OSError, ValueError), watcher.stdout:
        select.select([watcher.stdout], [], [], SWEPT_S)
    with contextlib.suppress(OSError):
        watcher.kill()
        watcher.wait()


# Processes


def is_alive(owner: str) -> bool | None:
    """Return whether the process of a token runs; None for one of another container, or from before the machine's last start."""
    if owner[16:] != _place():
        return None
    return _token_of(int(owner[:6], 16)) == owner


def running(mark: str, *, dead: bool = False, below: bool = False) -> list[Running]:
    """Return the running processes with this mark, or with those of a token.

    With `dead`, those of any owner that has ended too; with `below`, what this process has started, with or without a mark.
    """
    found, ours = [], set(below_process(os.getpid())) if below else set[int]()
    for pid in _pids():
        try:
            environment = (_PROC / str(pid) / "environ").read_bytes()
            owners = _variable(environment, OWNERS)
            is_marked = bool(owners) and (mark in owners or (dead and _is_orphan(owners)))
            if pid == os.getpid() or not (is_marked or pid in ours):
                continue
            command = (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
            if _state(pid)[0] in "ZX" or set(DAEMONS) & set(command):
                continue
        except OSError:
            continue  # it has ended, or is another user's
        found.append(Running(pid, tuple(command), bool(_variable(environment, GUARD))))
    return found


def below_process(pid: int) -> list[int]:
    """Return the processes that one has started, and that these have, but neither guards, nor their servers, nor the watcher."""
    children: dict[int, list[int]] = {}
    for each in _pids():
        with contextlib.suppress(OSError, ValueError, IndexError):
            children.setdefault(int(_state(each)[1]), []).append(each)
    found, waiting = [], children.get(pid, [])
    while waiting:
        each = waiting.pop()
        with contextlib.suppress(OSError):
            if (_watcher and each == _watcher[1].pid) or _variable((_PROC / str(each) / "environ").read_bytes(), GUARD):
                continue
            found.append(each)
            waiting += children.get(each, [])
    return found


def started() -> list[int]:
    """Return what `below_process` does of this process, at no cost where it has no child.

    It is for its starter, which would not find those without a mark once this process has ended.
    """
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    return below_process(os.getpid())


def end(
    mark: str,
    grace_s: float = GUARD_S,
    *,
    dead: bool = False,
    below: bool = False,
    asked: bool = False,
    guards: bool = True,
) -> list[str]:
    """Kill the processes that `running` returns and those that they start; return the names of those killed.

    Guards have `grace_s` seconds to end by themselves; those `asked` are told to. Without `guards` they are left alone.
    """
    names: dict[int, str] = {}
    ends_s = time.monotonic() + grace_s
    told = set[int]()
    for _ in itertools.count():
        left = [process for process in running(mark, dead=dead, below=below) if guards or not process.is_guard]
        is_late = time.monotonic() > ends_s
        for process in left:
            with contextlib.suppress(OSError):
                if not process.is_guard or is_late:
                    names.setdefault(process.pid, process.name)
                    os.kill(process.pid, signal.SIGKILL)
                elif asked and process.pid not in told:
                    told.add(process.pid)
                    os.kill(process.pid, signal.SIGTERM)
        if not left or time.monotonic() > ends_s + _ROUNDS * _POLL_S:
            break
        _pause(_POLL_S)
    return list(names.values())


def _pause(seconds: float) -> None:
    """Wait, also in a signal handler of a process in which `time.sleep` runs other greenlets."""
    if sys.platform == "linux":
        signal.sigtimedwait((), seconds)
    else:
        time.sleep(seconds)


def _is_orphan(owners: str) -> bool:
    """Return whether the first owner has ended, which would end what the others leave."""
    found = re.match(_FORM, owners)
    return found is not None and is_alive(found[0]) is False


def _variable(environment: bytes, name: str) -> str:
    """Return the value of a variable in the content of /proc/PID/environ; empty if it is not set."""
    _, found, rest = (b"\0" + environment).partition(f"\0{name}=".encode())
    return rest.partition(b"\0")[0].decode(errors="replace") if found else ""


def _pids() -> list[int]:
    try:
        return [int(path.name) for path in _PROC.iterdir() if path.name.isdigit()]
    except OSError:
        return []  # such as macOS, where the environment of a process cannot be read


def _state(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on: the name before may have any characters."""
    return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()


def _token_of(pid: int) -> str:
    """Return the token of a process, one without a time if that is not known here; "" if there is no such process."""
    try:
        fields = _state(pid)
        started = int(fields[19]) if fields[0] not in "ZX" else None
    except (OSError, ValueError, IndexError):
        try:
            os.kill(pid, 0)
            started = 0
        except PermissionError:
            started = 0
        except OSError:
            started = None
        if _PROC.is_dir() and pid != os.getpid():
            started = None
    return "" if started is None else f"{pid & 0xFFFFFF:06x}{started & 0xFFFFFFFFFF:010x}{_place()}"


@lru_cache(maxsize=1)
def _place() -> str:
    """Return 8 digits for what process ids are counted in: this container, since the machine's last start."""
    parts = []
    with contextlib.suppress(OSError):
        parts.append((_PROC / "sys/kernel/random/boot_id").read_text())
    with contextlib.suppress(OSError):
        parts.append(str((_PROC / "self/ns/pid").readlink()))
    return f"{zlib.crc32(' '.join(parts).encode()):08x}"


# Folders


def sweep(parents: Iterable[Path]) -> None:
    """Remove the folders of owners that have ended; never one of another user, of a live owner, or without a token."""
    for folder, owner in _folders(parents):
        with contextlib.suppress(OSError):
            alive = is_alive(owner)
            if alive is False or (alive is None and time.time() - folder.stat().st_mtime > FOREIGN_S):
                remove(folder)


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, also what its owner may not write to, and what git knows of worktrees in it."""
    _forget_worktrees(folder)
    for _ in range(3):  # a process that is about to end may still write
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            return
        for place, names, _ in os.walk(folder):
            for name in (place, *(os.path.join(place, name) for name in names)):  # noqa: PTH118 - as in os.walk
                with contextlib.suppress(OSError):
                    if not os.path.islink(name):  # noqa: PTH114 - as above
                        os.chmod(name, 0o700)  # noqa: PTH101 - as above


def _folders(parents: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield the folders below some others that are named as ours and belong to this user, with their owners' tokens."""
    users = _users()
    for parent in parents:
        try:
            with os.scandir(parent) as entries:
                found = [(Path(entry.path), match[1]) for entry in entries if (match := _FOLDER.fullmatch(entry.name))]
        except OSError:
            continue
        for folder, owner in found:
            with contextlib.suppress(OSError):
                about = folder.lstat()
                if stat.S_ISDIR(about.st_mode) and about.st_uid in users:
                    yield folder, owner


def _users() -> Collection[int]:
    found = {os.geteuid()}
    if os.geteuid() == 0:
        import pwd  # noqa: PLC0415 - for root only

        for name in SERVER_USERS:
            with contextlib.suppress(KeyError):
                found.add(pwd.getpwnam(name).pw_uid)
    return found


def _forget_worktrees(folder: Path) -> None:
    """Remove the records of git worktrees directly below a folder from their repositories, if they lead back to them."""
    for link in folder.glob("*/.git"):
        with contextlib.suppress(OSError):
            record = Path(link.read_text().removeprefix("gitdir:").strip()) if link.is_file() else Path()
            if record.parent.name == "worktrees" and Path((record / "gitdir").read_text().strip()).resolve() == link.resolve():
                shutil.rmtree(record, ignore_errors=True)


# The watcher's side


def main(words: list[str]) -> None:
    """Sweep, wait for the end of the owner, and sweep again: the owner has ended then."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    pid, owner, folder = int(words[0]), words[1], Path(words[2])
    _sweep_all(folder)
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - the owner sees that the sweep is over
        os.dup2(nowhere.fileno(), 1)
    _wait(pid, lambda: is_alive(owner) is True)
    _sweep_all(folder)


def _sweep_all(folder: Path) -> None:
    end("no mark", dead=True)
    sweep([folder])


def _wait(pid: int, is_running: Callable[[], bool]) -> None:
    """Wait for the end of a process without waking up, where the system can."""
    with contextlib.suppress(OSError, AttributeError):
        descriptor = os.pidfd_open(pid)
        if is_running():
            waiting = select.poll()
            waiting.register(descriptor, select.POLLIN)
            waiting.poll()
    while is_running():
        time.sleep(_WAIT_S)


_numbers = itertools.count(1)
_starting = threading.Lock()
_adopter = 0
"""The process that adopts, as a fork of it does not."""
_watcher: tuple[int, subprocess.Popen[bytes]] | None = None
"""The process that started a watcher, as a fork of it has none, and the watcher."""

if __name__ == "__main__":
    main(sys.argv[1:])
else:
    import atexit

    atexit.register(_stop_watching)
