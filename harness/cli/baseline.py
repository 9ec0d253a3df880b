"""Save a run as the baseline for later gates.

`harness baseline accept RUN` copies a run's figures, without its raw samples, to baselines/NAME.json: a file to commit together
with the code. A run that failed, did not finish, was a preview (--quick) or has no figures is refused. So is a run that regressed
against the baseline that it would replace, unless --regressed-on-purpose gives a reason, which is saved. `harness baseline show`
lists the baselines. Only `accept` writes one.
"""

import argparse
import re
import shlex
from dataclasses import replace
from pathlib import Path

from harness.cli import _options, gate
from harness.errors import NotComparableError, ScenarioFailedError, UsageError
from harness.results.run import Run, RunKind, ScenarioStatus

NAME = "main"
ACCEPTED, REASON = "baseline accepted", "regressed on purpose"
"""What is added to the environment of a run that becomes a baseline."""
MAX_LISTED = 5


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the two actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=type(parser))
    for name, help_ in (("accept", "copy a run to baselines/NAME.json"), ("show", "list the baselines")):
        action = actions.add_parser(name, help=help_, description=f"{help_.capitalize()}.")
        if name == "accept":
            action.add_argument("run_path", metavar="RUN", type=Path, help="run folder or its run.json")
            as_ = f"name of the baseline (default: {NAME})"
            action.add_argument("--as", dest="name", default=NAME, type=_file_name, metavar="NAME", help=as_)
            reason = "accept a run that regressed; the reason is saved with it"
            _options.value(action, "--regressed-on-purpose REASON", _reason, reason)
        _options.value(action, "--folder DIR", Path, "folder of baselines", "baselines")


def run(options: argparse.Namespace) -> int:
    """Accept a run and return 0, 1 if it is refused as a regression or a failure; or list the baselines."""
    return _accept(options) if options.action == "accept" else _show(options.folder)


def _file_name(text: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid baseline name; use letters, digits, '-', '_' and '.'")
    return text


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("the reason is empty; write it for later readers of the baseline")
    return " ".join(text.split())


def _accept(options: argparse.Namespace) -> int:
    from harness.cli._console import print_lines
    from harness.results import store
    from harness.runtime.clock import utc_now

    found = store.read_run(options.run_path)
    _refuse_unfit(found, options.run_path)
    target: Path = options.folder / f"{options.name}.json"
    reason = options.regressed_on_purpose
    regressed = target.exists() and _regressed(target, options.run_path, reason)
    about = {ACCEPTED: f"{utc_now():%Y-%m-%dT%H:%M:%S+00:00}"} | ({REASON: reason} if regressed else {})
    environment = {k: v for k, v in found.environment.items() if k not in {ACCEPTED, REASON}} | about
    kept = replace(found, environment=environment, scenarios=[replace(r, samples_file=None) for r in found.scenarios])
    store.write_json(kept, target)
    print_lines(f"{target}: {_summary(kept)}")
    if found.dirty:
        print_lines("measured with uncommitted changes: commit them together with the baseline")
    return 0


def _refuse_unfit(found: Run, path: Path) -> None:
    """Refuse a run that later runs should not be compared with."""
    from harness.gate import stored_runs
    from harness.results.unfinished import can_be_resumed

    failed = [f"{r.name} on {r.engine}" if r.engine else r.name for r in found.scenarios if r.status == ScenarioStatus.FAILED]
    if failed:
        raise ScenarioFailedError(f"{path} cannot become a baseline: {', '.join(failed)} failed; fix it and run again")
    interrupted = any(r.status == ScenarioStatus.INTERRUPTED for r in found.scenarios)
    incomplete = found.incomplete or "was interrupted"
    again = f"complete it with: harness run --resume {shlex.quote(str(path))}" if can_be_resumed(path) else "run again"
    reasons = {
        f"it {incomplete}; {again}": interrupted or bool(found.incomplete),
        "it is a preview; run again without --quick": found.settings.quick,
        "it is a comparison; give the two files that it compares to `harness gate`": found.kind == RunKind.COMPARISON,
        "another tool measured it; give the file itself to `harness gate`": found.kind == RunKind.FILE,
    }
    for reason, applies in reasons.items():
        if applies:
            raise UsageError(f"{path} cannot become a baseline: {reason}")
    itself = stored_runs.gate(found, found)
    if itself.incomparable or not itself.rows:
        raise UsageError(f"{path} cannot become a baseline: {itself.sentence}; run scenarios that count or time something")


def _regressed(target: Path, path: Path, reason: str | None) -> bool:
    """Return whether a run regressed against the baseline that it replaces; refuse it in that case, unless there is a reason."""
    from harness.cli._console import print_lines
    from harness.report.gate import change, shown
    from harness.results import store
    from harness.results.gate import GateVerdict

    if store.schema_of(target) == store.SCHEMA_VERSION and store.read_run(target).kind == RunKind.COMPARISON:
        raise UsageError(f"{target} is a comparison and not a baseline; delete it, or choose another name with --as")
    result = gate.gated(target, path)
    if result.verdict == GateVerdict.NOT_COMPARABLE:
        print_lines(f"not comparable with the old baseline: {result.sentence}")
    if result.verdict != GateVerdict.REGRESSED:
        return False
    if reason is None:
        worse = [f"{row.place} · {row.label} {change(row).full}" for row in shown(result) if row.verdict == GateVerdict.REGRESSED]
        more = f" and {len(worse) - MAX_LISTED} more" if len(worse) > MAX_LISTED else ""
        raise ScenarioFailedError(
            f"{path} regressed against {target}: {'; '.join(worse[:MAX_LISTED])}{more}; fix it, "
            'or give the reason with --regressed-on-purpose "…"'
        )
    return True


def _show(folder: Path) -> int:
    from harness.cli._console import print_lines
    from harness.results import store

    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    for file in files:
        try:
            print_lines(f"{file}: {_summary(store.read_run(file))}")
        except UsageError as error:
            print_lines(f"{file}: cannot be read: {error}")
    if not files:
        raise NotComparableError(f"no baseline in {folder}; run `harness run`, then `harness baseline accept RUN`")
    return 0


def _summary(found: Run) -> str:
    counts = sum(len(r.work_counts) for r in found.scenarios)
    names = dict.fromkeys(r.name for r in found.scenarios)
    commit = f"commit {found.commit[:12]}{' with uncommitted changes' if found.dirty else ''}, " if found.commit else ""
    why = f"; {REASON}: {found.environment[REASON]}" if REASON in found.environment else ""
    on = f" on {', '.join(found.settings.engines)}" if found.settings.engines else ""
    return (
        f"{commit}measured {found.started_at}, {len(names)} scenario{'s' * (len(names) != 1)}{on}, {found.settings.size}, "
        f"seed {found.settings.seed}, {counts:,} work counts{why}"
    )
