"""Fail if the candidate does more work or is slower than the baseline.

BASE and CANDIDATE are runs: a run folder, its run.json, or a baseline of `harness baseline accept`. BASE may be REF:FILE, a file as
a commit has it, such as origin/main:baselines/main.json, which a pull request cannot edit; the tolerances are then those of that
commit. Work counts decide: one more statement is a regression (exit code 1), and only equal or less work passes (0). Times of
separate runs show large changes only.
Other data or versions, another load, and missing or renamed scenarios, arms or groups are not comparable (4). Of two result files
of another tool, more failed operations, a newly failed check, or a slower median, tail or mean beyond --drift are a regression, and
smaller changes are inconclusive (3). With --against, both versions are timed now, interleaved. The gate never writes a baseline.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from harness import options as converters
from harness.cli import _options, _runs, compare
from harness.configuration import configuration
from harness.errors import NotComparableError, UsageError
from harness.results.gate import GateResult, GateVerdict
from harness.results.run import RunKind, RunSettings
from harness.text import ERRORS

if TYPE_CHECKING:
    from harness.gate.against.checkout import Checkout
    from harness.gate.against.gate_folder import GateRequest
    from harness.gate.impact.proof import Impact
    from harness.gate.result_files import FileRules

SIDES = 2
PYTEST, SUFFIX = "pytest", "-gate"
"""The first argument of a suite's command, and the end of the name of a gate's folder."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    help_ = "two stored runs; with --against, the scenarios to time"
    parser.add_argument("files", nargs="*", metavar="BASE CANDIDATE", help=help_)
    compare.judging(parser, "scenarios or benchmarks")
    allowed = "pass although benchmarks, scenarios, arms or groups are missing in the candidate (default: not comparable)"
    parser.add_argument("--allow-missing", action="store_true", help=allowed)
    _options.value(parser, "--junit FILE", Path, "also write JUnit XML, for a test reporter")
    _options.value(parser, "--markdown FILE", str, "also write Markdown; - prints it instead of the table")
    _options.value(parser, "--html FILE", Path, "also write a page")
    parser.add_argument("--github", action="store_true", help="also print annotations for GitHub Actions and write the job summary")
    _options.json_output(parser, "print JSON instead of the table")
    _options.everything(parser)
    group = parser.add_argument_group(
        "timing against another version (with --against)",
        "Times [SCENARIO ...] (default: all), or -- pytest [ARGUMENT ...] for a project's own pytest-benchmark suite.",
    )
    against = "commit, branch or tag to time against, interleaved with this version"
    _options.value(group, "--against REF", str, against)
    margin = "smallest slowdown to detect; changes below half of it count as equal"
    _options.value(group, "--margin PERCENT", converters.percent(1.0), margin, "3%")
    budget = (
        "time for the whole gate; benchmarks that are decided leave earlier (default: by the number that is timed, at most 15m)"
    )
    _options.value(group, "--budget DURATION", converters.duration, budget)
    _options.value(
        group, "--out DIR", Path, f"folder for what was timed, and the results (default: runs/<UTC time>-<commit>{SUFFIX})"
    )
    resume = (
        "continue the gate that was interrupted, or whose budget was spent, in this folder; the rest of the command stays the same"
    )
    _options.value(group, "--resume DIR", Path, resume)
    every = "also time benchmarks that the change cannot have touched: what they execute and read is the same in both versions"
    group.add_argument("--time-all", action="store_true", help=every)
    explain = "time nothing; list what differs for the benchmarks of this name or pattern, or why they need not be timed"
    _options.value(group, "--explain BENCHMARK", str, explain)
    install = (
        "command that installs the old version's dependencies if they differ, run in its tree (default: pip installs what differs)"
    )
    _options.value(group, "--old-install CMD", str, install)
    _options.remote(group)
    _options.timeout(group)
    _options.setting(group, size="tiny", engines=True)
    _options.scenarios_folder(group)


def run(options: argparse.Namespace) -> int:
    """Judge, print and write, and return 0 passed, 1 regressed, 3 inconclusive or 4 not comparable."""
    if options.explain is not None:
        return _explain(options)
    if options.against is None and (options.resume or options.out):
        raise UsageError("--out and --resume are for versions that are timed: use --against REF, or leave them out")
    if options.against is not None:
        if options.drift is not None:
            raise UsageError("--drift is for result files: both versions are timed interleaved, see --margin; leave it out")
        return _publish(_timed_against(options), options)
    if len(options.files) != SIDES:
        raise UsageError(f"a gate needs two runs, BASE and CANDIDATE, not {len(options.files)}; name both, or use --against REF")
    base, candidate = options.files
    rules = compare.rules(options, allow_missing=options.allow_missing)
    from harness.gate import committed, stored_runs

    if not committed.is_committed(base):
        return _publish(gated(Path(base), Path(candidate), rules), options)
    with tempfile.TemporaryDirectory(prefix="harness-baseline-") as folder:
        try:
            found = committed.baseline(base, Path(folder))
        except NotComparableError as error:
            return _publish(stored_runs.refused(base, candidate, str(error)), options)
        return _publish(gated(found.file, Path(candidate), rules, names=(base, candidate), tolerances=found.tolerances), options)


def gated(
    base: Path,
    candidate: Path,
    rules: FileRules | None = None,
    *,
    names: tuple[str, str] | None = None,
    tolerances: Mapping[str, float] | None = None,
) -> GateResult:
    """Return the gate's result on two stored runs, or on two result files of the same other tool, by default rules.

    `names` are shown for the two, by default their paths. With `tolerances`, those of the baseline's project, the baseline's own
    decide, and not the candidate's. Files that cannot be compared are a result as well, `not comparable`, so that test reporters
    show it.
    """
    from harness import importers
    from harness.gate import result_files, stored_runs
    from harness.results import store

    allowed, runs = configuration(Path.cwd()).tolerances if tolerances is None else tolerances, []
    names = names or (str(base), str(candidate))
    rules = result_files.FileRules(allow_missing=False) if rules is None else rules
    try:
        for path, name in zip((base, candidate), names, strict=True):
            version = store.schema_of(path)
            if version not in {None, store.SCHEMA_VERSION}:  # not comparable rather than unreadable
                schemas = f"{name} has schema {version}, this harness compares schema {store.SCHEMA_VERSION}"
                return stored_runs.refused(*names, f"{schemas}; run it again and accept it as the new baseline")
            runs.append(importers.read(path))
            if runs[-1].kind == RunKind.COMPARISON:
                raise UsageError(f"{name} is a comparison; name the two files that it compares")
        if all(run.kind == RunKind.FILE for run in runs):
            found = result_files.side_by_side(importers.reading(base), importers.reading(candidate), rules).gate
            return replace(found, base=names[0], candidate=names[1])
        if rules.drift != result_files.FileRules.drift:
            raise UsageError("--drift is for result files of other tools: stored times of runs do not decide; leave it out")
        return stored_runs.gate(
            runs[0],
            runs[1],
            allowed,
            selection=rules.selection,
            errors=rules.errors,
            allow_missing=rules.allow_missing,
            by_baseline=tolerances is not None,
            names=names,
        )
    except NotComparableError as error:
        return stored_runs.refused(*names, str(error))


def _publish(result: GateResult, options: argparse.Namespace) -> int:
    """Print a result, write the other outputs, and return its exit code."""
    from harness.cli import _console
    from harness.report import gate, github, junit, markdown
    from harness.report.summaries import files
    from harness.results.store import without_secrets, write_bytes
    from harness.text import encode

    result = without_secrets(result)
    if options.junit:
        write_bytes(options.junit, junit.render(result))
    if options.markdown and options.markdown != "-":
        write_bytes(Path(options.markdown), encode(markdown.write(gate.full(result), markdown.MOST)))
    if options.html:
        from harness.report.html import gated  # needs the packages of the report

        gated.write(result, options.html)
    if options.json:
        _console.print_json(result)
    elif options.markdown == "-":
        _console.print_document(markdown.write(gate.full(result), markdown.MOST))
    elif options.all:
        _console.print_blocks(gate.brief(result))
    else:
        again = _runs.again_with_all(("--junit", "--markdown", "--html"), ("--github",))
        _console.print_blocks(files.gated(result, again, _console.width()))
    if options.github:
        _annotate(github.commands(result), github.summary(result), to_stderr=options.json or options.markdown == "-")
    return result.exit_code


def _annotate(commands: list[str], summary: str, *, to_stderr: bool) -> None:
    for line in commands:
        print(line, file=sys.stderr if to_stderr else sys.stdout)
    summary_file = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary_file:
        try:
            with Path(summary_file).open("a", encoding="utf-8", errors=ERRORS) as file:
                file.write(summary)
        except OSError as error:
            problem = f"cannot write the job summary {summary_file}: {error.strerror or error}"
            raise UsageError(f"{problem}; leave out --github") from error


def _explain(options: argparse.Namespace) -> int:
    """Print what differs for the benchmarks of `--explain`, timing none."""
    from harness.cli import _console
    from harness.gate.against import pytest_suites
    from harness.gate.against.checkout import checkout
    from harness.gate.against.environment import old_environment
    from harness.gate.impact.proof import explained
    from harness.gate.selection import Selection
    from harness.runtime.workspace import workspace

    if options.against is None:
        raise UsageError("--explain is about benchmarks of two versions: use --against REF --explain BENCHMARK")
    with _console.StatusLine() as report, workspace() as space, checkout(options.against, space) as trees:
        report("comparing the dependencies of both versions")
        with old_environment(trees, space, options.old_install or "", report) as old:
            if options.files[:1] == [PYTEST]:
                found = {"": pytest_suites.explain(old.trees, old.python, options.files[1:], space, report, options.timeout)}
            else:
                found = _explained_scenarios(options, old.trees, old.python, space, report)
    for warning in old.warnings:
        _console.print_lines(f"everything is timed: {warning.message}")
    labels = {f"{place}: {name}" if place else name: (place, name) for place in found for name in found[place].differences}
    names = {name for _, name in labels.values()}  # which may be given without the scenario
    wanted = options.explain
    chosen = Selection([wanted]).of([*labels, *names])
    for label, (place, name) in labels.items():
        if label in chosen or name in chosen:
            _console.print_lines(*explained(found[place], [name], place))
    return 0


def _explained_scenarios(
    options: argparse.Namespace, trees: Checkout, python: str, space: Path, report: Callable[[str], None]
) -> dict[str, Impact]:
    """Return what the change touches of the scenarios that the options select, by scenario."""
    from harness.gate.against import scenarios
    from harness.gate.against.budget import GateBudget

    files = _selected(options, trees)
    request = scenarios.CompareRequest(files, _settings(options), options.margin, {}, GateBudget(), timeout_s=options.timeout)
    return scenarios.explain(trees, python, request, space, report)


def _selected(options: argparse.Namespace, trees: Checkout) -> list[Path]:
    """Return the scenario files that the options select, relative to either tree."""
    files = _files(trees, options.files or ["all"], options.scenarios)
    chosen = set(compare.rules(options, allow_missing=True).selection.of((file.stem for file in files), "scenario"))
    return [file for file in files if file.stem in chosen]


def _settings(options: argparse.Namespace) -> RunSettings:
    """Return the settings with which scenarios of both versions run."""
    return RunSettings(options.engine, options.size, options.seed, [options.rtt], quick=False, processes=0, budget_s=0.0)


def _timed_against(options: argparse.Namespace) -> GateResult:
    """Time another version of the same code, interleaved with the version in this folder."""
    from harness.cli import _console
    from harness.gate import stored_runs
    from harness.gate.against import pytest_suites, scenarios
    from harness.gate.against.budget import GateBudget
    from harness.gate.against.checkout import checkout
    from harness.gate.against.environment import old_environment
    from harness.gate.against.gate_folder import GateFolder
    from harness.runtime.workspace import workspace

    budget = GateBudget(options.budget)
    if options.resume is not None and options.out is not None:
        raise UsageError("--resume DIR names the folder already; leave out --out")
    out = options.resume or options.out or _free(_runs.folder(None, SUFFIX))
    rules, tolerances = compare.rules(options, allow_missing=options.allow_missing), configuration(Path.cwd()).tolerances

    _console.warn_of_removed_settings()
    with ExitStack() as stack:
        report, space = stack.enter_context(_console.StatusLine()), stack.enter_context(workspace())
        trees = stack.enter_context(checkout(options.against, space))
        warnings = [*trees.warnings]
        try:
            files = None if options.files[:1] == [PYTEST] else _selected(options, trees)
            if files is None and (options.only or options.excluded):
                raise UsageError("--only and --except select scenarios; select tests with pytest's own options, such as -k")
            folder = GateFolder(out, _request(options, trees, files), is_resumed=options.resume is not None)
            budget.resume(folder.spent_s)
            report("comparing the dependencies of both versions")
            old = stack.enter_context(old_environment(trees, space, options.old_install or "", report))
            warnings += old.warnings
            time_all = options.time_all or old.is_assumed
            if files is None:
                suite = (old.trees, old.python, options.files[1:], space, options.margin, budget, folder, report, options.timeout)
                found = pytest_suites.compare(*suite, allow_missing=rules.allow_missing, time_all=time_all)
            else:
                request = scenarios.CompareRequest(files, _settings(options), options.margin, tolerances, budget, folder)
                others = {"allow_missing": rules.allow_missing, "timeout_s": options.timeout, "time_all": time_all}
                found = scenarios.compare(old.trees, old.python, replace(request, **others), space, report)
        except NotComparableError as error:  # a result as well, so that test reporters show it
            found = stored_runs.refused(*trees.names, str(error))
        except KeyboardInterrupt:
            found = _interrupted(trees.names, out)
        sentence = found.sentence
        if trees.same and not options.time_all and found.verdict == GateVerdict.EQUIVALENT:
            sentence = f"{' and '.join(trees.names)} are identical, so nothing was timed"
        found = replace(found, sentence=sentence, warnings=[*warnings, *found.warnings])
        _keep(found, out)
        return found


def _free(folder: Path) -> Path:
    """Return a folder that is not there yet: of this name, or with a number behind it, as names are of one second."""
    names = (folder.with_name(f"{folder.name}-{number}") for number in count(2))
    return folder if not folder.exists() else next(name for name in names if not name.exists())


def _interrupted(names: tuple[str, str], out: Path) -> GateResult:
    """Return the result of a gate that was interrupted before anything was compared."""
    from harness.gate.verdict import ended, result
    from harness.results.gate import status_row

    reason = "interrupted before anything was compared"
    return ended(result(names, [status_row("the gate", "", 0.0, GateVerdict.INCONCLUSIVE, reason)]), reason, out)


def _request(options: argparse.Namespace, trees: Checkout, files: Sequence[Path] | None) -> GateRequest:
    """Return what a gate that resumes this one must have in common with it."""
    from harness.gate.against.checkout import content_digest
    from harness.gate.against.gate_folder import GateRequest
    from harness.version import version

    compared = {
        "--margin": f"{options.margin:.3%}",
        "--time-all": options.time_all or "",
        "--allow-missing": options.allow_missing or "",
        "--old-install": options.old_install or "",
        "Python": sys.version.split()[0],
        "harness": version(),
    }
    if files is not None:
        data = {name: getattr(options, name) for name in ("engine", "size", "seed", "rtt")}
        compared |= {f"--{name}": value for name, value in data.items()}
    arguments = options.files if files is None else list(map(str, files))
    return GateRequest(trees.commit, content_digest(trees), arguments, {name: str(value) for name, value in compared.items()})


def _keep(found: GateResult, folder: Path) -> None:
    """Write every output of a result to the folder of its gate, and say on standard error where that is, and what took its time."""
    from harness.cli import _console
    from harness.report import gate, junit, markdown
    from harness.results.store import write_bytes
    from harness.text import encode, encode_json

    write_bytes(folder / "gate.json", encode_json(found))
    write_bytes(folder / "gate.xml", junit.render(found))
    write_bytes(folder / "gate.md", encode(markdown.write(gate.full(found), markdown.MOST)))
    with suppress(ModuleNotFoundError):  # the packages of the report need not be installed
        from harness.report.html import gated as page

        page.write(found, folder / "gate.html")
    where = f"results are in {folder}"
    if (timing := found.timing) is not None and timing.process_pairs:
        overhead_s = timing.total_s - timing.timed_s
        spent = (
            f"{timing.total_s:.0f} s in all, {timing.timed_s:.0f} s of them in timed slices of {timing.process_pairs} process pairs"
        )
        where = f"{spent}; overhead {overhead_s:.0f} s ({overhead_s / timing.total_s:.0%}); {where}"
    _console.print_message(where)


def _files(trees: Checkout, names: Sequence[str], folder: Path) -> list[Path]:
    """Return the scenario files that names mean in either tree, relative to its root, so that a removed one is noticed."""
    from harness.discovery import find, refuse_namesakes

    found: dict[Path, None] = {}
    for name in names:
        refusals = []
        for tree in (trees.new, trees.old):
            here = tree / _inside(trees, folder)
            known = name == "all" or (here / f"{name}.py").is_file()
            try:
                files = find([name if known else str(tree / _inside(trees, Path(name)))], here)
            except UsageError as error:
                refusals.append(error)
            else:
                found.update(dict.fromkeys(file.resolve().relative_to(tree.resolve()) for file in files))
        if len(refusals) == 2:  # noqa: PLR2004 - both trees
            find([name], trees.new / _inside(trees, folder))  # refuses an unknown name as it was written
            raise refusals[0]
    refuse_namesakes(trees.new / file for file in found)
    return sorted(found)


def _inside(trees: Checkout, path: Path) -> Path:
    """Return a path relative to the root of the trees."""
    whole = (trees.new / trees.inside / path).resolve()
    if not whole.is_relative_to(trees.new):
        raise UsageError(f"{path} is outside the repository {trees.new}, so it has no other version; name a path inside it")
    return whole.relative_to(trees.new)
