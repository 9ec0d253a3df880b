"""Describe, generate or load the synthetic dataset, and report the throughput.

The figures printed by `generate` and `load` are the published benchmark of the dataset.
"""

import argparse
import asyncio
import json
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datasets import DESCRIPTIONS, GENERATOR_VERSION, SIZES, Block, Dataset, Digest, blocks, count_rows
from harness import options as converters
from harness.errors import UsageError
from harness.runtime.clock import MonotonicClock

ENGINES = converters.known_engines()


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    describe = actions.add_parser("describe", help="print tables, columns, row counts, distributions and the digest")
    generate = actions.add_parser("generate", help="generate all rows; with --out, write one CSV file per table")
    generate.add_argument("--out", type=converters.path, metavar="DIR", help="new folder for the CSV files")
    load = actions.add_parser("load", help="generate all rows and load them into a database, indexes included")
    engine_help = f"database engine: {', '.join(ENGINES)} (default: sqlite)"
    load.add_argument("--engine", default="sqlite", choices=ENGINES, metavar="ENGINE", help=engine_help)
    out_help = "new database file of an embedded engine (default: a temporary file)"
    load.add_argument("--out", type=converters.path, metavar="FILE", help=out_help)
    size_help = f"size of the dataset: {', '.join(SIZES)} (default: small)"
    for action in (describe, generate, load):
        action.add_argument("--size", default="small", choices=tuple(SIZES), metavar="SIZE", help=size_help)
        action.add_argument("--seed", default=0, type=converters.seed, metavar="SEED", help="seed of the rows (default: 0)")
        action.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Run the action, print its result and return 0; UsageError if the target cannot be written, or a package is missing."""
    dataset, lines = Dataset(options.size, options.seed), _figure_lines
    try:
        if options.action == "describe":
            outcome, lines = _described(dataset), _description_lines
        elif options.action == "generate":
            outcome = _generated(dataset, options.out)
        else:
            outcome = _loaded(dataset, options.engine, options.out)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is not installed; install what the trial needs: pip install -r requirements.lock"
        ) from error
    outcome = {"size": dataset.size, "seed": dataset.seed, **outcome}
    print(json.dumps(outcome, indent=2, ensure_ascii=False) if options.json else "\n".join(lines(outcome)))
    return 0


def _described(dataset: Dataset) -> dict[str, Any]:
    digest = Digest(dataset)
    with _watched(dataset) as made:
        for block in made:
            digest.add(block)
    rows = count_rows(dataset)
    return {
        "generator_version": GENERATOR_VERSION,
        "digest": digest.hexdigest(),
        "users": dataset.users,
        "tables": {table: {"rows": rows[table], "columns": dict(DESCRIPTIONS[table])} for table in DESCRIPTIONS},
    }


def _generated(dataset: Dataset, out: Path | None) -> dict[str, Any]:
    digest, now_ns = Digest(dataset), MonotonicClock().now_ns
    start_ns = now_ns()
    with _watched(dataset) as made, ExitStack() as stack:
        write = stack.enter_context(_csv_folder(out)) if out else None
        for block in made:
            digest.add(block)
            if write:
                write(block)
    figures = _figures(count_rows(dataset), now_ns() - start_ns)
    return {**figures, "digest": digest.hexdigest(), "out": str(out) if out else None}


def _loaded(dataset: Dataset, engine: str, out: Path | None) -> dict[str, Any]:
    from harness.databases.interface import databases
    from harness.databases.load_sqlite import load_sqlite
    from harness.probes.index_bytes import database_bytes
    from harness.scenario import Setting
    from harness.servers.lifecycle import is_embedded, servers
    from service.models import Base

    now_ns = MonotonicClock().now_ns
    inserted_ns = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="harness-data-")))
        setting = Setting(folder, folder, engine)
        if not is_embedded(engine):
            if out is not None:
                raise UsageError(f"--out {out}: {engine} stores its rows in a server, not in a file; omit --out")
            setting = replace(setting, servers=stack.enter_context(servers(setting)))
        watched = stack.enter_context(_watched(dataset))

        def timed() -> Iterator[Block]:
            """Yield the blocks; the loader starts to build the indexes after the last one."""
            nonlocal inserted_ns
            yield from watched
            inserted_ns = now_ns()

        start_ns = now_ns()
        if is_embedded(engine):  # every embedded engine reads the file that SQLite writes
            file = out or folder / "rows.db"
            rows = load_sqlite(file, Base.metadata, timed())
            size_bytes = file.stat().st_size
        else:
            found = databases(setting)
            rows = found.fill("rows", Base.metadata, timed())
            size_bytes = asyncio.run(database_bytes(found, "rows"))
        duration_ns = now_ns() - start_ns
    inserted_s = (inserted_ns - start_ns) / 1e9
    return {
        "engine": engine,
        **_figures(rows, duration_ns),
        "rows_per_second_before_indexes": round(sum(rows.values()) / inserted_s),
        "seconds_before_indexes": round(inserted_s, 3),
        "stored_mb": round(size_bytes / 1e6, 1),
        "out": str(out) if out else None,
    }


@contextmanager
def _csv_folder(out: Path) -> Iterator[Callable[[Block], None]]:
    """Yield a function that appends a block to its table's CSV file; the folder is renamed to `out` once all are written."""
    from pandas import DataFrame

    if out.exists():
        raise UsageError(f"{out} already exists; remove it or name another folder")
    try:
        with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
            folder = Path(temporary) / out.name
            folder.mkdir()

            def write(block: Block) -> None:
                file = folder / f"{block.table}.csv"
                DataFrame(dict(block.columns)).to_csv(file, mode="a", header=not file.exists(), index=False)

            yield write
            folder.rename(out)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"{out} cannot be written: {reason}; name another folder or free disk space") from error


@contextmanager
def _watched(dataset: Dataset) -> Iterator[Iterator[Block]]:
    """Yield the blocks of a dataset, with a progress bar on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield blocks(dataset)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("rows", total=sum(count_rows(dataset).values()))

        def counted() -> Iterator[Block]:
            for block in blocks(dataset):
                yield block
                progress.advance(task, block.rows)

        yield counted()


def _figures(rows: dict[str, int], duration_ns: int) -> dict[str, Any]:
    total, seconds = sum(rows.values()), duration_ns / 1e9
    return {
        "rows": rows,
        "total_rows": total,
        "seconds": round(seconds, 3),
        "rows_per_second": round(total / seconds),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1),  # Linux counts KiB
    }


def _description_lines(outcome: dict[str, Any]) -> Iterator[str]:
    yield f"size {outcome['size']}, seed {outcome['seed']}, {outcome['users']:,} users"
    for table, facts in outcome["tables"].items():
        yield f"\n{table}: {facts['rows']:,} rows"
        for column, distribution in facts["columns"].items():
            yield f"  {column:<15} {distribution}"
    yield f"\ndigest {outcome['digest']} (generator version {outcome['generator_version']})"


def _figure_lines(outcome: dict[str, Any]) -> Iterator[str]:
    figures = [(table, f"{rows:,}", "rows") for table, rows in outcome["rows"].items()]
    figures += [
        ("total", f"{outcome['total_rows']:,}", "rows"),
        ("time", f"{outcome['seconds']:,.2f}", "s"),
        ("speed", f"{outcome['rows_per_second']:,}", "rows/s"),
    ]
    if "engine" in outcome:
        figures.append(("  before indexes", f"{outcome['rows_per_second_before_indexes']:,}", "rows/s"))
        figures.append(("stored", f"{outcome['stored_mb']:,.1f}", "MB"))
    figures.append(("peak memory", f"{outcome['peak_rss_mb']:,.1f}", "MB"))
    yield from (f"{name:<17}{number:>12} {unit}" for name, number, unit in figures)
    if "digest" in outcome:
        yield f"digest {outcome['digest']}"
    if outcome["out"]:
        yield f"wrote {outcome['out']}"
