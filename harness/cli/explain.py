"""Explain a verdict, a warning, a state, an exit code, or any other name that a result shows.

NAME is as it is shown, such as `harness explain few pairs`, `harness explain saturated` or `harness explain 3`; without one, all
names are listed. Case does not matter, and a hyphen or an underscore stands for a blank.
"""

import argparse
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.suggestions import did_you_mean

if TYPE_CHECKING:
    from harness.explanations import Explanation

WIDTH = 80
"""The most columns of an explanation."""
INDENT = "  "


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    help_ = "a verdict, warning, state or exit code (default: list all names)"
    parser.add_argument("name", nargs="*", metavar="NAME", help=help_)
    parser.add_argument("--markdown", action="store_true", help="print all explanations as Markdown")


def run(options: argparse.Namespace) -> int:
    """Print the explanation of a name, or all names, and return 0; UsageError for an unknown name."""
    from harness import explanations
    from harness.cli import _console

    asked = " ".join(options.name)
    found = explanations.find(asked)
    if asked and not found:
        near = did_you_mean(asked, explanations.names(), "{!r}")
        raise UsageError(f"unknown name {asked!r}; {near}see `harness explain` for all names")
    if options.markdown:
        _console.print_document(_markdown())
        return 0
    width = min(WIDTH, _console.width())
    lines = [line for meaning in found for line in _explained(*meaning, width)] if asked else list(_listed(width))
    _console.print_lines(*lines)
    return 0


def _explained(kind: str, name: str, explanation: "Explanation", width: int) -> Iterator[str]:
    yield f"{name} ({kind})"
    for text in (explanation.meaning, f"What to do: {explanation.action}", f"More: {explanation.page}"):
        yield from textwrap.wrap(text, width, initial_indent=INDENT, subsequent_indent=INDENT)


def _listed(width: int) -> Iterator[str]:
    """Yield all names by kind."""
    from harness.explanations import KINDS

    for kind, texts in KINDS.items():
        yield f"{kind}:"
        joined = ", ".join(str(name).replace(" ", "\xa0") for name in texts)
        lines = textwrap.wrap(joined, width, initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False)
        yield from (line.replace("\xa0", " ") for line in lines)
    yield "`harness explain NAME` explains one of them."


def _markdown() -> str:
    """Return every explanation as the page docs/verdicts.md."""
    from harness.explanations import KINDS

    lines = [
        "# Verdicts, states and warnings",
        "",
        "Every name that a result may show, what it means and what to do. `harness explain NAME` prints one of them, and",
        "`harness explain --markdown` this page.",
    ]
    for kind, texts in KINDS.items():
        lines += ["", f"## {kind[:1].upper()}{kind[1:]}", "", "| name | what it means | what to do | more |", "|---|---|---|---|"]
        for name, found in texts.items():
            page = found.page.removeprefix("docs/")
            lines.append(f"| {name} | {found.meaning} | {found.action} | [{page.removesuffix('.md')}]({page}) |")
    return "\n".join([*lines, ""])
