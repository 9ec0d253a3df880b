"""Tests of a run's temporary folder."""

from harness.runtime.workspace import workspace


def test_a_workspace_is_removed_at_the_end() -> None:
    """The folder is removed with its content."""
    with workspace() as folder:
        (folder / "data").write_text("x")
    assert not folder.exists()
