"""The templates of this folder, and the one style sheet that every page carries."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

HERE = Path(__file__).parent


def environment() -> Environment:
    """Return what makes pages of the templates; whatever a run says is escaped, and a name that is not given is an error."""
    return Environment(
        loader=FileSystemLoader(HERE),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def style() -> Markup:
    """Return the style sheet."""
    return Markup((HERE / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
