"""Add settings to the text of a pyproject.toml, without changing anything else in it."""

import tomllib
from collections.abc import Mapping

HEADER = "[tool.harness]"


def with_settings(text: str, settings: Mapping[str, str]) -> str | None:
    """Return a pyproject.toml with more keys in `[tool.harness]`, those that it has already left as they are.

    The result is `text` itself if it has all keys, and None if lines cannot be added to it: it is not valid, or has the table in
    another form, such as an inline one. Every value stays the same, and so do comments, order and line ends.
    """
    before = parsed(text)
    if before is None:
        return None
    present = before.get("tool", {})
    present = present.get("harness", {}) if isinstance(present, dict) else None
    if not isinstance(present, dict):
        return None
    missing = {key: value for key, value in settings.items() if key not in present}
    if not missing:
        return text
    tool = before.get("tool", {})
    assert isinstance(tool, dict)
    wanted = {**before, "tool": {**tool, "harness": {**present, **missing}}}
    newline = "\r\n" if "\r\n" in text else "\n"
    added = "".join(f"{key} = {_quoted(value)}{newline}" for key, value in missing.items())
    return next((changed for changed in _candidates(text, added, newline) if parsed(changed) == wanted), None)


def parsed(text: str) -> dict[str, object] | None:
    """Return the content of a TOML file; None if it is not valid."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def _candidates(text: str, added: str, newline: str) -> list[str]:
    """Return the texts with the lines below each line that may be the table's header, and with a table of their own at the end."""
    lines = text.splitlines(keepends=True)
    places = [place for place, line in enumerate(lines, 1) if "".join(line.partition("#")[0].split()) == HEADER]
    below = [
        "".join([*lines[:place], *([] if lines[place - 1].endswith("\n") else [newline]), added, *lines[place:]])
        for place in places
    ]
    gap = "" if not text else newline if text.endswith("\n") else 2 * newline
    return [*below, f"{text}{gap}{HEADER}{newline}{added}"]


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
