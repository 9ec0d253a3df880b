"""CSV of other tools, also as a spreadsheet saves it again: with semicolons or tabs, and decimal commas."""

import csv
import io
from collections.abc import Iterator

from harness.importers.reading import Content, InvalidFileError

SEPARATORS = ",;\t|"
HEAD = 10_000
"""The number of bytes in which the first line ends."""


def head(content: Content) -> list[str]:
    """Return the names of the columns in lower case, with decimal points; none for JSON."""
    return [] if content.outline is not None else [name.strip().lower().replace(",", ".") for name in _columns(content)[1]]


def rows(content: Content) -> Iterator[list[str]]:
    """Yield the rows below the names of the columns; raise InvalidFileError if one cannot be read."""
    separator, names = _columns(content)
    lines = csv.reader(io.StringIO(content.body.decode(), newline=""), delimiter=separator)
    is_below = False
    try:
        for row in lines:
            if is_below and row and len(row) != len(names):
                raise InvalidFileError(
                    f"a row cannot be read (line {lines.line_num} has {len(row)} fields instead of {len(names)})"
                )
            if is_below and row:
                yield row
            is_below = is_below or row == names
    except csv.Error as error:
        raise InvalidFileError(f"a row cannot be read (line {lines.line_num}: {error})") from error


def decimal(text: str) -> str:
    """Return a number with a decimal point, where a spreadsheet wrote a decimal comma."""
    return text.strip().replace(",", ".") if text.count(",") == 1 and "." not in text else text.strip()


def _columns(content: Content) -> tuple[str, list[str]]:
    """Return the separator and the names of the columns; a spreadsheet may announce the separator above them."""
    lines = content.body[:HEAD].decode(errors="replace").splitlines()[:2]
    line = next((line for line in lines if not line.strip('" ').lower().startswith("sep=")), "")
    split = {separator: _fields(line, separator) for separator in SEPARATORS}
    return max(split.items(), key=lambda item: len(item[1]))


def _fields(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []
