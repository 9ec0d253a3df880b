"""A gate's result for GitHub Actions: annotations, which are one workflow command per line, and the job's summary."""

from harness.report import markdown
from harness.report.gate import full, headline, message, shown
from harness.results.gate import GateResult, GateVerdict
from harness.results.names import shortened
from harness.text import printable, without_command

MOST = 10
"""The most annotations per level and step; GitHub drops the rest silently."""

LEVELS = {
    GateVerdict.REGRESSED: "error",
    GateVerdict.NOT_COMPARABLE: "error",
    GateVerdict.INCONCLUSIVE: "warning",
    GateVerdict.IMPROVED: "notice",
}
MOST_TEXT = 2_000
"""The most characters of an annotation."""


def commands(result: GateResult) -> list[str]:
    """Return `::error`, `::warning` and `::notice` commands, the worst first, at most as many per level as GitHub shows."""
    lines = [(LEVELS.get(result.verdict, "notice"), "harness gate", headline(result))]
    lines += [("error", f"not comparable: {d.name}", f"{d.message}; {d.remedy}") for d in result.incomparable]
    annotated = [row for row in shown(result) if row.verdict in LEVELS]
    lines += [(LEVELS[row.verdict], f"{row.verdict}: {shortened(row.place)}", message(row, row.label)) for row in annotated]
    lines += [("warning", f"warning: {d.name}", f"{d.message}; {d.remedy}") for d in result.warnings]
    found = []
    for name in ("error", "warning", "notice"):
        of_level = [line for line in lines if line[0] == name]
        if len(of_level) > MOST:
            of_level[MOST - 1 :] = [(name, "harness gate", f"and {len(of_level) - MOST + 1} more; see the job's summary")]
        titled = [
            (_escaped(shortened(title)).replace(":", "%3A").replace(",", "%2C"), shortened(text, MOST_TEXT))
            for _, title, text in of_level
        ]
        found += [f"::{name} title={title}::{_escaped(text)}" for title, text in titled]
    return found


def summary(result: GateResult) -> str:
    """Return Markdown for `$GITHUB_STEP_SUMMARY`; it ends with an empty line, so that more can be appended."""
    return markdown.write(full(result)) + "\n"


def _escaped(text: str) -> str:
    """Return a text escaped as GitHub's toolkit does, so that it cannot start another command; a log does not obey it either."""
    shown = "\n".join(map(without_command, printable(text).split("\n")))
    return shown.replace("%", "%25").replace("\n", "%0A")
