"""The question about unchanged code: what is injected, what counts as wrong, and two real changes."""

import sysconfig
from pathlib import Path

import pytest

from harness.errors import NotMeasurableError
from tools.validation.unchanged import ALL, ChangeResult, InjectedChange, InjectedSuite, changes, harmless, native, section

TABLE = frozenset({"test_table"})


def test_what_is_injected_covers_every_kind() -> None:
    """At least 40 changes, each of which a known benchmark depends on; harmless ones have none."""
    found = changes()
    assert len(found) >= 40
    kinds = {"constant", "code", "file", "extension", "setting of the suite", "environment", "dependency", "name that is read"}
    assert {change.kind for change in found} == kinds
    assert all(change.touched and change.touched <= ALL for change in found)
    assert not any(change.touched for change in harmless())
    assert len({(change.kind, change.name, str(change.files)) for change in [*found, *harmless()]}) == len(found) + len(harmless())


def test_a_dependent_benchmark_that_is_not_timed_misses_the_requirement() -> None:
    """It is named; one that is timed without need is counted and misses nothing."""
    change = InjectedChange("constant", "A = 1 → A = 2", touched=TABLE)
    good = ChangeResult(change, TABLE | {"test_rows"})
    found = section([good], [ChangeResult(InjectedChange("comment", "one"), TABLE)])
    assert found.is_met
    assert [list(row) for row in found.tables[0].rows] == [["constant", "1", "1", "0", "1"]]
    assert "1 changes that do not matter, 1 have a benchmark timed" in found.notes[-1]
    missed = section([good, ChangeResult(change, frozenset())], [])
    assert not missed.is_met
    assert missed.notes[0] == "A = 1 → A = 2: test_table"
    assert not section([], []).is_met


@pytest.mark.slow
def test_real_changes_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dependency of another build touches all, a file that one benchmark reads touches that one, a comment none."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    suite = InjectedSuite(tmp_path)
    chosen = {change.name: change for change in [*changes(), *harmless()]}
    assert suite.result(chosen["another build"]).touched == ALL
    assert suite.result(chosen["toy/data/mapped.bin changed"]).touched == {"test_mapped"}
    assert suite.result(chosen["# the settings of the tests → # settings"]).touched == frozenset()


def test_an_interpreter_without_a_module_in_a_file_is_not_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """There is no extension to change."""
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(NotMeasurableError, match="no compiled module"):
        native()
