"""Two versions of the code: a git worktree of another commit, removed whatever happens, and the commands that run in each."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from harness.errors import UsageError
from harness.gate.against import dependencies, protocol
from harness.gate.against.compare import VersionCommand
from harness.results.run import RunWarning
from harness.results.warning_names import WarningName
from harness.runtime.signals import deferred

REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
"""The variables of a git hook's environment that would make every command below use the hook's own index."""

CI_ADVICE = "; in GitHub Actions, give actions/checkout fetch-depth: 0"
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
MOST_OF_A_MESSAGE = 500


@dataclass(frozen=True)
class Checkout:
    """Two trees of one repository."""

    ref: str
    """The commit, branch or tag as the user gave it."""
    commit: str
    """The old version's commit, short."""
    old: Path
    new: Path
    """The user's own tree, as it is."""
    inside: Path
    """The current folder, relative to either tree."""
    here: str
    """The commit of the user's own tree, short."""
    dirty: bool
    """Whether the user's own tree has uncommitted changes."""
    same: bool = False
    """Whether both trees have the same content."""
    warnings: Sequence[RunWarning] = ()
    """The parts of the old version that are not in its tree."""
    copy_of: Path | None = None
    """The user's own tree, if `new` is a copy of it with the extensions that are installed elsewhere."""

    @property
    def root(self) -> Path:
        """The user's own tree."""
        return self.copy_of or self.new

    @property
    def names(self) -> tuple[str, str]:
        """The names of the old and the new version."""
        old = self.ref if self.ref.startswith(self.commit) else f"{self.ref} ({self.commit})"
        return old, f"{self.here} with uncommitted changes" if self.dirty else self.here


@contextmanager
def checkout(ref: str, into: Path, folder: Path | None = None) -> Iterator[Checkout]:
    """Check out a ref below `into`, and remove it at the end, also after Ctrl-C.

    Raises:
        UsageError: `folder`, by default the current one, is not in a git checkout with a commit, or there is no such ref.
    """
    here = (folder or Path.cwd()).resolve()
    root = Path(git(here, "rev-parse", "--show-toplevel", otherwise=f"--against needs a git checkout, and {here} is not in one"))
    head = git(here, "rev-parse", "--verify", "HEAD", otherwise=f"--against needs a commit, and {root} has none yet")
    dirty = bool(git(here, "status", "--porcelain"))
    commit = _commit(ref, root, dirty=dirty)
    old, new = (git(root, "rev-parse", f"{each}^{{tree}}") for each in (commit, head))
    short, short_head = (git(root, "rev-parse", "--short", each) for each in (commit, head))
    tree = into / "old"
    try:
        run_git(root, "worktree", "prune")  # what a command that was killed has left
        git(root, "-c", f"core.hooksPath={os.devnull}", "worktree", "add", "--detach", "--quiet", str(tree), commit)
        same, warnings = old == new and not dirty, _missing_parts(tree, root)
        yield Checkout(ref, short, tree, root, here.relative_to(root), short_head, dirty, same, warnings)
    finally:
        with deferred():  # half a removal would leave it registered in the user's repository
            run_git(root, "worktree", "remove", "--force", str(tree))
            shutil.rmtree(tree, ignore_errors=True)
            run_git(root, "worktree", "prune")


def _commit(ref: str, root: Path, *, dirty: bool) -> str:
    """Return the commit of a ref; UsageError if there is none, or several."""
    done = run_git(root, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
    if "ambiguous" in done.stderr:
        raise UsageError(
            f"--against {ref!r} is ambiguous; write refs/heads/…, refs/tags/… or more digits (git: {_reason(done.stderr)})"
        )
    if done.returncode == 0:
        return done.stdout.strip()
    unknown = f"--against {ref!r} is not a commit, branch or tag here"
    remotes = git(root, "remote").split()
    remote, branch = remote_branch(ref, remotes)
    shallow = git(root, "rev-parse", "--is-shallow-repository") == "true"
    if shallow and re.search(r"[~^@]", ref):
        raise UsageError(f"{unknown}: the clone is shallow; fetch the history: git fetch --unshallow{CI_ADVICE}")
    if shallow and remote:
        depth = "--depth=1 "
        raise UsageError(f"{unknown}: the clone is shallow; fetch it: {fetch_command(remote, branch, depth)}{CI_ADVICE}")
    if remote and f"{remote}/{branch}" == ref:
        raise UsageError(f"{unknown}; fetch it: {fetch_command(remote, branch)}")
    known = git(root, "for-each-ref", "--count=5", "--sort=-committerdate", "--format=%(refname:short)", "refs/heads", "refs/tags")
    names = [*known.split(), *(["HEAD, for the uncommitted changes"] if dirty else [])]
    raise UsageError(f"{unknown}; choose from {', '.join(names)}" if names else f"{unknown}; name another one")


def remote_branch(ref: str, remotes: Sequence[str]) -> tuple[str, str]:
    """Return the remote and the branch that a name means, such as `origin/feature/x`; without one, the first remote, or none."""
    remote, _, branch = ref.partition("/")
    return (remote, branch) if remote in remotes and branch else (next(iter(remotes), ""), ref)


def fetch_command(remote: str, branch: str, depth: str = "") -> str:
    """Return the command that makes a branch or a commit of a remote known."""
    target = branch if re.fullmatch("[0-9a-f]{7,}", branch) else f"{branch}:refs/remotes/{remote}/{branch}"
    return f"git fetch {depth}{remote} {target}"


def content_digest(trees: Checkout) -> str:
    """Return a digest of the new version: its commit, what differs from it, and the files that git does not know or ignore."""
    found = blake2b(digest_size=16)
    found.update(git(trees.root, "rev-parse", "HEAD").encode())
    found.update(git(trees.root, "diff", "--no-ext-diff", "--binary", "HEAD").encode(errors=sys.getfilesystemencodeerrors()))
    for name in git(trees.root, "ls-files", "-z", "--others", "--exclude-standard", "--full-name").split("\0"):
        file = trees.root / name
        if name and file.is_file():
            found.update(os.fsencode(name) + b"\0" + file.read_bytes())
    return found.hexdigest()


def _missing_parts(tree: Path, root: Path) -> list[RunWarning]:
    """Return warnings about submodules and files of Git LFS that git did not check out."""
    found = []
    modules = run_git(tree, "config", "--file", ".gitmodules", "--get-regexp", r"\.path$").stdout.split()[1::2]
    empty = [name for name in modules if not any((tree / name).glob("*")) and any((root / name).glob("*"))]
    if empty:
        message = f"submodules are not checked out in it: {', '.join(empty[:3])}"
        found.append(RunWarning(WarningName.OLD_VERSION, message, "compare a benchmark that does not need them"))
    files = run_git(tree, "ls-files", "-z", ":(attr:filter=lfs)").stdout.split("\0")
    pointers = [name for name in files if name and _is_pointer(tree / name)]
    if pointers:
        message = f"files of Git LFS are only pointers in it: {', '.join(pointers[:3])}"
        found.append(RunWarning(WarningName.OLD_VERSION, message, "install Git LFS, and run: git lfs fetch --all"))
    return found


def _is_pointer(file: Path) -> bool:
    try:
        with file.open("rb") as content:
            return content.read(len(LFS_POINTER)) == LFS_POINTER
    except OSError:
        return False


def run_git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git, in English and out of reach of Ctrl-C; UsageError if it cannot be run. Its output may be paths in any encoding."""
    environment = {name: value for name, value in os.environ.items() if name not in REPOSITORY} | {"LC_ALL": "C"}
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(
            command,
            env=environment,
            capture_output=True,
            check=False,
            encoding=sys.getfilesystemencoding(),
            errors=sys.getfilesystemencodeerrors(),
            start_new_session=True,
        )
    except OSError as error:
        raise UsageError(f"--against needs git, which cannot be run: {error.strerror or error}; install it") from error


def git(folder: Path, *arguments: str, otherwise: str = "") -> str:
    """Return git's output; if it fails, raise UsageError with git's own message, after `otherwise` or the name of the command."""
    done = run_git(folder, *arguments)
    if done.returncode:
        reason = _reason(done.stderr)
        if "dubious ownership" in reason:  # git's own next step is in it
            raise UsageError(f"git refuses this repository: {reason}")
        command = next(argument for argument in arguments if not argument.startswith("-") and "=" not in argument)
        raise UsageError(f"{otherwise or f'git {command} failed in {folder}'} (git: {reason})")
    return done.stdout.strip()


def _reason(printed: str) -> str:
    """Return git's message in one line."""
    lines = [line.strip().removeprefix("fatal: ").removeprefix("error: ") for line in printed.splitlines()]
    return " ".join(line for line in lines if line)[:MOST_OF_A_MESSAGE] or "no reason given"


def projects(trees: Checkout) -> list[Path]:
    """Return the folders of the projects that count, relative to either tree.

    These are the root, the current folder with those above it, and projects below that are installed in this environment.
    """
    listed = run_git(trees.root, "ls-files", "-z", "--", f"*/{dependencies.PYPROJECT}").stdout.split("\0")
    below = [Path(name).parent for name in listed if name]
    installed = [folder for folder in below if dependencies.is_installed(dependencies.project_name(trees.root / folder))]
    return list(dict.fromkeys([Path(), *reversed(trees.inside.parents), trees.inside, *installed]))


def import_path(tree: Path, trees: Checkout) -> str:
    """Return PYTHONPATH for one version.

    It has the current folder, the root and the projects of its tree, and everything of this process's import path that is inside
    the user's tree, moved into that tree: entries of PYTHONPATH, and folders of packages that are installed as editable.
    """
    moved = [tree / path.relative_to(trees.root) for path in _imported_from(trees)]
    stated = [Path(entry).resolve() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    elsewhere = [path for path in stated if not path.is_relative_to(trees.root)]
    own = [place for folder in projects(trees) for place in (tree / folder, tree / folder / "src")]
    places = [tree / trees.inside, *own, *moved, *elsewhere]
    return os.pathsep.join(dict.fromkeys(str(place) for place in places if place.is_dir()))


def _imported_from(trees: Checkout) -> list[Path]:
    """Return the folders inside the user's tree from which this process imports, without installed packages."""
    entries = [*os.environ.get("PYTHONPATH", "").split(os.pathsep), *sys.path]
    for name, module in list(sys.modules.items()):
        if name.startswith("__editable__"):  # how setuptools finds the packages of an editable installation
            mapped: Mapping[str, str] = getattr(module, "MAPPING", {})
            entries += [str(Path(path).parent) for key, path in mapped.items() if Path(path).name == key.rpartition(".")[2]]
    paths = (Path(entry).resolve() for entry in entries if entry)
    inside = (path for path in paths if path.is_relative_to(trees.root) and path.is_dir())
    return [path for path in dict.fromkeys(inside) if not {"site-packages", "dist-packages"} & set(path.parts)]


def version_command(trees: Checkout, name: str, python: str, arguments: Sequence[str], *folders: Path) -> VersionCommand:
    """Return the command that runs Python in one version's tree.

    `name` is "old" or "new", `python` the old version's interpreter; `folders` are imported from as well.
    """
    tree, others, program = (trees.old, [trees.root], python) if name == "old" else (trees.new, [trees.old], sys.executable)
    if name == "old" and trees.copy_of:
        others.append(trees.new)
    path = [import_path(tree, trees), *map(str, folders)]
    environment = {"PYTHONPATH": os.pathsep.join(path), protocol.FOREIGN: os.pathsep.join(map(str, others))}
    return VersionCommand([program, *arguments], name, tree / trees.inside, environment)
