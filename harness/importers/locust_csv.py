"""Read Locust's `--csv` statistics, PREFIX_stats.csv: one row per request type and one of all, times in milliseconds.

Columns (apart from case and the names of Locust 0): Type, Name, Request Count, Failure Count, Median/Average/Min/Max Response Time,
Requests/s, and percentiles as "50%" to "100%". Without requests, a percentile is "N/A". The number of users is in
PREFIX_stats_history.csv beside it.
"""

from codecs import BOM_UTF8
from collections.abc import Mapping
from pathlib import Path

from harness.errors import UsageError
from harness.importers.csv_text import CsvText
from harness.importers.locust_json import LIMITATIONS as OF_LOCUST
from harness.importers.locust_json import TOOL, failed, request, rounding_ms
from harness.importers.reading import Benchmarks, Content, InvalidFileError, Reading, Timing, four_figures, nanoseconds, number
from harness.results.compressed import bytes_of
from harness.results.names import quoted
from harness.results.run import RunWarning
from harness.results.warning_names import WarningName
from harness.stats.intervals import QUANTILES

FORMAT = "Locust's CSV"
_UNFINISHED = "the file is written once per second and not at the end, so that the last requests of a run are missing"
_STATED = "percentiles are those that Locust states, however few requests they rest on"
LIMITATIONS = (
    *OF_LOCUST,
    RunWarning(WarningName.LOCUST_CSV, f"{_UNFINISHED}; {_STATED}", "compare Locust's --json-file instead"),
)
FIGURES = {
    "median": "median response time",
    "mean": "average response time",
    "min": "min response time",
    "max": "max response time",
}
COUNTS, FAILURES = ("request count", "# requests"), ("failure count", "# failures")
UNKNOWN = {"N/A", "None", ""}
SIBLINGS = {
    "timestamp": ("user count", "Locust's history of a run"),
    "method": ("occurrences", "Locust's list of failures"),
    "count": ("traceback", "Locust's list of exceptions"),
}
"""First column → another column and the file, for the other files of `--csv`, which do not have the times of a whole run."""


def recognises(content: Content) -> bool:
    """Return whether the first line has the columns of Locust's statistics, or of another of its CSV files."""
    head = CsvText(content).columns
    return set(FIGURES.values()) <= set(head) or _sibling(head) is not None


def parse(content: Content) -> Reading:
    """Return the times of a file that is not another one of Locust's; the row of all requests comes first."""
    text = CsvText(content)
    head = text.columns
    if sibling := _sibling(head):
        raise InvalidFileError(f"it is {sibling}; the times are in the file that ends in _stats.csv")
    if "name" not in head:
        raise InvalidFileError("it has no column Name")
    rows, found = [dict(zip(head, row, strict=True)) for row in text.rows()], Benchmarks()
    rows.sort(key=lambda row: not _is_total(row))
    names = found.names([(request(_kind(row), row["name"]), "") for row in rows])
    for name, row in zip(names, rows, strict=True):
        with found.benchmark(name):
            requests, failures = (_count(text, row, columns) for columns in (COUNTS, FAILURES))
            per_s = row.get("requests/s", "")
            rate = number("rate", text.decimal(per_s)) if requests and per_s not in UNKNOWN else None
            if found.count(name, requests, failures, rate):
                found.add(_timing(name, requests, text, row))
    totals = {name for name, row in zip(names, rows, strict=True) if _is_total(row)}
    found.warnings += failed([x for x in found.operations if x.group not in totals] or found.operations)
    return found.reading(TOOL, FORMAT, load_settings=_load(content.path))


def _load(path: Path) -> dict[str, str]:
    """Return the highest number of users, from the history beside a file that still has its name; nothing without one."""
    history = path.with_name(f"{path.stem}_history.csv")
    try:
        text = CsvText(Content(history, bytes_of(history).removeprefix(BOM_UTF8), None))
        place = text.columns.index("user count")
        return {"users": str(max(int(row[place]) for row in text.rows()))}
    except (OSError, ValueError, InvalidFileError, UsageError):
        return {}


def _sibling(head: list[str]) -> str | None:
    column, file = SIBLINGS.get(head[0] if head else "", ("", None))
    return file if column in head else None


def _kind(row: Mapping[str, str]) -> str:
    kind = row.get("type", row.get("method", ""))
    return "" if kind == "None" else kind


def _is_total(row: Mapping[str, str]) -> bool:
    """Return whether a row is that of all requests."""
    return not _kind(row) and row["name"] in {"Aggregated", "Total"}


def _count(text: CsvText, row: Mapping[str, str], columns: tuple[str, str]) -> int:
    given = row.get(columns[0], row.get(columns[1], ""))
    try:
        return int(text.decimal(given))
    except ValueError as error:
        raise InvalidFileError(f"has the {columns[0]} {quoted(given)}, which is not a whole number") from error


def _timing(name: str, requests: int, text: CsvText, row: Mapping[str, str]) -> Timing:
    given = {figure: text.decimal(row[column]) for figure, column in FIGURES.items()}
    figures = four_figures(given, per_s=1e3)
    stated = {label: text.decimal(row.get(f"{label}%", "N/A")) for label in QUANTILES}
    percentiles = {
        label: None if value in UNKNOWN else nanoseconds(f"p{label}", value, per_s=1e3) for label, value in stated.items()
    }
    return Timing(name, requests, *figures, percentiles, rounding_ns=rounding_ms(float(given["median"])) * 1e6)
