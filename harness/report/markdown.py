"""The Markdown writer: blocks as GitHub-flavoured Markdown, with every text escaped."""

import re
from collections.abc import Iterable, Iterator

from harness.report.blocks import Block, Cell, Notice, Notices, Paragraph, ReportSection, Table

TITLED = {"", "warning", "not comparable", "invalid", "note"}
"""Labels that the title above the notices, or their names, make redundant."""


def write(blocks: Iterable[Block]) -> str:
    """Return blocks as Markdown that ends with a line break."""
    return "\n".join(line for block in blocks for line in _block(block)).rstrip() + "\n"


def _block(block: Block) -> Iterator[str]:
    match block:
        case Table():
            yield from _table(block)
        case Paragraph():
            lead = f"**{escape(block.lead)}** " if block.lead else ""
            yield from (f"{lead}{escape(block.text)}".rstrip(), "")
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
    label = "" if notice.label in TITLED else f"{notice.label}:" if notice.name else notice.label
    head = f"- **{escape(f'{label} {notice.name}'.strip())}**"
    if notice.verbatim:
        yield from (f"{head}:", "", *_code(notice.message), "")
        return
    remedy = f". Remedy: {escape(notice.remedy)}" if notice.remedy else ""
    yield f"{head}: {escape(notice.message)}{remedy}." if notice.message else head


def _table(table: Table) -> Iterator[str]:
    if table.caption:
        yield from (f"**{escape(table.caption)}**", "")
    yield "| " + " | ".join(escape(name) for name in table.head) + " |"
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
    return [fence, *text.splitlines(), fence]


def escape(text: str) -> str:
    """Return `text` as one line that Markdown, tables and HTML show as it is."""
    one_line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~#@^])", r"\\\1", one_line)
