"""Serve the demo prompt service over HTTP.

ARM is a level (baseline, proposed or optimised), optionally with exceptions: baseline,caching=optimised. The service runs on
synthetic rows in a temporary folder, or in a temporary database of the server. They are removed when the service is stopped with
Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from datasets import SIZES, Dataset, rows
from harness import options as converters
from harness.errors import INTERRUPTED, UsageError
from service.switches import Level, Switches

if TYPE_CHECKING:
    from fixtures.api.http_service import HttpService
    from harness.scenario import Setting

ENGINES = ("postgres", "sqlite")
NAME = "served"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add(
        "--arm",
        default=Switches.all(Level.OPTIMISED),
        type=_switches,
        metavar="ARM",
        help="the service's switches (default: optimised)",
    )
    engine_help = f"database engine: {' or '.join(ENGINES)} (default: sqlite)"
    add("--engine", default="sqlite", choices=ENGINES, metavar="ENGINE", help=engine_help)
    size_help = f"size of the dataset: {', '.join(SIZES)} (default: tiny)"
    add("--size", default="tiny", choices=tuple(SIZES), metavar="SIZE", help=size_help)
    add("--seed", default=0, type=converters.seed, metavar="SEED", help="seed of the rows (default: 0)")
    add("--port", default=None, type=converters.port, metavar="PORT", help="port on this machine (default: a free port)")
    log_help = "write slow statements to FILE, one JSON object with the query plan per line"
    add("--slow-log", metavar="FILE", type=converters.path, help=log_help)
    slow_help = "threshold for a slow statement in milliseconds (default: 100)"
    add("--slow-ms", default=100.0, type=_milliseconds, metavar="MS", help=slow_help)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal asks to stop; return the exit code of an interrupted command.

    UsageError if the slow-query log cannot be kept, or a package is not installed; NotMeasurableError if a server that the arm
    needs cannot run on this machine.
    """
    slow_log = _slow_log(options)
    try:
        from harness.runtime.leftovers import owned_folder
        from harness.scenario import Setting

        with owned_folder("serve") as folder:
            setting = Setting(folder, folder, options.engine, options.size, seed=options.seed)
            with contextlib.suppress(KeyboardInterrupt), _serving(setting, options.arm, options.port, slow_log) as service:
                _announce(setting, options.arm, service)
                threading.Event().wait()
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is not installed; install what the trial needs: pip install -r requirements.lock"
        ) from error
    print("stopped")
    return INTERRUPTED


def _switches(text: str) -> Switches:
    try:
        return Switches.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"\d{1,9}(\.\d{0,9})?", text, re.ASCII)
    threshold_ms = float(text) if found else 0.0
    if not threshold_ms:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of milliseconds above 0; try --slow-ms 100")
    return threshold_ms


def _slow_log(options: argparse.Namespace) -> Mapping[str, Any]:
    """Return the settings of the slow-query log; none without `--slow-log`."""
    if options.slow_log is None:
        return {}
    level = options.arm.monitoring
    if level is not Level.OPTIMISED:
        raise UsageError(f"--slow-log: monitoring={level} keeps no slow-query log; add monitoring=optimised to --arm")
    if not options.slow_log.parent.is_dir():
        raise UsageError(f"--slow-log: folder {options.slow_log.parent} does not exist; create it or name another file")
    return {"slow_log": options.slow_log.absolute(), "slow_ms": options.slow_ms}


@contextmanager
def _serving(setting: Setting, switches: Switches, port: int | None, slow_log: Mapping[str, Any]) -> Iterator[HttpService]:
    """Fill a database, with the indexes of the arm, and start the servers that the service needs, and the service."""
    from datasets import TABLES, blocks
    from fixtures.api.http_service import http_service
    from fixtures.store import dataset
    from harness.databases.interface import databases
    from harness.servers import lifecycle
    from service.migrations import composite_indexes
    from service.models import Base
    from service.settings import ServiceSettings

    required = [] if switches.caching is Level.BASELINE else ["redis"]
    with ExitStack() as stack:
        setting = replace(setting, servers=stack.enter_context(lifecycle.servers(setting, *required)))
        opened = databases(setting)
        opened.fill(NAME, Base.metadata, blocks(dataset(setting), TABLES))
        opened.migrate(NAME, lambda connection: composite_indexes.upgrade(connection, switches.indexes))
        cache: dict[str, Any] = {}
        if required:
            from harness.servers import redis

            address = setting.servers["redis"].direct_url
            cache = {"redis_url": address, "namespace": stack.enter_context(redis.namespace(address, NAME))}
        url = opened.url(NAME).render_as_string(hide_password=False)
        settings = ServiceSettings(url, switches=switches, **cache, **slow_log)
        yield stack.enter_context(http_service(settings, setting.folder / "service.log", port))


def _announce(setting: Setting, switches: Switches, service: HttpService) -> None:
    live = next(row for row in rows(Dataset(setting.size, setting.seed), "prompts") if row["deleted_at"] is None)
    print(f"prompt service, {switches}, on {setting.engine}, size {setting.size}: {service.url}")
    print(f"  curl {service.url}/prompts/{live['id']}")
    print(f"  curl '{service.url}/users/{live['user_id']}/prompts?limit=3'")
    print(f"API description: {service.url}/openapi.json; stop with Ctrl-C", flush=True)
