"""The known times of the server, and the true response times of independent users: pure functions of a seed and arrivals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import numpy.typing as npt

Ns = npt.NDArray[np.int64]

TABLE = 10_000
"""The number of requests after which the times repeat."""


class Course(msgspec.Struct, frozen=True):
    """The server's behaviour while a tool sends requests: the name of its delays, and its stalls.

    `stalls_ns` holds (from, until) in nanoseconds from the first request, ascending, none touching another.
    """

    delays: str
    seed: int = 0
    stalls_ns: list[tuple[int, int]] = []


@dataclass(frozen=True)
class Situation:
    """A behaviour of the server, with the load on it.

    `delays` is a key of `DELAYS`; `stalls_s` are (from, until) in seconds. A tool without an arrival schedule gets `users`, which
    together send `rate_per_s` requests per second.
    """

    name: str
    text: str
    delays: str
    rate_per_s: int
    seconds: int
    users: int
    stalls_s: tuple[tuple[float, float], ...] = ()

    def course(self, seed: int = 0) -> Course:
        """Return the course for the server."""
        return Course(self.delays, seed, [(round(a * 1e9), round(b * 1e9)) for a, b in self.stalls_s])

    @property
    def in_flight(self) -> int:
        """The average number of requests in flight without a stall (Little's law), at least one."""
        return max(1, round(self.rate_per_s * float(delays_ns(self.delays, 0).mean()) / 1e9))

    def shortened(self, effort: float) -> Situation:
        """Return the same with a share of the duration, in whole seconds; a stall has the same length and relative start."""
        seconds = max(1, round(self.seconds * effort))
        starts_s = [round(start * seconds / self.seconds, 3) for start, _ in self.stalls_s]
        stalls_s = tuple((at, at + end - start) for at, (start, end) in zip(starts_s, self.stalls_s, strict=True))
        return replace(self, seconds=seconds, stalls_s=stalls_s)


def _tail(generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Of every 100 requests exactly one and three are slow, so that no requested percentile is at the edge of a step."""
    hundreds = generator.uniform(1.0, 3.0, (TABLE // 100, 100))
    hundreds[:, 0] = 100.0
    hundreds[:, 1:4] = 2000.0
    return generator.permuted(hundreds, axis=1).ravel()


DELAYS: dict[str, Callable[[np.random.Generator], npt.NDArray[np.float64]]] = {
    "uniform": lambda generator: generator.uniform(0.05, 0.45, TABLE),
    "lognormal": lambda generator: generator.lognormal(np.log(2.0), 0.5, TABLE),
    "tail": _tail,
}
"""Name → `TABLE` delays in milliseconds, drawn from a generator."""

SITUATIONS = (
    Situation("Below a millisecond", "Each request takes 0.05 to 0.45 ms, all equally likely.", "uniform", 400, 5, 20),
    Situation("Two milliseconds", "Request times are log-normal with a median of 2 ms.", "lognormal", 400, 5, 20),
    Situation(
        "A stall of one second", "Request times are the same, and the server stalls.", "lognormal", 200, 5, 20, ((2.0, 3.0),)
    ),
    Situation(
        "A slow tail at the stop",
        "Of every hundred requests three take 2 s and one 100 ms, the others 1 to 3 ms.",
        "tail",
        rate_per_s=400,
        seconds=2,
        users=40,
    ),
)
"""The situations of the published report."""


def delays_ns(name: str, seed: int) -> Ns:
    """Return the delays of requests 0, 1, … in nanoseconds, shape (`TABLE`,)."""
    return np.rint(DELAYS[name](np.random.default_rng(seed)) * 1e6).astype(np.int64)


def released_ns(ready_ns: Ns, stalls_ns: Sequence[tuple[int, int]]) -> Ns:
    """Return the times at which responses are sent: one that is ready within a stall is sent at the stall's end."""
    out = ready_ns.copy()
    for start, end in stalls_ns:
        out[(out >= start) & (out < end)] = end
    return out


def responses_ns(due_ns: Ns, held_ns: Ns, late_ns: Ns, stalls_ns: Sequence[tuple[int, int]]) -> Ns:
    """Return each user's response time from its due time, in nanoseconds, shape (n,).

    The server holds request i for `held_ns[i]`, longer during a stall, and is then `late_ns[i]` late. Stalls and due times count
    from the same point in time.
    """
    return released_ns(due_ns + held_ns, stalls_ns) + late_ns - due_ns


def truth_ns(due_ns: Ns, course: Course, late_ns: Ns) -> Ns:
    """Return the response times of users with these due times, the first of which is the server's first request.

    `late_ns` is the server's lateness by request, -1 if the client had closed the connection; it is repeated if a tool sent
    fewer requests than there are users.
    """
    responded = late_ns[late_ns >= 0]
    numbers = np.arange(len(due_ns))
    late = responded[numbers % len(responded)] if len(responded) else np.zeros(len(due_ns), dtype=np.int64)
    return responses_ns(due_ns - due_ns[:1], delays_ns(course.delays, course.seed)[numbers % TABLE], late, course.stalls_ns)
