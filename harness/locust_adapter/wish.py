"""What a person asked for with Locust's options and ours, as it goes from the master to its workers."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from harness.discovery import LoadedScenario
from harness.errors import UsageError
from harness.load import arrivals
from harness.load.protocol import LoadJob
from harness.locust_adapter.classes import ALL_ARMS, chosen_arms, everything, named
from harness.options import SIZES
from harness.scenario import Setting

CLOSED_BLOCK_S, OPEN_BLOCK_S, OPEN_WARM_UP_S, DRAIN_S = 0.25, 1.0, 0.25, 10.0
"""Short blocks, so that Locust's tables move, and every arm of every scenario has its turn in a short run."""

MAX_SEED = 2**63


class RunRequest(msgspec.Struct, frozen=True):
    """A run as it was asked for.

    `classes` are Locust's, `users` all users together. `workers` are the client ids of those that share the load, in the order of
    their places; none where there is one process. `rate` is a plan of arrivals, "" for the closed model. `block_s` 0 leaves a
    block's length to the model. `run` counts the runs of one Locust.
    """

    classes: list[str]
    size: str
    engine: str
    rtt_ms: float
    seed: int
    arm: str
    tags: list[str]
    without_tags: list[str]
    rate: str
    block_s: float
    drain_s: float
    allow_remote: bool
    users: int
    workers: list[str]
    run: int = 1

    @classmethod
    def of(
        cls, options: argparse.Namespace, classes: Sequence[str], users: int, workers: Sequence[str], run: int = 1
    ) -> RunRequest:
        """Read Locust's options, also as the web UI fills them in, which checks nothing.

        Raises:
            UsageError: one cannot be used.
        """
        return cls(
            classes=list(classes),
            size=options.size,
            engine=options.engine,
            rtt_ms=float(_usable(rtt, "--rtt", options.rtt)),
            seed=int(_usable(seed, "--seed", options.seed)),
            arm=options.arm,
            tags=list(options.tags or ()),
            without_tags=list(options.exclude_tags or ()),
            rate=_usable(rate, "--rate", options.rate),
            block_s=float(_usable(block, "--block", options.block) or 0),
            drain_s=float(options.stop_timeout) or DRAIN_S,
            allow_remote=bool(options.allow_remote),
            users=users,
            workers=list(workers),
            run=run,
        )

    @property
    def scenarios(self) -> list[LoadedScenario]:
        """The scenarios of the classes.

        Raises:
            UsageError: there are none.
        """
        found = named(self.classes)
        if not found:
            raise UsageError("no scenario is chosen; name a class of `locust --list`, or none for all of them")
        return found

    def job(self, settings: Callable[[int], list[Setting]], client: str = "") -> LoadJob:
        """Return what one engine process does; `settings` gives a place's. Users limit what is in flight in the open model.

        Raises:
            UsageError: no arm is left of a scenario, or this worker is none of those that share the load.
        """
        place, of = (self.workers.index(client), len(self.workers)) if self.workers else (0, 1)
        arms = {name for s in self.scenarios for name in chosen_arms(s, self.arm, self.tags, self.without_tags)}
        own_s = arrivals.parse(self.rate).own_duration_s if self.rate else None
        return LoadJob(
            files=[str(loaded.file) for loaded in self.scenarios],
            settings=settings(place),
            block_s=self.block_s or own_s or (OPEN_BLOCK_S if self.rate else CLOSED_BLOCK_S),
            warm_up_s=OPEN_WARM_UP_S if self.rate else 0.0,
            drain_s=self.drain_s,
            model="open" if self.rate else "closed",
            arrivals=self.rate or LoadJob([], [], 0.0).arrivals,
            share=(place, of),
            in_flight_limit=max(1, math.ceil(self.users / of)),
            arms=sorted(arms),
        )


def add_options(parser: Any) -> None:
    """Add ours to Locust's options; those for a person are in the web UI's form as well."""
    found = everything()
    engines = sorted({engine for loaded in found for engine in loaded.scenario.engines} | {"sqlite"})
    arms = dict.fromkeys(arm for loaded in found for arm in loaded.scenario.arms)
    parser.add_argument("--size", default="tiny", choices=list(SIZES), help="how much data")
    parser.add_argument("--engine", default="sqlite", choices=engines, help="database engine")
    parser.add_argument("--arm", default=ALL_ARMS, choices=[ALL_ARMS, *arms], help="the arm that takes the load; all take turns")
    parser.add_argument(
        "--rate",
        default="",
        type=rate,
        metavar="PLAN",
        help=f"operations a second of all workers together, answered or not (the open model; users then limit what is in flight): "
        f"{arrivals.SYNTAX}; nothing: users ask again once answered",
    )
    parser.add_argument("--block", default="", type=block, metavar="SECONDS", help="how long an arm's turn is measured")
    parser.add_argument("--rtt", default="0", type=rtt, metavar="MS", help="round-trip time to the servers, in ms")
    parser.add_argument("--seed", default="0", type=seed, help="seed of data, cases and order")
    parser.add_argument(
        "--allow-remote", action="store_true", default=False, include_in_web_ui=False, help="load servers on other machines too"
    )
    out = "folder of the run (default: runs/<UTC time>-<commit>-load)"
    parser.add_argument("--out", default="", metavar="DIR", include_in_web_ui=False, help=out)


def rate(text: str) -> str:
    """Return a plan of arrivals as it was written, or nothing."""
    try:
        if text:
            arrivals.parse(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def seed(text: str) -> str:
    """Return a seed as it was written."""
    if not (text.isascii() and text.isdigit() and int(text) < MAX_SEED):
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; write a whole number from 0")
    return text


def rtt(text: str) -> str:
    """Return a distance as it was written."""
    return _number(text, "a distance in milliseconds, 0 or more", 0)


def block(text: str) -> str:
    """Return a block's length as it was written, or nothing."""
    return text and _number(text, "a length in seconds, such as 2", 1e-3)


def _number(text: str, like: str, least: float) -> str:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:  # nan is in no range
        raise argparse.ArgumentTypeError(f"{text!r} is no number that can be used; write {like}")
    return text


def _usable(reads: Callable[[str], str], option: str, text: str) -> str:
    try:
        return reads(str(text))
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{option}: {error}") from error
