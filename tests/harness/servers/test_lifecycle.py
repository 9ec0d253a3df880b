"""Servers of a run: each started once for all scenarios, each distance with a detour of its own, all gone at the end."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from harness.bench.serving import gone
from harness.errors import NotMeasurableError, UsageError
from harness.scenario import Server, Setting
from harness.servers.lifecycle import is_embedded, processes, servers


def setting(folder: Path, engine: str = "sqlite", rtt_ms: float = 0.0) -> Setting:
    """Return a setting whose shared folder is the test's own."""
    return Setting(folder, folder, engine, rtt_ms=rtt_ms)


def started(stack: ExitStack, wanted: Setting) -> dict[str, Server]:
    """Start Redis beside an embedded engine, or skip where there is none."""
    try:
        return stack.enter_context(servers(wanted, "redis"))
    except NotMeasurableError as reason:
        pytest.skip(str(reason))


def test_two_scenarios_share_a_server_until_both_have_let_go(tmp_path: Path) -> None:
    """The second gets the first's, and it answers until the last one leaves."""
    with ExitStack() as outer:
        with ExitStack() as inner:
            mine = started(inner, setting(tmp_path))
            theirs = started(outer, setting(tmp_path))
            assert mine == theirs
        assert gone(theirs) is None
    assert gone(theirs) is not None


def test_a_distance_has_an_address_of_its_own_before_the_same_server(tmp_path: Path) -> None:
    """Near is the server itself at any distance; far is the detour, and each distance has its own."""
    with ExitStack() as stack:
        found = [started(stack, setting(tmp_path, rtt_ms=rtt))["redis"] for rtt in (0.0, 1.0, 2.0)]
        assert {server.direct_url for server in found} == {found[0].url}
        assert len({server.url for server in found}) == 3
        for server in found:
            place = urlsplit(server.url)
            with socket.create_connection((place.hostname or "", place.port or 0), timeout=10) as asking:
                asking.sendall(b"PING\r\n")
                assert asking.recv(16) == b"+PONG\r\n"


def test_an_embedded_engine_needs_no_server(tmp_path: Path) -> None:
    """Nothing is started for it, and there is nothing to lengthen."""
    assert is_embedded("sqlite")
    with servers(setting(tmp_path, rtt_ms=5.0)) as found:
        assert found == {}


def test_an_engine_that_is_not_there_is_named(tmp_path: Path) -> None:
    """One line with the name and the next step."""
    with (
        pytest.raises(UsageError, match="unknown engine 'oracle'; choose from postgres, sqlite, turso"),
        servers(setting(tmp_path, "oracle")),
    ):
        pass


def test_a_refusal_is_told_to_the_next_scenario_without_asking_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that nobody answers is tried once a run."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("HARNESS_REDIS_URL", f"redis://127.0.0.1:{port}/0")
    with pytest.raises(UsageError, match=str(port)) as first, servers(setting(tmp_path), "redis"):
        pass
    monkeypatch.delenv("HARNESS_REDIS_URL")
    with pytest.raises(UsageError) as second, servers(setting(tmp_path), "redis"):
        pass
    assert second.value is first.value


def test_a_server_that_runs_here_has_a_process(tmp_path: Path) -> None:
    """The one that listens where the server is, at any distance; one elsewhere, and one that nobody answers for, have none."""
    with ExitStack() as stack:
        redis = started(stack, setting(tmp_path, rtt_ms=1.0))["redis"]
        elsewhere, gone_by = Server("redis://192.0.2.1:6379/0", ""), Server("redis://127.0.0.1:1/0", "")
        found = processes({"redis": redis, "elsewhere": elsewhere, "gone": gone_by})
        assert found.keys() == {"redis"}
        assert "redis" in psutil.Process(found["redis"]).name()
