"""A gate's result for GitHub Actions: annotations, which are workflow commands on a line each, and the job's summary."""

from __future__ import annotations

from harness.report.gate import change, figure, headline, markdown, shown
from harness.results.gate import GateResult, GateRow, GateVerdict

MOST = 10
"""So many annotations of each level a step may have; GitHub drops the rest without a word."""

LEVELS = {
    GateVerdict.REGRESSED: "error",
    GateVerdict.NOT_COMPARABLE: "error",
    GateVerdict.INCONCLUSIVE: "warning",
    GateVerdict.IMPROVED: "notice",
}
MOST_SUMMARY_BYTES = 1_000_000
"""A step's summary may have 1 MiB; a longer one is not shown at all."""


def commands(result: GateResult) -> list[str]:
    """Return `::error`, `::warning` and `::notice` commands, the worst first, no more of a level than GitHub shows."""
    level = {1: "error", 4: "error", 3: "warning"}.get(result.exit_code, "notice")
    lines = [(level, "harness gate", headline(result))]
    lines += [("error", f"not comparable: {d.name}", f"{d.message}; {d.remedy}") for d in result.incomparable]
    lines += [(LEVELS[row.verdict], f"{row.verdict}: {row.place}", _says(row)) for row in shown(result) if row.verdict in LEVELS]
    lines += [("warning", f"warning: {d.name}", f"{d.message}; {d.remedy}") for d in result.warnings]
    found = []
    for name in ("error", "warning", "notice"):
        of_level = [line for line in lines if line[0] == name]
        if len(of_level) > MOST:
            left = len(of_level) - MOST + 1
            of_level = [*of_level[: MOST - 1], (name, "harness gate", f"and {left} more; see the job's summary")]
        found += of_level
    return [_command(*line) for line in found]


def summary(result: GateResult) -> str:
    """Return Markdown for `$GITHUB_STEP_SUMMARY`, which ends with an empty line, so that what is appended begins afresh."""
    text = markdown(result)
    body = text.encode(errors="replace")
    if len(body) > MOST_SUMMARY_BYTES:
        kept = body[:MOST_SUMMARY_BYTES].decode(errors="ignore").rpartition("\n")[0]
        text = f"{kept}\n\n…cut here: the whole is longer than a summary may be\n"
    return text + "\n"


def _says(row: GateRow) -> str:
    values = f" {figure(row.base, row.unit)} → {figure(row.candidate, row.unit)} ({change(row)})" if row.base is not None else ""
    return f"{row.label}{values}: {row.reason}"


def _command(level: str, title: str, message: str) -> str:
    """Return a workflow command. What has a meaning in one is escaped as GitHub's own toolkit does; nothing can begin a new one."""
    return f"::{level} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    printable = "".join(c if c.isprintable() or c in "\r\n\t" else "\ufffd" for c in text)
    return printable.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
