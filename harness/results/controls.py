"""What a run measured of itself, to know how far its times can be trusted: part of the record, beside the A/A control's ratios."""

from __future__ import annotations

from dataclasses import dataclass, field

PURE_CPU, PING = "pure CPU", "ping"
"""The controls that are timed between pairs: a fixed piece of pure Python, and the scenario's own round trip where it gives one."""


@dataclass(frozen=True)
class Drift:
    """How a control changed within the processes: `ratio` is the second half of a process against the first, 1 is no change.

    `ratio` is the middle one of the processes', which are in `processes`; `explained` is how far from 1 it may lie by the control's
    own noise, as a share. `median_ns` is over all processes.
    """

    name: str
    samples: int
    median_ns: float
    ratio: float
    explained: float
    processes: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class InjectedSlowdown:
    """A slow-down of `share` that was planted in the baseline, and what became of it in one group of cases.

    `slower` is the share it was measured at, `low` and `high` bound the 95 % interval over processes; found is an interval above 0.
    """

    group: str
    share: float
    slower: float
    low: float | None
    high: float | None
    pairs: int

    @property
    def found(self) -> bool:
        """Whether the interval shows it to be slower."""
        return self.low is not None and self.low > 0


@dataclass(frozen=True)
class Controls:
    """All controls of a scenario but the A/A control."""

    drifts: list[Drift] = field(default_factory=list)
    injected: list[InjectedSlowdown] = field(default_factory=list)
