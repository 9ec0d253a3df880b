"""Operations that do not end, through real pytest processes."""

import shutil
from pathlib import Path
from typing import Any

import pytest

CASES = Path(__file__).parents[2] / "cases" / "scenarios"


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [(), ("--benchmark-only", "--harness-budget=0.5", "--harness-processes=2")], ids=["run", "timed"]
)
def test_an_operation_that_hangs_fails_its_items_and_no_others(project: Any, options: tuple[str, ...]) -> None:
    """The message names the arm and the case; the other scenario goes on."""
    shutil.copy(CASES / "hang_arm.py", project.path / "trials" / "hang_arm.py")
    done = project.pytest("trials", "--harness-timeout=5", *options)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 failed, 3 passed" in done.stdout, done.stdout
    for arm in ("baseline", "optimised"):
        assert f"FAILED trials/hang_arm.py::g[{arm}]" in done.stdout
    (message,) = {line for line in done.stdout.splitlines() if line.startswith("hang_arm: ")}
    assert "optimised" in message
    assert "'n 0'" in message


@pytest.mark.parametrize("text", ["", "0", "-1", "soon"])
def test_a_timeout_is_a_duration_above_0(project: Any, text: str) -> None:
    """Anything else is a usage error."""
    done = project.pytest(f"--harness-timeout={text}")
    assert done.returncode == 4
    assert "is not a duration above 0" in done.stderr
