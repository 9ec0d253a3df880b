"""`harness network`: output, exit code and refused options."""

import argparse
import json

import pytest

from harness.cli import network
from harness.network import accuracy


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure few round trips: these tests check the output, not the accuracy."""
    monkeypatch.setattr(accuracy, "PINGS", 30)
    monkeypatch.setattr(accuracy, "BULK_BYTES", 2**20)


def harness_network(*arguments: str) -> int:
    """Run the command as the CLI entry point does."""
    parser = argparse.ArgumentParser()
    network.arguments(parser)
    return network.run(parser.parse_args(arguments))


def test_the_table_has_a_line_per_rtt(capsys: pytest.CaptureFixture[str]) -> None:
    """The table has a line per RTT with its verdict, and the throughput of bulk transfers below it."""
    code = harness_network("--rtt", "2,0")
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["RTT", "0", "2"]
    assert all(line.rstrip().endswith("ok") for line in lines[1:3])
    assert code == (1 if "not ok" in out else 0)
    assert out.count("MB/s to the server") == 2


def test_json_contains_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON has every RTT with its error and bound, and the verdict behind the exit code."""
    code = harness_network("--rtt", "1", "--json")
    printed = json.loads(capsys.readouterr().out)
    (row,) = printed["added"]
    assert row["rtt_ms"] == 1
    assert row["pings"] == 30
    assert row["error_ms"] == pytest.approx(row["median_ms"] - 1)
    assert row["bound_ms"] == 0.3
    assert row["p99_ms"] is None
    assert printed["ok"] is row["ok"]
    assert code == (0 if printed["ok"] else 1)
    assert min(printed["proxied_mb_per_s"]) > 0


def test_an_error_above_the_bound_exits_with_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The command reports a median outside the bound and exits with 1."""
    monkeypatch.setattr(accuracy, "BOUND_SHARE", 0.0)
    monkeypatch.setattr(accuracy, "BOUND_MS", 0.0)
    assert harness_network("--rtt", "1") == 1
    assert "not ok" in capsys.readouterr().out


def test_an_rtt_that_is_not_a_number_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """An invalid RTT is a one-line error before anything starts."""
    with pytest.raises(SystemExit) as refused:
        harness_network("--rtt", "far")
    assert refused.value.code == 2
    assert "--rtt: 'far' is not a list of milliseconds" in capsys.readouterr().err
