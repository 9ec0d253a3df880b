"""Read Locust's `--csv` statistics, PREFIX_stats.csv: one row per request type and one of all, times in milliseconds.

Columns (apart from case and the names of Locust 0): Type, Name, Request Count, Failure Count, Median/Average/Min/Max Response Time,
and percentiles as "50%" to "100%". Without requests, a percentile is "N/A".
"""

import csv
import io

from harness.errors import UsageError
from harness.importers.locust_json import LIMITATIONS as OF_LOCUST
from harness.importers.locust_json import TOOL, failed, rounding_ms
from harness.importers.reading import Content, InvalidFileError, Reading, Timing, nanoseconds, one_line
from harness.results.run import RunWarning
from harness.stats.intervals import QUANTILES, is_supported

FORMAT = "Locust's CSV"
_UNFINISHED = "the file is written once per second and not at the end, so that the last requests of a run are missing"
LIMITATIONS = (*OF_LOCUST, RunWarning("limitations of Locust's CSV", _UNFINISHED, "compare Locust's --json-file instead"))
NEEDED = ("median response time", "average response time", "min response time", "max response time")
COUNTS, FAILURES = ("request count", "# requests"), ("failure count", "# failures")
SIBLINGS = {
    "timestamp": ("user count", "Locust's history of a run"),
    "method": ("occurrences", "Locust's list of failures"),
    "count": ("traceback", "Locust's list of exceptions"),
}
"""First column → another column and the file, for the other files of `--csv`, which do not have the times of a whole run."""


def recognises(content: Content) -> bool:
    """Return whether the first line has the columns of Locust's statistics, or of another of its CSV files."""
    head = _head(content)
    return set(NEEDED) <= set(head) or _sibling(head) is not None


def parse(content: Content) -> Reading:
    """Return the times of a file that is not another one of Locust's; raise UsageError if it is not UTF-8."""
    head = _head(content)
    if sibling := _sibling(head):
        raise InvalidFileError(f"it is {sibling}; the times are in the file that ends in _stats.csv")
    try:
        lines = io.StringIO(content.body.decode("utf-8-sig"), newline="")
        rows = [dict(zip(head, row, strict=True)) for row in list(csv.reader(lines))[1:] if row]
        timings = tuple(timing for row in rows if (timing := _timing(row)) is not None)
    except UnicodeDecodeError as error:
        raise UsageError(f"{content.path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error
    except (ValueError, csv.Error, KeyError) as error:
        raise InvalidFileError(f"a row cannot be read ({error})") from error
    errors = {timing.name: timing.errors for timing in (timings[:-1] or timings)}  # the last row is that of all requests
    return Reading("", TOOL, FORMAT, timings, warnings=failed(errors))


def _head(content: Content) -> list[str]:
    if content.outline is not None:
        return []
    line = content.body[:10_000].removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode("utf-8", errors="replace")
    try:
        return [name.strip().lower() for name in next(csv.reader([line.rstrip("\r")]), [])]
    except csv.Error:
        return []


def _sibling(head: list[str]) -> str | None:
    column, file = SIBLINGS.get(head[0] if head else "", ("", ""))
    return file if column in head else None


def _timing(row: dict[str, str]) -> Timing | None:
    kind = row.get("type", row.get("method", ""))
    name = one_line(f"{'' if kind == 'None' else kind} {row['name']}")
    samples, errors = (int(row[next((key for key in keys if key in row), keys[0])]) for keys in (COUNTS, FAILURES))
    if errors < 0:
        raise InvalidFileError(f"{name!r} has {errors} failures")
    if not samples:
        return None
    given = [float(row[key]) for key in NEEDED]
    median, mean, least, most = nanoseconds(name, given, per_s=1e3, zero=True)
    shown = {label: row.get(f"{label}%", "N/A") for label in QUANTILES}
    known = {label: float(text) for label, text in shown.items() if text != "N/A" and is_supported(samples, QUANTILES[label])}
    nanoseconds(name, list(known.values()), per_s=1e3, zero=True)
    percentiles = {label: known[label] * 1e6 if label in known else None for label in QUANTILES}
    return Timing(name, samples, median, mean, least, most, percentiles, rounding_ns=rounding_ms(given[0]) * 1e6, errors=errors)
