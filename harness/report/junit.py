"""A gate's result as JUnit XML: a suite per scenario, engine and RTT, a case per arm, group and kind of figure.

A regression is a failure. A figure that is not comparable or inconclusive is an error: it must not look like a pass. A figure that
is not judged, such as a stored time within the drift, is skipped, with its reason. The suite "gate" has the overall verdict, so
that a test reporter fails whenever the exit code is not 0.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from harness.report.gate import change, figure
from harness.results.gate import OWN_FIGURE, GateResult, GateRow, GateVerdict, RowKind

INVALID_CHARACTERS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 forbids (section 2.2): control characters, half surrogate pairs, and two noncharacters."""

KINDS = {RowKind.WORK: "work counts", RowKind.MEMORY: "memory", RowKind.TIME: "time", RowKind.STATUS: "runs"}
MOST = 50
"""The most figures of a case that are listed."""


def render(result: GateResult) -> bytes:
    """Return the document in UTF-8. Characters that XML forbids become U+FFFD."""
    root = ET.Element("testsuites", name="harness gate")
    _suite(root, "gate", [_verdict(result), *(_incomparable(d.name, f"{d.message}; {d.remedy}") for d in result.incomparable)])
    by_place: dict[str, dict[str, list[GateRow]]] = defaultdict(lambda: defaultdict(list))
    for row in result.rows:
        by_place[row.place][_name(row)].append(row)
    for place, cases in by_place.items():
        _suite(root, place, [_case(place, name, rows) for name, rows in cases.items()])
    totals = {key: str(sum(int(suite.get(key, "0")) for suite in root)) for key in ("tests", "failures", "errors", "skipped")}
    root.attrib.update(totals)
    ET.indent(root)
    body: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return body + b"\n"


def _name(row: GateRow) -> str:
    group = row.group or (OWN_FIGURE if row.kind != RowKind.STATUS and row.arm else "")
    return " · ".join(part for part in (row.arm, group, KINDS.get(row.kind, row.kind)) if part)


def _suite(root: ET.Element, name: str, cases: Sequence[ET.Element]) -> None:
    tags = [child.tag for case in cases for child in case]
    numbers = {"failures": tags.count("failure"), "errors": tags.count("error"), "skipped": tags.count("skipped")}
    suite = ET.SubElement(root, "testsuite", name=_text(name), tests=str(len(cases)))
    suite.attrib.update({key: str(number) for key, number in numbers.items()})
    suite.extend(cases)


def _case(place: str, name: str, rows: Sequence[GateRow]) -> ET.Element:
    """Return a case with the outcome of its worst figure; skipped if none was judged."""
    case = ET.Element("testcase", classname=_text(place), name=_text(name))
    for verdict, tag in (
        (GateVerdict.REGRESSED, "failure"),
        (GateVerdict.NOT_COMPARABLE, "error"),
        (GateVerdict.INCONCLUSIVE, "error"),
    ):
        found = [row for row in rows if row.verdict == verdict]
        if found:
            _child(case, tag, verdict, _message(found[0]), "\n".join(_message(row) for row in found[:MOST]))
            return case
    if all(row.verdict == GateVerdict.NOT_JUDGED for row in rows):
        ET.SubElement(case, "skipped", message=_text("; ".join(dict.fromkeys(row.reason for row in rows))))
    return case


def _message(row: GateRow) -> str:
    values = (
        f" {figure(row.base, row.unit)} → {figure(row.candidate, row.unit)} ({change(row)})" if row.kind != RowKind.STATUS else ""
    )
    return f"{row.metric.replace('_', ' ')}{values}: {row.reason}"


def _verdict(result: GateResult) -> ET.Element:
    case = ET.Element("testcase", classname="gate", name="verdict")
    if result.exit_code:
        _child(
            case,
            "failure" if result.verdict == GateVerdict.REGRESSED else "error",
            result.verdict,
            result.sentence,
            result.sentence,
        )
    return case


def _incomparable(name: str, message: str) -> ET.Element:
    case = ET.Element("testcase", classname="gate", name=_text(name))
    _child(case, "error", GateVerdict.NOT_COMPARABLE, message, message)
    return case


def _child(case: ET.Element, tag: str, kind: str, message: str, text: str) -> None:
    ET.SubElement(case, tag, type=kind, message=_text(message)).text = _text(text)


def _text(value: str) -> str:
    return INVALID_CHARACTERS.sub("\ufffd", value)
