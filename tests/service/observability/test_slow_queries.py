"""The report ranks by total time, and reads damaged and rotated logs."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.observability.slow_queries import main, rank, render, report


def line(name: str, duration_ms: float, plan: list[str] | None = None, site: str = "a.py:1 in f") -> str:
    """Return a line of a log."""
    entry: dict[str, Any] = {"fingerprint": name, "sql": f"SELECT {name}", "duration_ms": duration_ms}
    return json.dumps({**entry, "call_site": [site], "plan": plan})


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0.1, 1e5)), max_size=60))
def test_forms_are_ranked_by_total_time(entries: list[tuple[str, float]]) -> None:
    """Every form once, with its own count, total, 95th percentile and worst."""
    found = rank(line(name, ms) for name, ms in entries)
    totals = [one.total_ms for one in found.ranked]
    assert totals == sorted(totals, reverse=True)
    assert {one.fingerprint for one in found.ranked} == {name for name, _ in entries}
    for one in found.ranked:
        times = sorted(ms for name, ms in entries if name == one.fingerprint)
        assert one.count == len(times)
        assert one.total_ms == pytest.approx(sum(times))
        assert one.worst_ms == times[-1]
        assert sum(ms <= one.p95_ms for ms in times) >= 0.95 * len(times) - 1e-9
        assert sum(ms < one.p95_ms for ms in times) < 0.95 * len(times)
    assert math.fsum(totals) == pytest.approx(math.fsum(ms for _, ms in entries))


def test_many_short_ones_do_not_hide_a_long_one() -> None:
    """The total time decides, not the count."""
    found = rank([*[line("often", 110)] * 5, line("rare", 9000)])
    assert [one.fingerprint for one in found.ranked] == ["rare", "often"]


def test_the_last_plan_and_the_most_frequent_caller_are_kept() -> None:
    """Most lines have no plan; it is written once."""
    found = rank([line("a", 1, ["old"]), line("a", 1, None, "b.py:2 in g"), line("a", 1, ["new"], "b.py:2 in g"), line("a", 1)])
    assert found.ranked[0].plan == ("new",)
    assert found.ranked[0].call_sites == ("a.py:1 in f", "b.py:2 in g")


@pytest.mark.parametrize(
    "broken", ['{"fingerprint": "a", "dura', "[]", '{"fingerprint": "a"}', '{"fingerprint": "a", "duration_ms": "x"}']
)
def test_a_broken_line_is_counted_and_ignored(broken: str) -> None:
    """A killed process leaves half a line."""
    found = rank([line("a", 1), broken])
    assert ([one.count for one in found.ranked], found.unreadable) == ([1], 1)
    assert "1 lines could not be read" in render(found)


def test_rotated_files_are_read_before_the_log(tmp_path: Path) -> None:
    """All of them, the oldest first, so the last plan is the newest."""
    log = tmp_path / "slow [1].jsonl"
    for name, plan in (("slow [1].jsonl.10", "oldest"), ("slow [1].jsonl.2", "older"), (log.name, "newest")):
        (tmp_path / name).write_text(line("a", 1, [plan]) + "\n")
    (tmp_path / "slow [1].jsonl.bak").write_text("not ours")
    [one] = report(log).ranked
    assert (one.count, one.plan) == (3, ("newest",))


def test_the_command_prints_the_ranking(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints the requested number of forms, with SQL, caller and plan."""
    log = tmp_path / "slow.jsonl"
    log.write_text("\n".join([line("rare", 9000, ["SCAN prompts"]), line("often", 110)]))
    assert main([str(log), "--top", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("1. 9,000 ms in total (99%), 1×")
    assert "SELECT rare" in printed
    assert "from a.py:1 in f" in printed
    assert "| SCAN prompts" in printed
    assert "often" not in printed


def test_an_empty_log_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report states that there are no slow statements."""
    (tmp_path / "slow.jsonl").write_text("")
    assert main([str(tmp_path / "slow.jsonl")]) == 0
    assert capsys.readouterr().out == "no slow statements\n"


def test_a_missing_log_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and no traceback."""
    assert main([str(tmp_path / "no.jsonl")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
