"""`harness data`: output, files, and refused command lines."""

import csv
import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from datasets import TABLES, Dataset, count_rows, digest, rows
from harness.cli import main


def harness_data(*words: str) -> int:
    """Run the command."""
    return main(["data", *words])


def printed_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Run the command with --json and return what it printed."""
    assert harness_data(*words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_describe_prints_tables_columns_and_digest(capsys: pytest.CaptureFixture[str]) -> None:
    """The description contains the exact row count of every table, its columns, and the digest."""
    printed = printed_json(capsys, "describe", "--size", "tiny", "--seed", "1")
    assert {table: printed["tables"][table]["rows"] for table in TABLES} == count_rows(Dataset("tiny", 1))
    assert printed["digest"] == digest(Dataset("tiny", 1))
    assert harness_data("describe", "--size", "tiny") == 0
    out = capsys.readouterr().out
    assert "prompts: 1,000 rows" in out
    assert "deleted_at      set for 8 %" in out


def test_generate_prints_throughput(capsys: pytest.CaptureFixture[str]) -> None:
    """Text and JSON contain the same row counts, time, throughput, memory and digest."""
    printed = printed_json(capsys, "generate", "--size", "tiny")
    assert printed["rows"] == count_rows(Dataset("tiny"))
    assert printed["total_rows"] == sum(printed["rows"].values())
    assert printed["rows_per_second"] == pytest.approx(printed["total_rows"] / printed["seconds"], rel=0.05)
    assert printed["peak_rss_mb"] > 10
    assert printed["digest"] == digest(Dataset("tiny"))
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
    """The database has all rows and no dangling key, and the throughput is given with and without indexes."""
    file = tmp_path / "tiny.db"
    printed = printed_json(capsys, "load", "--size", "tiny", "--out", str(file))
    assert printed["seconds_before_indexes"] <= printed["seconds"]
    with closing(sqlite3.connect(file)) as connection:
        counts = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert counts == printed["rows"] == count_rows(Dataset("tiny"))


def test_load_without_out_leaves_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --out the database is a temporary file that is removed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert harness_data("load", "--size", "tiny") == 0
    assert "before indexes" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["describe", "--size", "huge"], "unknown size 'huge'; choose from tiny, small, medium, large"),
        (["describe", "--seed", "-1"], "--seed: '-1' is not a whole number from 0 to"),
        (["generate", "--seed", "many"], "--seed: 'many' is not a whole number from 0 to"),
        (["load", "--engine", "oracle"], "unknown engine 'oracle'; choose from postgres, sqlite, turso"),
        (["generate", "--size", "tiny", "--out", "."], ". already exists; remove it or name another folder"),
        (["load", "--size", "tiny", "--out", "."], "exists already; delete it or name another file"),
        (["generate", "--size", "tiny", "--out", "no/such/csv"], "no/such/csv cannot be written"),
        (["load", "--size", "tiny", "--out", "no/such/a.db"], "cannot write no/such/a.db"),
    ],
)
def test_a_usage_error_is_one_line(refused: Callable[..., None], words: list[str], message: str) -> None:
    """An invalid size, seed, engine or target is refused in one line that names it."""
    refused(["data", *words], message)


def test_without_faker_one_line_has_the_command_to_install_it(
    refused: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Faker is missing, the message names it and the file of requirements that contains it."""
    from datasets.pools import pools  # noqa: PLC0415 - its cache must be empty for this test alone

    pools.cache_clear()
    monkeypatch.setitem(sys.modules, "faker", None)
    refused(
        ["data", "generate", "--size", "tiny"],
        "faker is not installed; install what the trial needs: pip install -r requirements.lock\n",
    )


def test_a_terminal_gets_a_progress_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the bar goes to stderr and stdout stays machine-readable."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert harness_data("generate", "--size", "tiny", "--json") == 0
    assert json.loads(capsys.readouterr().out)["total_rows"] == 36_013
