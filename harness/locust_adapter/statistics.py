"""Locust's own tables, from histograms: times below a millisecond are seen, and rates are of measured time.

Locust keeps times in buckets of whole milliseconds, prints and writes whole ones, and divides by all the time since the start. It
looks its classes up by their names in `locust.stats` whenever it makes one, so that subclasses of ours in their place, put there
while the locustfile is loaded and before anything is counted, mend its console, CSV, HTML and web UI, and nothing has to be copied.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import locust.stats
from locust.stats import RequestStats, StatsCSV, StatsCSVFileWriter, StatsEntry, StatsError

from harness.load.protocol import LoadBlock
from harness.stats.histogram import Histogram

SHED = "dropped: as many operations as allowed were under way"
CENSORED = "unfinished when waiting for answers ended"

_PLAIN_MS = 100
"""From here on three digits have no decimals."""


def install() -> None:
    """Put our classes where Locust looks for its own."""
    locust.stats.StatsEntry = Entry  # type: ignore[misc]  # it is one
    locust.stats.StatsCSV = Csv  # type: ignore[misc]  # as above
    locust.stats.StatsCSVFileWriter = CsvFiles  # type: ignore[misc]  # as above
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
    """Add a block to Locust's statistics in one go; its own way, an event an operation, costs more than many an operation.

    What was dropped or never finished are failures, as Locust counts them. `source` names the engine process: what several of them do
    happens at the same time.
    """
    now, seconds = time.time(), block.measured_ns / 1e9  # Locust files requests under wall-clock seconds
    for number, (group, times) in enumerate(block.groups.items()):
        response, name = Histogram.from_wire(times.response), f"{block.scenario}: {group}"
        failures = {**times.errors, **({SHED: times.dropped} if times.dropped else {})}
        untimed = sum(failures.values())
        failures |= {CENSORED: times.unfinished} if times.unfinished else {}
        failed = sum(failures.values())
        entry, total = stats.entries[name, block.arm], stats.total
        assert isinstance(entry, Entry)
        assert isinstance(total, Entry)
        entry.take(response, untimed, failed, (source, seconds), now)
        total.take(response, untimed, failed, (source, 0.0 if number else seconds), now)
        _add_errors(stats, block.arm, name, failures)


def _add_errors(stats: RequestStats, method: str, name: str, failures: Mapping[str, int]) -> None:
    for message, occurrences in failures.items():
        key = StatsError.create_key(method, name, message)
        error = stats.errors.setdefault(key, StatsError(method, name, message))
        error.occurred()
        error.occurrences += occurrences - 1


class Entry(StatsEntry):
    """One line of Locust's tables. `measured` maps an engine process to its requests, failures and measured seconds."""

    measured: dict[str, list[float]]

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.measured = {}

    def take(self, found: Histogram, untimed: int, failed: int, measured: tuple[str, float], now: float) -> None:
        """Do for many operations what `log` does for one: those with a time, those without, and how many of both failed."""
        last, requests = self.last_request_timestamp, found.operations + untimed
        if self.use_response_times_cache and last and int(now) > int(last):
            self._cache_response_times(int(now) - 1)  # the charts of the web UI are drawn from it
        self.num_requests += requests
        self.num_none_requests += untimed
        self.num_failures += failed
        if found.min_ns is not None and found.max_ns is not None:
            shortest_ms, longest_ms = found.min_ns / 1e6, found.max_ns / 1e6
            # Locust says int of its times in milliseconds, and calculates with whatever they are.
            self.total_response_time += found.sum_ns / 1e6  # type: ignore[assignment]
            least = shortest_ms if self.min_response_time is None else min(shortest_ms, self.min_response_time)
            self.min_response_time = least  # type: ignore[assignment]
            self.max_response_time = max(longest_ms, self.max_response_time)  # type: ignore[assignment]
        for middle_ns, number in zip(*found.arrays(), strict=True):
            self.response_times[digits(float(middle_ns) / 1e6)] += int(number)  # type: ignore[index]
        self.last_request_timestamp = now
        source, seconds = measured
        self._spread(int(now), max(1, math.ceil(seconds)), requests, failed)
        sums = self.measured.setdefault(source, [0.0, 0.0, 0.0])
        self.measured[source] = [a + b for a, b in zip(sums, (requests, failed, seconds), strict=True)]

    def _spread(self, until: int, seconds: int, requests: int, failed: int) -> None:
        """File what a block did under the seconds that it lasted, and not all under its last one."""
        for number in range(seconds):
            second = until - number
            for filed, whole in ((self.num_reqs_per_sec, requests), (self.num_fail_per_sec, failed)):
                filed[second] += whole // seconds + (number < whole % seconds)

    @property
    def total_rps(self) -> float:
        """Requests a second of measured time, of all engine processes together."""
        return math.fsum(requests / seconds for requests, _, seconds in self.measured.values() if seconds)

    @property
    def total_fail_per_sec(self) -> float:
        """Failures a second of measured time, of all engine processes together."""
        return math.fsum(failed / seconds for _, failed, seconds in self.measured.values() if seconds)

    def get_response_time_percentile(self, percent: float) -> float:  # type: ignore[override]  # Locust says int, and takes any
        """Return a percentile in milliseconds, to four digits."""
        return digits(super().get_response_time_percentile(percent))

    def extend(self, other: StatsEntry) -> None:
        """Add another process's entry."""
        super().extend(other)
        for source, sums in getattr(other, "measured", {}).items():
            mine = self.measured.setdefault(source, [0.0, 0.0, 0.0])
            self.measured[source] = [a + b for a, b in zip(mine, sums, strict=True)]

    def serialize(self) -> Any:
        """Return what a worker sends to its master."""
        return {**super().serialize(), "measured": self.measured}

    @classmethod
    def unserialize(cls, data: Any, stats: RequestStats) -> StatsEntry:
        """Return what a worker has sent."""
        entry = super().unserialize(data, stats)
        assert isinstance(entry, Entry)
        entry.measured = dict(data.get("measured", {}))
        return entry

    def to_string(self, current: bool = True) -> str:
        """Return the line of the console's table."""
        rps, failing = (self.current_rps, self.current_fail_per_sec) if current else (self.total_rps, self.total_fail_per_sec)
        name = locust.stats.STATS_NAME_WIDTH - locust.stats.STATS_TYPE_WIDTH + 4
        average, least, most, median = (
            text(ms)
            for ms in (self.avg_response_time, self.min_response_time or 0, self.max_response_time, self.median_response_time)
        )
        failures = f"{self.num_failures}({self.fail_ratio:.2%})"
        left = f"{self.method or '':<{locust.stats.STATS_TYPE_WIDTH}} {self.name:<{name}} {self.num_requests:>7} {failures:>12}"
        return f"{left} |{average:>7} {least:>7} {most:>7}{median:>7} | {rps:>7.2f} {failing:>11.2f}"

    def percentile(self) -> str:
        """Return the line of the console's table of percentiles."""
        columns = [text(self.get_response_time_percentile(p)) for p in locust.stats.PERCENTILES_TO_REPORT]
        left = f"{self.method or '':<{locust.stats.STATS_TYPE_WIDTH}} {self.name:<{locust.stats.STATS_NAME_WIDTH}}"
        return f"{left} {columns[0]:>8} {' '.join(f'{c:>6}' for c in columns[1:])} {self.num_requests:>6}"

    def to_dict(self, escape_string_values: bool = False) -> Any:
        """Return the line of the web UI's and the HTML report's table."""
        exact = {"min_response_time": digits(self.min_response_time or 0), "max_response_time": digits(self.max_response_time)}
        return {**super().to_dict(escape_string_values), **exact}


class _Digits:
    """Percentiles in CSV as they are, and not cut to whole milliseconds."""

    percentiles_to_report: list[float]
    percentiles_na: list[str]

    def _percentile_fields(self, stats_entry: StatsEntry, use_current: bool = False) -> list[Any]:
        if not stats_entry.num_requests:
            return self.percentiles_na
        if use_current and stats_entry.use_response_times_cache:
            return [digits(stats_entry.get_current_response_time_percentile(p) or 0) for p in self.percentiles_to_report]
        return [stats_entry.get_response_time_percentile(p) for p in self.percentiles_to_report]


class Csv(_Digits, StatsCSV):
    """What the web UI offers for download."""


class CsvFiles(_Digits, StatsCSVFileWriter):
    """What --csv writes, once a second and, unlike Locust's, once more at the end."""

    def close_files(self) -> None:
        """Write the last figures, and close."""
        for file, write, writer in (
            (self.requests_csv_filehandle, self.requests_csv, self.requests_csv_writer),
            (self.failures_csv_filehandle, self.failures_csv, self.failures_csv_writer),
        ):
            file.seek(0)
            file.truncate()
            write(writer)
        super().close_files()
