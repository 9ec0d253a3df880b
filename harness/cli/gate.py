"""Fail if the candidate does more work or is slower than the baseline.

BASE and CANDIDATE are runs: a run folder, its run.json, or a baseline of `harness baseline accept`. Work counts decide: one more
statement is a regression (exit code 1), and only equal or less work passes (0). Times of separate runs show large changes only.
Other data or versions, another load, and missing or renamed scenarios, arms or groups are not comparable (4). Of two result files
of another tool, more failed operations, a newly failed check, or a slower median, tail or mean beyond --drift are a regression, and
smaller changes are inconclusive (3). With --against, both versions are timed now, interleaved. The gate never writes a baseline.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
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
    from harness.gate.result_files import FileRules

SIDES = 2
PYTEST = "pytest"
MIN_BUDGET_S, BENCHMARK_BUDGET_S = 30.0, 12.0
"""Seconds for timing by default: BENCHMARK_BUDGET_S per benchmark, but at least MIN_BUDGET_S."""


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
    budget = f"time for timing (default: {BENCHMARK_BUDGET_S:g}s per benchmark, at least {MIN_BUDGET_S:g}s)"
    _options.value(group, "--budget DURATION", converters.duration, budget)
    every = "also time benchmarks that the change cannot have touched: what they execute and read is the same in both versions"
    group.add_argument("--time-all", action="store_true", help=every)
    explain = "time nothing; list what differs for the benchmarks of this name or pattern, or why they need not be timed"
    _options.value(group, "--explain BENCHMARK", str, explain)
    _options.remote(group)
    _options.timeout(group)
    _options.setting(group, size="tiny", engines=True)
    _options.scenarios_folder(group)


def run(options: argparse.Namespace) -> int:
    """Judge, print and write, and return 0 passed, 1 regressed, 3 inconclusive or 4 not comparable."""
    if options.explain is not None:
        return _explain(options)
    if options.against is not None:
        if options.drift is not None:
            raise UsageError("--drift is for result files: both versions are timed interleaved, see --margin; leave it out")
        return _publish(_timed_against(options), options)
    if len(options.files) != SIDES:
        raise UsageError(f"a gate needs two runs, BASE and CANDIDATE, not {len(options.files)}; name both, or use --against REF")
    base, candidate = (Path(name) for name in options.files)
    return _publish(gated(base, candidate, compare.rules(options, allow_missing=options.allow_missing)), options)


def gated(base: Path, candidate: Path, rules: FileRules | None = None) -> GateResult:
    """Return the gate's result on two stored runs, or on two result files of the same other tool, by default rules.

    Files that cannot be compared are a result as well, `not comparable`, so that test reporters show it.
    """
    from harness import importers
    from harness.gate import result_files, stored_runs
    from harness.results import store

    allowed, runs, names = configuration(Path.cwd()).tolerances, [], (str(base), str(candidate))
    rules = result_files.FileRules(allow_missing=False) if rules is None else rules
    try:
        for path in (base, candidate):
            version = store.schema_of(path)
            if version not in {None, store.SCHEMA_VERSION}:  # not comparable rather than unreadable
                schemas = f"{path} has schema {version}, this harness compares schema {store.SCHEMA_VERSION}"
                return stored_runs.refused(*names, f"{schemas}; run it again and accept it as the new baseline")
            runs.append(importers.read(path))
            if runs[-1].kind == RunKind.COMPARISON:
                raise UsageError(f"{path} is a comparison; name the two files that it compares")
        if all(run.kind == RunKind.FILE for run in runs):
            return result_files.side_by_side(importers.reading(base), importers.reading(candidate), rules).gate
        if rules.drift != result_files.FileRules.drift:
            raise UsageError("--drift is for result files of other tools: stored times of runs do not decide; leave it out")
        return stored_runs.gate(
            runs[0],
            runs[1],
            allowed,
            selection=rules.selection,
            errors=rules.errors,
            allow_missing=rules.allow_missing,
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
        _console.print_blocks(files.gated(result, _runs.again_with_all(), _console.width()))
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
    from harness.gate.against.checkout import checkout, interpreter
    from harness.gate.impact.proof import explained
    from harness.gate.selection import Selection
    from harness.runtime.workspace import workspace

    if options.against is None or options.files[:1] != [PYTEST]:
        raise UsageError("--explain is about benchmarks of two versions: use --against REF --explain BENCHMARK -- pytest …")
    with _console.StatusLine() as report, workspace() as space, checkout(options.against, space) as trees:
        report("comparing the dependencies of both versions")
        python = interpreter(trees, space)
        found = pytest_suites.explain(trees, python, options.files[1:], space, report, options.timeout)
    _console.print_lines(*explained(found, Selection([options.explain]).of(found.differences)))
    return 0


def _timed_against(options: argparse.Namespace) -> GateResult:
    """Time another version of the same code, interleaved with the version in this folder."""
    from harness.cli import _console
    from harness.gate import stored_runs
    from harness.gate.against import pytest_suites, scenarios
    from harness.gate.against.checkout import checkout, interpreter
    from harness.runtime.workspace import workspace

    rules, tolerances = compare.rules(options, allow_missing=options.allow_missing), configuration(Path.cwd()).tolerances

    def budget_s(benchmarks: int) -> float:
        seconds: float | None = options.budget
        return max(MIN_BUDGET_S, BENCHMARK_BUDGET_S * benchmarks) if seconds is None else seconds

    _console.warn_of_removed_settings()
    with _console.StatusLine() as report, workspace() as space, checkout(options.against, space) as trees:
        try:
            request = None
            if options.files[:1] != [PYTEST]:
                rtts_ms = [options.rtt]
                settings = RunSettings(options.engine, options.size, options.seed, rtts_ms, quick=False, processes=0, budget_s=0.0)
                files = _files(trees, options.files or ["all"], options.scenarios)
                selected = set(rules.selection.of((file.stem for file in files), "scenario"))
                files = [file for file in files if file.stem in selected]
                request = scenarios.CompareRequest(
                    files, settings, options.margin, tolerances, budget_s, rules.allow_missing, options.timeout, options.time_all
                )
            elif options.only or options.excluded:
                raise UsageError("--only and --except select scenarios; select tests with pytest's own options, such as -k")
            report("comparing the dependencies of both versions")
            python = interpreter(trees, space)
            if request is not None:
                found = scenarios.compare(trees, python, request, space, report)
            else:
                suite = (trees, python, options.files[1:], space, options.margin, budget_s, report, options.timeout)
                found = pytest_suites.compare(*suite, allow_missing=rules.allow_missing, time_all=options.time_all)
        except NotComparableError as error:  # a result as well, so that test reporters show it
            found = stored_runs.refused(*trees.names, str(error))
        sentence = found.sentence
        if trees.same and not options.time_all and found.verdict == GateVerdict.EQUIVALENT:
            sentence = f"{' and '.join(trees.names)} are identical, so nothing was timed"
        return replace(found, sentence=sentence, warnings=[*trees.warnings, *found.warnings])


def _files(trees: Checkout, names: Sequence[str], folder: Path) -> list[Path]:
    """Return the scenario files that names mean in either tree, relative to its root, so that a removed one is noticed."""
    from harness.discovery import find

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
    return sorted(found)


def _inside(trees: Checkout, path: Path) -> Path:
    """Return a path relative to the root of the trees."""
    whole = (trees.new / trees.inside / path).resolve()
    if not whole.is_relative_to(trees.new):
        raise UsageError(f"{path} is outside the repository {trees.new}, so it has no other version; name a path inside it")
    return whole.relative_to(trees.new)
