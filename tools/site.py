"""Build the documentation site from the pages of the repository: `python -m tools.site`, or `make docs`.

The pages keep their places below one folder, so that the links that work in the repository work on the site: README.md is the
first page. The navigation in zensical.toml lists the pages; files that they link to, such as pictures, are copied beside them. A
page that is there as HTML as well, such as a published report, is on the site as that. Zensical builds strictly: a link to a page
or a heading that does not exist is an error. Nothing is read from the network.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from tools import exit_code

ROOT = Path(__file__).parents[1]
CONFIGURATION = ROOT / "zensical.toml"
ASSETS = Path("docs/assets")
"""Files that the site needs besides those that pages link to."""
PAGES = ROOT / "build" / "pages"
SITE = ROOT / "build" / "site"
BUILD_S = 300
"""The time limit of the build."""

LINK = re.compile(r"(\]\(<?)([^)\s#>:]+)(?=[)\s#>])")
FENCE = re.compile(r"^(`{3,}).*?^\1", re.DOTALL | re.MULTILINE)


def navigation() -> list[str]:
    """Return the pages of the navigation, in its order, as paths in the repository."""
    return list(_leaves(tomllib.loads(CONFIGURATION.read_text(encoding="utf-8"))["project"]["nav"]))


def _leaves(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from _leaves(part)


def links(page: Path) -> list[str]:
    """Return the files of this repository that a page links to, relative to its folder."""
    return [link for _, link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))]


def has_twin(page: Path) -> bool:
    """Return whether a page is there as HTML as well, which is then the one of the site."""
    return page.suffix == ".md" and page.with_suffix(".html").is_file()


def stage(pages: list[str], folder: Path) -> None:
    """Copy pages, and the files other than pages that they link to, to the same places below a folder.

    Raises:
        UsageError: a page of the navigation does not exist.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for name in pages:
        page = ROOT / name
        if not page.is_file():
            raise UsageError(f"{CONFIGURATION.name}: nav has {name}, which does not exist; fix the name or remove it")
        _written(folder / name).write_text(staged(page), encoding="utf-8")
        for link in links(page):
            linked = (page.parent / link).resolve()
            linked = linked.with_suffix(".html") if has_twin(linked) else linked
            if linked.suffix != ".md" and linked.is_file() and linked.is_relative_to(ROOT):
                shutil.copyfile(linked, _written(folder / linked.relative_to(ROOT)))
    for asset in (ROOT / ASSETS).iterdir():
        shutil.copyfile(asset, _written(folder / ASSETS / asset.name))


def staged(page: Path) -> str:
    """Return the text of a page for the site: links lead to HTML where there is one, and folded parts are Markdown as well."""

    def retargeted(found: re.Match[str]) -> str:
        link = found[2]
        return found[1] + (link.removesuffix(".md") + ".html" if has_twin(page.parent / link) else link)

    return LINK.sub(retargeted, page.read_text(encoding="utf-8")).replace("<details>", "<details markdown>")


def _written(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def build() -> int:
    """Stage the pages, build the site, and return the exit code; print the path of its first page."""
    if importlib.util.find_spec("zensical") is None:
        raise UsageError("zensical is not installed; install the dependency group docs: pip install --group docs")
    stage(navigation(), PAGES)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", str(CONFIGURATION)]
    done = subprocess.run(command, cwd=ROOT, check=False, timeout=BUILD_S)
    if done.returncode:
        return 1
    sys.stdout.write(f"{(SITE / 'index.html').relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(exit_code(build))
