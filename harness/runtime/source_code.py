"""Where the code of a scenario's arms is: its file and line in the repository, and the repository's address."""

import ast
import os
import re
import subprocess
import sys
from functools import cache
from hashlib import blake2b
from pathlib import Path

from harness.runtime.workspace import GIT_S

HOSTED = re.compile(
    r"(?:(?:https?|ssh|git)://(?:[^/@\s]*@)?|[\w.-]+@)(?P<host>[\w-]+(?:\.[\w-]+)+)(?::\d+/|[:/])(?P<path>[\w.~/-]+?)(?:\.git)?/?"
)
"""A remote of a host that shows code under https, without the user and the password that it may name."""
RESULTS = ("run.json", "run.json.gz", "gate.json", "unfinished")
"""Files and folders by which a folder of results is known."""
HOSTS = re.compile(r"(?:^|\.)(?:github|gitlab)\.|^(?:github|gitlab)\.")


def web_address(remote: str) -> str:
    """Return the address of a GitHub or GitLab repository by one of its remotes, without credentials; empty for others.

    Example:
        >>> web_address("git@github.com:someone/shop.git"), web_address("https://me:secret@gitlab.com/a/b"), web_address("/srv/x")
        ('https://github.com/someone/shop', 'https://gitlab.com/a/b', '')
    """
    found = HOSTED.fullmatch(remote.strip())
    if found is None or not HOSTS.search(found["host"]) or ".." in found["path"]:
        return ""
    return f"https://{found['host']}/{found['path'].lstrip('/')}"


def repository() -> str:
    """Return the web address of the current folder's repository, by its remote `origin`; empty if it has none that is known."""
    try:
        return web_address(_git("remote", "get-url", "origin"))
    except (OSError, subprocess.SubprocessError):
        return ""


def code_of_arms(kind: type) -> dict[str, str]:
    """Return arm → its declaration as `path:line`, relative to the repository of the current folder; empty outside of it."""
    owner = next((each for each in kind.__mro__ if "arms" in vars(each)), kind)
    file: str | None = getattr(sys.modules.get(owner.__module__), "__file__", None)
    path = in_repository(Path(file)) if file else ""
    if not file or not path:
        return {}
    return {arm: f"{path}:{line}" for arm, line in declared_lines(Path(file).read_text(encoding="utf-8"), owner.__name__).items()}


def declared_lines(source: str, kind: str) -> dict[str, int]:
    """Return arm → the line of its key in the dictionary `arms` of a class; nothing for arms that are made in another way."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return {}
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == kind)
    for statement in (statement for node in classes for statement in node.body):
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        value = getattr(statement, "value", None)
        if isinstance(value, ast.Dict) and any(isinstance(target, ast.Name) and target.id == "arms" for target in targets):
            return {key.value: key.lineno for key in value.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
    return {}


@cache
def in_repository(file: Path) -> str:
    """Return a file's path in the repository of the current folder; empty if it is not in it."""
    try:
        top = Path(_git("rev-parse", "--show-toplevel"))
        tracked = _git("-C", str(top), "ls-files", "--", str(file.resolve()))
    except (OSError, subprocess.SubprocessError):
        return ""
    return tracked if tracked and "\n" not in tracked else ""


def checkout_digest() -> str:
    """Return a digest of what differs from the commit in the current folder's checkout; empty for nothing, or outside of one.

    It covers changes of files that git knows, and files that it neither knows nor ignores, but for those of results: folders with a
    run or a gate.
    """
    found = blake2b(digest_size=8)
    try:
        top = Path(_git("rev-parse", "--show-toplevel"))
        changed = _git("-C", str(top), "diff", "--no-ext-diff", "--binary", "HEAD")
        unknown = _git("-C", str(top), "ls-files", "-z", "--others", "--exclude-standard", "--full-name").split("\0")
    except (OSError, subprocess.SubprocessError):
        return ""
    new = [name for name in unknown if name and not _is_of_results(top, Path(name))]
    for name in new:
        found.update(os.fsencode(name) + b"\0" + file_digest(top / name).encode())
    found.update(changed.encode(errors="surrogateescape"))
    return found.hexdigest() if changed or new else ""


def _is_of_results(top: Path, file: Path) -> bool:
    return any((top / folder / name).exists() for folder in file.parents[:-1] for name in RESULTS)


def file_digest(file: Path) -> str:
    """Return a digest of a file's content; "missing" if it cannot be read."""
    try:
        return blake2b(file.read_bytes(), digest_size=8).hexdigest()
    except OSError:
        return "missing"


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=GIT_S).stdout.decode(errors="replace").strip()
