"""The pages of the documentation: each is in the navigation, links lead somewhere, and the reference has every name."""

import re
from pathlib import Path

import pytest
import yaml

import harness
from tests.docs.blocks import ROOT
from tests.docs.commands import check_command, steps
from tools.site import has_twin, links, navigation

PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "reports/published/*.md")
    for path in ROOT.glob(pattern)
    if not has_twin(path)
)


def test_every_page_is_in_the_navigation() -> None:
    """A page that nothing leads to is not found; the navigation in zensical.toml has each once."""
    assert sorted(navigation()) == sorted(map(str, PAGES))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_file_linked_exists(page: Path) -> None:
    """Pictures and pages of this repository are at the linked path."""
    assert [link for link in links(ROOT / page) if not (ROOT / page.parent / link).exists()] == []


def test_every_picture_is_shown() -> None:
    """A figure that no page shows is removed."""
    shown = {(ROOT / page.parent / link).resolve().name for page in PAGES for link in links(ROOT / page)}
    assert {path.name for path in (ROOT / "docs" / "assets").glob("*.svg")} <= shown


def test_the_reference_has_every_public_name_once() -> None:
    """Each name of `from harness import …` is documented on one page."""
    page = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: harness\.(\w+)$", page, flags=re.MULTILINE)) == sorted(harness.__all__)


def test_the_workflows_end_in_gates() -> None:
    """The commands of every workflow and step of the page are ones; the last is a gate, or accepts the baseline for one."""
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(text) for text in re.findall(r"```yaml.*?\n(.*?)```", page, flags=re.DOTALL)]
    ends = []
    for block in blocks:
        commands = [command for command in steps(block) if command.startswith("harness ")]
        for command in commands:
            check_command(command)
        ends += [" ".join(commands[-1].split()[:3])] if commands else []
    assert ends == [
        "harness gate --against",
        "harness gate origin/main:baselines/main.json",
        "harness baseline accept",
        "harness gate accepted/main.json",
    ]
