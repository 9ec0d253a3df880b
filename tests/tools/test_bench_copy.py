"""The benchmark of loading: it loads what pgbench loads, and says what it found."""

from __future__ import annotations

import asyncio
import sys

import numpy as np
import pytest
from sqlalchemy import URL, make_url

from harness.databases.postgres_connection import connect
from harness.databases.postgres_server import URL_VARIABLE
from harness.errors import NotMeasurableError, UsageError
from harness.network.addresses import free_port
from tools import bench_copy
from tools.bench_copy import BLOCK_ROWS, ROWS_OF_A_SCALE, accounts, compare, main


def test_accounts_are_as_many_and_as_wide_as_pgbenchs() -> None:
    """At scale 2 there are 200 000 ids from 1 on, with 84 characters each that differ within a block."""
    blocks = list(accounts(2))
    assert np.array_equal(np.concatenate([block.columns["aid"] for block in blocks]), np.arange(1, 2 * ROWS_OF_A_SCALE + 1))
    assert {len(text) for text in blocks[7].columns["filler"]} == {84}
    assert len(set(blocks[7].columns["filler"])) == BLOCK_ROWS


@pytest.mark.slow
def test_both_load_the_same_and_each_round_is_told(postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """After the loads the tables are equal, or it would say so; a line a round gives both speeds and their ratio."""
    server = make_url(postgres_url)
    url = server.set(database=f"{server.database}.bench")

    async def execute(statement: str) -> None:
        async with connect(server) as connection:
            await connection.execute(statement)

    asyncio.run(execute(f'CREATE DATABASE "{url.database}"'))
    try:
        ratios = compare(url, 1, 2)
        asyncio.run(bench_copy.check(url))
        with pytest.raises(UsageError, match="the rows loaded are not those that pgbench makes"):
            asyncio.run(spoil(url))
    except NotMeasurableError as error:
        pytest.skip(str(error))
    finally:
        asyncio.run(execute(f'DROP DATABASE "{url.database}" WITH (FORCE)'))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [["round", "1", "pgbench"], ["round", "2", "pgbench"]]
    assert [line.endswith(f"{ratio:.2f}×") for line, ratio in zip(lines, ratios, strict=True)] == [True, True]


async def spoil(url: URL) -> None:
    """Change a row of ours, and compare again."""
    async with connect(url) as connection:
        await connection.execute("UPDATE ours SET aid = 2 WHERE aid = 1")
    await bench_copy.check(url)


def test_a_server_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An address that nobody answers ends the command with 2 and a line."""
    monkeypatch.setattr(sys, "argv", ["bench_copy"])
    monkeypatch.setenv(URL_VARIABLE, f"postgres://me@127.0.0.1:{free_port()}/db")
    assert main() == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("wrong", [["--rounds", "0"], ["--scale", "0"], ["--scale", "many"]])
def test_wrong_use_is_refused(wrong: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is measured for no rounds or no rows."""
    monkeypatch.setattr(sys, "argv", ["bench_copy", *wrong])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "--rounds" in capsys.readouterr().err
