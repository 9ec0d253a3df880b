"""The benchmark of clients: requirements, the table, and a real run."""

import os
import sys
from dataclasses import dataclass
from io import StringIO

import pytest
from rich.console import Console

from harness.errors import NotMeasurableError
from tools.load_generator.bench_clients import compare, disturbed, judged, main, table
from tools.load_generator.bench_drivers import DriverResult


def took(requests: int, p50_ms: float, p99_ms: float) -> DriverResult:
    """Return a client's result of two seconds."""
    return DriverResult(requests, 2.0, p50_ms, p99_ms, 1.0, 1.5)


def test_requirements_are_medians_over_rounds() -> None:
    """A ratio is the median over rounds; a client that is not installed has no requirement."""
    ours = [took(8000, 1.0, 2.0), took(9000, 1.0, 2.4), took(4000, 2.0, 9.0)]
    found = {
        "ours": ours,
        "FastHttpUser": [took(1000, 9, 9)] * 3,
        "wrk": [took(9000, 1.0, 2.0), took(9000, 1.0, 2.0), took(4000, 2.0, 9.0)],
    }
    assert list(judged(found).values()) == [(8.0, True), (1.0, True), (1.0, True)]
    found["wrk"] = [took(9000, 0.9, 1.0)] * 3
    assert [enough for _, enough in judged(found).values()] == [True, False, False]
    assert judged({"ours": ours}) == {}


def test_clients_that_lacked_cpu_time_are_listed() -> None:
    """One round in which neither the client's nor the server's core was busy is enough."""
    client, server, neither = (DriverResult(100, 2.0, 1.0, 1.0, *cpu_s) for cpu_s in ((1.9, 0.2), (0.2, 1.9), (1.1, 1.2)))
    assert disturbed({"ours": [client, server], "wrk": [client, neither, client], "hey": []}) == ["wrk"]


def test_the_table_has_a_row_for_every_client() -> None:
    """A client that is not installed is marked; the others have their median and range."""
    written = StringIO()
    drawn = table(["wrk", "hey"], {"wrk": [took(1000, 1, 2), took(3000, 3, 4), took(2000, 2, 3)]}, "a bench")
    Console(file=written, width=132).print(drawn)
    lines = [line for line in written.getvalue().splitlines() if "wrk" in line or "hey" in line]
    assert [cell.strip() for cell in lines[0].split("│")[1:6]] == [
        "wrk",
        "1,000 [500, 1,500]",
        "2.00 [1.00, 3.00]",
        "3.00 [2.00, 4.00]",
        "500 [333, 1000]",
    ]
    assert "not installed" in lines[1]


@dataclass
class Refused:
    """A command line that is rejected, and its message."""

    arguments: list[str]
    message: str


@pytest.mark.parametrize(
    "wrong",
    [
        Refused(["--users", "0"], "have to be at least 1"),
        Refused(["--rounds", "0"], "have to be at least 1"),
        Refused(["--seconds", "0"], "above 0"),
        Refused(["--clients", "curl"], "unknown client in --clients: curl; choose from wrk"),
    ],
)
def test_a_usage_error_is_rejected(wrong: Refused, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is measured, and the message names the valid values."""
    monkeypatch.setattr(sys, "argv", ["bench_clients", *wrong.arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert wrong.message in capsys.readouterr().err


@pytest.mark.slow
def test_clients_alternate_on_a_real_server() -> None:
    """The lean client is measured on both loops in both rounds, and this process's cores are restored."""
    before = os.sched_getaffinity(0)
    try:
        found = compare(["ours", "ours on asyncio"], 4, 2, 0.2)
    except NotMeasurableError as reason:
        pytest.skip(str(reason))
    assert {client: len(rounds) for client, rounds in found.items()} == {"ours": 2, "ours on asyncio": 2}
    assert all(one.requests > 0 and one.server_cpu_s >= 0 for rounds in found.values() for one in rounds)
    assert os.sched_getaffinity(0) == before
