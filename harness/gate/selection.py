"""Which benchmarks or scenarios a comparison is about: those of `--only`, without those of `--except`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from harness.errors import UsageError
from harness.gate.verdict import listed


@dataclass(frozen=True)
class Selection:
    """Names and glob patterns. A name that is equal to one is that name and no pattern, so that `test_x[a]` selects itself."""

    only: Sequence[str] = ()
    """At least one has to match; empty for all."""
    excluded: Sequence[str] = ()
    """None may match."""

    def of(self, names: Iterable[str], noun: str = "benchmark") -> list[str]:
        """Return the selected names in their order, each once.

        UsageError: one of `only` or `excluded` matches nothing, or nothing is left.
        """
        known = list(dict.fromkeys(names))
        wanted = {name for pattern in self.only for name in _matches(pattern, known, noun)} if self.only else set(known)
        unwanted = {name for pattern in self.excluded for name in _matches(pattern, known, noun)}
        found = [name for name in known if name in wanted - unwanted]
        if known and not found:
            raise UsageError(f"--only and --except leave no {noun}; there are {listed(known)}")
        return found


EVERYTHING = Selection()
"""The selection without a pattern."""


def _matches(pattern: str, names: Sequence[str], noun: str) -> list[str]:
    if pattern in names:
        return [pattern]
    texts = (pattern, pattern.replace("[", "[[]"))  # brackets are more often those of a parametrised test than a set of characters
    found = next((found for text in texts if (found := [name for name in names if fnmatchcase(name, text)])), [])
    if names and not found:
        raise UsageError(f"no {noun} matches {pattern!r}; there are, for example, {listed(names)}")
    return found
