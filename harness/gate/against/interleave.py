"""A process pair: the two versions in two fresh processes, each benchmark's slices in turn, in an order drawn by a coin."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from harness.errors import NotComparableError
from harness.gate.against.process import Side, SideProcess, alive
from harness.runtime.clock import Clock
from harness.stats.intervals import median

SLICE_NS = 3_000_000
"""A slice repeats its benchmark until about this long: shorter ones measure the hand-over, longer ones meet more of the machine."""

LEAST_PAIRS = 3
"""Pairs of slices in a process pair, however long they take."""

MOST_PADDING = 4096
"""Bytes: a page. A stack that begins anywhere in it has met every alignment."""


class Serving(Protocol):
    """Who does a slice of work when asked; a live side."""

    def slice(self, case: int, repeats: int) -> int:
        """Return the nanoseconds that so many repetitions of a case took."""
        ...


@dataclass(frozen=True)
class ProcessPairResult:
    """What one process pair found: name → log of new ÷ old, the median over its pairs of slices; how many pairs; start-up time."""

    logs: Mapping[str, float]
    pairs: Mapping[str, int]
    start_up_ns: int


@dataclass
class PairRunner:
    """Where and how process pairs meet: the core that both sides are timed on, the coin, the clock, and a folder for messages.

    They start on a core each, `aside` and `core`, since starting takes most of a short process pair; a coin says who is where.
    """

    old: Side
    new: Side
    folder: Path
    core: int | None
    aside: int | None
    coin: random.Random
    clock: Clock
    held: int = field(default=0, init=False)

    def visit(self, slices_s: float, wanted: frozenset[str] | None = None) -> ProcessPairResult:
        """Start both sides, give each wanted benchmark so many seconds of slices, and end both.

        Raises:
            SideError: a side failed.
            NotComparableError: the sides do not announce the same benchmarks.
        """
        self.held += 1
        begun = self.clock.now_ns()
        cores = [self.core, self.aside]
        self.coin.shuffle(cores)
        with ExitStack() as stack:
            old, new = (
                stack.enter_context(self._alive(side, core, wanted)) for side, core in zip((self.old, self.new), cores, strict=True)
            )
            heard = old.receive(), new.receive()
            start_up_ns = self.clock.now_ns() - begun
            if self.core is not None:
                old.move(self.core)
                new.move(self.core)
            logs: dict[str, float] = {}
            pairs: dict[str, int] = {}
            while (name := _agreed(*heard)) is not None:
                if wanted is None or name in wanted:
                    found = in_turn(old, new, int(slices_s * 1e9), heard[0]["cases"], self.coin, self.clock)
                    logs[name], pairs[name] = median(found), len(found)
                old.send("next")
                new.send("next")
                heard = old.receive(), new.receive()
        return ProcessPairResult(logs, pairs, start_up_ns)

    def _alive(self, side: Side, core: int | None, wanted: frozenset[str] | None) -> AbstractContextManager[SideProcess]:
        only = None
        if wanted is not None:
            only = self.folder / "only.json"
            only.write_text(json.dumps(sorted(wanted)), encoding="utf-8")
        return alive(side, core=core, seed=self.held, padding=self.coin.randrange(MOST_PADDING), only=only)


def _agreed(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Return the benchmark that both sides announce, None at the end of both."""
    names = [message.get("name") for message in (old, new)]
    if names[0] != names[1] or old.get("cases") != new.get("cases"):
        called = " and ".join("none more" if name is None else repr(name) for name in names)
        raise NotComparableError(f"old and new announce different benchmarks: {called}")
    return names[0]


def in_turn(old: Serving, new: Serving, lasts_ns: int, cases: int, coin: random.Random, clock: Clock) -> list[float]:
    """Return log(new ÷ old) of pairs of slices: the same case and number of repetitions on both sides, who begins by a coin.

    Cases take turns as long as there is time; what time does not allow is made up for on cases that have run. Repetitions are sized
    once a case, by the quicker of first runs on both sides, which count for nothing. They alternate in the order of the pair that
    follows: a side that has just run finds the core's caches as it left them, and where there is time for a pair a case, whoever
    always ran last before it would look faster than the same code.
    """
    repeats: dict[int, int] = {}
    logs: list[float] = []
    begun = clock.now_ns()
    while (is_time := clock.now_ns() - begun < lasts_ns) or len(logs) < LEAST_PAIRS:
        case = len(logs) % (cases if is_time else len(repeats) or 1)
        order = [(0, old), (1, new)]
        coin.shuffle(order)
        if case not in repeats:
            once = min(side.slice(case, 1) for _ in range(1 if len(logs) >= LEAST_PAIRS else 2) for _, side in order)
            repeats[case] = max(1, math.ceil(SLICE_NS / once))
            for _, side in order if repeats[case] > 1 else ():
                side.slice(case, repeats[case])
        times = dict.fromkeys((0, 1), 1)
        for place, side in order:
            times[place] = side.slice(case, repeats[case])
        logs.append(math.log(times[1] / times[0]))
    return logs
