"""Compare the locked packages with known vulnerabilities, without the network: `python -m tools.audit`.

`tools/advisories.json` has what the Python Packaging Advisory Database says about the packages of requirements.lock, with the date
of its last advisory. It is renewed from a checkout of the database, which may also be GitHub's (both are in the OSV format):

    git clone --depth 1 https://github.com/pypa/advisory-database
    python -m tools.audit --renew advisory-database
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from harness.errors import UsageError
from harness.runtime.clock import utc_now
from tools import exit_code

ROOT = Path(__file__).parents[1]
LOCK, ADVISORIES = ROOT / "requirements.lock", Path(__file__).with_name("advisories.json")
_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
OLD_DAYS = 90
"""The age from which the advisories should be renewed."""
ECOSYSTEM, RANGES = "PyPI", {"ECOSYSTEM", "SEMVER"}


class Range(msgspec.Struct, frozen=True, omit_defaults=True):
    """Versions that are affected: from `introduced`, up to `last`, and before `fixed`."""

    introduced: str
    fixed: str = ""
    last: str = ""

    def has(self, version: Version) -> bool:
        """Return whether a version is affected; one that cannot be compared is."""
        try:
            return (
                version >= Version(self.introduced)
                and not (self.fixed and version >= Version(self.fixed))
                and not (self.last and version > Version(self.last))
            )
        except InvalidVersion:
            return True


class Advisory(msgspec.Struct, frozen=True, omit_defaults=True):
    """A known vulnerability of one package."""

    id: str
    package: str
    ranges: list[Range] = []
    versions: list[str] = []
    """The affected versions where there are no ranges."""
    aliases: list[str] = []

    def affects(self, version: str) -> bool:
        """Return whether a version is affected."""
        return version in self.versions or any(each.has(Version(version)) for each in self.ranges)


class Advisories(msgspec.Struct, frozen=True):
    """The advisories about the locked packages."""

    as_of: str
    """The date of the database's latest change, of whatever package."""
    advisories: list[Advisory]


def locked(text: str) -> dict[str, str]:
    """Return the packages of a lock file with their versions."""
    return {canonicalize_name(name): version for name, version in _LOCKED.findall(text)}


def known(packages: Mapping[str, str], advisories: Iterable[Advisory]) -> Iterator[str]:
    """Yield a line per advisory that affects a locked version."""
    for advisory in advisories:
        version = packages.get(advisory.package)
        if version is not None and advisory.affects(version):
            fixed = [each.fixed for each in advisory.ranges if each.fixed and each.has(Version(version))]
            remedy = f"fixed in {', '.join(fixed)}" if fixed else "not fixed yet"
            yield f"{advisory.package} {version}: {' '.join([advisory.id, *advisory.aliases])}: {remedy}"


def read_database(folder: Path, packages: Mapping[str, str]) -> Advisories:
    """Return the advisories about packages in a checkout of a database; UsageError if it has none at all."""
    found, latest, files = list[Advisory](), "", 0
    for file in sorted((*folder.rglob("*.yaml"), *folder.rglob("*.json"))):
        text = file.read_text(encoding="utf-8")
        if "affected" not in text or ECOSYSTEM not in text:
            continue
        files += 1
        entry: dict[str, Any] = json.loads(text) if file.suffix == ".json" else yaml.load(text, yaml.CSafeLoader)
        latest = max(latest, str(entry.get("modified", ""))[:10])
        if not entry.get("withdrawn"):
            found += advisories_in(entry, packages)
    if not files:
        raise UsageError(f"{folder} has no advisories; name a checkout of https://github.com/pypa/advisory-database")
    return Advisories(latest, found)


def advisories_in(entry: Mapping[str, Any], packages: Mapping[str, str]) -> Iterator[Advisory]:
    """Yield the advisories about packages in an entry of a database."""
    for affected in entry.get("affected", ()):
        name = canonicalize_name(affected["package"]["name"])
        if affected["package"].get("ecosystem") != ECOSYSTEM or name not in packages:
            continue
        ranges = [each for found in affected.get("ranges", ()) if found["type"] in RANGES for each in ranges_of(found["events"])]
        versions = [] if ranges else [str(version) for version in affected.get("versions", ())]
        aliases = [alias for alias in entry.get("aliases", ()) if alias.startswith("CVE-")]
        yield Advisory(entry["id"], name, ranges, versions, aliases)


def ranges_of(events: Iterable[Mapping[str, Any]]) -> Iterator[Range]:
    """Yield the ranges of versions that events of the OSV format describe."""
    introduced: str | None = None
    for event in events:
        if "introduced" in event:
            introduced = str(event["introduced"])
        elif introduced is not None:
            yield Range(introduced, str(event.get("fixed", "")), str(event.get("last_affected", "")))
            introduced = None
    if introduced is not None:
        yield Range(introduced)


def run() -> int:
    """Carry out the command line; return 1 if a locked version has a known vulnerability."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renew", type=Path, metavar="CHECKOUT", help="write tools/advisories.json from a checkout of a database")
    options = parser.parse_args()
    packages = locked(LOCK.read_text(encoding="utf-8"))
    if options.renew:
        found = read_database(options.renew, packages)
        ADVISORIES.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    kept = msgspec.json.decode(ADVISORIES.read_bytes(), type=Advisories)
    lines = list(known(packages, kept.advisories))
    for line in lines:
        sys.stderr.write(f"{line}\n")
    outcome = f"{len(lines)} apply" if lines else "none applies"
    age = (utc_now().date() - date.fromisoformat(kept.as_of)).days
    old = f"; they are {age} days old: make advisories" if age > OLD_DAYS else ""
    sys.stdout.write(f"{len(packages)} locked packages, {len(kept.advisories)} advisories as of {kept.as_of}: {outcome}{old}\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(exit_code(run))
