"""Have another process import a project's modules, and receive its findings or the reason why there are none."""

from pathlib import Path

import msgspec

from harness.init.findings import Imported, InspectJob, Sources
from harness.runtime.child import Child, python_module

IMPORT_S = 30.0
"""Timeout of importing a project's modules, in seconds."""
MAX_MODULES, MAX_APPS = 200, 3
"""Limits of the modules that are imported, and of the applications that are looked at."""


def inspect_modules(root: Path, sources: Sources, timeout_s: float = IMPORT_S) -> Imported:
    """Return the findings of importing the modules that define tables, and the applications; a problem is a finding too."""
    modules = list(dict.fromkeys(name for name, _ in sources.table_modules))[:MAX_MODULES]
    apps = sorted(sources.apps, key=lambda app: app.framework == "django")[:MAX_APPS]
    if not modules and not apps:
        return Imported()
    with Child(python_module("harness.init.inspector"), msgspec.json.Decoder(Imported), folder=root) as child:
        child.send(InspectJob(str(root), modules, apps))
        try:
            found = child.receive(timeout_s)
        except TimeoutError:
            return Imported(problems=[f"importing {_named(modules, apps[0].module if apps else '')} took over {timeout_s:g} s"])
        if found is None:
            name = _named(modules, apps[0].module if apps else "")
            return Imported(problems=[f"importing {name} ended the process: {child.ending()}"])
    return found


def _named(modules: list[str], app: str) -> str:
    return ", ".join(modules[:3]) + (", …" if len(modules) > 3 else "") if modules else app  # noqa: PLR2004 - enough to know which
