"""What counts as a difference, given two recordings."""

from pathlib import Path

import pytest

from harness.gate.impact.decision import NOTHING, RecordedWindow, VersionRecording, differences, parsed


def recording(
    codes: set[tuple[str, str, str]] | None = None,
    *,
    files: set[str] | None = None,
    folders: set[str] | None = None,
    facts: dict[str, str] | None = None,
    blind: str = "",
) -> VersionRecording:
    """Return the recording of one benchmark."""
    window = RecordedWindow(frozenset(codes or ()), frozenset(files or ()), frozenset(folders or ()), frozenset())
    return VersionRecording({"b": window}, {"b": ["", "b"]}, facts or {}, blind)


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """Return two trees that differ in one file."""
    for name, text in (("old", "1"), ("new", "2")):
        (tmp_path / name / "folder").mkdir(parents=True)
        (tmp_path / name / "same.py").write_text("same")
        (tmp_path / name / "other.py").write_text(text)
        (tmp_path / name / "folder" / name).write_text("")
    return tmp_path / "old", tmp_path / "new"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (recording(), recording(), []),
        (recording({("other.py", "f", "1")}), recording({("other.py", "f", "1")}), []),
        (recording({("other.py", "f", "1")}), recording({("other.py", "f", "2")}), ["f in other.py differs"]),
        (recording(), recording({("other.py", "f", "1")}), ["f in other.py runs in the new version only"]),
        (recording({("other.py", "f", "1")}), recording(), ["f in other.py runs in the old version only"]),
        (recording({("same.py", "f", "1")}), recording(), []),
        (recording({("/lib/dep.py", "f", "1")}), recording(), ["f in /lib/dep.py runs in the old version only"]),
        (
            recording({("other.py", "<module>", "1")}),
            recording({("other.py", "<module>", "2")}),
            ["module-level code of other.py differs"],
        ),
        (
            recording({("<generated>", "f", "1")}),
            recording({("<generated>", "f", "2")}),
            ["generated code of f differs"],
        ),
        (recording(files={"same.py"}), recording(), []),
        (recording(files={"other.py"}), recording(), ["other.py, which is read, differs"]),
        (recording(), recording(files={"folder/new"}), ["folder/new, which is read, differs"]),
        (recording(files={"nowhere"}), recording(), []),
        (recording(folders={"folder"}), recording(), ["the content of folder folder, which is listed, differs"]),
        (recording(folders={"."}), recording(), []),
        (recording(facts={"a": "1"}), recording(facts={"a": "2"}), ["a differs"]),
        (recording(facts={"a": "1"}), recording(), ["a was removed"]),
        (recording(blind="why"), recording(), ["files that compiled code opens are not seen here: why"]),
    ],
)
def test_differences_are_named(trees: tuple[Path, Path], old: VersionRecording, new: VersionRecording, expected: list[str]) -> None:
    """Code by its digest, or its file where it ran once only; files and folders by their content; facts by name."""
    assert differences(old, new, trees, ["b"]) == {"b": expected}


def test_a_benchmark_that_one_version_lacks_is_timed(trees: tuple[Path, Path]) -> None:
    """Nothing is known about it."""
    assert differences(recording(), recording(), trees, ["c"]) == {"c": ["it was not recorded in both versions"]}


def test_the_processes_of_a_version_are_one_recording() -> None:
    """What several processes did in windows of the same name is joined, and one that is blind makes all blind."""
    first = {
        "codes": [["a.py", "f", "1"]],
        "windows": {
            "": {"codes": [0], "files": ["x"], "folders": [], "hazards": [], "sought": [], "reads": [], "docstrings": False}
        },
        "benchmarks": {},
        "facts": {"a": "1"},
        "docstrings": {},
        "blind": "",
        "counts": {},
    }
    second = {**first, "codes": [["a.py", "g", "2"]], "benchmarks": {"b": [""]}, "facts": {"b": "2"}, "blind": "why"}
    found = parsed(first, second)
    assert found.window("b").codes == {("a.py", "f", "1"), ("a.py", "g", "2")}
    assert found.facts == {"a": "1", "b": "2"}
    assert found.blind == "why"
    assert NOTHING | found.window("b") == found.as_one().window("all")
