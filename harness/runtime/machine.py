"""The description of this machine for the record."""

import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path

from harness.runtime.clock import resolution_ns
from harness.runtime.cores import Cores

_PACKAGES = ("sqlalchemy", "aiosqlite", "numpy", "locust", "pytest-benchmark", "memory-profiler")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def describe(cores: Cores) -> dict[str, str]:
    """Return a description of the machine and the interpreter, without anything that identifies a user or a host."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()}",
        "cpu": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "governor": governor(),
        "load average at start": f"{os.getloadavg()[0]:.2f}",
        "clock resolution": f"{resolution_ns():g} ns",
        "workers pinned to": "no core" if cores.worker is None else f"core {cores.worker}",
        "hash seed": os.environ.get("PYTHONHASHSEED", "random, a new one for each process"),
        "optimised bytecode": "yes" if sys.flags.optimize else "no",
        **{package: _version(package) for package in _PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def governor() -> str:
    """Return the frequency governor of the first core; "not readable" in most virtual machines."""
    return _GOVERNOR.read_text().strip() if _GOVERNOR.is_file() else "not readable"


def _cpu_model() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.*\S)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return platform.processor() or platform.machine()
    return found[1] if found else platform.machine()
