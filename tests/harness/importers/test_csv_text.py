"""CSV: separators, decimal commas, and rows that cannot be read."""

from pathlib import Path

import pytest

from harness.importers.csv_text import CsvText
from harness.importers.reading import Content, InvalidFileError


def text(body: str) -> CsvText:
    """Return CSV from its text."""
    return CsvText(Content(Path("x.csv"), body.encode(), None))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_separator_is_the_one_that_gives_the_most_columns(separator: str, end: str) -> None:
    """Empty lines are left out, and a quoted field may contain any separator."""
    found = text(end.join([separator.join(["Name", '"99,9%"']), "", separator.join(['"a,;|b"', "1"]), ""]))
    assert found.columns == ["name", "99.9%"]
    assert list(found.rows()) == [["a,;|b", "1"]]


@pytest.mark.parametrize(
    ("separator", "given", "number"),
    [(";", "1,5", "1.5"), ("\t", "1,5", "1.5"), (",", "1,5", "1,5"), (";", "1.234,5", "1.234,5"), (";", "1.5 ", "1.5")],
)
def test_a_comma_is_a_decimal_comma_only_where_it_cannot_be_anything_else(separator: str, given: str, number: str) -> None:
    """Between other commas it separates thousands, and with a point as well it is unclear: such text is not a number."""
    assert text(f"a{separator}b\n").decimal(given) == number


def test_a_row_of_another_length_is_refused_with_its_line() -> None:
    """The line of the file is named."""
    with pytest.raises(InvalidFileError, match=r"line 3 has 1 fields instead of 2"):
        list(text("a,b\n1,2\n3\n").rows())


def test_json_has_no_columns() -> None:
    """A document is not CSV."""
    assert CsvText(Content(Path("x.json"), b'{"a": 1}', {})).columns == []
