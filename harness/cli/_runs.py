"""Shared parts of the commands that measure: their options, and carrying out a run from its plan to its report."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import options as converters
from harness.cli import _options
from harness.errors import INTERRUPTED, MissingExtraError, UsageError
from harness.language import ENGLISH, current, using
from harness.redaction import redacted
from harness.results.run import Run, RunKind, RunSettings, ScenarioStatus
from harness.verdicts.unmeasured import unmeasured

if TYPE_CHECKING:
    from harness.discovery import LoadedScenario
    from harness.load.stored import StoredLoadLine
    from harness.results.resumable import ResumableRequest
    from harness.results.unfinished import UnfinishedRun


@dataclass(frozen=True)
class Budget:
    """The default budgets of a command: fresh processes, and seconds."""

    processes: int
    """Fresh processes per arm of a usual run."""
    each: float
    """Per scenario, engine and round-trip time, of a usual run."""
    at_least: float
    each_quick: float
    """The same of a quick run."""
    at_least_quick: float
    load: float = 0.0
    """In addition for a scenario with a load test, of a usual run."""

    @property
    def usual(self) -> str:
        """Describe the default of a usual run."""
        more = f", or {self.each:g}s per scenario, engine and round-trip time" if self.each else ""
        return f"{self.at_least:g}s{more}{f', and {self.load:g}s for a load test' if self.load else ''}"

    def seconds(self, trials: int, load_tests: int, *, quick: bool) -> float:
        """Return the budget of a number of trials: a scenario on one engine at one round-trip time is one."""
        if quick:
            return max(self.at_least_quick, self.each_quick * trials)
        return max(self.at_least, self.each * trials) + self.load * load_tests


PROCESSES_QUICK, PROCESSES_SEVERAL = 2, 3
"""Fresh processes per arm: of a quick run, and of a run on several engines or round-trip times."""


def arguments(parser: argparse.ArgumentParser, budget: Budget) -> None:
    """Declare the options of a run with this budget by default."""
    _options.setting(parser, size=None, engines=True, rtts=True)
    parser.add_argument("--quick", action="store_true", help="preview: tiny data, no slow groups, fewer processes, less time")
    processes = (
        f"fresh processes per arm (default: {budget.processes}; {PROCESSES_SEVERAL} with several engines or round-trip times); 0"
        " compares answers, counts work and measures memory, and times nothing"
    )
    _options.value(parser, "--processes COUNT", converters.count_or_zero, processes)
    whole = f"time for the whole run, report included; answers are compared whatever it is (default: {budget.usual})"
    _options.configured(parser, "--budget DURATION", converters.duration, whole, "budget", None)
    parser.add_argument("--profile", action="store_true", help="print where the time went: the phases of every scenario")
    _options.remote(parser)
    _options.timeout(parser)
    _options.output(parser)


def under_load(parser: argparse.ArgumentParser, suffix: str) -> None:
    """Declare the options of a run on one engine at one round-trip time; its new folder's name ends in `suffix`."""
    _options.setting(parser)
    _options.remote(parser)
    _options.output(parser, suffix)


def resumable(parser: argparse.ArgumentParser) -> None:
    """Declare `--resume`."""
    help_ = "complete the run in this folder, which was interrupted or killed; its options stay the same and need not be repeated"
    _options.value(parser, "--resume RUN", Path, help_)


def load_settings(options: argparse.Namespace, *, processes: int, budget_s: float) -> RunSettings:
    """Return the settings of a run under load: one engine, one round-trip time."""
    engines, rtts_ms = [options.engine] if options.engine else [], [options.rtt]
    return RunSettings(engines, options.size, options.seed, rtts_ms, quick=False, processes=processes, budget_s=budget_s)


def carry_out(loaded: Sequence[LoadedScenario], options: argparse.Namespace, budget: Budget, name: str = "", **more: Any) -> int:
    """Measure, write the report, print the result in short or with --all; return the exit code. `more` are fields of the plan.

    `name` is that of the command; empty of one whose runs cannot be resumed.
    """
    from harness.bench.outcome import StoredStep
    from harness.bench.session import RunPlan, RunSession
    from harness.cli._console import Progress, print_message, warn_of_removed_settings
    from harness.results import store
    from harness.results.unfinished import UnfinishedRun
    from harness.results.unfinished import request_of as stored_request

    places = max(1, len(options.engine)) * len(options.rtt)
    usual = PROCESSES_QUICK if options.quick else PROCESSES_SEVERAL if places > 1 else budget.processes
    settings = RunSettings(
        engines=options.engine,
        size=options.size or ("tiny" if options.quick else "small"),
        seed=options.seed,
        rtts_ms=options.rtt,
        quick=options.quick,
        processes=usual if options.processes is None else options.processes,
        budget_s=options.budget or 0.0,
    )
    is_resumed = bool(name and options.resume)
    out = options.resume if is_resumed else folder(options.out)
    stated = {"--size": settings.size, "--processes": str(settings.processes)}
    request = request_of(options, name, [each.file for each in loaded], stated)
    begun = options.begun if is_resumed else None
    review = store.read_review(loaded[0].file.parent)
    budget_of = None if options.budget else partial(budget.seconds, quick=options.quick)
    if is_resumed:
        before = stored_request(out)
        before.refuse_other(out, request)
        request = before
    plan = RunPlan(
        loaded,
        settings,
        out,
        request.command,
        review=review,
        timeout_s=options.timeout,
        budget_of=budget_of,
        unfinished=UnfinishedRun(out, request, StoredStep, is_resumed=is_resumed),
        started_at=begun.started_at if begun else "",
        **more,
    )
    warn_of_removed_settings()
    with Progress() as progress:
        record = RunSession(plan, progress).run()
    found = injected(record, plan.injected) if plan.injected else ""
    publish(record, out, options, in_full=options.all, more=found)
    if options.profile and not options.json:
        with using(options.lang):
            _print_profile(record)
    if reason := unmeasured(record):
        print_message(reason)
    if name and record.interrupted:
        print_message(go_on(name, out))
    return exit_code(record)


OF_THE_OUTPUT = {
    "run",
    "words",
    "resume",
    "begun",
    "out",
    "json",
    "lang",
    "all",
    "profile",
    "traceback",
    "allow_remote",
    "scenarios",
}
"""The options that a run's results do not depend on, by their names in the namespace."""


def go_on(name: str, out: Path) -> str:
    """Return the next step of a run that did not end by itself."""
    return f"complete it with: harness {name} --resume {shlex.quote(str(out))}"


SUBJECTS = ("scenario", "target")
"""The names in the namespace of what a command line measures."""
SECRETS = ("header", "body", "values")
"""The options that may hold secrets: they are not stored, and have to be repeated."""


def request_of(options: argparse.Namespace, name: str, files: Sequence[Path], more: Mapping[str, str]) -> ResumableRequest:
    """Return what a run is of, in which a command that resumes it must agree.

    `files` are those of its scenarios, and `more` is known of it besides, by name, such as the values of options that have none.
    """
    from harness.results.resumable import ResumableRequest
    from harness.runtime.cores import choose_cores
    from harness.runtime.machine import describe
    from harness.runtime.source_code import checkout_digest, digest, file_digest
    from harness.runtime.workspace import git_commit
    from harness.user_code import shown
    from harness.version import version

    secrets = {key: repr(vars(options)[key]) for key in SECRETS if vars(options).get(key)}
    stated = {key: value for key, value in vars(options).items() if key not in {*OF_THE_OUTPUT, *SUBJECTS, *secrets}}
    words = [] if secrets or any(redacted(word) != word for word in options.words) else list(options.words)
    machine = describe(choose_cores())
    identity = {
        "the commit": git_commit()[0] or "",
        **{f"the file {shown(file)}": file_digest(file) for file in files},
        "the uncommitted changes": checkout_digest(),
        **{f"--{key.replace('_', '-')}": _stated(value) for key, value in stated.items()},
        **{f"--{key}": f"a value that is not stored ({digest(value.encode())})" for key, value in secrets.items()},
        **more,
        **{key: machine[key] for key in ("python", "cpu", "cores")},
        "harness": version(),
    }
    return ResumableRequest(name, command(), words, identity)


def under_load_of(
    options: argparse.Namespace, name: str, out: Path, loaded: LoadedScenario, repeats: str, requests: bytes | None = None
) -> UnfinishedRun[StoredLoadLine]:
    """Return where a run under load stores its blocks or steps, those of a run that is resumed among them.

    `repeats` is the command line that repeats it; `requests` describe a target that is not a scenario file.

    UsageError: what is to be resumed is of another request.
    """
    from harness.load.stored import StoredLoadLine
    from harness.results.unfinished import UnfinishedRun
    from harness.results.unfinished import request_of as stored_request
    from harness.runtime.source_code import digest

    files, more = ([loaded.file], {}) if requests is None else ([], {"the requests to the servers": digest(requests)})
    request = replace(request_of(options, name, files, more), command=repeats)
    if options.resume is not None:
        before = stored_request(out)
        before.refuse_other(out, request)
        request = before
    return UnfinishedRun(out, request, StoredLoadLine, is_resumed=options.resume is not None)


def _stated(value: Any) -> str:
    """Return an option's value in words; empty for one that is not stated."""
    if isinstance(value, list):
        return ",".join(map(_stated, value))
    return f"{value:g}" if isinstance(value, float) else str(value) if value is not None and value is not False else ""


def resume(options: argparse.Namespace, name: str, declare: Callable[[argparse.ArgumentParser], None]) -> int | None:
    """Take the options of the run to be resumed where the command line states none; return the exit code of one that is complete.

    `name` is the command's, `declare` declares its options. UsageError if there is nothing to resume, or it is another command's.
    """
    from harness.results.store import read_run, run_file
    from harness.results.unfinished import can_be_resumed, request_of

    out: Path = options.resume.parent if options.resume.is_file() else options.resume
    options.resume = out
    if options.out is not None:
        raise UsageError("--resume RUN names the folder already; leave out --out")
    if not run_file(out).exists() and not can_be_resumed(out):
        raise UsageError(f"{out} has no run to resume; name the folder of one, or start it again without --resume")
    options.begun = read_run(out) if run_file(out).exists() else None  # it was killed before it wrote its record
    if options.begun is not None and options.begun.kind != (RunKind.PAIRS if name == "run" else RunKind.LOAD):
        raise UsageError(f"{out} is not a run of `harness {name}`; name the folder of one")
    if options.begun is not None and not options.begun.incomplete:
        return _already_complete(options.begun, out, options)
    before = request_of(out)
    if before.subject != name:
        step = f"use `harness {before.subject} --resume`" if before.arguments else f"start it again: {before.command}"
        raise UsageError(f"{out} is not a run of `harness {name}`; {step}")
    _take_stated(options, before, declare, out)
    return None


def _take_stated(
    options: argparse.Namespace, before: ResumableRequest, declare: Callable[[argparse.ArgumentParser], None], out: Path
) -> None:
    """Take the options of a run to be resumed where the command line states none."""
    stated, as_before = given(declare, options.words), argparse.ArgumentParser(add_help=False)
    declare(as_before)
    parsed = as_before.parse_known_args(before.arguments)[0]
    _options.resolve(parsed)
    if not before.arguments and not {*SUBJECTS} & stated:
        raise UsageError(f"{out}: its command line has secrets, which are not stored; repeat it with --resume: {before.command}")
    stated -= {subject for subject in {*SUBJECTS} & stated if _same_files(subject, options, parsed)}  # in the order of the run
    for key, value in vars(parsed).items():
        if key not in stated | OF_THE_OUTPUT or (key == "scenarios" and key not in stated):
            setattr(options, key, value)


def _same_files(subject: str, *parsed: argparse.Namespace) -> bool:
    from harness.discovery import find

    found = set()
    for each in parsed:
        named = getattr(each, subject) or []
        names = [named] if isinstance(named, str) else named
        try:
            found.add(frozenset(file.resolve() for file in find(names, each.scenarios)))
        except UsageError:  # URLs, or a file that is not there
            found.add(frozenset(map(Path, names)))
    return len(found) == 1


def _already_complete(record: Run, out: Path, options: argparse.Namespace) -> int:
    """Say that there is nothing to resume, and write the report; return the exit code that the run had."""
    from harness.cli._console import print_message

    print_message(f"{out} is complete; nothing was measured")
    publish(record, out, options, in_full=options.all)
    return exit_code(record)


def given(declare: Callable[[argparse.ArgumentParser], None], words: Sequence[str]) -> set[str]:
    """Return the names of the options that the words of a command state, and not leave to their defaults."""
    parser = argparse.ArgumentParser(add_help=False)
    declare(parser)
    for action in parser._actions:  # noqa: SLF001 - there is no public way to leave out the defaults
        action.default = argparse.SUPPRESS
    return set(vars(parser.parse_known_args(words)[0]))


def _print_profile(record: Run) -> None:
    from harness.cli._console import print_blocks
    from harness.report import profile
    from harness.report.blocks import Paragraph

    found = profile.table(record)
    print_blocks([found, Paragraph(profile.READ, quiet=True)] if found else [Paragraph("Nothing was measured.")])


def command() -> str:
    """Return the command line that repeats this run, but for secrets in its URLs."""
    return shlex.join(["harness", *map(redacted, sys.argv[1:])])


def publish(record: Run, out: Path, options: argparse.Namespace, *, in_full: bool = False, more: str = "") -> None:
    """Write the report into the run's folder; print the result, in short or `in_full`, `more`, and the report's path.

    The language is that of `--lang`; with `--json` the record is printed. Without the packages of the report, the result is printed
    and a line on standard error says how to get the report later.
    """
    from harness.cli._console import print_lines, print_message, show, status
    from harness.results.store import without_secrets
    from harness.runtime.signals import deferred

    record, report = without_secrets(record), ""
    try:
        with status("writing the report"), deferred():  # an interruption must not cost the report of what was measured
            from harness.report import html

            with using(options.lang):
                report = str(html.write(record, out))
    except MissingExtraError as reason:
        print_message(f"{reason}, then run: harness report {shlex.quote(str(out))}")
    with using(options.lang):
        show(record, "json" if options.json else "terminal", everything=in_full, more=everything(out))
    if not options.json:
        print_lines(*filter(None, (more, report)))


def everything(out: Path) -> str:
    """Return the command that prints everything about the run in a folder."""
    chosen = "" if (language := current()) == ENGLISH else f" --lang {language}"
    return f"harness report {shlex.quote(str(out))} --format terminal --all{chosen}"


def again_with_all(files: Collection[str] = (), flags: Collection[str] = ()) -> str:
    """Return the command line of this process with --all, without the options `files`, which have a value, and `flags`.

    Those are what is written in addition, which need not be written again. What follows `--` is not ours.
    """
    words, left_out = sys.argv[1:], {"--all", *flags}
    end = words.index("--") if "--" in words else len(words)
    kept, skip = list[str](), False
    for word in words[:end]:
        is_kept = not skip and word not in {*files, *left_out} and word.partition("=")[0] not in files
        skip = not skip and word in files
        kept += [word] * is_kept
    return shlex.join(["harness", *kept, "--all", *words[end:]])


def injected(record: Run, share: float) -> str:
    """Return in one line whether an injected slowdown was detected."""
    from harness.verdicts.controls import together

    tried = [p for result in record.scenarios for p in result.controls.injected]
    name = f"injected slowdown of {share:.2%}"
    if not tried:
        return f"{name}: not tested, because no scenario was timed with a control"
    over = together(tried)
    detected = over.low > 0 if over.low is not None else tried[0].found
    interval = f" [{over.low:+.2%}, {over.high:+.2%}]" if over.low is not None and over.high is not None else ""
    groups = f"{len(tried)} groups" if len(tried) > 1 else f"one group, {tried[0].group}"
    alone = sum(p.found for p in tried)
    verdict = "detected" if detected else "not detected"
    return f"{name}: {verdict}, measured {over.value:+.2%}{interval} over {groups}; significant alone in {alone} of {len(tried)}"


def folder(named: Path | None, suffix: str = "") -> Path:
    """Return the folder that a run is written to: the one named, or a new one below `runs`, its name ending in `suffix`."""
    from harness.results.unfinished import without_run
    from harness.runtime.clock import utc_now
    from harness.runtime.workspace import git_commit

    return without_run(named or Path("runs") / f"{utc_now():%Y%m%dT%H%M%SZ}-{git_commit()[0] or 'nocommit'}{suffix}")


def exit_code(record: Run, *, unfinished: bool = False) -> int:
    """Return the exit code of a finished run.

    It is 1 if a load worker crashed, else the lowest of its failed scenarios', else 3 if it is interrupted or unfinished, if it
    measured nothing, or if a load test is invalid or an arm does not sustain its load. In a run of pairs the latter leave promises
    unmeasured, and no more.
    """
    loads = [s.load for s in record.scenarios if s.load is not None]
    if any(load.lost_workers for load in loads):
        return 1
    failed = [s.exit_code for s in record.scenarios if s.status == ScenarioStatus.FAILED]
    invalid = record.kind == RunKind.LOAD and any(load.invalid or load.unsustained for load in loads)
    open_ended = record.interrupted or unfinished or invalid or unmeasured(record)
    return min(failed) if failed else INTERRUPTED if open_ended else 0
