"""Every code block and command of README and docs: run in a scratch folder, or parsed where a marker says why it is not run."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docs import blocks
from tests.docs import session as sessions
from tests.docs.blocks import ELSEWHERE, PAGES, ROOT, Block
from tests.docs.commands import check_command
from tests.docs.session import Session


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


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_in_the_text_is_one(page: Path) -> None:
    """Commands in backquotes parse, with their options; the names of files and runs may be anything."""
    for command in blocks.inline_commands(page):
        try:
            check_command(command, is_mention=True)
        except AssertionError as error:
            pytest.fail(f"{name(page)}: {error}", pytrace=False)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Return a session in an empty folder."""
    return sessions.start(ROOT / "README.md", tmp_path, ExitStack())


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (Block(1, "", "x"), "a block of kind '' is not run"),
        (Block(1, "sql", "SELECT 1"), "a block of kind 'sql' is not run"),
        (Block(1, "text", "x"), "no command before it printed it"),
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


def test_figures_and_folders_may_differ_and_words_may_not(session: Session) -> None:
    """`...` stands for any lines, and a figure for any figure."""
    printed = "[1/8] preparing\nread 12 of 15 rows in 0.8 s\nproject: /tmp/x/first\nend\n"
    assert sessions.matches(["read 3 of 4 rows in 1.25 s", "project: /home/you/first", "end"], printed, session.folder)
    assert sessions.matches(["...", "end"], printed, session.folder)
    assert not sessions.matches(["read 3 of 4 rows"], printed, session.folder)
    assert not sessions.matches(["wrote 3 of 4 rows in 1.25 s", "...", "end"], printed, session.folder)
    assert sessions.unknown_words("optimised: at least 21.7×, p50 10.1 ms: worth dancing", "optimised") == ["dancing"]


@pytest.mark.parametrize("took", ["under 1 s", "3 s", "59 s", "1 min", "1 min 4 s", "1\nmin 4 s", "2 h 1 min 4 s"])
def test_the_form_of_a_duration_is_a_figure(took: str, tmp_path: Path) -> None:
    """A page shows that of another machine; other words have to be those that were printed."""
    assert sessions.matches(
        ["2026-11-30 15:29 UTC · 3 s", "not decided"], f"2026-11-30 17:07 UTC · {took}\nnot decided\n", tmp_path
    )
    assert not sessions.matches(["2026-11-30 15:29 UTC · 3 s"], f"2026-11-30 17:07 UTC · {took} or so\n", tmp_path)
