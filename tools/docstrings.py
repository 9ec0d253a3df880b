"""An extension of the reference of Python names: the `Example:` of a docstring is code, as Markdown writes it."""

import re
import textwrap
from typing import Any

import griffe

EXAMPLE = re.compile(r"^Example:\n((?:[ ]{4}.*\n?|\n)+)", re.MULTILINE)


def with_code(text: str) -> str:
    """Return a docstring whose examples are blocks of code; other sections keep their form."""

    def fenced(found: re.Match[str]) -> str:
        code = textwrap.dedent(found[1]).strip("\n")
        return "Example:\n" + textwrap.indent(f"```python\n{code}\n```", " " * 4) + "\n"

    return EXAMPLE.sub(fenced, text)


class ExampleCode(griffe.Extension):
    """Rewrites every docstring before its sections are found."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = with_code(obj.docstring.value)
