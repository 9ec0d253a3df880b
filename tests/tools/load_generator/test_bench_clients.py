"""The bench of clients: other tools' words are read right, what is required is judged, and it runs."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from io import StringIO

import pytest
from rich.console import Console

from harness.errors import NotMeasurableError, ScenarioFailedError
from tools.load_generator.bench_clients import compare, disturbed, judged, main, read_hey, read_wrk, table
from tools.load_generator.bench_drivers import DriverResult

WRK = """Running 4s test @ http://127.0.0.1:8000/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.90ms  270.86us   7.18ms   91.13%
    Req/Sec    16.92k     1.09k   18.13k    87.50%
  Latency Distribution
     50%  980.00us
     75%    1.95ms
     90%    2.08ms
     99%    1.02s
  67344 requests in 4.00s, 8.93MB read
Requests/sec:  16833.53
Transfer/sec:      2.23MB
"""
HEY = """
Summary:
  Total:\t3.0070 secs
  Slowest:\t0.0339 secs
  Requests/sec:\t4612.5

Latency distribution:
  10%% in 0.0034 secs
  50%% in 0.0066 secs
  99%% in 0.0154 secs

Status code distribution:
  [200]\t13870 responses
"""


def took(requests: int, p50_ms: float, p99_ms: float) -> DriverResult:
    """Return what a client measured in two seconds."""
    return DriverResult(requests, 2.0, p50_ms, p99_ms, 1.0, 1.5)


def test_wrks_words_are_read() -> None:
    """Units differ from line to line; all become milliseconds."""
    assert read_wrk(WRK, 1.0, 2.0) == DriverResult(67344, 4.0, 0.98, 1020.0, 1.0, 2.0)


@pytest.mark.parametrize("said", ["", WRK.replace("50%  ", ""), WRK + "  Socket errors: connect 0, read 3, write 0, timeout 0\n"])
def test_a_wrk_whose_requests_failed_measured_nothing(said: str) -> None:
    """Failures are quick, and would look like speed."""
    with pytest.raises(ScenarioFailedError, match="wrk did not measure"):
        read_wrk(said, 1.0, 1.0)


@pytest.mark.parametrize("said", [HEY, HEY.replace("%%", "%")])
def test_heys_words_are_read(said: str) -> None:
    """It writes its percent signs once or twice, as its version goes; only good answers count."""
    assert read_hey(said, 1.0, 2.0) == DriverResult(13870, 3.007, 6.6, 15.4, 1.0, 2.0)


def test_a_hey_without_answers_measured_nothing() -> None:
    """No good answers are an error, not a rate of nought."""
    with pytest.raises(ScenarioFailedError, match="hey did not measure"):
        read_hey(HEY.replace("[200]", "[503]"), 1.0, 1.0)


def test_what_is_required_is_judged_round_by_round() -> None:
    """A ratio is the median over rounds that ran at the same time; what is not installed requires nothing."""
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


def test_a_machine_that_was_busy_with_something_else_is_told() -> None:
    """One round in which neither the client nor the server kept its core busy is enough; either of them may be the busy one."""
    client, server, neither = (DriverResult(100, 2.0, 1.0, 1.0, *cpu_s) for cpu_s in ((1.9, 0.2), (0.2, 1.9), (1.1, 1.2)))
    assert disturbed({"ours": [client, server], "wrk": [client, neither, client], "hey": []}) == ["wrk"]


def test_the_table_has_a_line_for_every_client() -> None:
    """One that is not installed says so; the others have their median and range."""
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
    """A command line that is refused, and what it says."""

    words: list[str]
    says: str


@pytest.mark.parametrize(
    "wrong",
    [
        Refused(["--users", "0"], "begin at 1"),
        Refused(["--rounds", "0"], "begin at 1"),
        Refused(["--seconds", "0"], "above 0"),
        Refused(["--clients", "curl"], "knows no curl; it knows wrk"),
    ],
)
def test_wrong_use_is_refused(wrong: Refused, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is measured, and the message says what would be right."""
    monkeypatch.setattr(sys, "argv", ["bench_clients", *wrong.words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert wrong.says in capsys.readouterr().err


@pytest.mark.slow
def test_clients_take_turns_at_a_real_server() -> None:
    """Our client, on both loops, is measured in both rounds, and this process may run where it could before."""
    before = os.sched_getaffinity(0)
    try:
        found = compare(["ours", "ours on asyncio"], 4, 2, 0.2)
    except NotMeasurableError as reason:
        pytest.skip(str(reason))
    assert {client: len(rounds) for client, rounds in found.items()} == {"ours": 2, "ours on asyncio": 2}
    assert all(one.requests > 0 and one.server_cpu_s >= 0 for rounds in found.values() for one in rounds)
    assert os.sched_getaffinity(0) == before
