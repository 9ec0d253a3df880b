"""The address that this package was installed from, as its installer has recorded it, for what installs it elsewhere."""

import json
import re
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from harness.version import DISTRIBUTION, version

UNKNOWN_OWNER = "OWNER"
"""Stands for the owner of the repository on GitHub, where that is not known."""
RECORD = "direct_url.json"
"""The file in which an installer records an address that is not that of an index (PEP 610)."""


@dataclass(frozen=True)
class Address:
    """A git repository with a commit; empty if it was installed from an index, or from files without a repository."""

    repository: str = ""
    """Its address of HTTP, without a user's name."""
    commit: str = ""

    def requirement(self, extras: str) -> str:
        """Return what pip installs."""
        return f"{DISTRIBUTION}[{extras}]" + (f" @ git+{self.repository}@{self.commit}" if self.repository else "")

    @property
    def action(self) -> str:
        """The name of the action of GitHub, `owner/name@commit`; its owner is to be filled in where the repository is not known."""
        found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(\.git)?", self.repository)
        return f"{found[1]}@{self.commit}" if found else f"{UNKNOWN_OWNER}/{DISTRIBUTION}@v{version()}"


def installed_from() -> Address:
    """Return the address that this package was installed from; of a checkout, that of its remote repository."""
    try:
        text = metadata.distribution(DISTRIBUTION).read_text(RECORD)
    except metadata.PackageNotFoundError:
        return Address()
    found: dict[str, Any] = json.loads(text or "{}")
    if "vcs_info" in found:
        return Address(_public(found["url"]), found["vcs_info"].get("commit_id", ""))
    folder = Path(unquote(urlsplit(found.get("url", "")).path))
    if "dir_info" not in found or not (folder / "pyproject.toml").is_file():
        return Address()
    repository, commit = (_git(folder, *arguments) for arguments in (("remote", "get-url", "origin"), ("rev-parse", "HEAD")))
    return Address(public, commit) if commit and (public := _public(repository)) else Address()


def _public(address: str) -> str:
    """Return the address of HTTP of a repository, without a user's name or token; empty for another one, such as a folder."""
    address = re.sub(r"^(?:ssh://)?git@([^:/]+)[:/]", r"https://\1/", address)
    return re.sub(r"^(https?://)[^/@]*@", r"\1", address) if re.match(r"https?://", address) else ""


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)  # noqa: S607
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
