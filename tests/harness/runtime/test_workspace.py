"""Where a run works: its folder."""

from harness.runtime.workspace import workspace


def test_a_workspace_is_gone_afterwards() -> None:
    """Whatever lies in the folder goes with it."""
    with workspace() as folder:
        (folder / "data").write_text("x")
    assert not folder.exists()
