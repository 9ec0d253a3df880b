"""Verdicts from sets of process pairs, made up; and two real commands, once."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.gate.against import compare as paired
from harness.gate.against.compare import Sets, compare, share_s, verdicts
from harness.gate.against.interleave import ProcessPairResult
from harness.gate.against.process import Side
from harness.results.gate import GateVerdict

MARGIN = 0.03


def sets(seed: str, slower: Mapping[str, float], sd: float = 0.01, again: int = 0) -> Sets:
    """Return sets in which each named benchmark is slower by so much; `again` process pairs of a second set."""
    coin = random.Random(seed)
    found = Sets()
    for number in range(paired.PROCESS_PAIRS + again):
        logs = {name: math.log1p(by) + coin.gauss(0, sd) for name, by in slower.items()}
        found.take(ProcessPairResult(logs, dict.fromkeys(logs, 100), 0), again=number >= paired.PROCESS_PAIRS)
    return found


def words(found: Sets) -> dict[str, str]:
    """Return the verdicts by name."""
    return {time.name: time.verdict for time in verdicts(found, MARGIN, 1.5)}


def test_each_benchmark_has_its_own_verdict() -> None:
    """Slower twice is regressed, faster is improved, and the same is equivalent, side by side."""
    assert words(sets("a", {"slower": 0.1, "faster": -0.1, "same": 0.0}, again=12)) == {
        "slower": GateVerdict.REGRESSED,
        "faster": GateVerdict.IMPROVED,
        "same": GateVerdict.EQUIVALENT,
    }


def test_what_does_not_recur_fails_no_build() -> None:
    """Slower in the first set and not in the second is inconclusive, and says so."""
    found = sets("b", {"slower": 0.1})
    found.second["slower"] = [0.001, -0.001] * 10
    (time,) = verdicts(found, MARGIN, 1.5)
    assert time.verdict == GateVerdict.INCONCLUSIVE
    assert "not shown in 20 fresh ones" in time.reason


def test_noise_is_no_pass() -> None:
    """With too much noise nothing is said, but what could have been seen, and how long it would take."""
    (time,) = verdicts(sets("c", {"noisy": 0.0}, sd=0.08), MARGIN, 1.5)
    assert time.verdict == GateVerdict.INCONCLUSIVE
    assert time.could_see is not None
    assert time.could_see > MARGIN
    assert time.needs_s is not None
    assert time.needs_s > 15


def test_a_regression_shows_its_second_set() -> None:
    """The ratio is that of the process pairs that decided, not of those that made it suspect."""
    found = sets("d", {"slower": 0.2})
    found.second["slower"] = [math.log(1.1)] * 9
    (time,) = verdicts(found, MARGIN, 1.5)
    assert time.verdict == GateVerdict.REGRESSED
    assert time.ratio == pytest.approx(1.1)


def test_many_benchmarks_are_corrected_for() -> None:
    """Of 300 benchmarks that are the same, none is improved or regressed by chance, though the noise is large."""
    found = words(sets("e", {f"b{i}": 0.0 for i in range(300)}, sd=0.05))
    assert not {GateVerdict.REGRESSED, GateVerdict.IMPROVED} & set(found.values())


def test_a_share_is_never_too_small() -> None:
    """What starting leaves of a process pair is shared out, and each benchmark gets the least at any rate."""
    assert share_s(3.0, 1.0, 4) == 0.5
    assert share_s(0.5, 1.0, 4) == paired.LEAST_SLICES_S


@pytest.mark.slow
def test_any_two_commands_can_be_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that does three times the work of another is slower, and every process pair has its pairs of slices."""
    monkeypatch.setattr(paired, "PROCESS_PAIRS", 4)
    monkeypatch.setattr(paired, "LEAST_SLICES_S", 0.05)
    file = tmp_path / "side.py"
    file.write_text(
        "import sys\nfrom harness.gate.against.protocol import serve\n"
        "serve({'work': lambda: sum(i * i for i in range(int(sys.argv[1])))})\n"
    )
    root = str(Path(__file__).parents[4])
    old, new = (
        Side([sys.executable, str(file), str(n)], name, tmp_path, {"PYTHONPATH": root})
        for name, n in (("old", 30_000), ("new", 90_000))
    )
    time = compare(old, new, 0.0)
    assert time.name == "work"
    assert time.ratio > 1.3
    assert time.pairs >= 12
