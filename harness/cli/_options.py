"""Options that several commands share, each declared once, and the scenarios that a command line names."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import options
from harness.configuration import Configuration, configuration
from harness.errors import UsageError
from harness.language import ENGLISH, languages
from harness.runtime.watch import IMPORT_S
from harness.suggestions import choose_from

if TYPE_CHECKING:
    from harness.discovery import LoadedScenario

Parser = argparse.ArgumentParser | argparse._ArgumentGroup  # noqa: SLF001 - argparse has no public name for what can hold options
FORMATS = ("html", "markdown", "terminal", "json")


def value(parser: Parser, form: str, convert: Callable[[str], Any], help_: str, default: str | None = None) -> None:
    """Add an option with a value; `form` is its flag and metavar, such as "--rtt MS".

    A default is written as on the command line, and is added to the help unless that names it in another way.
    """
    flag, metavar = form.split()
    shown = f" (default: {default})".replace("%", "%%") if default is not None and "(default: " not in help_ else ""
    parser.add_argument(flag, metavar=metavar, type=convert, default=default, help=help_ + shown)


def setting(parser: Parser, *, size: str | None = "small", engines: bool = False, rtts: bool = False) -> None:
    """Add `--engine`, `--size`, `--seed` and `--rtt`, `engines` and `rtts` take several; the command decides on no size."""
    known = ", ".join(options.known_engines())
    if engines:
        help_ = f"database engines: {known} or all (default: each scenario's first)"
        configured(parser, "--engine ENGINE[,ENGINE]", options.engines, help_, "engine", [])
    else:
        help_ = f"database engine: {known} (default: the scenario's first)"
        configured(parser, "--engine ENGINE", options.engine, help_, "engine", None)
    help_ = f"size of the dataset: {', '.join(options.SIZES)} (default: {size or 'small'})"
    configured(parser, "--size SIZE", options.size, help_, "size", size)
    value(parser, "--seed SEED", options.seed, "seed of the data, the cases and the order", "0")
    if rtts:
        value(parser, "--rtt MS[,MS]", options.rtts_ms, "round-trip times to the engine, in ms", "0")
    else:
        value(parser, "--rtt MS", options.rtt_ms, "round-trip time to the engine, in ms", "0")


def scenarios_folder(parser: Parser) -> None:
    """Add `--scenarios`."""
    configured(
        parser, "--scenarios DIR", options.path, "directory of scenario files (default: scenarios)", "scenarios", Path("scenarios")
    )


@dataclass(frozen=True)
class Configured:
    """The default of an option that `[tool.harness]` may set."""

    key: str
    """The key in `[tool.harness]`."""
    otherwise: Any
    """The default where the key is not set."""


def configured(parser: Parser, form: str, convert: Callable[[str], Any], help_: str, key: str, otherwise: Any) -> None:
    """Add an option whose default is a key of `[tool.harness]`, or else `otherwise`; `form` is its flag and metavar."""
    flag, metavar = form.split()
    parser.add_argument(flag, metavar=metavar, type=convert, default=Configured(key, otherwise), help=help_)


def resolve(found: argparse.Namespace) -> None:
    """Replace each default that the project may set by its value; UsageError if the project's settings cannot be used.

    A preview has its own size and budget.
    """
    defaults = {name: default for name, default in vars(found).items() if isinstance(default, Configured)}
    project = configuration(Path.cwd()) if defaults else Configuration()
    for name, default in defaults.items():
        if default.key == "scenarios":
            chosen: Any = project.folder("scenarios")
        elif default.key in {"size", "budget"} and getattr(found, "quick", False):
            chosen = None
        else:
            chosen = getattr(project, default.key)
        if chosen is None:
            chosen = default.otherwise
        elif isinstance(default.otherwise, list):
            chosen = [chosen]
        setattr(found, name, chosen)


def json_output(parser: Parser, help_: str = "print JSON") -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help=help_)


def output(parser: Parser, suffix: str = "") -> None:
    """Add the options for what a run writes and prints; the name of its new folder ends in `suffix`."""
    value(parser, "--out DIR", options.path, f"folder of the run (default: runs/<UTC time>-<commit>{suffix})")
    scenarios_folder(parser)
    language(parser)
    json_output(parser, "print the run as JSON instead of tables")


def everything(parser: Parser) -> None:
    """Add `--all`."""
    parser.add_argument("--all", action="store_true", help="print everything at the end, not the conclusion alone")


def timeout(parser: Parser) -> None:
    """Add `--timeout`."""
    value(parser, "--timeout DURATION", options.duration, "longest time of one operation", "60s")


class _AllowRemote(argparse.Action):
    """Permit other machines, in the processes of the command as well."""

    def __call__(self, *_: object) -> None:
        from harness.network.addresses import allow_remote

        allow_remote()


def remote(parser: Parser) -> None:
    """Declare the permission to use servers on other machines."""
    help_ = "allow servers on other machines, whose owners consent, to be measured and loaded"
    parser.add_argument("--allow-remote", action=_AllowRemote, nargs=0, help=help_)


def errors(parser: Parser) -> None:
    """Add `--errors`."""
    value(
        parser, "--errors PERCENT", options.percent(1.0, zero=True, example="0.1%"), "tolerated share of failed operations", "0.1%"
    )


def language(parser: Parser) -> None:
    """Add `--lang`."""
    known = languages()
    value(parser, "--lang LANG", options.language(known), f"language of the report: {', '.join(known)}", ENGLISH)


def selection(parser: Parser, noun: str) -> None:
    """Add `--only` and `--except`, each of which may be given several times; `noun` is what they select."""
    for flag, dest, help_ in (("--only", "only", "compare only"), ("--except", "excluded", "leave out")):
        text = f"{help_} {noun} with this name or glob pattern; repeatable"
        parser.add_argument(flag, dest=dest, metavar="PATTERN", action="append", default=[], help=text)


def report_format(parser: Parser, default: str) -> None:
    """Add `--format`, `--json` for short, and `--lang`."""
    formats = parser.add_mutually_exclusive_group()
    help_ = f"{', '.join(FORMATS)} (default: {default})"
    formats.add_argument("--format", default=default, choices=FORMATS, metavar="FORMAT", help=help_)
    formats.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    language(parser)


def load(names: Sequence[str], folder: Path, timeout_s: float = 0.0) -> list[LoadedScenario]:
    """Load the scenarios that were named; UsageError if one is unknown or cannot be used, or its import does not end.

    The import of each has `timeout_s` seconds, but at least IMPORT_S.
    """
    from harness.discovery import FIRST, find, load_unless_helper, refuse_same_names
    from harness.runtime.deadline import deadline
    from harness.runtime.trial_import import try_import

    timeout_s = max(IMPORT_S, timeout_s)

    def load_in_time(file: Path) -> LoadedScenario | None:
        with deadline(timeout_s, "its import", file=file.resolve()):
            return load_unless_helper(file, names)

    files = find(names, folder)
    try_import(files, load_in_time, timeout_s)
    found = [each for each in map(load_in_time, files) if each is not None]
    refuse_same_names(found)
    if not found:
        raise UsageError(f"no scenario in {folder if 'all' in names else ', '.join(map(str, names))}; {FIRST}")
    return found


def load_one(name: str, folder: Path, timeout_s: float = 0.0) -> LoadedScenario:
    """Load the one scenario that was named; UsageError if it is unknown or cannot be used, or there are several."""
    found = load([name], folder, timeout_s)
    if len(found) > 1:
        raise UsageError(f"{name} has several scenarios; choose one: {', '.join(loaded.name for loaded in found)}")
    return found[0]


def known_arms(loaded: LoadedScenario, named: Sequence[str] | None) -> list[str]:
    """Return the arms that were named, all of them for None; UsageError if the scenario has no such arm."""
    known = list(loaded.scenario.arms)
    unknown = [arm for arm in named or () if arm not in known]
    if unknown:
        raise UsageError(f"unknown arm {unknown[0]!r} of scenario {loaded.name}; {choose_from(unknown[0], known)}")
    return known if named is None else list(named)
