"""Separate the benchmarks that a change cannot have touched from those that have to be timed, by recordings of both versions.

One benchmark may leave something behind for the next, such as a filled cache. So the ones without a difference count as unchanged
only once a pair of recordings of nothing but them has none in the whole process.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.gate.impact.decision import NOT_RECORDED, VersionRecording, differences
from harness.gate.verdict import counted

MOST_RECORDINGS = 3
"""The pairs of recordings after which benchmarks that still are not alone without a difference are timed."""
UNSETTLED = f"something that it shares with other benchmarks differs in each of {MOST_RECORDINGS} recordings"

LABELS = {"peak_bytes": "bytes at the peak"}
"""The names of metrics that are not their own."""
MOST_SAME = 2
"""The number of counts that did not change up to which each is shown."""
UNKNOWN_GROWTH = 1.0 + 1e-9
"""Between the growth of more work and that of equal work."""

Recordings = tuple[VersionRecording, VersionRecording]
"""Of the old and the new version."""


@dataclass(frozen=True)
class Impact:
    """The benchmarks that a change touches, and those that it does not."""

    differences: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Benchmark → what differs, in words; empty for one that is unchanged."""
    recordings: Recordings | None = None
    """The first pair."""

    @property
    def unchanged(self) -> list[str]:
        """The benchmarks that need not be timed."""
        return [name for name, found in self.differences.items() if not found]

    @property
    def touched(self) -> list[str]:
        """The benchmarks that have to be timed, those whose work grew most first."""
        touched = [name for name, found in self.differences.items() if found]
        return by_growth(touched, {name: self._steady(name) for name in touched})

    def reason(self, name: str) -> str:
        """Return why an unchanged benchmark is not timed."""
        window = self.recordings[1].window(name) if self.recordings else None
        parts = [f"the code that runs ({counted(len(window.codes), 'function')})"] if window else []
        parts += [f"the {counted(len(window.files), 'file')} that it reads"] if window and window.files else []
        return f"unchanged code: not timed; the same in both versions: {', '.join(parts)}"

    def work(self, name: str) -> str:
        """Return the counted work of a benchmark in words, empty if it is unknown, such as `work: 7 → 9 calls (+28.6 %), 3 rows`.

        A count that is the same in both versions does not show that the time is. One that does not repeat between fresh processes
        of a version shows no change.
        """
        counts, every = self._steady(name).items(), self._counts(name)
        changed = [
            f"{_number(old)} → {_number(new)} {_label(metric)}{_percent(old, new)}" for metric, (old, new) in counts if old != new
        ]
        same = [f"{_number(old)} {_label(metric)}" for metric, (old, new) in counts if old == new]
        if len(same) > MOST_SAME:
            same = [f"{len(same)} counts as before"]
        noisy = [
            f"{_number(old)} → {_number(new)} {_label(metric)} (does not repeat)"
            for metric, (old, new) in every.items()
            if metric not in dict(counts)
        ]
        return f"work: {', '.join([*changed, *same, *noisy])}" if every else ""

    def _steady(self, name: str) -> dict[str, tuple[float, float]]:
        """Return the counts that repeat in both versions."""
        unsteady = {metric for recording in self.recordings or () for metric in recording.unsteady.get(name, ())}
        return {metric: both for metric, both in self._counts(name).items() if metric not in unsteady}

    def _counts(self, name: str) -> dict[str, tuple[float, float]]:
        """Return metric → its counts in the old and the new version."""
        old, new = (recording.counts.get(name, {}) for recording in self.recordings or (NOT_RECORDED, NOT_RECORDED))
        return {metric: (old[metric], new[metric]) for metric in old if metric in new}


def by_growth(names: Sequence[str], counts: Mapping[str, Mapping[str, tuple[float, float]]]) -> list[str]:
    """Return benchmarks in the order in which to time them, the likeliest regression first.

    `counts` are the old and the new version's, by benchmark and metric. First are those whose work grew, the largest growth first,
    then those of unknown work, of equal work, and of less; otherwise in their order.
    """

    def growth(name: str) -> float:
        known = [math.inf if not old else new / old for old, new in counts.get(name, {}).values() if old or new]
        if not known:
            return UNKNOWN_GROWTH
        return max(known) if max(known) > 1 else min(known)

    return sorted(names, key=growth, reverse=True)


def _label(metric: str) -> str:
    return LABELS.get(metric, metric.replace("_", " "))


def _number(count: float) -> str:
    return f"{count:,.10g}"


def _percent(old: float, new: float) -> str:
    return f" ({(new / old - 1) * 100:+.1f} %)" if old else ""


def impact(
    recordings: Recordings,
    record: Callable[[Sequence[str]], Recordings],
    trees: tuple[Path, Path],
    names: Sequence[str],
) -> Impact:
    """Return what a change touches of the benchmarks `names`, which both versions have and which do not fail.

    `recordings` hold all benchmarks, `record` returns new ones of some; `trees` are the roots of the old and the new version.
    """
    found: dict[str, Sequence[str]] = {name: [UNSETTLED] for name in names}
    left, now = list(names), recordings
    for number in range(1, MOST_RECORDINGS + 1):
        changed = {name: reasons for name, reasons in differences(*now, trees, left).items() if reasons}
        found |= changed
        left = [name for name in left if name not in changed]
        if not left or not _anything(now, trees):
            found |= {name: [] for name in left}
            break
        if number < MOST_RECORDINGS:
            now = record(left)
    return Impact(found, recordings)


def _anything(recordings: Recordings, trees: tuple[Path, Path]) -> list[str]:
    """Return what differs anywhere in the processes that were recorded."""
    old, new = (recording.as_one() for recording in recordings)
    return differences(old, new, trees, [VersionRecording.ALL])[VersionRecording.ALL]


def with_difference(found: Impact, reason: str) -> Impact:
    """Return the same with one more difference for every benchmark."""
    return replace(found, differences={name: [*reasons, reason] for name, reasons in found.differences.items()})


def explained(found: Impact, names: Sequence[str], place: str = "") -> list[str]:
    """Return lines that say of each benchmark what differs, or why it is not timed; `place` precedes its name."""
    lines = []
    for name in names:
        reasons = found.differences[name]
        decision = f"timed, {counted(len(reasons), 'difference')}" if reasons else found.reason(name)
        lines.append(f"{place}: {name}: {decision}" if place else f"{name}: {decision}")
        lines += [f"  {reason}" for reason in reasons]
        work = found.work(name) if reasons else ""
        lines += [f"  {work}"] if work else []
    return lines
