"""Separate the benchmarks that a change cannot have touched from those that have to be timed, by recordings of both versions.

One benchmark may leave something behind for the next, such as a filled cache. So the ones without a difference count as unchanged
only once a pair of recordings of nothing but them has none in the whole process.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.gate.impact.decision import NOT_RECORDED, VersionRecording, differences
from harness.gate.verdict import counted

MOST_RECORDINGS = 3
"""The pairs of recordings after which benchmarks that still are not alone without a difference are timed."""
UNSETTLED = f"something that it shares with other benchmarks differs in each of {MOST_RECORDINGS} recordings"

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
        """The benchmarks that have to be timed."""
        return [name for name, found in self.differences.items() if found]

    def reason(self, name: str) -> str:
        """Return why an unchanged benchmark is not timed."""
        window = self.recordings[1].window(name) if self.recordings else None
        parts = [f"the code that runs ({counted(len(window.codes), 'function')})"] if window else []
        parts += [f"the {counted(len(window.files), 'file')} that it reads"] if window and window.files else []
        return f"unchanged code: not timed; the same in both versions: {', '.join(parts)}"

    def work(self, name: str) -> str:
        """Return how the calls and the bytes at the peak of a benchmark changed, empty if they did not or are unknown."""
        before, after = (recording.counts.get(name) for recording in self.recordings or (NOT_RECORDED, NOT_RECORDED))
        if before is None or after is None:
            return ""
        labels = {"calls": "calls", "peak_bytes": "bytes at the peak"}
        return ", ".join(f"{before[key]} → {after[key]} {label}" for key, label in labels.items() if before[key] != after[key])


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


def explained(found: Impact, names: Sequence[str]) -> list[str]:
    """Return lines that say of each benchmark what differs, or why it is not timed."""
    lines = []
    for name in names:
        reasons = found.differences[name]
        lines.append(f"{name}: timed, {counted(len(reasons), 'difference')}" if reasons else f"{name}: {found.reason(name)}")
        lines += [f"  {reason}" for reason in reasons]
        work = found.work(name)
        lines += [f"  {work}"] if work else []
    return lines
