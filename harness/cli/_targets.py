"""The target of `harness load`: a scenario, or a URL, a file of requests or a locustfile that becomes one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness import options as converters
from harness.cli import _options, _runs
from harness.errors import UsageError
from harness.text import encode_json

if TYPE_CHECKING:
    from harness.discovery import LoadedScenario
    from harness.targets.building import RequestOptions
    from harness.targets.plan import HttpPlan, TargetPlan
    from harness.targets.source import FoundRequests

COMPARED = 2
MAX_COMPARED = 1_000


@dataclass(frozen=True)
class LoadTarget:
    """A scenario that is put under load."""

    loaded: LoadedScenario
    command: str
    """The command line that repeats the run, without secrets."""
    engines: list[str] | None = None
    """The engines of the record; None for that of the options."""
    verified_cases: int = COMPARED
    """Cases of each group whose answers the load worker compares."""
    requests: bytes | None = None
    """What identifies a target that is not a scenario file."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the target and the options of requests."""
    parser.add_argument(
        "target", metavar="TARGET", nargs="*", type=_target, help="scenario, URLs, file of requests or locustfile, as above"
    )
    requests = parser.add_argument_group("requests to URLs")
    _options.value(requests, "--method METHOD", str, "method of the request (default: GET, or POST with --body)")
    header = "header of every request; repeatable"
    requests.add_argument("--header", metavar="'NAME: VALUE'", action="append", default=[], help=header)
    _options.value(requests, "--body TEXT", str, "body of the request, or @FILE")
    values = "values for {NAME} in a URL: id=1..1000, id=7,12 or id=@FILE; repeatable"
    requests.add_argument("--values", metavar="NAME=VALUES", action="append", default=[], help=values)
    compared = f"requests of each group whose answers are compared before the load; 0 for none (default: {COMPARED})"
    _options.value(requests, "--compare COUNT", _compared, compared)
    _options.value(requests, "--ignore NAME[,NAME]", converters.names, "members of JSON bodies that are not compared")


def _target(text: str) -> str:
    from harness.targets import urls

    return text if urls.is_url(text) else converters.place(text)


def _compared(text: str) -> int:
    found = converters.count_or_zero(text)
    if found > MAX_COMPARED:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MAX_COMPARED}")
    return found


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[LoadTarget]:
    """Yield the scenario that is put under load, after the first contact with servers that run already; print remarks.

    Raises:
        UsageError: it cannot be used, a server is on another machine, or a server does not answer.
        ScenarioFailedError: servers answer differently.
    """
    from harness.cli._console import print_message
    from harness.runtime.workspace import workspace
    from harness.targets import plan as plans
    from harness.targets.loading import load

    plan = _planned(options)
    if plan is None:
        yield LoadTarget(_scenario(options), _runs.command())
        return
    for note in plan.notes:
        print_message(note)
    with workspace() as folder:
        loaded = load(plans.write(plan, folder))
        yield LoadTarget(loaded, _command(options), list(loaded.scenario.engines), 0, encode_json(plan))


def _scenario(options: argparse.Namespace) -> LoadedScenario:
    """Return the scenario that is named."""
    name = options.target[0]
    if given := _request_options(options).named + [n for n in ("--compare", "--ignore") if getattr(options, n[2:]) is not None]:
        raise UsageError(f"{given[0]} is for URLs and files of requests; leave it out for scenario {name}")
    if len(options.target) > 1 and not Path(name).exists():
        raise UsageError(f"no file {name!r}; name a file of requests, a HAR file, an OpenAPI document or a locustfile before URLs")
    if len(options.target) > 1:
        raise UsageError(f"{options.target[1]} follows scenario {name}; name one scenario, or URLs only")
    return _options.load_one(name, options.scenarios, options.timeout)


def _planned(options: argparse.Namespace) -> TargetPlan | None:
    """Return the plan for a target that is named; None for a scenario."""
    from harness.targets import building, locustfiles, urls

    first, more, requests = options.target[0], options.target[1:], _request_options(options)
    if not all(map(urls.is_url, more if not urls.is_url(first) and Path(first).is_file() else options.target)):
        if wrong := next((word for word in options.target if urls.lacks_scheme(word) and not Path(word).exists()), None):
            raise UsageError(f"{wrong} has no scheme; write http://{wrong}")
        return None
    if urls.is_url(first):
        plan, source = building.of_urls(options.target, requests), None
    elif locustfiles.is_locustfile(Path(first)):
        return _locust_plan(options)
    elif Path(first).suffix == ".py":
        return None
    else:
        plan, source = building.of_file(Path(first), more, requests)
    return _contacted(plan, source, options)


def _locust_plan(options: argparse.Namespace) -> TargetPlan:
    """Return the plan for a locustfile."""
    from harness.targets import locustfiles

    if given := [*_request_options(options).named, *(["--ignore"] if options.ignore else [])]:
        raise UsageError(f"{given[0]} is for URLs and files of requests; {options.target[0]} makes its own, so leave it out")
    tries = options.compare != 0
    return locustfiles.planned(Path(options.target[0]), options.target[1:], tries=tries, timeout_s=options.timeout)


def _contacted(plan: HttpPlan, source: FoundRequests | None, options: argparse.Namespace) -> HttpPlan:
    """Return the plan after the first contact, without made-up requests that the server refuses."""
    import asyncio

    from harness.network.addresses import refuse_remote
    from harness.targets import building
    from harness.targets.contact import first_contact
    from harness.targets.http_scenario import authority

    for arm in plan.arms.values():
        refuse_remote(f"http://{authority(arm.host, arm.port)}")
    compared = COMPARED if options.compare is None else options.compare
    contact = asyncio.run(first_contact(plan, compared, options.timeout, options.ignore or ()))
    return building.after_contact(plan, source, contact)


def _request_options(options: argparse.Namespace) -> RequestOptions:
    from harness.targets.building import RequestOptions

    return RequestOptions(options.method, options.header, options.body, options.values)


def _command(options: argparse.Namespace) -> str:
    """Return the command line without secrets."""
    from harness.redaction import redacted_command

    return redacted_command(_runs.command(), options.header, options.body, options.values)
