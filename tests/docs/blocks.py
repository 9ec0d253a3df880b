"""The code blocks of README and docs: their kinds, and running them page by page.

A page is a session: its blocks are run in their order in one empty folder, with the commands of this version on the PATH and with
small budgets. Every block has to be of a kind that is run, or to have a marker with the reason why it is not. Markers are comments,
which no reader sees:

    <!-- test: files first -->                      writes all files of the page that have a title, before anything is run
    <!-- test: copy examples/words/words.py -->     copies a file or folder of the repository, to a second path if one is named
    <!-- test: run harness run bench --quick -->    runs a command that the page does not show
    <!-- test: serve 8000 www -->                   serves a folder at this port of the page; options of http.server may follow
    <!-- test: exit 1 -->                           the last command of the next block ends with this code
    <!-- test: recorded as NAME -->                 the last command of the next block depends on times: it is run, and the page
                                                    shows exactly what the run of that name in tests/docs/recorded prints
    <!-- test: not run: it takes minutes -->        the next block is not run; its commands are parsed
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
    ]
)
"""Pages whose commands are checked."""
ELSEWHERE = {ROOT / "docs" / "scenario.md", ROOT / "docs" / "analysis.md"}
"""Pages whose blocks are run by tests of their own: with all files as one project, and on a run that has every kind of row."""
EXAMPLES = sorted(page for page in (ROOT / "examples").glob("*/README.md") if page.parent.name != "public_suite")
"""Pages whose commands are run from a wheel in an environment of their own. (That of a public suite shows no run, but gates.)"""
MENTIONING = sorted({*PAGES, *(ROOT / "examples").rglob("*.md"), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"})
"""Pages whose text names commands and options."""
MARKER = re.compile(r"<!-- test: (.*?) -->")

MENTION = re.compile(r"(?:harness|make|pytest|locust|python -m|pip|pipx|uvx) \S|--\w")
"""The beginning of a text in backquotes that is a command, or an option."""


@dataclass(frozen=True)
class Block:
    """A code block, or a marker between blocks."""

    line: int
    kind: str
    """The language of a fenced block; "indented" of another one; "marker"."""
    text: str
    title: str = ""
    """The file that it is the content of."""
    before: tuple[str, ...] = ()
    """The markers that apply to it."""

    @property
    def code(self) -> int:
        """The exit code of its last command."""
        return next((int(text.removeprefix("exit ")) for text in self.before if text.startswith("exit ")), 0)

    @property
    def recorded(self) -> str:
        """The name of the run that it shows; empty without one."""
        return next((text.removeprefix("recorded as ") for text in self.before if text.startswith("recorded as ")), "")


def blocks(page: Path) -> list[Block]:
    """Return the blocks and markers of a page in their order."""
    return list(_blocks(page.read_text(encoding="utf-8")))


def _blocks(text: str) -> Iterator[Block]:
    pending: list[str] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "html_block":
            for marker in MARKER.findall(token.content):
                if marker.partition(" ")[0].rstrip(":") in {"exit", "recorded", "not"}:
                    pending.append(marker)
                else:
                    yield Block(line, "marker", marker)
        elif token.type in {"fence", "code_block"}:
            yield _block(token, line, tuple(pending))
            pending = []
    if pending:
        raise AssertionError(f"the marker {pending[0]!r} applies to no block")


def _block(token: Token, line: int, before: tuple[str, ...]) -> Block:
    kind, _, rest = token.info.strip().partition(" ")
    title = re.search(r'title="([^"]+)"', rest)
    return Block(line, "indented" if token.type == "code_block" else kind, token.content, title[1] if title else "", before)


def commands(block: Block) -> list[str]:
    """Return the commands of a block, continued lines joined, comments removed."""
    if block.kind == "console" or re.search(r"^\$ ", block.text, re.MULTILINE):
        return [command for command, _ in transcript(block.text)]
    lines = re.sub(r"\\\n\s*", "", block.text).splitlines()
    return [found for line in lines if (found := _uncommented(line))]


def transcript(text: str) -> list[tuple[str, list[str]]]:
    """Return each command of a console block with the lines that it printed."""
    found: list[tuple[str, list[str]]] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line.startswith("$ "):
            found.append((_uncommented(line.removeprefix("$ ")), []))
        else:
            assert found, f"printed before any command: {line!r}"
            found[-1][1].append(line)
    return found


def _uncommented(line: str) -> str:
    return re.sub(r"(^|\s+)#(?!\w).*$", "", line).strip()


def mentions(page: Path) -> list[str]:
    """Return the commands and options in backquotes in the text of a page."""
    return [text for text in inline(page) if MENTION.match(text)]


def inline(page: Path) -> Iterator[str]:
    """Yield what is in backquotes in the text of a page."""
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        for child in token.children or ():
            if child.type == "code_inline":
                yield child.content
