"""README: short, with a scenario that fits on a screen. Its blocks, commands and links are tested with those of docs."""

import re
from pathlib import Path

from tools.site import links

README = Path(__file__).parents[1] / "README.md"


def test_the_scenario_shown_is_short() -> None:
    """It has at most 20 lines and one import line."""
    (code,) = re.findall(r"```python.*?\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(code.splitlines()) <= 20
    assert len(re.findall(r"^(?:from|import) ", code, flags=re.MULTILINE)) == 1


def test_the_readme_is_one_screen_and_links() -> None:
    """It has at most 200 lines, and links to files: its picture, and pages of documentation."""
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 200
    assert {Path(link).suffix for link in links(README)} >= {".png", ".md"}
