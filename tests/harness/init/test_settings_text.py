"""Lines that are added to a pyproject.toml change nothing else in it."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.init.settings_text import HEADER, parsed, with_settings

SETTINGS = {"scenarios": "bench", "budget": "40s"}
TABLE = '[tool.harness]\nscenarios = "bench"\nbudget = "40s"\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", TABLE),
        ('[project]\nname = "x"\n', f'[project]\nname = "x"\n\n{TABLE}'),
        ('[project]\nname = "x" # no line end', f'[project]\nname = "x" # no line end\n\n{TABLE}'),
        ("a = 1\r\n", "a = 1\r\n\r\n" + TABLE.replace("\n", "\r\n")),
        ('[tool.harness]\ncommands = "c"\n\n[x]\n', f'{TABLE}commands = "c"\n\n[x]\n'),
        ("[ tool . harness ] # ours", '[ tool . harness ] # ours\nscenarios = "bench"\nbudget = "40s"\n'),
        ('[tool.harness]\nbudget = "9s"\n', '[tool.harness]\nscenarios = "bench"\nbudget = "9s"\n'),
        ('[tool.harness.gate.tolerances]\n"x.y" = 1\n', f'[tool.harness.gate.tolerances]\n"x.y" = 1\n\n{TABLE}'),
        (f'text = """\n{HEADER}\n"""\n', f'text = """\n{HEADER}\n"""\n\n{TABLE}'),
        (TABLE, TABLE),
    ],
    ids=["empty", "another", "no line end", "CRLF", "the table", "odd header", "one key", "below", "in a text", "all"],
)
def test_lines_are_added_where_they_belong(before: str, after: str) -> None:
    """Into the table that exists, or into a new one at the end."""
    assert with_settings(before, SETTINGS) == after


@pytest.mark.parametrize(
    "text",
    [
        '[tool]\nharness = {commands = "c"}\n',
        "tool = {}\n",
        "tool = 3\n",
        "[tool]\nharness = 3\n",
        'tool.harness.commands = "c"\n',
        "[project\n",
        "a = 1\na = 2\n",
        "[[tool.harness]]\n",
        "\ufeff[project]\n",
    ],
)
def test_what_cannot_be_extended_is_refused(text: str) -> None:
    """Inline tables, other types and files that are not valid stay as they are."""
    assert with_settings(text, SETTINGS) is None


KEYS = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
VALUES = st.integers() | st.text(st.characters(codec="ascii", exclude_characters="\"\\'", exclude_categories=["Cc"]), max_size=8)


@given(
    st.lists(st.tuples(st.lists(KEYS, min_size=1, max_size=3), st.dictionaries(KEYS, VALUES, max_size=3)), max_size=4),
    st.booleans(),
)
def test_any_file_keeps_its_content(tables: list[tuple[list[str], dict[str, int | str]]], crlf: bool) -> None:
    """The result has the same values and the new ones, and every line that was there."""
    lines = [line for names, items in tables for line in [f"[{'.'.join(names)}]", *(f"{k} = {v!r}" for k, v in items.items())]]
    text = ("\r\n" if crlf else "\n").join([*lines, "# end"])
    before = parsed(text)
    after = with_settings(text, SETTINGS)
    if before is None:
        assert after is None
    elif after is not None:
        assert after.startswith(text)
        assert tomllib.loads(after) == {**before, "tool": {**before.get("tool", {}), "harness": SETTINGS}}  # type: ignore[dict-item]
