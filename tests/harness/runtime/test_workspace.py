"""Tests of a run's temporary folder."""

import signal
from pathlib import Path

import pytest

from harness.runtime.signals import as_interrupts
from harness.runtime.workspace import workspace


def test_a_workspace_is_removed_at_the_end() -> None:
    """The folder is removed with its content."""
    with workspace() as folder:
        (folder / "data").write_text("x")
    assert not folder.exists()


def test_a_workspace_is_removed_after_a_signal() -> None:
    """SIGTERM within it leaves nothing."""

    def work() -> None:
        with as_interrupts(), workspace() as folder:
            made.append(folder)
            signal.raise_signal(signal.SIGTERM)

    made: list[Path] = []
    with pytest.raises(KeyboardInterrupt):
        work()
    assert not made[0].exists()
