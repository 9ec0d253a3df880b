"""Every code block and command of README and docs: run in a scratch folder, or parsed where a marker says why it is not run."""

import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.docs import blocks
from tests.docs import session as sessions
from tests.docs.blocks import ELSEWHERE, EXAMPLES, MENTIONING, PAGES, ROOT, Block
from tests.docs.commands import check_command, check_mention
from tests.docs.retake import excerpt
from tests.docs.session import Session

FIGURE = re.compile(r"[\d.,]+×|\[[\d.,]+, [\d.,]+\]")
"""A ratio or an interval."""


def name(page: Path) -> str:
    """Return a page's path in the repository."""
    return str(page.relative_to(ROOT))


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page not in ELSEWHERE and blocks.blocks(page)], ids=name)
def test_every_block_runs(page: Path, tmp_path: Path) -> None:
    """Commands end as the page says and print what it shows, figures aside; code runs; data can be read."""
    with ExitStack() as stack:
        session = sessions.start(page, tmp_path, stack)
        for block in blocks.blocks(page):
            try:
                session.try_block(block)
            except AssertionError as error:
                pytest.fail(f"{name(page)}:{block.line}: {error}", pytrace=False)
        session.finish()


@pytest.mark.parametrize("page", EXAMPLES, ids=name)
def test_an_example_shows_a_recorded_run(page: Path, tmp_path: Path) -> None:
    """What depends on times is printed by a run that is kept, figures included; tests of examples run the other commands."""
    with ExitStack() as stack:
        session = sessions.start(page, tmp_path, stack)
        for block in blocks.blocks(page):
            try:
                session.check_recorded(block)
            except AssertionError as error:
                pytest.fail(f"{name(page)}:{block.line}: {error}", pytrace=False)
    assert session.recorded


@pytest.mark.parametrize("page", [page for page in MENTIONING if any(block.recorded for block in blocks.blocks(page))], ids=name)
def test_a_figure_in_the_text_is_one_of_a_block(page: Path) -> None:
    """A ratio or an interval in backquotes is printed by a command of the page."""
    printed = "\n".join(block.text for block in blocks.blocks(page))
    assert [figure for figure in blocks.inline(page) if FIGURE.fullmatch(figure) and figure not in printed] == []


@pytest.mark.parametrize("page", MENTIONING, ids=name)
def test_every_command_and_option_in_the_text_is_one(page: Path) -> None:
    """Commands and options in backquotes parse; the names of files and runs may be anything."""
    for mention in blocks.mentions(page):
        try:
            check_mention(mention, is_past=page.name in {"CHANGELOG.md", "upgrade.md"})
        except AssertionError as error:
            pytest.fail(f"{name(page)}: {error}", pytrace=False)


@pytest.mark.parametrize("page", [page for page in MENTIONING if page not in PAGES or page in ELSEWHERE], ids=name)
def test_every_command_that_is_run_elsewhere_is_one(page: Path) -> None:
    """Those of contributors, of examples, and of the pages whose code is tested as one project."""
    for block in blocks.blocks(page):
        if block.kind in {"bash", "console", "indented"}:
            for command in blocks.commands(block):
                try:
                    check_command(command, is_new=page.name == "CONTRIBUTING.md")
                except AssertionError as error:
                    pytest.fail(f"{name(page)}:{block.line}: {error}", pytrace=False)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Return a session in an empty folder."""
    return sessions.start(ROOT / "README.md", tmp_path, ExitStack())


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (Block(1, "", "x"), "a block of kind '' is not run"),
        (Block(1, "sql", "SELECT 1"), "a block of kind 'sql' is not run"),
        (Block(1, "text", "x"), "a block of kind 'text' is not run"),
        (Block(1, "bash", "harness run --quik"), "ended with 2, not 0"),
        (Block(1, "bash", "harness run --quik", before=("not run: it takes minutes",)), "not a command: harness run --quik"),
        (Block(1, "bash", "apt install wrk"), "'apt' is not a program"),
        (Block(1, "bash", "make nothing", before=("not run: it takes minutes",)), "no such target: {'nothing'}"),
        (Block(1, "bash", "harness run all", before=("not run: dull",)), "'dull' is not a reason"),
        (Block(1, "bash", "pip install 'x[fast]'", before=("not run: it needs a network",)), "no such extra: fast"),
        (Block(1, "bash", "harness explain nothing"), "ended with 2, not 0"),
        (Block(1, "console", "$ harness explain 4\n4 (exit code)\n  Fine.\n"), "`harness explain 4` printed:"),
        (Block(1, "python", "raise OSError"), "ended with 1, not 0"),
        (Block(1, "python", "def", "a.py"), "invalid syntax"),
        (Block(1, "toml", "[tool.harness]\nbudget = 'long'\n"), "budget"),
        (Block(1, "yaml", "- run: harness gait\n"), "not a command: harness gait"),
        (Block(1, "marker", "dance"), "unknown marker 'dance'"),
    ],
    ids=lambda value: value.text[:20] if isinstance(value, Block) else None,
)
def test_a_block_that_does_not_hold_is_refused(session: Session, block: Block, message: str) -> None:
    """The checks can fail: each kind of block that is wrong is named."""
    with pytest.raises((AssertionError, Exception)) as refused:
        session.try_block(block)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("mention", "message"),
    [
        ("--budgt", "no command has the options --budgt"),
        ("--quick --values id=1", "no command has the options"),
        ("--margin 3", "no command accepts --margin 3"),
        ("--harness-bugdet", "no command has the options"),
        ("harness run --quik", "not a command"),
        ("make nothing", "no such target"),
        ("python -m tools.nothing", "no such module: tools.nothing"),
        ("make conformance", "no such target"),
    ],
)
def test_a_mention_that_does_not_hold_is_refused(mention: str, message: str) -> None:
    """An option that no command has, options that no command has together, a value that none accepts."""
    with pytest.raises(AssertionError, match=message):
        check_mention(mention)


def test_pages_about_changes_may_name_what_is_gone() -> None:
    """But not what never was."""
    check_mention("make conformance", is_past=True)
    with pytest.raises(AssertionError, match="no command has the options"):
        check_mention("--budgt", is_past=True)


@pytest.mark.parametrize(
    ("shown", "changed"),
    [
        ("✓ do it", "✗ leave it"),
        (r"\d(\.\d+)?×", "1234×"),
        (r"Trust: \d of", "Trust: 7 of"),
        ("1 of 1 promised gain kept by optimised.\n", ""),
        ("p50  memory", "memory  p50"),
        ("--out runs/first\n", "--out runs/first\nAll is well.\n"),
    ],
)
def test_a_recorded_run_is_shown_exactly(session: Session, shown: str, changed: str) -> None:
    """A sign, a figure, a line that is left out or invented, a column that is moved: each is found."""
    page = ROOT / "docs" / "tutorial.md"
    (block,) = [block for block in blocks.blocks(page) if block.recorded == "tutorial_run"]
    session.replay(block)
    text, count = re.subn(shown, changed, block.text, count=1)
    assert count == 1
    with pytest.raises(AssertionError, match="printed, when it was recorded"):
        session.replay(replace(block, text=text))


def test_a_run_of_another_command_is_not_shown(session: Session) -> None:
    """The record names the command that wrote it."""
    (block,) = [block for block in blocks.blocks(ROOT / "docs" / "tutorial.md") if block.recorded == "tutorial_run"]
    with pytest.raises(AssertionError, match="is recorded by `harness run --out runs/first`"):
        session.replay(replace(block, text=block.text.replace("harness run", "harness run --quick")))


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (["first 1"], ["first 2", "", "second 3", "third 4", "second 5"]),
        (["...", "second 9", "third 9", "..."], ["...", "second 3", "third 4", "..."]),
        (["first 9", "...", "third 9", "second 9"], ["first 2", "...", "third 4", "second 5"]),
    ],
)
def test_a_block_that_leaves_lines_out_keeps_its_form(shown: list[str], expected: list[str]) -> None:
    """When it is taken again it has the same parts, with the new figures."""
    assert excerpt(shown, ["first 2", "", "second 3", "third 4", "second 5"]) == expected


def test_every_recorded_run_is_shown() -> None:
    """One that no page shows is removed."""
    markers = "".join(page.read_text(encoding="utf-8") for page in MENTIONING)
    assert [file.name for file in sessions.RECORDED.iterdir() if file.name.removesuffix(".json.gz") not in markers] == []


def test_figures_and_folders_may_differ_and_words_may_not(session: Session) -> None:
    """`...` stands for any lines, and a figure for any figure."""
    printed = "[1/8] preparing\nread 12 of 15 rows in 0.8 s\nproject: /tmp/x/first\nend\n"
    assert sessions.matches(["read 3 of 4 rows in 1.25 s", "project: /home/you/first", "end"], printed, session.folder)
    assert sessions.matches(["...", "end"], printed, session.folder)
    assert not sessions.matches(["read 3 of 4 rows"], printed, session.folder)
    assert not sessions.matches(["...", "end", "read 3 of 4 rows in 1.25 s"], printed, session.folder)
    assert not sessions.matches(["wrote 3 of 4 rows in 1.25 s", "...", "end"], printed, session.folder)


@pytest.mark.parametrize("took", ["under 1 s", "3 s", "59 s", "1 min", "1 min 4 s", "1\nmin 4 s", "2 h 1 min 4 s"])
def test_the_form_of_a_duration_is_a_figure(took: str, tmp_path: Path) -> None:
    """A page shows that of another machine; other words have to be those that were printed."""
    assert sessions.matches(
        ["2026-11-30 15:29 UTC · 3 s", "not decided"], f"2026-11-30 17:07 UTC · {took}\nnot decided\n", tmp_path
    )
    assert not sessions.matches(["2026-11-30 15:29 UTC · 3 s"], f"2026-11-30 17:07 UTC · {took} or so\n", tmp_path)
