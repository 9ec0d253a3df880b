"""One Locust user class a scenario, with a task an arm, so that Locust's pickers and tags choose among them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gevent
from locust import User, tag, task

from harness.discovery import LoadedScenario, load, scenario_files
from harness.errors import HarnessError, UsageError

_files: dict[str, Path] = {}
"""Locust class name → scenario file: what `users` found."""


def users(folder: Path) -> dict[str, type[User]]:
    """Return one Locust user class a scenario in `folder`, by name, for a locustfile to put among its globals."""
    try:
        found = [load(file) for file in scenario_files(folder)]
    except HarnessError as error:
        sys.stderr.write(f"harness: {error}\n")
        sys.exit(error.code)
    classes: dict[str, type[User]] = {}
    for scenario in found:
        name = "".join(part.title() for part in scenario.name.split("_"))
        _files[name] = scenario.file
        arms = {arm: _stands_for(arm) for arm in scenario.scenario.arms}
        module = {"__doc__": scenario.title, "__module__": __name__, "abstract": False}
        classes[name] = type(name, (_VirtualUser,), {**module, **arms})
    return classes


def named(names: Iterable[str]) -> list[LoadedScenario]:
    """Return the scenarios of Locust classes; those that are none of ours are left out."""
    return [load(_files[name]) for name in names if name in _files]


def everything() -> list[LoadedScenario]:
    """Return all scenarios that `users` found."""
    return named(_files)


def chosen_arms(loaded: LoadedScenario, arm: str, tags: Iterable[str], without: Iterable[str]) -> list[str]:
    """Return the arms that --arm, --tags and --exclude-tags leave of a scenario; `arm` is "all" or one, and an arm's tag its name.

    Raises:
        UsageError: they leave none.
    """
    wanted, unwanted = set(tags), set(without)
    arms = loaded.scenario.arms
    left = [name for name in arms if arm in {ALL_ARMS, name} and (not wanted or name in wanted) and name not in unwanted]
    if not left:
        raise UsageError(f"{loaded.name}: --arm and tags leave none of its arms, which are also its tags: {', '.join(arms)}")
    return left


ALL_ARMS = "all"


class _VirtualUser(User):
    """Stands for one coroutine of the engine process, which does the work."""

    abstract = True


def _stands_for(arm: str) -> Callable[[Any], None]:
    def waits(_: Any) -> None:
        gevent.sleep(0.5)

    waits.__name__ = arm
    waits.__doc__ = f"Do nothing: the engine's coroutine runs {arm}."
    return tag(arm)(task(waits))
