"""The statements that take the most time: reads a slow-query log and ranks their normal forms by total time.

`python -m service.observability.slow_queries LOG` prints the ranking.
"""

import argparse
import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

USAGE_ERROR = 2


@dataclass(frozen=True)
class Ranked:
    """All slow statements with one normal form."""

    fingerprint: str  # name of the form
    sql: str  # the form as text
    count: int
    total_ms: float
    p95_ms: float  # 95th percentile (nearest rank), in milliseconds
    worst_ms: float
    plan: tuple[str, ...] = ()
    call_sites: tuple[str, ...] = ()  # the places in the code that sent them, the most frequent first


@dataclass(frozen=True)
class SlowQueryReport:
    """The ranking of a log."""

    ranked: tuple[Ranked, ...]  # the forms, the longest total time first
    unreadable: int = 0  # number of lines that could not be read


def report(path: Path) -> SlowQueryReport:
    """Rank a log with its rotated files; unreadable lines, as of a killed process, are counted. Raises OSError without the log."""
    return rank(_lines(path))


def rank(lines: Iterable[str]) -> SlowQueryReport:
    """Rank the lines of a log, given from oldest to newest."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    unreadable = 0
    for line in lines:
        try:
            entry = json.loads(line)
            float(entry["duration_ms"])
            found[entry["fingerprint"]].append(entry)
        except (ValueError, KeyError, TypeError):
            unreadable += 1
    ranked = sorted((_ranked(name, entries) for name, entries in found.items()), key=lambda r: (-r.total_ms, r.fingerprint))
    return SlowQueryReport(tuple(ranked), unreadable)


def render(found: SlowQueryReport, top: int = 10) -> str:
    """Return the first forms of a ranking as text for a terminal."""
    parts = []
    for place, one in enumerate(found.ranked[:top], start=1):
        share = one.total_ms / (math.fsum(other.total_ms for other in found.ranked) or 1)
        parts.append(
            f"{place}. {one.total_ms:,.0f} ms in total ({share:.0%}), {one.count}×, "
            f"p95 {one.p95_ms:,.1f} ms, worst {one.worst_ms:,.1f} ms  [{one.fingerprint}]\n   {one.sql}"
        )
        parts += [f"   from {site}" for site in one.call_sites[:1]]
        parts += [f"   | {line}" for line in one.plan]
    if not parts:
        parts = ["no slow statements"]
    if found.unreadable:
        parts.append(f"{found.unreadable} lines could not be read")
    return "\n".join(parts) + "\n"


def main(words: Sequence[str] | None = None) -> int:
    """Print the ranking of a log. Return 0, or 2 with one line on standard error if the log cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m service.observability.slow_queries", description="Rank slow statements by total time."
    )
    parser.add_argument("log", type=Path, metavar="LOG", help="the slow-query log")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="number of statements to show (default: 10)")
    arguments = parser.parse_args(words)
    try:
        sys.stdout.write(render(report(arguments.log), arguments.top))
    except OSError as error:
        sys.stderr.write(f"cannot read {arguments.log}: {error.strerror or error}; name a slow-query log of the service\n")
        return USAGE_ERROR
    return 0


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a log, rotated files first: LOG.2 before LOG.1 before LOG."""
    rotated = [found for found in path.parent.iterdir() if found.stem == path.name and found.suffix[1:].isdigit()]
    aside = {int(found.suffix[1:]): found for found in rotated}
    for file in (*(aside[number] for number in sorted(aside, reverse=True)), path):
        with file.open(encoding="utf-8", errors="replace") as log:
            yield from (line for line in log if line.strip())


def _ranked(name: str, entries: Sequence[dict[str, Any]]) -> Ranked:
    times = sorted(float(entry["duration_ms"]) for entry in entries)
    sites = [entry["call_site"][0] for entry in entries if entry.get("call_site")]
    return Ranked(
        fingerprint=name,
        sql=str(entries[-1].get("sql", "")),
        count=len(times),
        total_ms=math.fsum(times),
        p95_ms=times[math.ceil(0.95 * len(times)) - 1],
        worst_ms=times[-1],
        plan=next((tuple(entry["plan"]) for entry in reversed(entries) if entry.get("plan")), ()),
        call_sites=tuple(sorted(set(sites), key=lambda site: (-sites.count(site), site))),
    )


if __name__ == "__main__":
    sys.exit(main())
