"""What many users at once met, in a terminal: a table an operation group, then how much each arm holds. Fits 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from harness.report import capacity, load
from harness.report.load import LoadPart
from harness.report.numbers import Unit, interval, significant, times, unit_of
from harness.report.terminal_parts import columns, labelled, plain
from harness.results.load import LoadedArm, LoadRatio, LoadResult

WIDTHS = {"a second": 11, "p50": 8, "p99": 8, "p50 faster": 14, "p99 faster": 14}
HELD = (None, 11, 11, 21, 11, 5)
"""The widths of the columns of capacities; the arm has what is left."""
HIGH = "99"
"""The percentile shown beside the median."""


def parts(part: LoadPart) -> Iterator[RenderableType]:
    """Yield one scenario: what was asked, what must be read first, times and ratios by group, capacities, and what failed."""
    result, found = part.result, part.load
    yield Text.assemble((part.heading, "bold"), f"  {load.planned(found)}")
    for trouble in load.troubles(result):
        yield labelled("invalid" if trouble.bad else "note", trouble.name, trouble.message, "bold red" if trouble.bad else "yellow")
    if found.arms:
        yield from _times(part)
    if found.capacities:
        yield from _capacities(part)
        yield from (labelled("", name, because, "dim") for name, because in capacity.reasons(result))
    failed = load.errors(result)
    for arm, group, message, number in failed.rows if failed else ():
        yield labelled("failed", f"{number.text} × {arm.text}, {group.text}", message.text, "red")


def _times(part: LoadPart) -> Iterator[RenderableType]:
    yield columns("arm", WIDTHS, header=True)
    for group in load.groups(part.result):
        rows = [row for arm in load.arms_of(part.result) if (row := load.row_of(part.load, arm, group)) is not None]
        unit = unit_of(x.response.percentiles_ns.get("50") for x in rows if not load.overloaded(part.load, x.arm, group))
        yield Text(f"{group}, response time in {unit.name}", overflow="ellipsis", no_wrap=True)
        table = columns("arm", WIDTHS)
        for row in rows:
            ratios = [load.ratio_of(part.load, row.arm, group, label) for label in ("50", HIGH)]
            style = "dim" if load.overloaded(part.load, row.arm, group) else _direction(ratios)
            table.add_row(Text(f"  {row.arm}"), *_figures(part.load, row, unit), *map(_ratio, ratios), style=style)
        yield table


def _figures(found: LoadResult, row: LoadedArm, unit: Unit) -> list[Text]:
    rate = significant(row.achieved_per_s)
    if row.offered_per_s is not None:
        rate += f"\nof {significant(row.offered_per_s)}"
    if load.overloaded(found, row.arm, row.group):
        return [Text(rate), Text("not held"), Text("")]
    return [Text(rate), *(Text(unit.write(row.response.percentiles_ns.get(label))) for label in ("50", HIGH))]


def _ratio(ratio: LoadRatio | None) -> Text:
    return Text("") if ratio is None else Text(f"{times(ratio.ratio)}\n{interval(ratio.low, ratio.high)}")


def _direction(ratios: list[LoadRatio | None]) -> str:
    known = [(r.low, r.high) for r in ratios if r is not None and r.low is not None and r.high is not None]
    if known and all(low > 1 for low, _ in known):
        return "green"
    return "red" if known and all(high < 1 for _, high in known) else ""


def _capacities(part: LoadPart) -> Iterator[RenderableType]:
    for made in capacity.tables(part.result):
        yield Text(made.caption)
        table = plain()
        for place, (name, width) in enumerate(zip(made.head, HELD, strict=True)):
            table.add_column(name, overflow="fold", width=width, ratio=None if width else 1, justify="right" if place else "left")
        for row in made.rows:
            table.add_row(Text(f"  {row[0].text}"), *(Text(cell.text) for cell in row[1:]))
        yield table
