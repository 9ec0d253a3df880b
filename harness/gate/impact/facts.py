"""Everything outside of a tree that decides how its code runs: the interpreter, variables, and installed packages.

Standard library only and loadable by path, because it runs with the interpreter of another tree.
"""

import importlib.metadata
import json
import os
import runpy
import sys
import sysconfig
from collections.abc import Collection
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from urllib.parse import unquote, urlsplit

places = runpy.run_path(str(Path(__file__).resolve().with_name("places.py")))

OWN_VARIABLES = {"PYTEST_CURRENT_TEST", "PYTEST_VERSION", "PWD", "OLDPWD", "SHLVL", "_"}
"""Variables that pytest and shells set themselves; so does the gate with those that begin with `HARNESS_`."""


def variables(root: str) -> dict[str, str]:
    """Return digests of the environment variables, which may be secrets, without the tree's paths; from before code sets more."""
    return {
        f"the variable {name}": short_digest(value.replace(root, "<tree>"))
        for name, value in os.environ.items()
        if name not in OWN_VARIABLES and not name.startswith("HARNESS_")
    }


def installed(root: str) -> dict[str, str]:
    """Return the interpreter and what can be imported of its environment, by name, without the tree's own packages."""
    found = {
        "the interpreter": f"{sys.version} {sys.implementation.cache_tag}",
        "the set of the interpreter's flags": f"{sys.flags} {sorted(sys._xoptions.items())} {sys.warnoptions}",  # noqa: SLF001 - its only name
    }
    owned: set[str] = set()
    for distribution in importlib.metadata.distributions():
        place = os.path.realpath(str(distribution.locate_file(""))) + os.sep
        if places["package_of"](place) or not place.startswith(root + os.sep):  # else a file that counts if it is read
            stated = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
            name = next((line[5:].strip() for line in stated.splitlines() if line.startswith("Name:")), place)
            record = distribution.read_text("RECORD")
            found.setdefault(f"the package {name}", short_digest(stated + (f"at {place}" if record is None else record)))
            owned |= {line.partition(",")[0].partition("/")[0] for line in (record or "").splitlines()}
    found["the set of modules that belong to no package"] = short_digest(repr(_modules(owned)))
    return found


def _modules(owned: Collection[str]) -> list[str]:
    """Return what is in the folders of packages and not `owned` by any: files with their sizes, folders with their place."""
    folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *filter(places["is_folder_of_packages"], sys.path)}
    found = set()
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            loose = [entry for entry in entries if entry.name not in owned and entry.name not in places["DERIVED"]]
            found |= {f"{each.name} {each.stat().st_size if each.is_file() else folder}" for each in loose}
    return sorted(found)


def copies(roots: Collection[str], imported: frozenset[str]) -> list[str]:
    """Return the packages that were built from one of two trees, installed, and imported as they are: no change reaches them."""
    found = []
    for distribution in importlib.metadata.distributions():
        with suppress(ValueError):
            origin = json.loads(distribution.read_text("direct_url.json") or "{}")
            source = unquote(urlsplit(str(origin.get("url", ""))).path)
            if not any((source + os.sep).startswith(root + os.sep) for root in roots):
                continue
            modules = [file for file in distribution.files or () if file.suffix == ".py"]
            if not imported.isdisjoint(os.path.realpath(str(distribution.locate_file(file))) for file in modules):
                found.append(str(distribution.metadata["Name"]))
    return found


def short_digest(text: str) -> str:
    """Return a digest of a text."""
    return blake2b(text.encode(errors="surrogateescape"), digest_size=8).hexdigest()
