"""The folder of a gate: written as it comes, read after any end."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.errors import UsageError
from harness.gate.against.gate_folder import PAIRS_FILE, PLAN_FILE, GateFolder, GateRequest, SuitePlan
from harness.gate.against.sequence import StoredProcessPair
from harness.results.gate import GateVerdict, status_row
from harness.results.run import RunWarning
from harness.stats.slice_pairs import ProcessPairLogs

if TYPE_CHECKING:
    from pathlib import Path

REQUEST = GateRequest("abc", "d1", ["pytest", "bench"], {"--margin": "3%"})
PLAN = SuitePlan(
    [status_row("a", "pytest", 0.0, GateVerdict.REGRESSED, "it failed")], [RunWarning("x", "y", "z")], [], ["t"], {"t": "w"}, 12.5
)


def stored(number: int) -> StoredProcessPair:
    """Return a process pair."""
    return StoredProcessPair(number, {"t": ProcessPairLogs({"median": 0.25, "mean": -1.5}, 40)}, 0.5, 20.0 + number)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    """The plan, the process pairs, and the time that they took."""
    folder = GateFolder(tmp_path / "g", REQUEST, is_resumed=False)
    assert (folder.plan(), folder.spent_s, list(folder.known())) == (None, 0.0, [])
    folder.write_plan(PLAN)
    for number in (1, 2):
        folder.add(stored(number))
    again = GateFolder(tmp_path / "g", REQUEST, is_resumed=True)
    assert again.plan() == PLAN
    assert again.known() == [stored(1), stored(2)]
    assert again.spent_s == 22.0


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    """The process was killed while it wrote; what follows is readable again."""
    folder = GateFolder(tmp_path, REQUEST, is_resumed=False)
    folder.add(stored(1))
    folder.add(stored(2))
    file = tmp_path / PAIRS_FILE
    file.write_bytes(file.read_bytes()[:-9])
    again = GateFolder(tmp_path, REQUEST, is_resumed=True)
    assert again.known() == [stored(1)]
    again.add(stored(2))
    assert GateFolder(tmp_path, REQUEST, is_resumed=True).known() == [stored(1), stored(2)]


def test_storing_costs_the_same_however_many_there_are(tmp_path: Path) -> None:
    """Each process pair adds one line."""
    folder, sizes = GateFolder(tmp_path, REQUEST, is_resumed=False), [0]
    for number in range(10, 30):
        folder.add(stored(number))
        sizes.append((tmp_path / PAIRS_FILE).stat().st_size)
    steps = {after - before for before, after in itertools.pairwise(sizes)}
    assert len(steps) == 1


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(REQUEST, against="xyz"), "the version to compare with: abc before, xyz now"),
        (replace(REQUEST, candidate="d2"), "this version's files: d1 before, d2 now"),
        (replace(REQUEST, arguments=["pytest"]), "the arguments: pytest bench before, pytest now"),
        (replace(REQUEST, options={"--margin": "5%"}), "--margin: 3% before, 5% now"),
        (replace(REQUEST, options={}), "--margin: 3% before, none now"),
    ],
)
def test_a_gate_of_something_else_is_not_resumed(tmp_path: Path, other: GateRequest, message: str) -> None:
    """The reason names what differs."""
    GateFolder(tmp_path, REQUEST, is_resumed=False)
    with pytest.raises(UsageError, match=message):
        GateFolder(tmp_path, other, is_resumed=True)


def test_folders_are_not_mixed_up(tmp_path: Path) -> None:
    """A new gate does not continue an old one by mistake, nor is anything else resumed."""
    GateFolder(tmp_path / "g", REQUEST, is_resumed=False)
    with pytest.raises(UsageError, match="already contains a gate; continue it with --resume"):
        GateFolder(tmp_path / "g", REQUEST, is_resumed=False)
    with pytest.raises(UsageError, match="has no gate to resume"):
        GateFolder(tmp_path / "nowhere", REQUEST, is_resumed=True)


@pytest.mark.parametrize("name", [PLAN_FILE, PAIRS_FILE])
def test_a_damaged_file_is_a_usage_error(tmp_path: Path, name: str) -> None:
    """It is named, and what to do."""
    GateFolder(tmp_path, REQUEST, is_resumed=False)
    (tmp_path / name).write_bytes(b'{"a": 1}\n')
    with pytest.raises(UsageError, match=f"{name} cannot be read: .*start .* again without --resume"):
        GateFolder(tmp_path, REQUEST, is_resumed=True).plan()
