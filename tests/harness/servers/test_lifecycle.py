"""Servers of a run: each started once for all scenarios, with one proxy per RTT, all stopped at the end."""

import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from harness.errors import NotMeasurableError, UsageError
from harness.scenario import Server, Setting
from harness.servers.health import ServerWatch
from harness.servers.lifecycle import is_embedded, processes, servers


def setting(folder: Path, engine: str = "sqlite", rtt_ms: float = 0.0) -> Setting:
    """Return a setting with the test's shared folder."""
    return Setting(folder, folder, engine, rtt_ms=rtt_ms)


def started(stack: ExitStack, wanted: Setting) -> dict[str, Server]:
    """Start Redis with an embedded engine, or skip if there is none."""
    try:
        return stack.enter_context(servers(wanted, "redis"))
    except NotMeasurableError as reason:
        pytest.skip(str(reason))


def test_two_scenarios_share_a_server(tmp_path: Path) -> None:
    """The second scenario gets the first one's server, which runs until the last one leaves."""
    with ExitStack() as outer:
        with ExitStack() as inner:
            first = started(inner, setting(tmp_path))
            second = started(outer, setting(tmp_path))
            assert first == second
        assert ServerWatch(second).fault() is None
    assert ServerWatch(second).fault() is not None


def test_each_rtt_has_its_own_proxy(tmp_path: Path) -> None:
    """The direct URL is the server's at any RTT; the client URL is a proxy, one per RTT."""
    with ExitStack() as stack:
        found = [started(stack, setting(tmp_path, rtt_ms=rtt))["redis"] for rtt in (0.0, 1.0, 2.0)]
        assert {server.direct_url for server in found} == {found[0].url}
        assert len({server.url for server in found}) == 3
        for server in found:
            address = urlsplit(server.url)
            with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as client:
                client.sendall(f"AUTH {address.password}\r\n".encode())
                assert client.recv(16) == b"+OK\r\n"


def test_an_embedded_engine_needs_no_server(tmp_path: Path) -> None:
    """No server and no proxy is started for it."""
    assert is_embedded("sqlite")
    with servers(setting(tmp_path, rtt_ms=5.0)) as found:
        assert found == {}


def test_a_scenario_without_an_engine_needs_no_server_for_one(tmp_path: Path) -> None:
    """Its other servers start; a database that it asks for is refused with the line to add."""
    with servers(setting(tmp_path, "")) as found:
        assert found == {}
    with pytest.raises(
        UsageError, match=r'the scenario has no database; declare `engines = \["sqlite"\]` in it, or others of postgres'
    ):
        is_embedded("")


def test_an_unknown_engine_is_named(tmp_path: Path) -> None:
    """The message has the name and the known engines."""
    with (
        pytest.raises(UsageError, match="unknown engine 'oracle'; choose from postgres, sqlite, turso"),
        servers(setting(tmp_path, "oracle")),
    ):
        pass


@pytest.mark.parametrize("name", ["no_such_server", "guard", "tursodb"])
def test_only_modules_with_server_of_a_folder_are_servers(tmp_path: Path, name: str) -> None:
    """An unknown module, a helper and a server with more arguments cannot be named."""
    with pytest.raises(UsageError, match=f"unknown server '{name}'; name a module"), servers(setting(tmp_path), name):
        pass


def test_a_failed_start_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next scenario gets the same error at once."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("HARNESS_REDIS_URL", f"redis://127.0.0.1:{port}/0")
    with pytest.raises(UsageError, match=str(port)) as first, servers(setting(tmp_path), "redis"):
        pass
    monkeypatch.delenv("HARNESS_REDIS_URL")
    with pytest.raises(UsageError) as second, servers(setting(tmp_path), "redis"):
        pass
    assert second.value is first.value


def test_a_local_server_has_a_process(tmp_path: Path) -> None:
    """The process that listens at the server's address is found at any RTT; remote and stopped servers have none."""
    with ExitStack() as stack:
        redis = started(stack, setting(tmp_path, rtt_ms=1.0))["redis"]
        remote, stopped = Server("redis://192.0.2.1:6379/0", ""), Server("redis://127.0.0.1:1/0", "")
        found = processes({"redis": redis, "remote": remote, "stopped": stopped})
        assert found.keys() == {"redis"}
        assert psutil.Process(found["redis"]).name() in {"redis-server", "valkey-server"}


@pytest.mark.parametrize(
    "module", ["databases.engines", "network.accuracy", "servers.lifecycle", "servers.redis", "servers.tursodb"]
)
def test_servers_and_network_do_not_need_sqlalchemy(module: str) -> None:
    """The modules are importable without SQLAlchemy, which only database engines and probes need."""
    program = f"import sys; sys.modules['sqlalchemy'] = None; import harness.{module}"
    imported = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], check=False, capture_output=True, text=True
    )
    assert (imported.returncode, imported.stderr) == (0, "")
