"""`harness data`: what it prints, writes and refuses."""

from __future__ import annotations

import argparse
import csv
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from datasets import TABLES, Dataset, count_rows, digest, rows
from harness.cli import data
from harness.errors import UsageError


def harness_data(*words: str) -> int:
    """Run the command as the roof does."""
    parser = argparse.ArgumentParser()
    data.arguments(parser)
    return data.run(parser.parse_args(words))


def printed_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Run the command with --json and return what it printed."""
    assert harness_data(*words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_describe_says_what_the_data_are(capsys: pytest.CaptureFixture[str]) -> None:
    """The description holds every table's exact rows, its columns, and the digest."""
    told = printed_json(capsys, "describe", "--size", "tiny", "--seed", "1")
    assert {table: told["tables"][table]["rows"] for table in TABLES} == count_rows(Dataset("tiny", 1))
    assert told["digest"] == digest(Dataset("tiny", 1))
    assert harness_data("describe", "--size", "tiny") == 0
    out = capsys.readouterr().out
    assert "prompts: 1,000 rows" in out
    assert "deleted_at      set for 8 %" in out


def test_generate_prints_the_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    """Rows by table and in total, time, speed, memory and the digest are printed, and as JSON they agree."""
    told = printed_json(capsys, "generate", "--size", "tiny")
    assert told["rows"] == count_rows(Dataset("tiny"))
    assert told["total_rows"] == sum(told["rows"].values())
    assert told["rows_per_second"] == pytest.approx(told["total_rows"] / told["seconds"], rel=0.05)
    assert told["peak_rss_mb"] > 10
    assert told["digest"] == digest(Dataset("tiny"))
    assert harness_data("generate", "--size", "tiny") == 0
    out = capsys.readouterr().out
    assert "test_results           27,707 rows" in out
    assert "rows/s" in out
    assert "peak memory" in out


def test_generate_writes_csv(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each table becomes a CSV file with a header and all rows."""
    assert harness_data("generate", "--size", "tiny", "--out", str(tmp_path / "csv")) == 0
    assert f"wrote {tmp_path / 'csv'}" in capsys.readouterr().out
    for table in TABLES:
        with (tmp_path / "csv" / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            read = list(csv.DictReader(file))
        made = list(rows(Dataset("tiny"), table))
        assert [row["id"] for row in read] == [row["id"] for row in made]
        assert list(read[0]) == list(made[0])
    assert [p.name for p in tmp_path.iterdir()] == ["csv"]


def test_load_makes_a_database(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The database has all rows and no dangling key, and the figures tell the speed with and without indexes."""
    file = tmp_path / "tiny.db"
    told = printed_json(capsys, "load", "--size", "tiny", "--out", str(file))
    assert told["seconds_before_indexes"] <= told["seconds"]
    with closing(sqlite3.connect(file)) as connection:
        counts = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert counts == told["rows"] == count_rows(Dataset("tiny"))


def test_load_without_out_leaves_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --out the database is a temporary file that is removed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert harness_data("load", "--size", "tiny") == 0
    assert "before indexes" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["describe", "--size", "huge"], "'huge'"),
        (["describe", "--seed", "-1"], "'-1'"),
        (["generate", "--seed", "many"], "'many'"),
        (["load", "--engine", "oracle"], "'oracle'"),
        (["generate", "--size", "tiny", "--out", "."], "is there already"),
        (["load", "--size", "tiny", "--out", "."], "exists already"),
        (["generate", "--size", "tiny", "--out", "no/such/csv"], "no/such/csv cannot be written"),
        (["load", "--size", "tiny", "--out", "no/such/a.db"], r"cannot write no/such/a\.db"),
    ],
)
def test_what_cannot_be_done_is_one_line(words: list[str], says: str) -> None:
    """A wrong size, seed, engine or target is refused in one line that names it."""
    with pytest.raises(UsageError, match=says) as refusal:
        harness_data(*words)
    assert "\n" not in str(refusal.value)


def test_a_strangers_installation_has_no_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the trial's datasets, or with another package of that name, one line says so."""
    for other in (None, ModuleType("datasets")):
        monkeypatch.setitem(sys.modules, "datasets", other)
        with pytest.raises(UsageError, match="run `harness data` in a checkout"):
            harness_data("describe", "--size", "tiny")


def test_without_faker_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """If Faker is missing the extra that brings it is named."""
    from datasets.pools import pools  # noqa: PLC0415 - its cache must be empty for this test alone

    pools.cache_clear()
    monkeypatch.setitem(sys.modules, "faker", None)
    with pytest.raises(UsageError, match="faker is not installed; install the extra `trial`"):
        harness_data("generate", "--size", "tiny")


def test_a_terminal_gets_a_progress_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the bar goes to stderr and stdout stays machine-readable."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert harness_data("generate", "--size", "tiny", "--json") == 0
    assert json.loads(capsys.readouterr().out)["total_rows"] == 36_013
