"""The bulk-load benchmark loads the same rows as pgbench and reports both speeds."""

import asyncio
import sys

import numpy as np
import pytest
from sqlalchemy import URL, make_url

from harness.databases.postgres_server import URL_VARIABLE, connect
from harness.errors import NotMeasurableError, UsageError
from harness.network.addresses import free_port
from tools import bench_copy
from tools.bench_copy import BLOCK_ROWS, ROWS_PER_SCALE, accounts, compare, main


def test_accounts_have_pgbenchs_number_and_size() -> None:
    """At scale 2 there are 200 000 ids from 1 on, with 84 characters each that differ within a block."""
    blocks = list(accounts(2))
    assert np.array_equal(np.concatenate([block.columns["aid"] for block in blocks]), np.arange(1, 2 * ROWS_PER_SCALE + 1))
    assert {len(text) for text in blocks[7].columns["filler"]} == {84}
    assert len(set(blocks[7].columns["filler"])) == BLOCK_ROWS


@pytest.mark.slow
def test_both_load_the_same_and_each_round_is_printed(postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """After the loads the tables are equal; a line per round has both speeds and their ratio."""
    server = make_url(postgres_url)
    url = server.set(database=f"{server.database}.bench")

    async def execute(statement: str) -> None:
        async with connect(server) as connection:
            await connection.execute(statement)

    asyncio.run(execute(f'CREATE DATABASE "{url.database}"'))
    try:
        ratios = compare(url, 1, 2)
        asyncio.run(bench_copy.check(url))
        with pytest.raises(UsageError, match="the loaded rows differ from those of pgbench"):
            asyncio.run(corrupt(url))
    except NotMeasurableError as error:
        pytest.skip(str(error))
    finally:
        asyncio.run(execute(f'DROP DATABASE "{url.database}" WITH (FORCE)'))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [["round", "1", "pgbench"], ["round", "2", "pgbench"]]
    assert [line.endswith(f"{ratio:.2f}×") for line, ratio in zip(lines, ratios, strict=True)] == [True, True]


async def corrupt(url: URL) -> None:
    """Change a loaded row, and compare again."""
    async with connect(url) as connection:
        await connection.execute("UPDATE loaded SET aid = 2 WHERE aid = 1")
    await bench_copy.check(url)


def test_an_unreachable_server_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The command exits with 2 and prints one line."""
    monkeypatch.setattr(sys, "argv", ["bench_copy"])
    monkeypatch.setenv(URL_VARIABLE, f"postgres://me@127.0.0.1:{free_port()}/db")
    assert main() == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("wrong", [["--rounds", "0"], ["--scale", "0"], ["--scale", "many"]])
def test_invalid_options_are_usage_errors(
    wrong: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Zero rounds, zero rows and text exit with 2."""
    monkeypatch.setattr(sys, "argv", ["bench_copy", *wrong])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "--rounds" in capsys.readouterr().err
