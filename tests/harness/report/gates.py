"""A gate's result with a row per verdict, for the tests of its reports."""

from dataclasses import replace

from harness.gate import verdict as verdict_of
from harness.results.gate import GateResult, GateRow, GateVerdict
from harness.results.run import RunWarning

HOSTILE = "x\x00\x1b[31m]]> <script>&\ud800\ufffe\r\n::error::boo | `a` %0A 日本語,:"


def row(verdict: str, kind: str = "work", **changes: object) -> GateRow:
    """Return one row."""
    values: dict[str, object] = {"base": 3.0, "candidate": 4.0, "change": 4 / 3}
    made: dict[str, object] = {
        "scenario": "indexes",
        "engine": "sqlite",
        "rtt_ms": 0.0,
        "arm": "optimised",
        "group": "prompts",
        "metric": "statements",
        "reason": f"because it is {verdict}",
    }
    return GateRow(kind=kind, verdict=verdict, **(made | values | changes))  # type: ignore[arg-type]


def result(verdict: GateVerdict = GateVerdict.REGRESSED, rows: list[GateRow] | None = None) -> GateResult:
    """Return a result with every kind of row."""
    everything = [
        row("regressed"),
        row("regressed", metric="vm_steps", base=10.0, candidate=31.0, change=3.1),
        row("improved", "memory", base=2e7, candidate=1e7, change=0.5, unit="bytes", metric="peak_memory"),
        row("not judged", "time", base=1e6, candidate=2e6, change=2.0, unit="ns", metric="time"),
        row("equal", group="other"),
        row("inconclusive", "time", scenario="loading", change=1.01, low=0.9, high=1.2, base=None, candidate=None, paired=True),
        row("not comparable", scenario="loading", metric="calls"),
        row("regressed", "status", scenario="caching", arm="", group="", metric="status", base=None, candidate=None, change=None),
    ]
    reasons, warnings = [RunWarning("settings", "size differs", "use the same")], [RunWarning("shift", "all slower", "run again")]
    return GateResult("old.json", "new", verdict, "something happened", everything if rows is None else rows, reasons, warnings)


def hostile(text: str = HOSTILE) -> GateResult:
    """Return a result in which every text is markup in XML, Markdown, a terminal or workflow commands."""
    names = dict.fromkeys(("scenario", "engine", "arm", "group", "metric", "reason"), text)
    rows = [row(verdict, **names) for verdict in ("regressed", "not judged", "improved", "inconclusive")]
    warning = RunWarning(text, text, text)
    return GateResult(text, text, GateVerdict.REGRESSED, text, rows, [warning], [warning])


def benchmark(verdict: str, number: int = 0, *, name: str = "", high: float | None = 1.07, seen: float = 0.05) -> GateRow:
    """Return a benchmark of a suite in two versions; an unchanged one was not timed."""
    group = name or f"test_parse[{number}-a long document with tables, lists and links]"
    made = GateRow("time", f"bench/test_{number % 2}.py", "pytest", 0.0, "", group, "time", "equivalent", "so it is", paired=True)  # type: ignore[arg-type]
    if verdict == "unchanged":
        return made
    return replace(made, verdict=GateVerdict(verdict), change=1.05, low=1.03, high=high, detectable=seen)


def suite(**numbers: int) -> GateResult:
    """Return the result on a suite with a number of benchmarks of each verdict."""
    verdicts = [verdict for verdict, number in numbers.items() for _ in range(number)]
    return verdict_of.result(("old", "new"), [benchmark(verdict, number) for number, verdict in enumerate(verdicts)])
