"""The blocks of a load test one after another, as a table: the figures of its time line."""

from collections.abc import Sequence
from operator import attrgetter
from statistics import median

from harness.language import gettext, mark
from harness.report.blocks import Cell, Table, cells
from harness.report.numbers import DASH, significant, unit_of, whole
from harness.report.tables import named_cells
from harness.results.load import Phase, Tick
from harness.results.run import ScenarioResult

MOST = 60
"""The most blocks that are listed."""
GENERATOR = "generator"
P50, P99 = attrgetter("p50_ns"), attrgetter("p99_ns")


def blocks(ticks: Sequence[Tick]) -> list[list[Tick]]:
    """Return the measured ticks of each block, by process and time. A block is one arm until another follows or warms up again."""
    found: list[list[Tick]] = []
    last: Tick | None = None
    for tick in sorted(ticks, key=lambda t: (t.process, t.at_s)):
        warms_up_again = last is not None and tick.phase == Phase.WARM_UP != last.phase
        if last is None or warms_up_again or (last.process, last.arm) != (tick.process, tick.arm):
            found.append([])
        if tick.phase == Phase.MEASURED:
            found[-1].append(tick)
        last = tick
    return [block for block in found if block]


def table(result: ScenarioResult) -> Table | None:
    """Return a row per block: arm, process, its end, operations, errors, times, the generator's CPU; None without ticks."""
    found = blocks(result.load.ticks if result.load else [])
    if not found:
        return None
    arms = named_cells(tick.arm for block in found for tick in block)
    unit = unit_of(tick.p50_ns for block in found for tick in block)
    rows = []
    for place, block in enumerate(found[:MOST], 1):
        p50s, p99s = ([ns for tick in block if (ns := of_tick(tick)) is not None] for of_tick in (P50, P99))
        cpu = [tick.cpu_percent[GENERATOR] for tick in block if GENERATOR in tick.cpu_percent]
        rows.append(
            cells(
                whole(place),
                arms[block[0].arm],
                whole(block[0].process),
                significant(block[-1].at_s),
                whole(sum(tick.operations for tick in block)),
                whole(sum(tick.errors for tick in block)),
                unit.write(median(p50s)) if p50s else Cell(DASH, gettext("no operation completed")),
                unit.write(max(p99s)) if p99s else Cell(DASH, gettext("too few operations per sample")),
                f"{max(cpu):.0f} %" if cpu else Cell(DASH, gettext("not sampled")),
            )
        )
    p50, p99 = gettext("p50, median of samples, {unit}", unit=unit.name), gettext("p99, highest of samples, {unit}", unit=unit.name)
    head = (
        mark("block"),
        "arm",
        mark("process"),
        mark("ended after, s"),
        "operations",
        "errors",
        p50,
        p99,
        mark("generator CPU, highest"),
    )
    caption = gettext("The run over time, by block")
    if len(found) > MOST:
        caption = gettext("The run over time, by block: {shown} of {total} blocks", shown=MOST, total=len(found))
    return Table(caption, head, tuple(rows), names=2)
