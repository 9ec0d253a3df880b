"""The environment of load workers: the scenarios' servers and data, in a temporary folder, created once for all of them."""

import ipaddress
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from harness.bench.serving import served
from harness.bench.worker import BenchJob, DataPrepared, Task, run_job
from harness.discovery import LoadedScenario
from harness.errors import NotMeasurableError, UsageError
from harness.runtime.child import JobFailed
from harness.runtime.workspace import workspace
from harness.scenario import Setting

STREAMS_PER_WORKER = 1000
"""The offset between the streams of cases of two load workers: more than one of them uses."""


@dataclass
class LoadEnvironment:
    """Scenarios on one database engine at one RTT: their servers run and their data are ready while the context is entered."""

    scenarios: Sequence[LoadedScenario]
    engine: str
    """The database engine."""
    size: str
    seed: int
    rtt_ms: float = 0.0
    allow_remote: bool = False
    datasets: dict[str, dict[str, str | int]] = field(default_factory=dict)
    """Scenario name → its dataset, for the record."""
    engine_settings: dict[str, dict[str, str]] = field(default_factory=dict)
    """Scenario name → the database engine's settings, for the record."""
    _settings: list[Setting] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Start the servers and build the data.

        Raises:
            UsageError: a scenario does not run here, or one of its servers is on another machine.
            ScenarioFailedError: its data cannot be built.
        """
        try:
            space = self._stack.enter_context(workspace())
            shared = space / f"shared-{self.engine}"
            shared.mkdir()
            for loaded in self.scenarios:
                folder = space / loaded.name
                folder.mkdir()
                setting = Setting(folder, shared, self.engine, self.size, 1.0, self.seed, self.rtt_ms, quick=True)
                self._settings.append(self._prepare(loaded, setting))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the servers and remove the data."""
        self._stack.close()

    def settings(self, index: int) -> list[Setting]:
        """Return each scenario's setting for load worker `index`, from 0, which gets separate streams of cases."""
        return [replace(setting, stream=STREAMS_PER_WORKER * index) for setting in self._settings]

    def _prepare(self, loaded: LoadedScenario, requested: Setting) -> Setting:
        try:
            setting = served(loaded.scenario, requested, self._stack)
        except NotMeasurableError as reason:
            raise UsageError(f"{loaded.name} does not run here: {reason}; choose another scenario, engine or RTT") from reason
        for server in setting.servers.values():
            refuse_remote(server.direct_url, allow=self.allow_remote)
        for event in run_job(BenchJob(Task.PREPARE, loaded.file, setting)):
            if isinstance(event, JobFailed):
                raise event.error(loaded.name)
            if isinstance(event, DataPrepared):
                self.datasets[loaded.name], self.engine_settings[loaded.name] = event.dataset, event.engine_settings
        return setting


def refuse_remote(url: str, *, allow: bool) -> None:
    """Refuse a server that is not on this machine.

    Raises:
        UsageError: a host in the URL is, or may be, another machine and `allow` is false.
    """
    for host in hosts(url):
        if not allow and not is_loopback(host):
            raise UsageError(f"{host} is not this machine; to load another machine with its owner's consent, add --allow-remote")


def hosts(url: str) -> list[str]:
    """Return the hosts in a URL, which may be several separated by commas; socket files and paths are not hosts."""
    parts = urlsplit(url)
    named = parts.netloc.rpartition("@")[2].split(",")
    found = [part.partition("]")[0].lstrip("[") if part.startswith("[") else part.partition(":")[0] for part in named]
    query = parse_qs(parts.query)
    in_query = [host for key in ("host", "hostaddr") for value in query.get(key, []) for host in value.split(",")]
    return [host for host in (*found, *in_query) if host and not host.startswith("/")]


def is_loopback(host: str) -> bool:
    """Return whether every address of a host is this machine; false for a name without an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)
