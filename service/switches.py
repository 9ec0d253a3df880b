"""The optimisations that the service runs with: one switch per optimisation, with three levels.

The baseline is the service of today, proposed is the review's technique, repaired only as far as it needs to run, and optimised is
the improved technique. A set of switches is written as one text: the most frequent level, then the exceptions, such as
`baseline,caching=optimised`.
"""

from collections import Counter
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Self


class Level(StrEnum):
    """The level of a switch."""

    BASELINE = "baseline"
    PROPOSED = "proposed"
    OPTIMISED = "optimised"


@dataclass(frozen=True)
class Switches:
    """The optimisations, each with its level. The service only reports `indexes`; the others select techniques."""

    pools: Level = Level.BASELINE
    async_queries: Level = Level.BASELINE
    caching: Level = Level.BASELINE
    indexes: Level = Level.BASELINE  # the migrations that the database has had
    loading: Level = Level.BASELINE  # the way prompts are loaded with their evaluations (N+1)
    bulk: Level = Level.BASELINE
    transactions: Level = Level.BASELINE
    streaming: Level = Level.BASELINE
    monitoring: Level = Level.BASELINE

    @classmethod
    def all(cls, level: Level) -> Self:
        """Return all switches at one level."""
        return cls(**dict.fromkeys(NAMES, level))

    @classmethod
    def alone(cls, name: str) -> Self:
        """Return one switch optimised, the others at the baseline. Raises ValueError if the switch does not exist."""
        return replace(cls.all(Level.BASELINE), **{_known(name): Level.OPTIMISED})

    @classmethod
    def without(cls, name: str) -> Self:
        """Return one switch at the baseline, the others optimised. Raises ValueError if the switch does not exist."""
        return replace(cls.all(Level.OPTIMISED), **{_known(name): Level.BASELINE})

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the switches of a text, `LEVEL[,NAME=LEVEL…]`. Raises ValueError for an unknown or repeated name or level."""
        first, *others = text.split(",")
        exceptions = [(_known(name), _level(level)) for name, _, level in (other.partition("=") for other in others)]
        for name, times in Counter(name for name, _ in exceptions).items():
            if times > 1:
                raise ValueError(f"switch {name!r} is given {times} times; give it once")
        return replace(cls.all(_level(first)), **dict(exceptions))

    def __str__(self) -> str:
        levels = {name: Level(getattr(self, name)) for name in NAMES}
        most = max(Level, key=Counter(levels.values()).__getitem__)
        return ",".join([most, *(f"{name}={level}" for name, level in levels.items() if level is not most)])


NAMES = tuple(field.name for field in fields(Switches))  # the switches, in the order of the review's recommendations


def _known(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"unknown switch {name!r}; choose from {', '.join(NAMES)}")
    return name


def _level(text: str) -> Level:
    try:
        return Level(text)
    except ValueError:
        raise ValueError(f"unknown level {text!r}; choose from {', '.join(Level)}") from None
