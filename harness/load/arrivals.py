"""When operations are due in the open model: plans of arrivals, made before the run and independent of how fast answers come.

A plan is a pure function of its text, a duration and a seed, so that every arm of a cycle, every process and every machine meets
the same arrivals. Rates are operations a second; offsets are nanoseconds from the start of the plan.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError
from harness.load.trace import read_trace

Offsets: TypeAlias = npt.NDArray[np.int64]

MAX_RATE_PER_S = 1e6
"""The highest rate that may be asked for: a clear typing error beyond it."""

MAX_PLANNED = 50_000_000
"""The most arrivals of one plan, which is held in memory at 8 bytes each."""

SYNTAX = "200 (evenly spaced), poisson:200, ramp:10..500, steps:50,100,200 or replay:FILE"
"""What a plan's text may be, for help and errors."""


class Arrivals(ABC):
    """A plan of arrivals. `describes` says it in words."""

    @property
    @abstractmethod
    def describes(self) -> str:
        """The plan in words, such as "200 a second, evenly spaced"."""

    @property
    def own_duration_s(self) -> float | None:
        """How long the plan lasts of itself, just beyond its last arrival; None where it lasts as long as it is asked to."""
        return None

    @abstractmethod
    def scaled(self, factor: float) -> Arrivals:
        """Return the same plan with `factor` times as many arrivals a second; `factor` is positive."""

    @abstractmethod
    def offsets_ns(self, duration_s: float, seed: str) -> Offsets:
        """Return when operations are due, in nanoseconds: ascending, each at least 0 and before the duration's end.

        Raises:
            UsageError: the plan has more than `MAX_PLANNED` arrivals.
            ValueError: the duration is negative or not finite.
        """

    def share(self, worker: int, workers: int) -> Arrivals:
        """Return one worker's part: arrival i belongs to worker i mod `workers`, so that all of them together offer the plan.

        Raises:
            ValueError: there is no such worker.
        """
        return self if workers == 1 and worker == 0 else PlanShare(self, worker, workers)


class Formula(Arrivals):
    """A plan that is worked out in seconds."""

    @abstractmethod
    def _due_s(self, duration_s: float, seed: str) -> npt.NDArray[np.float64]:
        """Return the arrivals in seconds, ascending; the caller cuts off those at or beyond the duration, which is positive."""

    def offsets_ns(self, duration_s: float, seed: str) -> Offsets:
        """Return the arrivals in nanoseconds, as every plan does."""
        if not 0 <= duration_s < math.inf:
            raise ValueError(f"a plan cannot last {duration_s} s")
        due_s = self._due_s(duration_s, seed) if duration_s else np.empty(0)
        return _before(np.rint(due_s[due_s < duration_s] * 1e9).astype(np.int64), duration_s)


@dataclass(frozen=True)
class Constant(Formula):
    """One arrival every 1 / rate seconds, the first at once."""

    rate_per_s: float

    @property
    def describes(self) -> str:
        """The plan in words."""
        return f"{self.rate_per_s:g} a second, evenly spaced"

    def _due_s(self, duration_s: float, seed: str) -> npt.NDArray[np.float64]:
        del seed
        return _numbers(self.rate_per_s * duration_s) / self.rate_per_s

    def scaled(self, factor: float) -> Constant:
        """Return the plan at `factor` times the rate."""
        return Constant(self.rate_per_s * factor)


@dataclass(frozen=True)
class Poisson(Formula):
    """Independent users: gaps are exponential, drawn from a generator that the seed decides.

    A longer plan begins as a shorter one of the same seed.
    """

    rate_per_s: float

    @property
    def describes(self) -> str:
        """The plan in words."""
        return f"{self.rate_per_s:g} a second, at random moments (Poisson)"

    def _due_s(self, duration_s: float, seed: str) -> npt.NDArray[np.float64]:
        expected = _checked(self.rate_per_s * duration_s)
        generator = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()))
        gaps = np.empty(0)
        due = np.empty(0)
        while not due.size or due[-1] < duration_s:
            gaps = np.concatenate([gaps, generator.standard_exponential(int(expected + 6 * math.sqrt(expected)) + 10)])
            due = np.cumsum(gaps) / self.rate_per_s
        return due

    def scaled(self, factor: float) -> Poisson:
        """Return the plan at `factor` times the rate."""
        return Poisson(self.rate_per_s * factor)


@dataclass(frozen=True)
class Ramp(Formula):
    """A rate that grows or falls linearly over the duration; arrival i is when the cumulative rate reaches i."""

    first_per_s: float
    last_per_s: float

    @property
    def describes(self) -> str:
        """The plan in words."""
        return f"from {self.first_per_s:g} to {self.last_per_s:g} a second, linearly"

    def _due_s(self, duration_s: float, seed: str) -> npt.NDArray[np.float64]:
        del seed
        reached = _numbers((self.first_per_s + self.last_per_s) / 2 * duration_s)
        # The root of first·t + (last - first)/(2·duration)·t² = i, in the form that does not cancel for nearly equal rates.
        slope_per_s2 = (self.last_per_s - self.first_per_s) / duration_s
        return 2 * reached / (self.first_per_s + np.sqrt(np.maximum(self.first_per_s**2 + 2 * slope_per_s2 * reached, 0)))

    def scaled(self, factor: float) -> Ramp:
        """Return the plan at `factor` times the rates."""
        return Ramp(self.first_per_s * factor, self.last_per_s * factor)


@dataclass(frozen=True)
class Steps(Formula):
    """Rates that each hold for an equal part of the duration; arrival i is when the cumulative rate reaches i."""

    rates_per_s: tuple[float, ...]

    @property
    def describes(self) -> str:
        """The plan in words."""
        return f"{', '.join(f'{r:g}' for r in self.rates_per_s)} a second, in equal parts of the time"

    def _due_s(self, duration_s: float, seed: str) -> npt.NDArray[np.float64]:
        del seed
        edges_s = np.linspace(0, duration_s, len(self.rates_per_s) + 1)
        reached = np.concatenate([[0.0], np.cumsum(np.asarray(self.rates_per_s) * (duration_s / len(self.rates_per_s)))])
        return np.interp(_numbers(float(reached[-1])), reached, edges_s)

    def scaled(self, factor: float) -> Steps:
        """Return the plan at `factor` times the rates."""
        return Steps(tuple(r * factor for r in self.rates_per_s))


@dataclass(frozen=True, eq=False)
class Replay(Arrivals):
    """Arrivals that were recorded, from a file; asked for a longer duration, nothing comes after the last of them."""

    name: str
    recorded_ns: Offsets = field(repr=False)

    @property
    def describes(self) -> str:
        """The plan in words."""
        return f"replay of {self.name}: {len(self.recorded_ns)} arrivals in {self.own_duration_s:.6g} s"

    @property
    def own_duration_s(self) -> float:
        """A nanosecond more than the last arrival, so that it is within."""
        return (int(self.recorded_ns[-1]) + 1) / 1e9

    def offsets_ns(self, duration_s: float, seed: str) -> Offsets:
        """Return what was recorded before the duration's end, in nanoseconds."""
        del seed
        return _before(self.recorded_ns, duration_s)

    def scaled(self, factor: float) -> Replay:
        """Return the recording played `factor` times as fast."""
        return Replay(f"{self.name}, {factor:g} times as fast", np.rint(self.recorded_ns / factor).astype(np.int64))


@dataclass(frozen=True)
class PlanShare(Arrivals):
    """One worker's part of a plan."""

    whole: Arrivals
    worker: int
    workers: int

    def __post_init__(self) -> None:
        if not 0 <= self.worker < self.workers:
            raise ValueError(f"there is no worker {self.worker} of {self.workers}")

    @property
    def describes(self) -> str:
        """The plan in words."""
        return f"part {self.worker + 1} of {self.workers} of: {self.whole.describes}"

    @property
    def own_duration_s(self) -> float | None:
        """As long as the whole plan."""
        return self.whole.own_duration_s

    def offsets_ns(self, duration_s: float, seed: str) -> Offsets:
        """Return every `workers`-th arrival of the whole plan, beginning with number `worker`, in nanoseconds."""
        return self.whole.offsets_ns(duration_s, seed)[self.worker :: self.workers]

    def scaled(self, factor: float) -> PlanShare:
        """Return the same part of the scaled plan."""
        return PlanShare(self.whole.scaled(factor), self.worker, self.workers)


def parse(text: str) -> Arrivals:
    """Return the plan that a text names: see `SYNTAX`. A replay's file is read here.

    Raises:
        UsageError: the text is no plan, a rate is not a number above 0 and at most `MAX_RATE_PER_S`, or the file is no recording.
    """
    kind, colon, rest = text.strip().partition(":")
    if not colon:
        return Constant(_rate(kind, text))
    if kind not in _KINDS:
        raise UsageError(f"arrivals {text!r}: there is no kind {kind!r}; write {SYNTAX}")
    return _KINDS[kind](rest, text)


def _ramp(rest: str, text: str) -> Ramp:
    first, dots, last = rest.partition("..")
    if not dots:
        raise UsageError(f"arrivals {text!r}: a ramp has two rates, such as ramp:10..500")
    return Ramp(_rate(first, text), _rate(last, text))


def _replay(rest: str, text: str) -> Replay:
    if not rest.strip():
        raise UsageError(f"arrivals {text!r}: name the file of recorded arrivals, such as replay:arrivals.txt")
    path = Path(rest.strip())
    return Replay(path.name, read_trace(path, MAX_PLANNED))


_KINDS: dict[str, Callable[[str, str], Arrivals]] = {
    "constant": lambda rest, text: Constant(_rate(rest, text)),
    "poisson": lambda rest, text: Poisson(_rate(rest, text)),
    "ramp": _ramp,
    "steps": lambda rest, text: Steps(tuple(_rate(r, text) for r in rest.split(","))),
    "replay": _replay,
}


def _rate(token: str, text: str) -> float:
    try:
        rate = float(token)
    except ValueError:
        rate = math.nan
    if not 0 < rate <= MAX_RATE_PER_S:  # nan is in no range
        raise UsageError(
            f"arrivals {text!r}: {token.strip()!r} is no rate; write operations a second, above 0 and at most "
            f"{MAX_RATE_PER_S:.0f}, as in {SYNTAX}"
        )
    return rate


def _checked(expected: float) -> float:
    if expected > MAX_PLANNED:
        raise UsageError(f"a plan of {expected:.3g} arrivals is too large (at most {MAX_PLANNED}): lower the rate or the duration")
    return expected


def _numbers(expected: float) -> npt.NDArray[np.float64]:
    """Return the numbers of the arrivals: 0, 1, 2 … below what the cumulative rate reaches, and one for the rounding."""
    return np.arange(math.ceil(_checked(expected)) + 1, dtype=np.float64)


def _before(offsets: Offsets, duration_s: float) -> Offsets:
    return offsets[offsets < duration_s * 1e9]
