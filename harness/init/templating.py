"""Texts of files, filled in from the templates of this package."""

import re
import string
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class ScenarioText:
    """A scenario to write."""

    name: str
    """The file's name without its suffix."""
    text: str
    about: str = ""
    """The code of the project that it measures, in a few words; empty for code of its own."""


def template(name: str, **fields: str) -> str:
    """Return a template filled in, without the empty lines that an empty field leaves."""
    filled = string.Template((FOLDER / f"{name}.txt").read_text(encoding="utf-8")).substitute(fields)
    return filled.replace("\n\n\n    def", "\n\n    def").replace("import random\n\n\n", "import random\n\n")


def snake_case(name: str) -> str:
    """Return a name for a file."""
    return re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).strip("_").lower() or "first"


def camel_case(name: str) -> str:
    """Return a name for a class."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"\W+|_", name)) or "First"


def quoted(text: str) -> str:
    """Return a text as Python writes it, within double quotes where that is possible."""
    return f'"{text}"' if re.fullmatch(r"[\w ./-]*", text) else repr(text)
