"""CSV of other tools, also as a spreadsheet saves it again: with semicolons or tabs, and decimal commas."""

import csv
import io
from collections.abc import Iterator

from harness.importers.reading import Content, InvalidFileError

SEPARATORS = ",;\t|"
HEAD = 10_000
"""The number of bytes in which the first line ends."""


class CsvText:
    """Rows below the names of their columns."""

    def __init__(self, content: Content) -> None:
        """Find the separator and the names, above which a spreadsheet may announce the separator; JSON has no names."""
        self._content = content
        lines = [] if content.outline is not None else content.body[:HEAD].decode(errors="replace").splitlines()[:2]
        line = next((line for line in lines if not line.strip('" ').lower().startswith("sep=")), "")
        split = ((separator, _fields(line, separator)) for separator in SEPARATORS)
        self._separator, self._names = max(split, key=lambda item: (not any('"' in name for name in item[1]), len(item[1])))
        self.columns = [name.strip().lower().replace(",", ".") for name in self._names]
        """The names of the columns in lower case, with decimal points."""

    def rows(self) -> Iterator[list[str]]:
        """Yield the rows; raise InvalidFileError if one cannot be read."""
        lines = csv.reader(io.StringIO(self._content.body.decode(), newline=""), delimiter=self._separator)
        is_below = False
        try:
            for row in lines:
                if is_below and row and len(row) != len(self._names):
                    fields = f"line {lines.line_num} has {len(row)} fields instead of {len(self._names)}"
                    raise InvalidFileError(f"a row cannot be read ({fields})")
                if is_below and row:
                    yield row
                is_below = is_below or row == self._names
        except csv.Error as error:
            raise InvalidFileError(f"a row cannot be read (line {lines.line_num}: {error})") from error

    def decimal(self, text: str) -> str:
        """Return a number with a decimal point; a decimal comma is possible where the comma does not separate columns."""
        has_decimal_comma = self._separator != "," and text.count(",") == 1 and "." not in text
        return (text.replace(",", ".") if has_decimal_comma else text).strip()


def _fields(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []
