"""Folders of runs that can be resumed: their request, their journal, and what is refused."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.results.resumable import Journal, ResumableRequest, read_request, refuse_other

REQUEST = ResumableRequest("load test", "harness load x", ["x"], {"the commit": "abc", "--rate": "50"})


class Result(msgspec.Struct):
    """A line of a journal."""

    number: int
    text: str = ""


def test_a_request_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A second one in the same folder is refused, with the option that continues the first."""
    REQUEST.write(tmp_path)
    assert read_request(tmp_path) == REQUEST
    with pytest.raises(UsageError, match=f"already contains a run; continue it with --resume {tmp_path}"):
        REQUEST.write(tmp_path)


def test_a_folder_without_a_request_is_refused(tmp_path: Path) -> None:
    """The message has the reason, and the next step."""
    with pytest.raises(
        UsageError, match=r"has no run to resume: request\.json: No such file .* name the folder of an interrupted run"
    ):
        read_request(tmp_path)
    (tmp_path / "request.json").write_text("[")
    with pytest.raises(UsageError, match=r"has no run to resume: request\.json: "):
        read_request(tmp_path)


@pytest.mark.parametrize(
    ("now", "change"),
    [
        ({"the commit": "def", "--rate": "50"}, "the commit: abc before, def now"),
        ({"the commit": "abc", "--rate": "60"}, "--rate: 50 before, 60 now"),
        ({"the commit": "abc", "--rate": "50", "--users": "3"}, "--users: none before, 3 now"),
        ({"the commit": "abc"}, "--rate: 50 before, none now"),
    ],
    ids=["commit", "option", "more", "less"],
)
def test_another_request_is_refused_by_the_first_difference(tmp_path: Path, now: dict[str, str], change: str) -> None:
    """Nothing of the folder would fit what is asked for now."""
    with pytest.raises(UsageError) as refused:
        REQUEST.refuse_other(tmp_path, replace(REQUEST, identity=now))
    assert str(refused.value) == (
        f"{tmp_path} cannot be resumed, because it is of another run ({change}); start it again without --resume"
    )
    refuse_other(tmp_path, "load test", now, now)


def test_another_command_is_refused(tmp_path: Path) -> None:
    """A capacity search does not continue a load test."""
    with pytest.raises(UsageError, match=r"the command: load test before, capacity search now"):
        REQUEST.refuse_other(tmp_path, replace(REQUEST, subject="capacity search"))


@given(st.lists(st.text()), st.integers(min_value=1))
def test_a_journal_keeps_every_whole_line(tmp_path_factory: pytest.TempPathFactory, texts: list[str], cut: int) -> None:
    """One that was cut off anywhere has the lines before, and takes others after them."""
    file = tmp_path_factory.mktemp("journal") / "results.jsonl"
    journal = Journal[Result](file, Result)
    written = [Result(number, text.encode(errors="replace").decode()) for number, text in enumerate(texts)]
    for result in written:
        journal.append(result)
    assert journal.lines() == written
    body = file.read_bytes() if written else b""
    if written:
        file.write_bytes(body[: -min(cut, len(body))])
    kept = journal.lines()
    assert kept == written[: len(kept)]
    journal.append(Result(-1))
    assert journal.lines() == [*kept, Result(-1)]


def test_a_journal_of_something_else_is_refused(tmp_path: Path) -> None:
    """The message names the file."""
    file = tmp_path / "results.jsonl"
    file.write_text('{"text": "no number"}\n')
    with pytest.raises(UsageError, match=r"results.jsonl cannot be read: .*number.*; start it again without --resume"):
        Journal[Result](file, Result).lines()


def test_a_journal_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    """The message has the file and the next step."""
    with pytest.raises(UsageError, match=r"cannot write .*; choose another folder with --out"):
        Journal[Result](tmp_path / "missing" / "results.jsonl", Result).append(Result(1))


def test_one_process_at_a_time_measures_into_a_folder(tmp_path: Path) -> None:
    """The second one is refused, until the first has ended."""
    first, second = (Journal[Result](tmp_path / "run" / "results.jsonl", Result) for _ in range(2))
    with first.alone(), pytest.raises(UsageError, match="another process still measures into"), second.alone():
        pass
    with second.alone():
        second.append(Result(1))
    assert first.lines() == [Result(1)]
