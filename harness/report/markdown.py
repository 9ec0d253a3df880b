"""The Markdown writer: blocks as GitHub-flavoured Markdown, with every text escaped."""

import re
from collections.abc import Iterable, Iterator, Sequence

from harness.language import gettext, listed, mark, ngettext
from harness.report.blocks import Block, Cell, Notice, Notices, Paragraph, ReportSection, Table
from harness.results.names import shortened
from harness.text import printable, without_command

TITLED = {"", "warning", "not comparable", "invalid", "note"}
"""Labels that the title above the notices, or their names, make redundant."""


MOST = 65_536
"""The most characters of a comment on GitHub."""
NOTE = 1_000
"""The characters that are kept for the note about what was left out."""
NAMED = 5
"""The most parts that this note names."""


def write(blocks: Iterable[Block], most: int | None = None) -> str:
    """Return blocks as Markdown that ends with a line break; of more than `most` characters, parts that do not fit are left out."""
    blocks = list(blocks)
    text = _joined(_block(block) for block in blocks)
    if most is None or len(text) <= most:
        return text
    kept, left_out, room = list[str](), list[str](), most - NOTE
    for name, lines in _parts(blocks):
        part = "".join(f"{line}\n" for line in lines)
        if len(part) <= room:
            kept.append(part)
            room -= len(part)
        else:
            left_out.append(name)
    return "".join(kept).rstrip() + "\n\n" + _note(left_out, most)


def _joined(parts: Iterable[Iterable[str]]) -> str:
    return "\n".join(line for lines in parts for line in lines).rstrip() + "\n"


def _parts(blocks: Iterable[Block]) -> Iterator[tuple[str, list[str]]]:
    """Yield what is kept or left out as a whole, each with its name: the blocks, of an unfolded section those in it."""
    for block in blocks:
        if isinstance(block, ReportSection) and not block.folded:
            yield block.title, [f"{'#' * block.level} {escape(block.title)}", ""]
            yield from _parts(block.blocks)
        else:
            yield _name(block), list(_block(block))


def _name(block: Block) -> str:
    match block:
        case ReportSection() | Notices():
            return block.title
        case Table():
            return block.caption or gettext("a table")
        case Notice():
            return block.name
        case Paragraph():
            return block.lead or gettext("a paragraph")
    return gettext("tables")


def _note(left_out: Sequence[str], most: int) -> str:
    """Return which parts were left out, and why."""
    names = [escape(shortened(name)) for name in left_out[:NAMED]]
    more = [ngettext("{count} more", "{count} more", len(left_out) - NAMED)] if len(left_out) > NAMED else []
    text = mark("Left out, because a comment has at most {count} characters: {parts}.")
    return gettext(text, count=f"{most:,}", parts=listed([*names, *more])) + "\n"


def _block(block: Block) -> Iterator[str]:
    match block:
        case Table():
            yield from _table(block)
        case Paragraph():
            lead = f"**{escape(block.lead)}** " if block.lead else ""
            yield from (_line_start(f"{lead}{escape(block.text)}".rstrip()), "")
            if block.code:
                yield from (*_code(block.code), "")
        case Notice():
            yield from (*_notice(block), "")
        case Notices():
            yield from (f"{escape(block.title)}:", "", *(line for item in block.items for line in _notice(item)), "")
        case ReportSection():
            title = escape(block.title)
            folded = ("<details>", f"<summary>{title}</summary>")
            yield from (*(folded if block.folded else (f"{'#' * block.level} {title}",)), "")
            for inner in block.blocks:
                yield from _block(inner)
            yield from ("</details>", "") if block.folded else ()


def _notice(notice: Notice) -> Iterator[str]:
    shown = gettext(notice.label)
    label = "" if notice.label in TITLED else f"{shown}:" if notice.name else shown
    head = f"- **{escape(f'{label} {notice.name}'.strip())}**"
    if notice.verbatim:
        yield from (f"{head}:", "", *_code(notice.message), "")
        return
    texts = [escape(notice.message), gettext("Remedy: {remedy}", remedy=escape(notice.remedy)) if notice.remedy else ""]
    yield f"{head}: {'. '.join(filter(None, texts))}." if notice.message else head


def _table(table: Table) -> Iterator[str]:
    if table.caption:
        yield from (f"**{escape(table.caption)}**", "")
    yield "| " + " | ".join(escape(gettext(name)) for name in table.head) + " |"
    yield "|" + "|".join("---" if table.is_text(place) else "---:" for place in range(len(table.head))) + "|"
    for row in table.rows:
        yield "| " + " | ".join(_cell(cell) for cell in row) + " |"
    yield ""


def _cell(cell: Cell) -> str:
    if cell.status is None:
        return escape(cell.full)
    sign = f"{escape(cell.status.sign)} " if cell.status.sign else ""
    return f"{sign}**{escape(cell.status.name)}** {escape(cell.full or cell.note)}".rstrip()


def _code(text: str) -> list[str]:
    """Return `text` as a fenced block, with a fence longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, *(without_command(printable(line)) for line in text.splitlines()), fence]


def _line_start(line: str) -> str:
    """Return a line that does not begin a list, or a quick action: a line `/merge` in a comment on GitLab merges."""
    return re.sub(r"^(\d+(?=[.)])|(?=[-+=/]))", r"\1\\", line)


def escape(text: str) -> str:
    """Return `text` as one line that Markdown, tables and HTML show as it is.

    GitHub looks for mentions and numbers of issues in what it has rendered, without backslashes; a comment interrupts them.
    """
    one_line = printable(" ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = re.sub(r"([\\`*_\[\]|~#^])", r"\\\1", one_line).replace("::", r":\:")
    return re.sub(r"@(?=[\w-])|(?<=#)(?=\d)", lambda found: f"{found[0]}<!-- -->", escaped)
