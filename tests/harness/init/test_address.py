"""The address that the package was installed from: a repository with a commit, never with a token."""

import json
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from harness.init import address
from harness.init.address import Address, installed_from
from harness.version import version

COMMIT = "3f9a1c2d5b" * 4


class Installed:
    """A distribution with a record of its address."""

    version = version()

    def __init__(self, record: object) -> None:
        self.record = record

    def read_text(self, name: str) -> str | None:
        """Return the record."""
        assert name == "direct_url.json"
        return None if self.record is None else json.dumps(self.record)


@pytest.mark.parametrize(
    ("url", "repository", "action"),
    [
        ("https://github.com/some/advice-on-trial", "https://github.com/some/advice-on-trial", f"some/advice-on-trial@{COMMIT}"),
        ("https://me:t0ken@github.com/some/fork.git", "https://github.com/some/fork.git", f"some/fork@{COMMIT}"),
        ("ssh://git@github.com/some/fork.git", "https://github.com/some/fork.git", f"some/fork@{COMMIT}"),
        ("https://git.example/a/b", "https://git.example/a/b", f"OWNER/advice-on-trial@v{version()}"),
    ],
)
def test_a_repository_is_known_by_its_address_and_commit(
    url: str, repository: str, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one that is on GitHub there is an action."""
    record = {"url": url, "vcs_info": {"vcs": "git", "commit_id": COMMIT}}
    monkeypatch.setattr(metadata, "distribution", lambda _: Installed(record))
    found = installed_from()
    assert found == Address(repository, COMMIT)
    assert found.action == action
    assert found.requirement("all") == f"advice-on-trial[all] @ git+{repository}@{COMMIT}"


@pytest.mark.parametrize("remote", ["git@github.com:some/fork.git", "https://user@github.com/some/fork.git", "/a/folder", ""])
def test_a_checkout_is_known_by_its_remote(remote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One without a remote, or with a folder for one, has no address that is of use elsewhere."""
    (tmp_path / "pyproject.toml").write_text("")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.example")
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "x"], ["remote", "add", "origin", remote or "x"]):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    record = {"url": tmp_path.as_uri(), "dir_info": {"editable": True}}
    monkeypatch.setattr(metadata, "distribution", lambda _: Installed(record))
    found = installed_from()
    if "github.com" not in remote:
        assert found == Address()
        return
    assert found.repository == "https://github.com/some/fork.git"
    assert found.action == f"some/fork@{found.commit}"
    assert len(found.commit) == 40
    monkeypatch.setenv("PATH", str(tmp_path))
    assert address.installed_from() == Address()


def test_a_package_of_an_index_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So has one from a file, and one that is only on the path."""
    wheel = {"url": (tmp_path / "a.whl").as_uri(), "archive_info": {}}
    for record in (None, wheel, {"url": (tmp_path / "gone").as_uri(), "dir_info": {}}):
        monkeypatch.setattr(metadata, "distribution", lambda _, record=record: Installed(record))
        assert installed_from() == Address()

    def missing(_: str) -> None:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "distribution", missing)
    assert installed_from().requirement("pytest,report") == "advice-on-trial[pytest,report]"
