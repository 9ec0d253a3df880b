"""The page of a gate: the verdict with its reason, what changed or is undecided, and folded the rest with its counts."""

from dataclasses import replace
from pathlib import Path

from harness.language import mark
from harness.report import gate
from harness.report.blocks import status
from harness.report.html.compact import compact
from harness.report.html.loaded import heads
from harness.report.html.page import LOAD_STYLE, style, templates
from harness.results.gate import GateResult, GateVerdict
from harness.results.names import shortened, visible
from harness.results.store import write_bytes
from harness.text import encode

LONGEST_NAME = 160
"""The most characters of a name on the page, which has room to break long ones into lines."""


def write(result: GateResult, file: Path) -> Path:
    """Write the page of a gate into a file and return its path; raise UsageError if it cannot be written."""
    return write_bytes(file, encode(compact(render(result))))


def render(result: GateResult) -> str:
    """Return the page of a gate."""
    changed, unjudged = gate.changed(result), gate.unjudged(result)
    same = [row for row in result.rows if row.verdict in {GateVerdict.EQUAL, GateVerdict.EQUIVALENT}]
    quiet, untimed = ([row for row in same if row.is_untimed == is_untimed] for is_untimed in (False, True))
    environment = templates()
    environment.filters |= {"heads": heads}
    return environment.get_template("gate.html.j2").render(
        style=style(LOAD_STYLE),
        result=replace(
            result,
            base=shortened(visible(result.base)),
            candidate=shortened(visible(result.candidate)),
            sentence=shortened(visible(result.sentence), gate.MOST_MESSAGE),
        ),
        verdict=status(result.verdict),
        heading=gate.heading(result),
        counts=gate.counts(result),
        front=gate.table(changed, mark("verdict"), longest=LONGEST_NAME),
        more=gate.more(changed[gate.MOST :]) if len(changed) > gate.MOST else "",
        remarks=gate.remarks(result),
        folded=[
            (
                gate.counted(len(rows), name),
                gate.table(rows, mark("reason"), longest=LONGEST_NAME),
                gate.more(rows[gate.MOST :]) if len(rows) > gate.MOST else "",
            )
            for name, rows in ((gate.UNJUDGED, unjudged), (gate.QUIET, quiet), (gate.UNCHANGED, untimed))
            if rows
        ],
    )
