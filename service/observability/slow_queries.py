"""Which statements take the most time: reads a slow-query log and ranks their forms by total time.

`python -m service.observability.slow_queries LOG` prints the ranking.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRONG_USE = 2


@dataclass(frozen=True)
class Ranked:
    """All slow statements of one form: how many, how long together, the 95th percentile (nearest rank), the worst, the last plan.

    `call_sites` are the places that they were sent from, the most frequent first.
    """

    fingerprint: str
    sql: str
    count: int
    total_ms: float
    p95_ms: float
    worst_ms: float
    plan: tuple[str, ...] = ()
    call_sites: tuple[str, ...] = ()


@dataclass(frozen=True)
class SlowQueryReport:
    """The forms by total time, the longest first, and how many lines could not be read."""

    ranked: tuple[Ranked, ...]
    unreadable: int = 0


def report(path: Path) -> SlowQueryReport:
    """Read a log with the files that were set aside before it.

    A line that cannot be read, such as the last one of a process that was killed, is counted and left out.

    Raises:
        OSError: the log cannot be read.
    """
    return rank(_lines(path))


def rank(lines: Iterable[str]) -> SlowQueryReport:
    """Rank a log's lines, given from the oldest to the newest."""
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
            f"{place}. {one.total_ms:,.0f} ms in all ({share:.0%}), {one.count}×, "
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
    """Print the ranking of a log. Returns 0, or 2 with one line on standard error if the log cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m service.observability.slow_queries", description="Rank slow statements by total time."
    )
    parser.add_argument("log", type=Path, metavar="LOG", help="the slow-query log")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many to show (default: 10)")
    arguments = parser.parse_args(words)
    try:
        sys.stdout.write(render(report(arguments.log), arguments.top))
    except OSError as error:
        sys.stderr.write(f"cannot read {arguments.log}: {error.strerror or error}; name the log that the service writes\n")
        return WRONG_USE
    return 0


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a log, those set aside first: LOG.2 before LOG.1 before LOG."""
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
