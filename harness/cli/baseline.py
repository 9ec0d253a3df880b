"""Keep a run as what later ones are compared with, or show which are kept.

`harness baseline accept RUN` copies a run's figures, without its raw samples, to baselines/NAME.json: a file to commit, beside the
code whose work it counts. A run that failed, was stopped, was a first look (--quick) or has no figures is refused, and so is one
that does more work than the baseline in its place, unless a reason is given, which is kept in it.
`harness baseline show` lists the baselines there are. Only `accept` ever writes one.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import _gating
from harness.errors import NotComparableError, ScenarioFailedError, UsageError
from harness.results.gate import GateVerdict

if TYPE_CHECKING:
    from harness.results.run import Run

FOLDER = Path("baselines")
NAME = "main"
ACCEPTED, REASON = "baseline accepted", "regressed on purpose"
"""What is added to the environment of a run that becomes a baseline."""

MOST_TOLD = 5


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the two actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=type(parser))
    accept = actions.add_parser(
        "accept", help="copy a run to baselines/NAME.json", description="Copy a run to baselines/NAME.json."
    )
    accept.add_argument("run_path", metavar="RUN", type=Path, help="a run folder or its run.json")
    accept.add_argument("--as", dest="name", default=NAME, metavar="NAME", help=f"name of the baseline (default: {NAME})")
    accept.add_argument(
        "--regressed-on-purpose",
        metavar="REASON",
        help="accept a run that regressed, for this reason, which is kept in the baseline",
    )
    show = actions.add_parser("show", help="list the baselines there are", description="List the baselines there are.")
    for action in (accept, show):
        action.add_argument("--folder", type=Path, default=FOLDER, metavar="DIR", help=f"where they are kept (default: {FOLDER})")


def run(options: argparse.Namespace) -> int:
    """Accept a run and return 0, 1 if it is refused as a regression or a failure; or show the baselines."""
    return _accept(options) if options.action == "accept" else _show(options.folder)


def _accept(options: argparse.Namespace) -> int:
    from harness.results import store as run_file  # noqa: PLC0415 - keeps `--help` quick
    from harness.runtime.clock import utc_now  # noqa: PLC0415 - keeps `--help` quick

    if not re.fullmatch(r"\w[\w.-]*", options.name):
        raise UsageError(f"--as {options.name!r} is no name of a file; use letters, digits, '-', '_' and '.'")
    reason = options.regressed_on_purpose
    if reason is not None and not reason.strip():
        raise UsageError("--regressed-on-purpose wants the reason, for those who read the baseline later")
    found = run_file.read_run(options.run_path)
    _refuse_unfit(found, options.run_path)
    target: Path = options.folder / f"{options.name}.json"
    regressed = target.exists() and _regressed(target, options.run_path, reason)
    about = {ACCEPTED: f"{utc_now():%Y-%m-%dT%H:%M:%S+00:00}"} | ({REASON: " ".join(reason.split())} if regressed else {})
    environment = {k: v for k, v in found.environment.items() if k not in {ACCEPTED, REASON}} | about
    kept = replace(found, environment=environment, scenarios=[replace(r, samples_file=None) for r in found.scenarios])
    run_file.write_json(kept, target)
    print(f"{target}: {_summary(kept)}")
    if found.dirty:
        print("it was measured with uncommitted changes: commit them together with it")
    return 0


def _refuse_unfit(found: Run, path: Path) -> None:
    """Refuse what nothing should be compared with."""
    from harness.gate import stored_runs as gate  # noqa: PLC0415 - keeps `--help` quick

    failed = [f"{r.name} on {r.engine}" for r in found.scenarios if r.status == "failed"]
    if failed:
        raise ScenarioFailedError(f"{path} is no baseline: {', '.join(failed)} failed; mend that, and measure again")
    if found.interrupted or any(r.status == "interrupted" for r in found.scenarios):
        raise UsageError(f"{path} is no baseline: it was stopped before its end; measure again")
    if found.settings.quick:
        raise UsageError(f"{path} is no baseline: it is a first look; measure again without --quick")
    if found.kind not in {"pairs", "load"}:
        raise UsageError(f"{path} is no baseline: this harness did not measure it; keep such a file as it is, the gate reads it")
    itself = gate.gate(found, found)
    if itself.incomparable or not itself.rows:
        raise UsageError(f"{path} is no baseline: {itself.sentence}; measure scenarios that count or time something")


def _regressed(target: Path, path: Path, reason: str | None) -> bool:
    """Return whether a run regressed against the baseline in whose place it comes; refuse it then, unless there is a reason."""
    from harness.report.gate import change, shown  # noqa: PLC0415 - keeps `--help` quick

    result = _gating.gated(target, path)
    if result.verdict == GateVerdict.NOT_COMPARABLE:
        print(f"not comparable with the old one: {result.sentence}")
    if result.verdict != GateVerdict.REGRESSED:
        return False
    if reason is None:
        worse = [f"{row.place} · {row.label} {change(row)}" for row in shown(result) if row.verdict == GateVerdict.REGRESSED]
        more = f" and {len(worse) - MOST_TOLD} more" if len(worse) > MOST_TOLD else ""
        raise ScenarioFailedError(
            f"{path} regressed against {target}: {'; '.join(worse[:MOST_TOLD])}{more}; mend it, "
            'or give the reason: --regressed-on-purpose "…"'
        )
    return True


def _show(folder: Path) -> int:
    from harness.results import store as run_file  # noqa: PLC0415 - keeps `--help` quick

    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    for file in files:
        try:
            print(f"{file}: {_summary(run_file.read_run(file))}")
        except UsageError as error:
            print(f"{file}: cannot be read: {error}")
    if not files:
        raise NotComparableError(f"no baseline in {folder}; measure, and keep the run: harness baseline accept RUN")
    return 0


def _summary(found: Run) -> str:
    counts = sum(len(r.work_counts) for r in found.scenarios)
    names = dict.fromkeys(r.name for r in found.scenarios)
    commit = f"commit {found.commit[:12]}{' with uncommitted changes' if found.dirty else ''}, " if found.commit else ""
    why = f"; {REASON}: {found.environment[REASON]}" if REASON in found.environment else ""
    engines = ", ".join(found.settings.engines)
    return (
        f"{commit}measured {found.started_at}, {len(names)} scenario{'s' * (len(names) != 1)} on {engines}, {found.settings.size}, "
        f"seed {found.settings.seed}, {counts:,} counts{why}"
    )
