"""Rules by which tools decide that something became slower, on two lists of times: their own code where it can be called."""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.stats.sequential_test import FASTER, SLOWER, first_conclusion
from tools.validation.times.streams import MARGIN, Stream

Decision = Callable[[Stream], str | None]
"""From the times of both sides to SLOWER, FASTER, or None for neither."""


@dataclass(frozen=True)
class Rule:
    """One decision rule. `needs` is the package whose code it calls; `paired` rules apply to pairs only."""

    name: str
    text: str
    decide: Decision
    needs: str = ""
    paired: bool = False

    @property
    def is_installed(self) -> bool:
        """Whether the package that it calls is installed."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None


def ours(stream: Stream) -> str | None:
    """Decide by the sequential test, evaluated after every pair."""
    found, _ = first_conclusion(stream.log_ratios, MARGIN)
    return found if found in {SLOWER, FASTER} else None


def benchmark_gate(expression: str) -> Decision:
    """Return what pytest-benchmark's `--benchmark-compare-fail` decides by an expression; it detects slower only."""

    def decide(stream: Stream) -> str | None:
        from pytest_benchmark.utils import parse_compare_fail  # noqa: PLC0415 - only this question needs it

        check = parse_compare_fail(expression)  # type: ignore[no-untyped-call]  # pytest-benchmark has no types
        before, after = (
            {check.field: _STATISTICS[check.field]([float(ns) for ns in times])} for times in (stream.base_ns, stream.other_ns)
        )
        return SLOWER if check.fails(after, before) else None

    return decide


_STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": lambda times: float(np.mean(times)),
    "median": lambda times: float(np.median(times)),
    "min": lambda times: float(min(times)),
}


def pyperf_t(stream: Stream) -> str | None:
    """Decide as `pyperf compare_to` does: its pooled t test, and then by the means."""
    significant, _ = importlib.import_module("pyperf._utils").is_significant(stream.base_ns, stream.other_ns)
    return _direction(np.mean(stream.base_ns), np.mean(stream.other_ns)) if significant else None


def mann_whitney(stream: Stream) -> str | None:
    """Decide by the Mann-Whitney U test at 5 %, as benchstat does, and then by the medians."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - scipy takes half a second to import

    significant = float(mannwhitneyu(stream.base_ns, stream.other_ns).pvalue) < 0.05  # noqa: PLR2004 - its usual level
    return _direction(np.median(stream.base_ns), np.median(stream.other_ns)) if significant else None


def _direction(before: np.floating | float, after: np.floating | float) -> str:
    return SLOWER if after > before else FASTER


RULES = (
    Rule(
        "this harness",
        f"looks after every pair; evidence of 99 % that the median pair is more than {MARGIN:.0%} slower, or faster.",
        ours,
        paired=True,
    ),
    *(
        Rule(f"pytest-benchmark {e}", f"its own code for `--benchmark-compare-fail={e}`: one figure, no noise.", benchmark_gate(e))
        for e in ("mean:5%", "median:5%", "min:5%")
    ),
    Rule("pyperf", "its own code for `compare_to`: a pooled t test at 5 % on all values.", pyperf_t, "pyperf"),
    Rule("Mann-Whitney", "the U test at 5 %, the rule of benchstat.", mann_whitney),
)
"""In the order of the table; this harness first."""
