"""When there is enough evidence: which group of cases is timed next, and when to stop.

Groups differ in cost by orders of magnitude, so each gets the same share of the time, but never fewer pairs than a median needs;
heavy groups, whose one operation takes seconds, are timed once.

Evidence (`harness.stats.sequential_test`) ends no group's pairs early: intervals are over processes, and most groups get fewer
pairs in each than evidence needs, so that little time would be saved, at the price of process medians that rest on less.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Shares:
    """Shares a process's time among groups: at least `minimum_pairs` each, then an equal part of `budget_ns`; `slow` ones once."""

    groups: tuple[str, ...]
    budget_ns: int
    minimum_pairs: int
    slow: tuple[str, ...] = ()
    spent_ns: dict[str, int] = field(default_factory=dict)
    pairs: dict[str, int] = field(default_factory=dict)

    def note(self, group: str, duration_ns: int) -> None:
        """Count one pair of a group and the time it took, resets included."""
        self.pairs[group] = self.pairs.get(group, 0) + 1
        self.spent_ns[group] = self.spent_ns.get(group, 0) + duration_ns

    def next_group(self) -> str | None:
        """Return the group to time next, or None when there is enough."""
        short = [g for g in self.groups if self.pairs.get(g, 0) < (1 if g in self.slow else self.minimum_pairs)]
        if short:
            return min(short, key=lambda g: (self.pairs.get(g, 0), self.groups.index(g)))
        light = [g for g in self.groups if g not in self.slow]
        open_groups = [g for g in light if self.spent_ns.get(g, 0) < self.budget_ns / len(light)]
        return min(open_groups, key=lambda g: (self.spent_ns.get(g, 0), self.groups.index(g)), default=None)
