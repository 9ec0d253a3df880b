"""A figure that Matplotlib drew, written in a third of the characters: it looks the same, and shares no name with other figures."""

import re
from collections.abc import Iterator
from zlib import crc32

from harness.text import printable

DIGITS = 1
"""The digits after the point of a coordinate, in units of the view box."""
INVISIBLE = 'style="fill: none"'
"""The style of what Matplotlib draws and cannot be seen."""
ID = re.compile(r'(\bid="|href="#|url\(#)([^")]+)')


def compact(svg: str) -> str:
    """Return the same figure without empty and bare groups, with short ids and paths, and each style once, as a class.

    The names of ids and classes are digests: equal ones on a page mean the same.
    """
    styles: dict[str, str] = {}

    def styled(found: re.Match[str]) -> str:
        name = styles.setdefault(found[1], _digest("s", found[1]))
        return f'class="{name}"'

    opening, *rest = _visible(printable(svg))
    own = {found[2] for tag in rest if tag.startswith("<") for found in ID.finditer(tag) if found[1] == 'id="'}
    tags = [re.sub(r'style="([^"]*)"', styled, _short(tag, own)) if tag.startswith("<") else tag for tag in rest]
    sheet = "".join(f".{name}{{{style}}}" for style, name in styles.items()).replace(": ", ":").replace("; ", ";")
    return "".join([opening, f"<style>{sheet}</style>" if sheet else "", *tags])


def _visible(svg: str) -> Iterator[str]:
    """Yield the tags and texts of a figure without white space between them, groups without attributes, and what is invisible."""
    kept: list[bool] = []
    for part in re.findall(r"<[^>]+>|[^<]+", re.sub(r"<defs>\s*</defs>", "", svg)):
        if not part.strip() or part == "<g/>" or (part.startswith("<path") and INVISIBLE in part):
            continue
        if part.startswith("<g") and not part.endswith("/>"):
            kept.append(part != "<g>")
            if not kept[-1]:
                continue
        elif part == "</g>" and not kept.pop():
            continue
        yield part


def _short(tag: str, own: set[str]) -> str:
    """Return a tag with short coordinates, paths and ids; links to what is not the figure's `own` are kept."""
    tag = ID.sub(lambda found: found[1] + (_digest("i", found[2]) if found[2] in own else found[2]), tag)
    tag = re.sub(r' (d|x|y|x1|y1|x2|y2|width|height|transform)="([^"]*)"', lambda found: f' {found[1]}="{_rounded(found[2])}"', tag)
    return re.sub(r' d="([^"]*)"', lambda found: f' d="{_path(found[1])}"', tag)


def _rounded(text: str) -> str:
    return re.sub(r"-?\d+\.\d+", lambda found: f"{round(float(found[0]), DIGITS) + 0.0:g}", text)


def _path(commands: str) -> str:
    """Return a path without the white space that means nothing."""
    text = re.sub(r"\s*([A-Za-z])\s*", r"\1", commands.strip())
    return re.sub(r"\s+", " ", text)


def _digest(letter: str, text: str) -> str:
    return f"{letter}{crc32(text.encode(errors='replace')):x}"
