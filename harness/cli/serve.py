"""Run the prompt service on synthetic rows, for a person with curl.

ARM is baseline, proposed or optimised, or one of them with exceptions, such as baseline,caching=optimised. The service works on
rows of its own, in a temporary folder or in a database made for it, and they are gone when it is stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from harness.cli import _options
from harness.errors import UsageError

if TYPE_CHECKING:
    from fixtures.api.http_service import HttpService
    from harness.scenario import Setting
    from service.settings import ServiceSettings
    from service.switches import Switches

ENGINES = ("sqlite", "postgres")
LARGEST_PORT = 65_535
NAME = "served"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--arm", default="optimised", metavar="ARM", help="the service's switches (default: optimised)")
    parser.add_argument("--engine", default="sqlite", metavar="NAME", help=f"{' or '.join(ENGINES)} (default: sqlite)")
    _options.data(parser, size="tiny")
    parser.add_argument("--port", default="0", metavar="N", help="the port on this machine (default: a free one)")
    help_ = "write statements of at least 100 ms to FILE, as JSON lines with their plans"
    parser.add_argument("--slow-log", metavar="FILE", type=Path, help=help_)
    parser.add_argument("--slow-ms", default="100", metavar="MS", help="what counts as slow (default: 100)")


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C; return 0.

    Raises:
        UsageError: an arm, engine, size, seed or port that cannot be used, or a part of the trial that is not installed.
        NotMeasurableError: a server that the arm needs cannot run here.
    """
    size, seed, port = _options.size(options.size), _options.seed(options.seed), _port(options.port)
    if options.engine not in ENGINES:
        raise UsageError(f"the prompt service does not run on {options.engine!r}; known: {', '.join(ENGINES)}")
    switches = _switches(options.arm)
    slow = _slow(options, switches)
    try:
        from harness.scenario import Setting  # noqa: PLC0415 - comes with what is slow to import

        with TemporaryDirectory(prefix="harness-serve-") as folder:
            setting = Setting(Path(folder), Path(folder), options.engine, size, seed=seed)
            with contextlib.suppress(KeyboardInterrupt), _serving(setting, switches, port, slow) as service:
                _tell(setting, switches, service)
                threading.Event().wait()
    except ModuleNotFoundError as error:
        raise _not_installed(error) from error
    print("stopped")
    return 0


def _port(text: str) -> int | None:
    if text.isascii() and text.isdigit() and int(text) <= LARGEST_PORT:
        return int(text) or None
    raise UsageError(f"port {text!r} is not a whole number up to {LARGEST_PORT}; leave --port out for a free one")


def _slow(options: argparse.Namespace, switches: Switches) -> Mapping[str, Any]:
    """Return the part of the service's settings that is about slow statements."""
    if options.slow_log is None:
        return {}
    if switches.monitoring.value != "optimised":
        raise UsageError(f"--slow-log: monitoring={switches.monitoring} keeps no log; add monitoring=optimised to --arm")
    if not options.slow_log.parent.is_dir():
        raise UsageError(f"--slow-log: there is no folder {options.slow_log.parent}; make it, or name another file")
    try:
        slow_ms = float(options.slow_ms)
    except ValueError:
        slow_ms = -1.0
    if not 0 < slow_ms < math.inf:
        raise UsageError(f"--slow-ms {options.slow_ms!r} is not a number of milliseconds above 0; try --slow-ms 100")
    return {"slow_log": options.slow_log.absolute(), "slow_ms": slow_ms}


def _switches(arm: str) -> Switches:
    try:
        found: type[Switches] = importlib.import_module("service.switches").Switches
    except ModuleNotFoundError as error:
        if error.name in {"service", "service.switches"}:
            raise UsageError("the trial's `service` is not here; run `harness serve` in a checkout of this project") from error
        raise _not_installed(error) from error
    try:
        return found.parse(arm)
    except ValueError as error:
        raise UsageError(f"--arm {arm!r}: {error}") from None


def _not_installed(error: ModuleNotFoundError) -> UsageError:
    return UsageError(f"{error.name} is not installed; install the extra `trial` of this project")


@contextmanager
def _serving(setting: Setting, switches: Switches, port: int | None, slow: Mapping[str, Any]) -> Iterator[HttpService]:
    """Fill a database, start what the service needs, and the service."""
    from fixtures.api.http_service import http_service  # noqa: PLC0415 - SQLAlchemy is slow to import
    from harness.servers import lifecycle  # noqa: PLC0415 - SQLAlchemy is slow to import
    from service.switches import Level  # noqa: PLC0415 - see `_switches`

    wanted = [] if switches.caching is Level.BASELINE else ["redis"]
    with ExitStack() as stack:
        setting = replace(setting, servers=stack.enter_context(lifecycle.servers(setting, *wanted)))
        settings = replace(_settled(stack, setting, switches), **slow)
        yield stack.enter_context(http_service(settings, setting.folder / "service.log", port))


def _settled(stack: ExitStack, setting: Setting, switches: Switches) -> ServiceSettings:
    """Make the rows, with the indexes of the arm, and return the service's settings for them."""
    from datasets import TABLES, blocks  # noqa: PLC0415 - see `_switches`
    from fixtures import store as prompt_store  # noqa: PLC0415 - SQLAlchemy is slow to import
    from harness.databases.interface import databases  # noqa: PLC0415 - SQLAlchemy is slow to import
    from service.migrations import levels  # noqa: PLC0415 - SQLAlchemy is slow to import
    from service.models import Base  # noqa: PLC0415 - SQLAlchemy is slow to import
    from service.settings import ServiceSettings  # noqa: PLC0415 - see `_switches`

    found = databases(setting)
    found.fill(NAME, Base.metadata, blocks(prompt_store.dataset(setting), TABLES))
    found.migrate(NAME, lambda connection: levels.upgrade(connection, switches.indexes))
    url = found.url(NAME).render_as_string(hide_password=False)
    if "redis" not in setting.servers:
        return ServiceSettings(url, None, switches)
    from harness.servers import redis  # noqa: PLC0415 - comes with the extra `redis`

    address = setting.servers["redis"].direct_url
    return ServiceSettings(url, address, switches, stack.enter_context(redis.namespace(address, NAME)))


def _tell(setting: Setting, switches: Switches, service: HttpService) -> None:
    from datasets import rows  # noqa: PLC0415 - see `_switches`
    from fixtures.store import dataset  # noqa: PLC0415 - SQLAlchemy is slow to import

    known = next(row for row in rows(dataset(setting), "prompts") if row["deleted_at"] is None)
    print(f"the prompt service, {switches}, on {setting.engine}, size {setting.size}: {service.url}")
    print(f"  curl {service.url}/prompts/{known['id']}")
    print(f"  curl '{service.url}/users/{known['user_id']}/prompts?limit=3'")
    print(f"what it can be asked: {service.url}/openapi.json; Ctrl-C stops it", flush=True)
