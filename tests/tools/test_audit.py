"""Known vulnerabilities of the locked packages, from a checkout of a database in the OSV format."""

import json
import sys
from pathlib import Path

import msgspec
import pytest

from harness.errors import UsageError
from tools import audit
from tools.audit import Advisories, Advisory, Range, known, locked, ranges_of, read_database

YAML = """id: PYSEC-2021-66
affected:
- package: {name: Jinja2, ecosystem: PyPI}
  ranges:
  - type: ECOSYSTEM
    events:
    - introduced: '0'
    - fixed: 2.11.3
  versions: ['2.0']
aliases: [CVE-2020-28493, SNYK-PYTHON-JINJA2-1012994]
modified: '2021-03-22T16:34:00Z'
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout with advisories of this database and of GitHub's."""
    folder = tmp_path / "database"
    (folder / "vulns" / "jinja2").mkdir(parents=True)
    (folder / "vulns" / "jinja2" / "PYSEC-2021-66.yaml").write_text(YAML)
    (folder / "vulns" / "jinja2" / "PYSEC-2021-67.yaml").write_text(YAML + "withdrawn: '2022-01-01T00:00:00Z'\n")
    entry = {
        "id": "GHSA-x",
        "modified": "2024-01-02T03:04:05Z",
        "aliases": [],
        "affected": [
            {"package": {"name": "flask", "ecosystem": "PyPI"}, "versions": ["1.0"]},
            {"package": {"name": "flask", "ecosystem": "npm"}, "versions": ["2.0"]},
            {"package": {"name": "django", "ecosystem": "PyPI"}, "versions": ["2.0"]},
        ],
    }
    (folder / "GHSA-x.json").write_text(json.dumps(entry))
    (folder / "config.json").write_text("{}")
    return folder


def test_packages_and_versions_of_the_lock() -> None:
    """Names are compared without regard to case and separators; hashes and markers are not versions."""
    text = "Jinja2==3.1.6 \\\n    --hash=sha256:00\ntyping.Extensions==4.1 ; python_version < '3.12' \\\n"
    assert locked(text) == {"jinja2": "3.1.6", "typing-extensions": "4.1"}


def test_only_what_concerns_the_lock_is_kept(checkout: Path) -> None:
    """Withdrawn entries, other packages and other ecosystems are left out; the date is that of the latest entry."""
    found = read_database(checkout, {"jinja2": "2.11.2", "flask": "1.0"})
    assert found.as_of == "2024-01-02"
    assert found.advisories == [
        Advisory("GHSA-x", "flask", versions=["1.0"]),
        Advisory("PYSEC-2021-66", "jinja2", [Range("0", fixed="2.11.3")], aliases=["CVE-2020-28493"]),
    ]
    with pytest.raises(UsageError, match="has no advisories; name a checkout"):
        read_database(checkout / "vulns" / "none", {})


@pytest.mark.parametrize(
    ("version", "is_affected"), [("0.9", False), ("1.0", True), ("1.9", True), ("2.0", False), ("3.0", True), ("3.1", False)]
)
def test_ranges(version: str, is_affected: bool) -> None:
    """A fixed version is not affected any more, and a last affected one still is."""
    events = [{"introduced": "1.0"}, {"fixed": "2.0"}, {"introduced": "3.0"}, {"last_affected": "3.0"}]
    assert Advisory("x", "y", list(ranges_of(events))).affects(version) is is_affected
    assert Advisory("x", "y", list(ranges_of([{"introduced": "0"}]))).affects(version)


def test_a_known_vulnerability_fails(checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Package, version, names and the fixed version are printed, and the exit code is 1; without one it is 0."""
    monkeypatch.setattr(audit, "LOCK", checkout / "lock")
    monkeypatch.setattr(audit, "ADVISORIES", checkout / "advisories.json")
    (checkout / "lock").write_text("jinja2==2.11.2\nflask==2.0\n")
    monkeypatch.setattr(sys, "argv", ["audit", "--renew", str(checkout)])
    assert audit.run() == 1
    written = capsys.readouterr()
    assert written.err == "jinja2 2.11.2: PYSEC-2021-66 CVE-2020-28493: fixed in 2.11.3\n"
    assert written.out.startswith("2 locked packages, 2 advisories as of 2024-01-02: 1 apply; they are ")
    (checkout / "lock").write_text("jinja2==2.11.3\n")
    monkeypatch.setattr(sys, "argv", ["audit"])
    assert audit.run() == 0


def test_the_lock_of_this_project_has_none() -> None:
    """The vendored advisories are about locked packages, and none applies."""
    packages = locked(audit.LOCK.read_text())
    kept = msgspec.json.decode(audit.ADVISORIES.read_bytes(), type=Advisories)
    assert len(packages) > 100
    assert kept.advisories
    assert list(known(packages, kept.advisories)) == []
