"""`harness network`: what it prints, how it ends and what it refuses."""

from __future__ import annotations

import argparse
import json

import pytest

from harness.cli import network
from harness.network import accuracy


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure a little: these tests are about what is said, not about how exact it is."""
    monkeypatch.setattr(accuracy, "PINGS", 30)
    monkeypatch.setattr(accuracy, "BULK_BYTES", 2**20)


def harness_network(*words: str) -> int:
    """Run the command as the roof does."""
    parser = argparse.ArgumentParser()
    network.arguments(parser)
    return network.run(parser.parse_args(words))


def test_each_distance_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The table has a line for each distance, with its verdict, and the speed of bulk transfers below."""
    code = harness_network("--rtt", "2,0")
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["asked", "0", "2"]
    assert all(line.rstrip().endswith("ok") for line in lines[1:3])
    assert code == (1 if "not ok" in out else 0)
    assert out.count("MB/s to the server") == 2


def test_json_holds_what_the_table_shows(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON has every distance with its error and bound, and the verdict that the exit code gives."""
    code = harness_network("--rtt", "1", "--json")
    told = json.loads(capsys.readouterr().out)
    (row,) = told["added"]
    assert row["asked_ms"] == 1
    assert row["pings"] == 30
    assert row["error_ms"] == pytest.approx(row["median_ms"] - 1)
    assert row["bound_ms"] == 0.3
    assert row["p99_ms"] is None
    assert told["ok"] is row["ok"]
    assert code == (0 if told["ok"] else 1)
    assert min(told["through_mb_per_s"]) > 0


def test_a_distance_out_of_bounds_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the median is off by more than the bound, the command says so and fails."""
    monkeypatch.setattr(accuracy, "BOUND_SHARE", 0.0)
    monkeypatch.setattr(accuracy, "BOUND_MS", 0.0)
    assert harness_network("--rtt", "1") == 1
    assert "not ok" in capsys.readouterr().out


def test_a_distance_that_is_no_number_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong distance is an error of one line before anything starts."""
    with pytest.raises(SystemExit) as refused:
        harness_network("--rtt", "far")
    assert refused.value.code == 2
    assert "--rtt: 'far' is not a list of milliseconds" in capsys.readouterr().err
