"""Locust's own tables, filled from histograms: with times below a millisecond, and rates over measured time.

Locust keeps times in buckets of whole milliseconds, prints whole ones, and divides by the total time since the start. It looks up
its classes by name in `locust.stats` whenever it creates an object. So this module replaces them while the locustfile is loaded,
before anything is counted, which fixes the console, CSV, HTML and web UI without copying code.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

import locust.stats
from locust.stats import RequestStats, StatsCSV, StatsCSVFileWriter, StatsEntry, StatsError

from harness.load.block import LoadBlock
from harness.stats.histogram import Histogram

DROPPED = "dropped: the limit of in-flight operations was reached"
UNFINISHED = "unfinished at the drain timeout"

_PLAIN_MS = 100  # times of at least this much are printed without decimals


def install() -> None:
    """Replace Locust's classes by the subclasses of this module, and what rounds to milliseconds."""
    locust.stats.StatsEntry = Entry  # type: ignore[misc]  # it is a subclass
    locust.stats.StatsCSVFileWriter = CsvFiles  # type: ignore[misc]  # as above
    StatsCSV._percentile_fields = _percentile_fields  # type: ignore[assignment]  # noqa: SLF001 - Locust has no hook for it
    locust.stats.bucket_response_time = digits  # type: ignore[assignment]  # documented to be replaced; its keys may be floats


def digits(time_ms: float) -> float:
    """Return a time in milliseconds to four significant digits, no coarser than the histograms' own error."""
    return float(f"{time_ms:.4g}")


def text(time_ms: float) -> str:
    """Return a time in milliseconds for a narrow column: three digits, and no more than four decimals."""
    if time_ms >= _PLAIN_MS or not time_ms:
        return f"{time_ms:.0f}"
    return f"{time_ms:.{min(4, 2 - math.floor(math.log10(time_ms)))}f}"


def count(stats: RequestStats, block: LoadBlock, source: str) -> None:
    """Add a block to Locust's statistics at once; one event per operation, as Locust does, can cost more than the operation.

    Dropped and unfinished operations count as failures. `source` names the load worker: several of them run at the same time.
    """
    now, seconds = time.time(), block.measured_ns / 1e9  # Locust files requests under wall-clock seconds
    for index, (group, times) in enumerate(block.groups.items()):
        response, name = Histogram.from_wire(times.response), f"{block.scenario}: {group}"
        failures = {**times.errors, **({DROPPED: times.dropped} if times.dropped else {})}
        untimed = sum(failures.values())
        failures |= {UNFINISHED: times.unfinished} if times.unfinished else {}
        failed = sum(failures.values())
        entry, total = stats.entries[name, block.arm], stats.total
        assert isinstance(entry, Entry)
        assert isinstance(total, Entry)
        entry.add(response, untimed, failed, (source, seconds), now)
        total.add(response, untimed, failed, (source, 0.0 if index else seconds), now)
        for message, occurrences in failures.items():
            key = StatsError.create_key(block.arm, name, message)
            error = stats.errors.setdefault(key, StatsError(block.arm, name, message))
            error.occurred()
            error.occurrences += occurrences - 1


class Entry(StatsEntry):
    """One row of Locust's tables."""

    measured: dict[str, list[float]]
    """Load worker → its requests, failures and measured seconds."""

    def reset(self) -> None:
        """Clear the row."""
        super().reset()
        self.measured = {}

    def add(self, found: Histogram, untimed: int, failed: int, measured: tuple[str, float], now: float) -> None:
        """Add many operations, as `log` adds one: `found` have a time, `untimed` have none, and `failed` of both failed."""
        last, requests = self.last_request_timestamp, found.operations + untimed
        if self.use_response_times_cache and last and int(now) > int(last):
            self._cache_response_times(int(now) - 1)  # the charts of the web UI are drawn from it
        self.num_requests += requests
        self.num_none_requests += untimed
        self.num_failures += failed
        if found.min_ns is not None and found.max_ns is not None:
            # Locust declares its times in milliseconds as int, and works with floats.
            self.total_response_time += found.sum_ns / 1e6  # type: ignore[assignment]
            shortest_ms, minimum_ms = found.min_ns / 1e6, self.min_response_time
            self.min_response_time = shortest_ms if minimum_ms is None else min(shortest_ms, minimum_ms)  # type: ignore[assignment]
            self.max_response_time = max(found.max_ns / 1e6, self.max_response_time)  # type: ignore[assignment]
        for middle_ns, number in zip(*found.arrays(), strict=True):
            self.response_times[digits(float(middle_ns) / 1e6)] += int(number)  # type: ignore[index]
        self.last_request_timestamp = now
        source, measured_s = measured
        self._add_measured(source, (requests, failed, measured_s))
        seconds = max(1, math.ceil(measured_s))
        for number in range(seconds):  # over the seconds of the block's duration, instead of counting all in the last one
            for per_second, whole in ((self.num_reqs_per_sec, requests), (self.num_fail_per_sec, failed)):
                per_second[int(now) - number] += whole // seconds + (number < whole % seconds)

    def _add_measured(self, source: str, sums: Sequence[float]) -> None:
        mine = self.measured.setdefault(source, [0.0, 0.0, 0.0])
        self.measured[source] = [a + b for a, b in zip(mine, sums, strict=True)]

    @property
    def total_rps(self) -> float:
        """Requests per second of measured time, of all load workers together."""
        return math.fsum(requests / seconds for requests, _, seconds in self.measured.values() if seconds)

    @property
    def total_fail_per_sec(self) -> float:
        """Failures per second of measured time, of all load workers together."""
        return math.fsum(failed / seconds for _, failed, seconds in self.measured.values() if seconds)

    def get_response_time_percentile(self, percent: float) -> float:  # type: ignore[override]  # Locust declares int, and accepts floats
        """Return a percentile in milliseconds, to four digits."""
        return digits(super().get_response_time_percentile(percent))

    def extend(self, other: StatsEntry) -> None:
        """Add another process's entry."""
        super().extend(other)
        for source, sums in getattr(other, "measured", {}).items():
            self._add_measured(source, sums)

    def serialize(self) -> Any:
        """Return the row as a worker sends it to its master."""
        return {**super().serialize(), "measured": self.measured}

    @classmethod
    def unserialize(cls, data: Any, stats: RequestStats) -> StatsEntry:
        """Return the row that a worker has sent."""
        entry = super().unserialize(data, stats)
        assert isinstance(entry, Entry)
        entry.measured = dict(data.get("measured", {}))
        return entry

    def to_string(self, current: bool = True) -> str:
        """Return the row of the console's table."""
        rps, failing = (self.current_rps, self.current_fail_per_sec) if current else (self.total_rps, self.total_fail_per_sec)
        name = locust.stats.STATS_NAME_WIDTH - locust.stats.STATS_TYPE_WIDTH + 4
        average, minimum, maximum, median = (
            text(ms)
            for ms in (self.avg_response_time, self.min_response_time or 0, self.max_response_time, self.median_response_time)
        )
        failures = f"{self.num_failures}({self.fail_ratio:.2%})"
        left = f"{self.method or '':<{locust.stats.STATS_TYPE_WIDTH}} {self.name:<{name}} {self.num_requests:>7} {failures:>12}"
        return f"{left} |{average:>7} {minimum:>7} {maximum:>7}{median:>7} | {rps:>7.2f} {failing:>11.2f}"

    def percentile(self) -> str:
        """Return the row of the console's table of percentiles."""
        columns = [text(self.get_response_time_percentile(p)) for p in locust.stats.PERCENTILES_TO_REPORT]
        left = f"{self.method or '':<{locust.stats.STATS_TYPE_WIDTH}} {self.name:<{locust.stats.STATS_NAME_WIDTH}}"
        return f"{left} {columns[0]:>8} {' '.join(f'{c:>6}' for c in columns[1:])} {self.num_requests:>6}"

    def to_dict(self, escape_string_values: bool = False) -> Any:
        """Return the row of the web UI's and the HTML report's table."""
        exact = {"min_response_time": digits(self.min_response_time or 0), "max_response_time": digits(self.max_response_time)}
        return {**super().to_dict(escape_string_values), **exact}


def _percentile_fields(csv: StatsCSV, stats_entry: StatsEntry, use_current: bool = False) -> list[Any]:
    """Return percentiles for CSV without truncating them to whole milliseconds."""
    if not stats_entry.num_requests:
        return csv.percentiles_na
    if use_current and stats_entry.use_response_times_cache:
        return [digits(stats_entry.get_current_response_time_percentile(p) or 0) for p in csv.percentiles_to_report]
    return [stats_entry.get_response_time_percentile(p) for p in csv.percentiles_to_report]


class CsvFiles(StatsCSVFileWriter):
    """The files of --csv, written once per second and, unlike Locust's, once more at the end."""

    def close_files(self) -> None:
        """Write the final figures and close."""
        for file, write, writer in (
            (self.requests_csv_filehandle, self.requests_csv, self.requests_csv_writer),
            (self.failures_csv_filehandle, self.failures_csv, self.failures_csv_writer),
        ):
            file.seek(0)
            file.truncate()
            write(writer)
        super().close_files()
