"""A gate's result as JUnit XML: a suite per scenario, engine and RTT, a case per arm, group and kind of figure.

A regression is a failure. A figure that is not comparable or inconclusive is an error: it must not look like a pass. A figure that
is not judged, such as a stored time within the drift, is skipped, with its reason. The suite "gate" has the overall verdict, so
that a test reporter fails whenever the exit code is not 0.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from harness.report.gate import message
from harness.results.gate import OWN_FIGURE, GateResult, GateRow, GateVerdict, RowKind
from harness.text import for_page

INVALID_CHARACTERS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 forbids (section 2.2): control characters, half surrogate pairs, and two noncharacters."""

KINDS = {
    RowKind.ERRORS: "errors",
    RowKind.WORK: "work counts",
    RowKind.MEMORY: "memory",
    RowKind.TIME: "time",
    RowKind.THROUGHPUT: "throughput",
    RowKind.METRIC: "metrics",
    RowKind.CHECKS: "checks",
    RowKind.STATUS: "runs",
}
MOST = 50
"""The most figures of a case that are listed."""

TAGS = {GateVerdict.REGRESSED: "failure", GateVerdict.NOT_COMPARABLE: "error", GateVerdict.INCONCLUSIVE: "error"}
"""The element of each verdict that is not a pass, the most severe first."""


def render(result: GateResult) -> bytes:
    """Return the document in UTF-8. Characters that XML forbids become U+FFFD."""
    root = ET.Element("testsuites", name="harness gate")
    overall = ET.Element("testcase", classname="gate", name="verdict")
    if result.exit_code:
        _child(overall, result.verdict, [result.sentence])
    incomparable = [ET.Element("testcase", classname="gate", name=found.name) for found in result.incomparable]
    for case, found in zip(incomparable, result.incomparable, strict=True):
        _child(case, GateVerdict.NOT_COMPARABLE, [f"{found.message}; {found.remedy}"])
    _suite(root, "gate", [overall, *incomparable])
    by_place: dict[str, dict[str, list[GateRow]]] = defaultdict(lambda: defaultdict(list))
    for row in result.rows:
        group = row.group or (OWN_FIGURE if row.kind != RowKind.STATUS and row.arm else "")
        name = " · ".join(part for part in (row.arm, group, KINDS[row.kind]) if part)
        by_place[row.place][name].append(row)
    for place, cases in by_place.items():
        _suite(root, place, [_case(place, name, rows) for name, rows in cases.items()])
    root.attrib |= {key: str(sum(int(suite.get(key, "0")) for suite in root)) for key in ("tests", "failures", "errors", "skipped")}
    for element in root.iter():
        element.text = for_page(element.text) if element.text else None
        element.attrib.update({name: for_page(value) for name, value in element.attrib.items()})
    ET.indent(root)
    text = INVALID_CHARACTERS.sub("\ufffd", ET.tostring(root, encoding="unicode"))
    return f"<?xml version='1.0' encoding='utf-8'?>\n{text}\n".encode()


def _suite(root: ET.Element, name: str, cases: Sequence[ET.Element]) -> None:
    tags = [child.tag for case in cases for child in case]
    elements = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    numbers = {key: str(tags.count(tag)) for key, tag in elements.items()}
    ET.SubElement(root, "testsuite", {"name": name, "tests": str(len(cases)), **numbers}).extend(cases)


def _case(place: str, name: str, rows: Sequence[GateRow]) -> ET.Element:
    """Return a case with the outcome of its worst figure; skipped if none was judged."""
    case = ET.Element("testcase", classname=place, name=name)
    verdicts = {row.verdict for row in rows}
    worst = next((verdict for verdict in TAGS if verdict in verdicts), None)
    if worst:
        _child(case, worst, [message(row, row.metric.replace("_", " ")) for row in rows if row.verdict == worst])
    elif verdicts == {GateVerdict.NOT_JUDGED}:
        ET.SubElement(case, "skipped", message="; ".join(dict.fromkeys(row.reason for row in rows)))
    return case


def _child(case: ET.Element, verdict: GateVerdict, messages: list[str]) -> None:
    ET.SubElement(case, TAGS[verdict], type=verdict, message=messages[0]).text = "\n".join(messages[:MOST])
