"""Build the wheel and the source distribution of a commit, and check them: `python -m tools.dist`, `make dist`.

The commit is built and not the working tree, so that nothing else is in it. The same commit gives the same bytes: times are the
commit's, modes do not depend on the user, and archives are in order. Nothing is fetched; the build backend is the installed one.
"""

import argparse
import base64
import csv
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from tools import exit_code

ROOT = Path(__file__).parents[1]
PACKAGE = "harness"
FAILED = 1
HANG_S = 600
SOURCES_ONLY = (".po",)
"""Suffixes of files of the package that are compiled into others, and shipped with the sources alone."""
BESIDE = ("CHANGELOG.md", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml")
"""What the source distribution has beside the package."""
MADE = ("PKG-INFO", "setup.cfg")
"""What the build adds to a source distribution."""
METADATA = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "top_level.txt")
"""What the build adds to a wheel, in its `.dist-info` folder."""
HEADING = re.compile(r"^## \[(?P<version>\d[^\]]*)\](?: – (?P<date>.*))?$", re.MULTILINE)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class BuiltDistributions:
    """The wheel and the source distribution of a commit."""

    wheel: Path
    sdist: Path

    @property
    def files(self) -> tuple[Path, Path]:
        """Both files."""
        return self.wheel, self.sdist


@dataclass(frozen=True)
class CommitFiles:
    """The files of a commit, in a folder."""

    folder: Path
    seconds: int
    """The commit's time, since 1970."""

    @property
    def project(self) -> dict[str, Any]:
        """The table `[project]`."""
        found: dict[str, Any] = tomllib.loads((self.folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return found

    def package_files(self) -> set[str]:
        """Return the names of the package's files."""
        return {file.relative_to(self.folder).as_posix() for file in (self.folder / PACKAGE).rglob("*") if file.is_file()}


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Build, check, and print the names and digests of both files; return 1 if a check fails, and then leave nothing behind."""
    parser = argparse.ArgumentParser(prog="python -m tools.dist", description=__doc__)
    parser.add_argument("commit", nargs="?", default="HEAD", metavar="COMMIT", help="commit to build (default: HEAD)")
    parser.add_argument("--out", type=Path, default=root / "dist", metavar="DIR", help="folder of both files (default: dist)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="harness-dist-") as scratch:
        source = checked_out(options.commit, root, Path(scratch) / "source")
        built = build(source, Path(scratch))
        found = problems(built, source)
        for problem in found:
            sys.stderr.write(f"{problem}\n")
        if found:
            return FAILED
        options.out.mkdir(parents=True, exist_ok=True)
        for file in built.files:
            shutil.copyfile(file, options.out / file.name)
            sys.stdout.write(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {options.out / file.name}\n")
        for note in notes(source, options.commit, root):
            sys.stdout.write(f"{note}\n")
    return 0


def checked_out(commit: str, root: Path, folder: Path) -> CommitFiles:
    """Return a commit's files in a new folder; UsageError if there is no such commit."""
    archive = _git(root, "-c", "tar.umask=0022", "archive", "--format=tar", commit)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        extract(files, folder)
    return CommitFiles(folder, int(_git(root, "log", "-1", "--format=%ct", commit)))


def extract(files: tarfile.TarFile, folder: Path) -> None:
    """Extract an archive that was made here; with the filter of safe members where Python has it, from 3.11.4 on."""
    if hasattr(tarfile, "data_filter"):
        files.extractall(folder, filter="data")
    else:
        files.extractall(folder)  # noqa: S202 - see above


def build(source: CommitFiles, scratch: Path) -> BuiltDistributions:
    """Build the source distribution of a commit, and the wheel of that; both in `scratch`."""
    (sdist,) = _built("--sdist", source.folder, scratch / "sdist", source.seconds)
    _normalise(sdist, source.seconds)
    with tarfile.open(sdist) as files:
        extract(files, scratch / "unpacked")
    (unpacked,) = (scratch / "unpacked").iterdir()
    (wheel,) = _built("--wheel", unpacked, scratch / "wheel", source.seconds)
    return BuiltDistributions(wheel, sdist)


def _built(kind: str, folder: Path, out: Path, seconds: int) -> list[Path]:
    """Run the build backend of the environment on a folder; UsageError with its last lines if it fails."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(seconds), "PYTHONHASHSEED": "0", "PYTHONPATH": "", "TZ": "UTC"}
    command = [sys.executable, "-m", "build", kind, "--no-isolation", "--outdir", str(out), str(folder)]
    done = subprocess.run(
        command, cwd=out.parent, env=environment, umask=0o022, capture_output=True, text=True, timeout=HANG_S, check=False
    )
    if done.returncode:
        last = "\n".join([*done.stdout.splitlines(), *done.stderr.splitlines()][-20:])
        raise UsageError(f"the build failed; fix what it says:\n{last}")
    return [*out.iterdir()]


def _normalise(sdist: Path, seconds: int) -> None:
    """Write a source distribution again: in order, by no user, and at one time, which the build backend does not do."""
    with tarfile.open(sdist) as old:
        members = [(member, old.extractfile(member)) for member in sorted(old.getmembers(), key=lambda member: member.name)]
        body = io.BytesIO()
        with tarfile.open(fileobj=body, mode="w", format=tarfile.PAX_FORMAT) as new:
            for member, content in members:
                member.mtime, member.uid, member.gid, member.uname, member.gname, member.pax_headers = seconds, 0, 0, "", "", {}
                member.mode = 0o755 if member.isdir() else 0o644
                new.addfile(member, content)
    sdist.write_bytes(gzip.compress(body.getvalue(), mtime=seconds))


def problems(built: BuiltDistributions, source: CommitFiles) -> list[str]:
    """Return what is wrong with the two files of a commit."""
    return [
        *wheel_problems(built.wheel, source),
        *sdist_problems(built.sdist, source),
        *changelog_problems((source.folder / "CHANGELOG.md").read_text(encoding="utf-8"), source.project["version"]),
        *_same_wheel(built, source),
        *_index_problems(built),
    ]


def wheel_problems(wheel: Path, source: CommitFiles) -> Iterator[str]:
    """Yield what is wrong with a wheel: files that are missing or too many, digests, metadata."""
    expected = {name for name in source.package_files() if not name.endswith(SOURCES_ONLY)}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(iter({name.split("/")[0] for name in names if ".dist-info/" in name}), "missing.dist-info")
        yield from _differences(wheel.name, names, expected | {f"{info}/{name}" for name in METADATA})
        if problem := archive.testzip():
            yield f"{wheel.name}: {problem} is damaged"
        files = {name.removeprefix(f"{info}/"): archive.read(name) for name in names if not name.endswith("/")}
    yield from (f"{wheel.name}: {problem}" for problem in _record_problems(files, info))
    if b"Tag: py3-none-any" not in files.get("WHEEL", b""):
        yield f"{wheel.name}: is not for every platform"
    metadata = Parser().parsestr(files.get("METADATA", b"").decode())
    yield from (f"{wheel.name}: {problem}" for problem in metadata_problems(metadata, source.project))
    if files.get("licenses/LICENSE") != (source.folder / "LICENSE").read_bytes():
        yield f"{wheel.name}: its licence is not LICENSE"


def _record_problems(files: Mapping[str, bytes], info: str) -> Iterator[str]:
    """Yield the files whose digest is not the one of RECORD, and those that it does not list."""
    rows = {row[0].removeprefix(f"{info}/"): row[1] for row in csv.reader(io.StringIO(files.get("RECORD", b"").decode())) if row}
    for name, body in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
        if name != "RECORD" and rows.get(name) != f"sha256={digest}":
            yield f"RECORD does not have the digest of {name}"


def metadata_problems(metadata: Message, project: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields that differ from `[project]`."""
    expected = {
        "Name": [project["name"]],
        "Version": [project["version"]],
        "Summary": [project["description"]],
        "Author": [author["name"] for author in project["authors"]],
        "Keywords": [",".join(project["keywords"])],
        "License-Expression": [project["license"]],
        "License-File": project["license-files"],
        "Requires-Python": [project["requires-python"]],
        "Description-Content-Type": ["text/markdown"],
        "Classifier": project["classifiers"],
        "Provides-Extra": list(project["optional-dependencies"]),
    }
    for field, values in expected.items():
        if sorted(map(str, metadata.get_all(field, []))) != sorted(values):
            yield f"{field} is {metadata.get_all(field)}, and not {values} as in pyproject.toml"
    if not str(metadata.get_payload()).startswith("# "):
        yield "the description is not README.md"


def sdist_problems(sdist: Path, source: CommitFiles) -> Iterator[str]:
    """Yield the files of a source distribution that are missing or too many."""
    with tarfile.open(sdist) as archive:
        files = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    made = {name for name in files if name.partition("/")[0].endswith(".egg-info")}
    yield from _differences(sdist.name, files - made, source.package_files() | {*BESIDE, *MADE})


def _differences(name: str, found: set[str], expected: set[str]) -> Iterator[str]:
    yield from (f"{name}: {missing} is missing; name it in pyproject.toml or MANIFEST.in" for missing in sorted(expected - found))
    yield from (f"{name}: {extra} is too much; leave it out in pyproject.toml or MANIFEST.in" for extra in sorted(found - expected))


def changelog_problems(text: str, version: str) -> Iterator[str]:
    """Yield what is wrong with the changelog: the newest version that it names is another one."""
    newest = HEADING.search(text)
    if newest is None or newest["version"] != version:
        named = f"{newest['version']} last" if newest else "no version"
        yield f"CHANGELOG.md names {named}, and pyproject.toml {version}; name the changes of {version}"


def _same_wheel(built: BuiltDistributions, source: CommitFiles) -> Iterator[str]:
    """Yield a problem if the wheel of the source distribution is not the wheel of the commit."""
    (direct,) = _built("--wheel", source.folder, built.wheel.parent.with_name("direct"), source.seconds)
    if direct.read_bytes() != built.wheel.read_bytes():
        yield f"{built.sdist.name}: its wheel is not the one of the commit"


def _index_problems(built: BuiltDistributions) -> Iterator[str]:
    """Yield what a package index would not accept."""
    command = [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *map(str, built.files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)
    if done.returncode:
        yield f"twine: {' '.join((done.stdout + done.stderr).split())}"


def notes(source: CommitFiles, commit: str, root: Path) -> Iterator[str]:
    """Yield why the files are not a release: uncommitted changes, or a changelog without a date."""
    if commit == "HEAD" and (changed := _git(root, "status", "--porcelain").decode().splitlines()):
        yield f"{len(changed)} uncommitted change{'' if len(changed) == 1 else 's'} left out"
    newest = HEADING.search((source.folder / "CHANGELOG.md").read_text(encoding="utf-8"))
    if newest is None or not DATE.fullmatch(newest["date"] or ""):
        yield f"not a release: CHANGELOG.md has no date for {source.project['version']}"


def _git(root: Path, *arguments: str) -> bytes:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, timeout=HANG_S, check=False)
    if done.returncode:
        raise UsageError(f"git {arguments[-1]}: {done.stderr.decode(errors='replace').strip()}; name a commit of this repository")
    return done.stdout


if __name__ == "__main__":
    sys.exit(exit_code(main))
