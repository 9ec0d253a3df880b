"""Everything outside of a tree that decides how its code runs: the interpreter, variables, and installed packages.

Standard library only and loadable by path, because it runs with the interpreter of another tree.
"""

import importlib.metadata
import os
import runpy
import sys
from hashlib import blake2b
from pathlib import Path

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
    """Return the interpreter and the packages that can be imported, by name, without the tree's own."""
    found = {
        "the interpreter": f"{sys.version} {sys.implementation.cache_tag}",
        "the set of the interpreter's flags": f"{sys.flags} {sorted(sys._xoptions.items())} {sys.warnoptions}",  # noqa: SLF001 - its only name
    }
    for distribution in importlib.metadata.distributions():
        place = os.path.realpath(str(distribution.locate_file("")))
        if places["is_of_package"](place + os.sep) or not place.startswith(root):  # else a file that counts if it is read
            stated = distribution.metadata  # parsed at every access
            record = short_digest(distribution.read_text("RECORD") or "")
            found.setdefault(f"the package {stated['Name']}", f"{stated['Version']} {record}")
    return found


def short_digest(text: str) -> str:
    """Return a digest of a text."""
    return blake2b(text.encode(errors="surrogateescape"), digest_size=8).hexdigest()
