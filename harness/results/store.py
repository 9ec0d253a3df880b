"""Reading and writing a run's folder: `run.json` with the raw samples or histograms beside it; and the review that it tests.

A file is replaced in one step. Functions that write raise UsageError if the folder cannot be written or the disk is full.
"""

from __future__ import annotations

import csv
import io
import os
import secrets
import tomllib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from harness.errors import UsageError
from harness.redaction import redacted, redacted_values
from harness.results.compressed import bytes_of, unpacked
from harness.results.run import Review, Run, Slot
from harness.text import encode, encode_json
from harness.version import DISTRIBUTION, version

if TYPE_CHECKING:
    import numpy.typing as npt

Record = TypeVar("Record")
SCHEMA_VERSION = 2
"""Version of `run.json`. 2: warnings, work counts, verdicts and statuses under these names; nothing reads 1 any more."""
MAX_REVIEW_BYTES = 10 * 2**20
RUN_FILE, REVIEW_FILE = "run.json", "review.toml"
COMPRESSED_RUN_FILE = f"{RUN_FILE}.gz"
"""The run of a folder that has no `RUN_FILE`, such as a published one."""
STREAMS = {Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd")}
"""Folders of devices and open files, such as /dev/stdout."""
TEXT_COLUMNS = {"arm", "group", "kind", "case"}
"""The columns of sample files that hold text; all others hold integers."""
SAMPLE_COLUMNS = ("process", "pair", "position", "arm", "group", "case", "latency_ns")
"""One row per recorded operation: the fields of its `Slot`, and its time."""
HISTOGRAM_COLUMNS = ("process", "cycle", "position", "arm", "group", "kind", "lower_ns", "count")
"""One row per bucket that is not empty: `kind` is "response", "service" or "queue", `lower_ns` the bucket's lowest time and `count`
the number of operations in it. `process` is the load worker's number."""


class _Version(msgspec.Struct):
    schema_version: int
    harness_version: str = ""


def write_run(run: Run, folder: Path) -> Path:
    """Write `run.json` into `folder` in one step, so that a crash or a full disk leaves the last good one."""
    return write_json(run, folder / RUN_FILE)


def write_json(run: Run, file: Path) -> Path:
    """Write a run to `file` in one step, without secrets: a run without its samples, such as a baseline."""
    return write_bytes(file, msgspec.json.format(encode_json(without_secrets(run)), indent=1))


def without_secrets(record: Record) -> Record:
    """Return a record, such as a run, without the secrets whose forms are known, in whatever of its texts they are.

    It is done before texts are shortened: of a secret that has been cut, the rest has no form that is known.
    """
    return msgspec.convert(redacted_values(msgspec.to_builtins(record)), type(record))


def write_bytes(path: Path, body: bytes) -> Path:
    """Replace `path` by `body` in one step; the old content stays when anything fails. Devices and pipes are written to instead."""
    partial: Path | None = None
    try:
        if path.absolute().parent in STREAMS or not (path.is_file() or path.is_dir() or not path.exists()):
            return _write_into(path, body)
        path.parent.mkdir(parents=True, exist_ok=True)
        unused = path.with_name(f".{secrets.token_hex(8)}.unfinished")
        handle = os.open(unused, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # less the umask, unlike a file of `tempfile`
        partial = unused
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if partial is not None:
            partial.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror or error}; choose another folder with --out") from error
    return path


def _write_into(path: Path, body: bytes) -> Path:
    """Write to a device, or a pipe with a reader: a file must not take the place of either."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
    os.set_blocking(handle, True)
    with os.fdopen(handle, "wb") as file:
        file.write(body)
    return path


def run_file(path: Path) -> Path:
    """Return the file with the run of a folder, there or not; another path as it is."""
    if not path.is_dir():
        return path
    compressed = path / COMPRESSED_RUN_FILE
    return compressed if compressed.is_file() and not (path / RUN_FILE).exists() else path / RUN_FILE


def read_run(path: Path) -> Run:
    """Read a run from its folder or its `run.json`, which may be compressed with gzip.

    Raises:
        UsageError: the file is missing, invalid, truncated or too large, or has another schema.
    """
    file = run_file(path)
    try:
        body = unpacked(file, bytes_of(file))
        found = msgspec.json.decode(body, type=_Version)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}; name a run folder or its {RUN_FILE}") from error
    except msgspec.ValidationError as error:
        raise UsageError(f"{file} is not a run of this harness ({error}); name a folder that `harness run` wrote") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{file} is not valid JSON, or was cut off ({error}); run again, or name another file") from error
    if found.schema_version != SCHEMA_VERSION:
        writer = found.harness_version or "before its first release"
        remedy = "run it again" if found.schema_version < SCHEMA_VERSION else f"upgrade: pip install --upgrade {DISTRIBUTION}"
        raise UsageError(
            f"{file} was written by {DISTRIBUTION} {writer} (schema {found.schema_version}); this is {version()}, "
            f"which reads schema {SCHEMA_VERSION}; {remedy}"
        )
    try:
        run = msgspec.json.decode(body, type=Run)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"{file} is not a whole run ({error}); run again, or name another file") from error
    if run.finished_at is None and file.name == RUN_FILE:
        from harness.results.unfinished import with_results_so_far  # noqa: PLC0415 - it writes with what is here

        return with_results_so_far(run, file.parent)
    return run


def schema_of(path: Path) -> int | None:
    """Return the schema version that a run's folder or `run.json` has; None of anything else, readable or not."""
    file = run_file(path)
    try:
        return msgspec.json.decode(unpacked(file, bytes_of(file)), type=_Version).schema_version if file.is_file() else None
    except (OSError, ValueError, RecursionError, UsageError):
        return None


def read_review(folder: Path) -> Review | None:
    """Return the review of a folder of scenarios, None without one; UsageError if the file is not a review."""
    file = folder / REVIEW_FILE
    try:
        return msgspec.convert(tomllib.loads(bytes_of(file, MAX_REVIEW_BYTES).decode()), Review)
    except FileNotFoundError:
        return None
    except (
        OSError,
        ValueError,
        RecursionError,
    ) as error:  # the errors of TOML and of types are ValueErrors
        raise UsageError(f"{file} is not a review: {error}; fix or remove it") from error


def write_samples(slots: Iterable[Slot], path: Path) -> None:
    """Write raw samples as CSV, one row per recorded operation, columns `SAMPLE_COLUMNS`."""
    rows = (
        zip(*map(repeat, (s.process, s.pair, s.position, redacted(s.arm), redacted(s.group), s.case)), s.latencies_ns)  # noqa: B905 - `repeat` has no end
        for s in slots
    )
    _write_csv(SAMPLE_COLUMNS, chain.from_iterable(rows), path)


def write_histograms(rows: Iterable[tuple[int | str, ...]], path: Path) -> None:
    """Write the rows of one scenario's histograms as CSV, columns `HISTOGRAM_COLUMNS`."""
    shown = lru_cache(redacted)
    _write_csv(HISTOGRAM_COLUMNS, (tuple(shown(cell) if isinstance(cell, str) else cell for cell in row) for row in rows), path)


def _write_csv(columns: Sequence[str], rows: Iterable[tuple[Any, ...]], path: Path) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    write_bytes(path, encode(text.getvalue()))


def read_samples(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the raw samples of one scenario as columns of equal length, by the names in `SAMPLE_COLUMNS`; see `read_columns`."""
    return read_columns(path, SAMPLE_COLUMNS, "samples")


def read_histograms(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return one scenario's histograms as columns of equal length, by the names in `HISTOGRAM_COLUMNS`; see `read_columns`."""
    return read_columns(path, HISTOGRAM_COLUMNS, "histograms")


def read_columns(path: Path, names: tuple[str, ...], kind: str) -> dict[str, npt.NDArray[Any]]:
    """Return the columns `names` of a CSV file, those in `TEXT_COLUMNS` as text and all others as integers.

    UsageError if the file is missing, lacks a column, or has other cells; `kind` is its subject: "samples", "histograms".
    """
    import numpy as np  # noqa: PLC0415 - only readers of samples need it

    try:
        reader = csv.reader(io.StringIO(bytes_of(path).decode(), newline=""))
        head = next(reader, [])
        places = {name: head.index(name) for name in names}
        columns = list(zip(*reader, strict=True))
        cells = {name: columns[place] if columns else () for name, place in places.items()}
        return {name: np.array(texts, dtype=str if name in TEXT_COLUMNS else np.int64) for name, texts in cells.items()}
    except (OSError, ValueError, IndexError, OverflowError, csv.Error) as error:  # an index: the rows are shorter than the head
        raise UsageError(f"cannot read the {kind} in {path} ({error}); run again, or report another run") from error
