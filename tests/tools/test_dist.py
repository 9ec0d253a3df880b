"""The wheel and the source distribution: complete, reproducible, and refused where something is wrong with them."""

import base64
import csv
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import replace
from email.message import Message
from pathlib import Path

import pytest

from harness.errors import UsageError
from tools.dist import (
    ROOT,
    CommitFiles,
    build,
    changelog_problems,
    checked_out,
    extract,
    main,
    metadata_problems,
    notes,
    sdist_problems,
    wheel_problems,
)

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
Edit = Callable[[dict[str, bytes]], None]
INFO = f"advice_on_trial-{PROJECT['version']}.dist-info"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source(committed: Path, tmp_path_factory: pytest.TempPathFactory) -> CommitFiles:
    """Return the files of the commit."""
    return checked_out("HEAD", committed, tmp_path_factory.mktemp("source") / "files")


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of each file by its name."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def cloned(committed: Path, folder: Path) -> Path:
    """Return a clone of a repository."""
    elsewhere = folder / "elsewhere"
    subprocess.run(["git", "clone", "--quiet", str(committed), str(elsewhere)], check=True, timeout=300)
    return elsewhere


def commit_all(repository: Path) -> None:
    """Commit every change."""
    identity = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
    for words in (["add", "--all"], ["commit", "--quiet", "--message", "tests: change what is built"]):
        subprocess.run(["git", *identity, *words], cwd=repository, check=True, timeout=300)


def test_the_wheel_has_the_package_and_nothing_else(wheel_file: Path) -> None:
    """One top-level name, so that no other project's is overwritten; the type marker, templates, translations and the licence."""
    names = set(zipfile.ZipFile(wheel_file).namelist())
    assert {name.split("/")[0] for name in names} == {"harness", INFO}
    assert {"harness/py.typed", "harness/report/html/page.js", f"{INFO}/licenses/LICENSE"} <= names
    for folder, suffix in (("locale/ja", ".mo"), ("init/templates", ".txt"), ("report/html", ".j2"), ("report/html", ".css")):
        assert any(name.startswith(f"harness/{folder}") and name.endswith(suffix) for name in names), (folder, suffix)
    assert [name for name in names if name.endswith((".po", ".pyc"))] == []
    assert [name for name in names if {"runs", "tests"} & {*name.split("/")} or name.split("/")[-1].startswith("test_")] == []


def test_the_source_distribution_has_the_sources_of_the_wheel(distribution: Path) -> None:
    """With the changelog, the licence and what translations are compiled from; without the tests and the trial."""
    (sdist,) = distribution.glob("*.tar.gz")
    with tarfile.open(sdist) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    assert {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", "harness/locale/ja/LC_MESSAGES/harness.po"} <= names
    assert {name.split("/")[0] for name in names if "/" in name} == {"harness", "advice_on_trial.egg-info"}


def test_the_same_commit_gives_the_same_bytes(
    committed: Path, distribution: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Elsewhere, later, with uncommitted changes, and by a user whose new files are private; the digests are printed."""
    elsewhere = cloned(committed, tmp_path)
    (elsewhere / "harness" / "unfinished.py").write_text("x = (\n")
    (elsewhere / "README.md").write_text("# Another\n")
    old = os.umask(0o077)
    try:
        assert main([], elsewhere) == 0
    finally:
        os.umask(old)
    found = digests(elsewhere / "dist")
    assert found == digests(distribution)
    assert len(found) == 2
    printed = capsys.readouterr().out.splitlines()
    assert sorted(printed[:2]) == sorted(f"{digest}  {elsewhere / 'dist' / name}" for name, digest in found.items())
    assert printed[2] == "2 uncommitted changes left out"


@pytest.mark.parametrize(
    ("heading", "count"),
    [("– 2026-01-02", 0), ("– unreleased", 1), ("– 2 January", 1), ("", 1)],
)
def test_what_is_not_a_release_is_named(committed: Path, tmp_path: Path, heading: str, count: int) -> None:
    """A changelog without a date is not refused, so that what is unreleased can be tried."""
    elsewhere = cloned(committed, tmp_path)
    version = PROJECT["version"]
    (elsewhere / "CHANGELOG.md").write_text(f"# Changelog\n\n## [{version}] {heading}".rstrip() + "\n")
    found = list(notes(CommitFiles(elsewhere, 0), "main", elsewhere))
    assert found == [f"not a release: CHANGELOG.md has no date for {version}"] * count


def test_files_that_the_build_leaves_out_are_refused(committed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that the packaging does not name, in the wheel; one that the source distribution excludes. Nothing is written."""
    elsewhere = cloned(committed, tmp_path)
    (elsewhere / "harness" / "report" / "html" / "page.svg").touch()
    with (elsewhere / "MANIFEST.in").open("a") as file:
        file.write("exclude harness/report/html/page.js\n")
    commit_all(elsewhere)
    assert main([], elsewhere) == 1
    printed = capsys.readouterr().err
    version = PROJECT["version"]
    assert f"advice_on_trial-{version}-py3-none-any.whl: harness/report/html/page.svg is missing" in printed
    assert f"advice_on_trial-{version}.tar.gz: harness/report/html/page.js is missing" in printed
    assert not (elsewhere / "dist").exists()


def remove(name: str) -> Edit:
    """Return an edit that removes a file."""

    def edit(files: dict[str, bytes]) -> None:
        del files[name]

    return edit


def put(name: str, body: bytes) -> Edit:
    """Return an edit that adds or replaces a file, RECORD unchanged."""
    return lambda files: files.update({name: body})


def replace_in(name: str, old: bytes, new: bytes) -> Edit:
    """Return an edit that changes a file, RECORD included."""

    def edit(files: dict[str, bytes]) -> None:
        assert old in files[name]
        files[name] = files[name].replace(old, new)
        record = f"{INFO}/RECORD"
        rows = [*csv.reader(io.StringIO(files[record].decode()))]
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=").decode()
        text = io.StringIO()
        csv.writer(text).writerows([path, f"sha256={digest}", "0"] if path == name else [path, *rest] for path, *rest in rows)
        files[record] = text.getvalue().encode()

    return edit


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (remove("harness/py.typed"), "harness/py.typed is missing"),
        (put("tests/test_x.py", b""), "tests/test_x.py is too much"),
        (put("harness/text.py", b""), "RECORD does not have the digest of harness/text.py"),
        (replace_in(f"{INFO}/METADATA", b"\nVersion: ", b"\nVersion: 9"), "Version is ['9"),
        (replace_in(f"{INFO}/METADATA", b"License-Expression: MIT", b"License-Expression: ISC"), "License-Expression is ['ISC']"),
        (replace_in(f"{INFO}/METADATA", b"Requires-Python: >=3.11", b"Requires-Python: >=3.9"), "Requires-Python is ['>=3.9']"),
        (replace_in(f"{INFO}/METADATA", b"Provides-Extra: report\n", b""), "Provides-Extra is "),
        (replace_in(f"{INFO}/WHEEL", b"py3-none-any", b"cp311-cp311-linux_x86_64"), "is not for every platform"),
        (replace_in(f"{INFO}/licenses/LICENSE", b"MIT", b"Other"), "its licence is not LICENSE"),
    ],
)
def test_a_wheel_with_something_wrong_is_refused(
    edit: Edit, problem: str, wheel_file: Path, source: CommitFiles, tmp_path: Path
) -> None:
    """Each problem names the wheel and what is wrong; the wheel as it is built has none."""
    assert list(wheel_problems(wheel_file, source)) == []
    with zipfile.ZipFile(wheel_file) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    edit(files)
    changed = tmp_path / wheel_file.name
    with zipfile.ZipFile(changed, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    found = list(wheel_problems(changed, source))
    assert [line.partition(": ")[0] for line in found] == [wheel_file.name] * len(found)
    assert any(problem in line for line in found), found


def test_a_source_distribution_with_something_else_is_refused(distribution: Path, source: CommitFiles, tmp_path: Path) -> None:
    """The one that is built has no problem; a file beside the package is one, and so is a missing file."""
    (built,) = distribution.glob("*.tar.gz")
    assert list(sdist_problems(built, source)) == []
    with tarfile.open(built) as archive:
        extract(archive, tmp_path)
    (unpacked,) = tmp_path.iterdir()
    shutil.rmtree(unpacked / "harness" / "stats")
    (unpacked / "notes.txt").touch()
    changed = tmp_path / "changed.tar.gz"
    with tarfile.open(changed, "w:gz") as archive:
        archive.add(unpacked, unpacked.name)
    found = list(sdist_problems(changed, source))
    assert "changed.tar.gz: notes.txt is too much; leave it out in pyproject.toml or MANIFEST.in" in found
    assert any("harness/stats/__init__.py is missing" in line for line in found)


def test_metadata_differ_from_the_project_field_by_field() -> None:
    """Empty metadata lack every field, and the description."""
    found = list(metadata_problems(Message(), PROJECT))
    assert len(found) == 12
    assert found[-1] == "the description is not README.md"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("## [Unreleased]\n\n## [1.2.0] – 2026-01-02\n", []),
        ("## [1.2.0] – unreleased\n", []),
        ("## [1.1.0] – 2026-01-02\n", ["CHANGELOG.md names 1.1.0 last, and pyproject.toml 1.2.0; name the changes of 1.2.0"]),
        ("# Changelog\n", ["CHANGELOG.md names no version, and pyproject.toml 1.2.0; name the changes of 1.2.0"]),
    ],
)
def test_the_changelog_has_the_version(text: str, problems: list[str]) -> None:
    """The newest version that it names is the one that is built; what is unreleased comes before it."""
    assert list(changelog_problems(text, "1.2.0")) == problems


def test_an_unknown_commit_is_refused(tmp_path: Path) -> None:
    """The message is git's, with what to do."""
    with pytest.raises(UsageError, match="name a commit of this repository"):
        checked_out("no-such-commit", ROOT, tmp_path)


def test_a_broken_build_is_refused(source: CommitFiles, tmp_path: Path, committed: Path) -> None:
    """A backend that fails ends with its last lines."""
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(source.folder, elsewhere)
    (elsewhere / "pyproject.toml").write_text("[build-system]\nrequires = []\nbuild-backend = 'no_such_backend'\n")
    broken = replace(source, folder=elsewhere)
    with pytest.raises(UsageError, match="the build failed; fix what it says:\n"):
        build(broken, tmp_path)
