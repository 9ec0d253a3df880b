"""The request of a run: one Locust user class per scenario, the harness's options, and both as they are sent to workers."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import gevent
import msgspec
from locust import User, tag, task

from harness import options as converters
from harness.configuration import Configuration, configuration
from harness.discovery import LoadedScenario, load, load_unless_helper, refuse_namesakes, scenario_files
from harness.errors import HarnessError, UsageError
from harness.load import arrivals
from harness.load.environment import LoadEnvironment
from harness.load.protocol import LoadJob
from harness.network.addresses import LOOPBACK
from harness.results.load import LoadModel
from harness.results.run import RunSettings
from harness.runtime.child import encode_path
from harness.runtime.trial_import import try_import
from harness.runtime.watch import IMPORT_S
from harness.scenario import ANY_ENGINE
from harness.text import message_line

Converted = TypeVar("Converted")

ALL_ARMS, OWN = "all", "default"
_SHARE = converters.percent(1.0, zero=True, example="0.1%")

CLOSED_BLOCK_S, OPEN_BLOCK_S, OPEN_WARM_UP_S, DRAIN_S = 0.25, 1.0, 0.25, 10.0
"""Blocks are short, so that Locust's tables are updated often, and a short run includes every arm of every scenario."""

_files: dict[str, Path] = {}
"""Locust class name → scenario file, as `users` found them."""


def users(folder: Path) -> dict[str, type[User]]:
    """Return one Locust user class per scenario in `folder`, by name, for the globals of a locustfile.

    Each has one task per arm, tagged with the arm's name, so that Locust's class picker and tags choose among them. Exits with one
    line on standard error if a scenario cannot be loaded.

    Example:
        globals().update(users(Path(__file__).parent))
    """
    try:
        files = scenario_files(folder)
        refuse_namesakes([*_files.values(), *files])
        try_import(files, lambda file: load_unless_helper(file, ()), IMPORT_S)
        found = [loaded for file in files if (loaded := load_unless_helper(file, ()))]
    except HarnessError as error:
        sys.stderr.write(message_line(f"harness: {error}") + "\n")
        sys.exit(error.code)
    classes: dict[str, type[User]] = {}
    for scenario in found:
        name = "".join(part.title() for part in scenario.name.split("_"))
        if (other := _files.setdefault(name, scenario.file)) != scenario.file:
            sys.stderr.write(message_line(f"harness: {other} and {scenario.file} are both {name} in Locust; rename one") + "\n")
            sys.exit(UsageError.code)
        arms = {arm: _idle_task(arm) for arm in scenario.scenario.arms}
        module = {"__doc__": scenario.title, "__module__": __name__, "abstract": False}
        classes[name] = type(name, (User,), {**module, **arms})
    return classes


def _scenarios_of(names: Iterable[str]) -> list[LoadedScenario]:
    """Return the scenarios of Locust classes, without those of other locustfiles."""
    return [load(_files[name]) for name in names if name in _files]


def are_scenarios(classes: Iterable[type[User]]) -> bool:
    """Return whether all Locust classes are scenarios, and none is from another locustfile."""
    return all(each.__name__ in _files for each in classes)


def _idle_task(arm: str) -> Callable[[Any], None]:
    def sleep(_: Any) -> None:
        gevent.sleep(0.5)

    sleep.__name__ = arm
    sleep.__doc__ = f"Do nothing: the load worker's coroutine runs {arm}."
    return tag(arm)(task(sleep))


class RunRequest(msgspec.Struct, frozen=True):
    """The options of one run."""

    classes: list[str]
    """Names of Locust user classes."""
    settings: RunSettings
    load: LoadJob
    """The load of each load worker, without its files, settings and share."""
    allow_remote: bool
    workers: list[str]
    """Client ids of the Locust workers that share the load, in the order of their shares; empty with a single process."""
    run: int = 1
    """The number of the run within one Locust process, from 1."""

    @classmethod
    def of(
        cls, options: argparse.Namespace, classes: Sequence[str], users: int, workers: Sequence[str], run: int = 1
    ) -> RunRequest:
        """Read Locust's parsed options, also as the web UI submits them, which does not validate.

        In the open model the number of users, of all workers together, is the limit of in-flight operations.

        Raises:
            UsageError: an option has an invalid value, or no scenario or no arm of a scenario is selected.
        """
        rtt_ms, seed = _checked(converters.rtt_ms, "--rtt", options.rtt), _checked(converters.seed, "--seed", options.seed)
        schedule, block_s = _checked(rate, "--rate", options.rate), _checked(block, "--block", options.block)
        scenarios = _scenarios_of(classes)
        if not scenarios:
            raise UsageError("no scenario selected; name a class of `locust --list`, or none for all of them")
        own_duration_s = arrivals.parse(schedule).own_duration_s if schedule else None
        load = LoadJob(
            files=[],
            settings=[],
            block_s=block_s or own_duration_s or (OPEN_BLOCK_S if schedule else CLOSED_BLOCK_S),
            warm_up_s=OPEN_WARM_UP_S if schedule else 0.0,
            drain_s=float(options.stop_timeout) or DRAIN_S,
            model=LoadModel.OPEN if schedule else LoadModel.CLOSED,
            in_flight_limit=max(1, math.ceil(users / max(1, len(workers)))),
            timeout_s=_checked(converters.duration, "--timeout", options.timeout),
            error_tolerance=_checked(_SHARE, "--errors", options.errors),
            arms=sorted({arm for loaded in scenarios for arm in _selected_arms(loaded, options)}),
        )
        if schedule:
            load = msgspec.structs.replace(load, arrivals=schedule)
        settings = RunSettings(
            [] if options.engine == OWN else [options.engine], options.size, seed, [rtt_ms], quick=False, processes=1, budget_s=0.0
        )
        return cls(list(classes), settings, load, bool(options.allow_remote), list(workers), run)

    @property
    def scenarios(self) -> list[LoadedScenario]:
        """The scenarios of the classes, from this process's files."""
        return _scenarios_of(self.classes)

    def job(self, environment: LoadEnvironment, client: str) -> LoadJob:
        """Return the job of a client's load worker, or of the only one if there are no Locust workers."""
        index = self.workers.index(client) if self.workers else 0
        files, share = [encode_path(loaded.file) for loaded in self.scenarios], (index, max(1, len(self.workers)))
        digests = [loaded.digest for loaded in self.scenarios]
        return msgspec.structs.replace(self.load, files=files, digests=digests, settings=environment.settings(index), share=share)


def _selected_arms(loaded: LoadedScenario, options: argparse.Namespace) -> list[str]:
    """Return the arms that --arm, --tags and --exclude-tags select; an arm's tag is its name."""
    arms, tags, excluded = loaded.scenario.arms, options.tags or loaded.scenario.arms, options.exclude_tags or ()
    selected = [name for name in arms if options.arm in {ALL_ARMS, name} and name in tags and name not in excluded]
    if not selected:
        raise UsageError(f"{loaded.name}: --arm and tags select no arm; arms, which are also the tags: {', '.join(arms)}")
    return selected


def add_options(parser: Any, **_: Any) -> None:
    """Add the harness's options to Locust's; most of them are in the web UI's form, which only this machine reaches by default."""
    parser.set_defaults(web_host=LOOPBACK, master_bind_host=LOOPBACK)  # Locust's own are all interfaces
    found = _scenarios_of(_files)
    engines = sorted({engine for loaded in found for engine in loaded.scenario.engines if engine != ANY_ENGINE})
    arms = dict.fromkeys(arm for loaded in found for arm in loaded.scenario.arms)
    project = _configured()
    parser.add_argument("--size", default=project.size or "tiny", choices=list(converters.SIZES), help="size of the dataset")
    about = f"database engine; {OWN}: each scenario's first"
    parser.add_argument("--engine", default=project.engine or OWN, choices=[OWN, *engines], help=about)
    about = "the arm under load; with all, arms alternate in blocks"
    parser.add_argument("--arm", default=ALL_ARMS, choices=[ALL_ARMS, *arms], help=about)
    about = "in operations per second, all workers together (open model; users limit the operations in flight)"
    about = f"arrival schedule {about}: {arrivals.SYNTAX}; default: closed model with the given users"
    parser.add_argument("--rate", default="", type=rate, metavar="SCHEDULE", help=about)
    parser.add_argument("--block", default="", type=block, metavar="DURATION", help="measured time of one arm's block")
    parser.add_argument("--rtt", default="0", type=converters.rtt_ms, metavar="MS", help="round-trip time to the servers, in ms")
    parser.add_argument("--seed", default="0", type=converters.seed, metavar="SEED", help="seed of data, cases and order")
    parser.add_argument("--errors", default="0.1%", type=percentage, metavar="PERCENT", help="tolerated share of failed operations")
    parser.add_argument(
        "--timeout", default="60s", type=converters.duration, metavar="DURATION", help="longest time of one operation"
    )
    about = "allow servers on other machines"
    parser.add_argument("--allow-remote", action="store_true", default=False, include_in_web_ui=False, help=about)
    about = "folder of the run (default: runs/<UTC time>-<commit>-load)"
    parser.add_argument("--out", default="", metavar="DIR", include_in_web_ui=False, help=about)


def _configured() -> Configuration:
    """Return the project's settings; exit with one line on standard error if they cannot be used."""
    try:
        return configuration(Path.cwd())
    except HarnessError as error:
        sys.stderr.write(message_line(f"harness: {error}") + "\n")
        sys.exit(error.code)


def rate(text: str) -> str:
    """Return the text of an arrival schedule, or "", after validating it."""
    try:
        if text:
            arrivals.parse(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def percentage(text: str) -> str:
    """Return the text of a percentage, after validating it: as a number, 1 would be ambiguous."""
    _SHARE(text)
    return text


def block(text: str) -> float:
    """Return a block's duration in seconds; 0 for the default of the model."""
    return converters.duration_or_zero(text) if text else 0.0


def _checked(convert: Callable[[str], Converted], option: str, text: object) -> Converted:
    try:
        return convert(str(text))
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{option}: {error}") from error
