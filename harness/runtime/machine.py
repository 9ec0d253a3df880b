"""The description of this machine and of the interpreter's settings for the record, and the settings that workers start without."""

import importlib.metadata
import os
import platform
import re
import sys
import sysconfig
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from harness.runtime.clock import resolution_ns
from harness.runtime.cores import Cores

_PACKAGES = ("sqlalchemy", "aiosqlite", "numpy", "locust", "pytest-benchmark", "memory-profiler")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")

OPTIMISED, BUILD, ALLOCATOR, PRELOADED = "optimised bytecode", "interpreter build", "memory allocator", "preloaded libraries"
GIL, JIT, CPU_COUNT, EXTENSIONS = "GIL", "JIT compiler", "CPU count override", "extension modules"
AGENT = "monitoring agent"
INTERPRETER_FACTS = (OPTIMISED, BUILD, ALLOCATOR, PRELOADED, GIL, JIT, CPU_COUNT, EXTENSIONS, AGENT)
"""The facts about the interpreter that change times and counts, so that runs in which one differs are not comparable.

All but the first are recorded only where they are not the default.
"""

REMOVED, THREADS = "removed from the workers' environment", "thread limits"
"""Further facts: the settings that workers start without, and limits that change times of numerical libraries, but no counts."""


@dataclass(frozen=True)
class InterpreterSetting:
    """An environment variable that changes times or counts."""

    variable: str
    """Its name, or a pattern for several names."""
    fact: str = ""
    """The fact that records it, for a setting that may itself be on trial; empty for one that workers start without."""
    option: str = ""
    """The interpreter's option `-X` that does the same, if there is one."""
    values: str = "*"
    """Pattern for the values that are meant."""

    @property
    def distorts(self) -> bool:
        """Whether workers start without it."""
        return not self.fact

    def among(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that are set to such a value. The interpreter ignores empty ones."""
        return {
            name: value
            for name, value in variables.items()
            if value and fnmatchcase(name, self.variable) and fnmatchcase(value, self.values)
        }


SETTINGS = (
    # Checks, traces and profiles
    InterpreterSetting("PYTHONDEVMODE", option="dev"),
    InterpreterSetting("PYTHONASYNCIODEBUG"),
    InterpreterSetting("PYTHONTRACEMALLOC", option="tracemalloc"),
    InterpreterSetting("PYTHONMALLOC", values="*debug"),
    InterpreterSetting("PYTHONMALLOCSTATS"),
    InterpreterSetting("PYTHONPROFILEIMPORTTIME", option="importtime"),
    InterpreterSetting("PYTHONVERBOSE"),
    InterpreterSetting("PYTHONINSPECT"),
    InterpreterSetting("PYTHONDUMPREFS*"),
    InterpreterSetting("PYTHONWARNDEFAULTENCODING", option="warn_default_encoding"),
    InterpreterSetting("PYTHONPERFSUPPORT", option="perf"),
    InterpreterSetting("PYTHON_PERF_JIT_SUPPORT", option="perf_jit"),
    InterpreterSetting("COVERAGE_PROCESS_*"),
    InterpreterSetting("COV_CORE_*"),
    InterpreterSetting("PYDEVD_*"),
    InterpreterSetting("MALLOC_CHECK_"),
    InterpreterSetting("MALLOC_PERTURB_"),
    InterpreterSetting("MALLOC_TRACE"),
    InterpreterSetting("LD_DEBUG"),
    # Choices
    InterpreterSetting("PYTHONMALLOC", ALLOCATOR),
    InterpreterSetting("MALLOC_*", ALLOCATOR),
    InterpreterSetting("GLIBC_TUNABLES", ALLOCATOR),
    InterpreterSetting("TCMALLOC_*", ALLOCATOR),
    InterpreterSetting("MIMALLOC_*", ALLOCATOR),
    InterpreterSetting("LD_PRELOAD", PRELOADED),
    InterpreterSetting("LD_AUDIT", PRELOADED),
    InterpreterSetting("DYLD_INSERT_LIBRARIES", PRELOADED),
    InterpreterSetting("PYTHON_GIL", GIL, option="gil"),
    InterpreterSetting("PYTHON_TLBC", GIL, option="tlbc"),
    InterpreterSetting("PYTHON_JIT", JIT),
    InterpreterSetting("PYTHON_CPU_COUNT", CPU_COUNT, option="cpu_count"),
    InterpreterSetting("DISABLE_SQLALCHEMY_CEXT*", EXTENSIONS),
    InterpreterSetting("PURE_PYTHON", EXTENSIONS),
    InterpreterSetting("*_NO_EXTENSIONS", EXTENSIONS),
    InterpreterSetting("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", EXTENSIONS),
    InterpreterSetting("*_NUM_THREADS", THREADS),
    InterpreterSetting("*_MAX_THREADS", THREADS),
)
"""Every setting that is known to change times or counts. Those of `-O` are in `worker_environment`."""

_AGENTS = ("coverage", "ddtrace", "elasticapm", "newrelic", "opentelemetry", "sentry_sdk")
"""Packages that can trace every process through a `sitecustomize` module of their own on the import path."""

_MONITORING_TOOLS = range(6)
_OPTIONS = sys._xoptions  # noqa: SLF001 - documented, but named as if it were private


def describe(cores: Cores) -> dict[str, str]:
    """Return a description of the machine and of the workers' interpreter, without anything that identifies a user or a host."""
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
        **{package: _version(package) for package in _PACKAGES},
        **interpreter_facts(worker_environment()),
    }


def worker_environment() -> dict[str, str]:
    """Return this process's environment for a worker: without the settings that distort, with the others of its command line."""
    distorting = {name for setting in SETTINGS if setting.distorts for name in setting.among(os.environ)}
    kept = {name: value for name, value in os.environ.items() if name not in distorting}
    chosen = {s.variable: str(_OPTIONS[s.option]) for s in SETTINGS if s.fact and s.option in _OPTIONS}
    return {**kept, **chosen, **({"PYTHONOPTIMIZE": str(sys.flags.optimize)} if sys.flags.optimize else {})}


def removed_settings() -> list[str]:
    """Return the settings of this process that workers start without, such as `PYTHONDEVMODE` or `-X dev`."""
    found = []
    for setting in SETTINGS:
        if setting.distorts:  # "0" switches off some of them, and is meant to switch off the others
            found += [name for name, value in setting.among(os.environ).items() if value != "0"]
            found += [f"-X {setting.option}"] * (setting.option in _OPTIONS)
    return found


def removal_warning() -> str:
    """Return in one line what workers start without; empty if that is nothing."""
    removed = removed_settings()
    return f"workers start without {', '.join(removed)}, which would distort times and counts" if removed else ""


def interpreter_facts(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the facts about an interpreter that starts in an environment: `INTERPRETER_FACTS` and what workers start without."""
    recorded: dict[str, dict[str, str]] = {}
    distorting = {name for setting in SETTINGS if setting.distorts for name in setting.among(environment)}
    for setting in SETTINGS:
        if setting.fact:
            recorded.setdefault(setting.fact, {}).update(setting.among(environment))
    facts = {fact: {n: v for n, v in sorted(found.items()) if n not in distorting} for fact, found in recorded.items()}
    optimised = environment.get("PYTHONOPTIMIZE") or "0"
    bytecode = {"0": "no", "2": "yes, without docstrings"}.get(optimised, "yes")
    removed = removed_settings()
    return {
        OPTIMISED: bytecode,
        **({BUILD: build} if (build := _build()) else {}),
        **{fact: ", ".join(f"{n}={_without_folders(v)}" for n, v in found.items()) for fact, found in facts.items() if found},
        **({AGENT: agent} if (agent := _agent()) else {}),
        **({REMOVED: ", ".join(removed)} if removed else {}),
    }


def distortions() -> list[str]:
    """Return what is active in this process and distorts times measured in it, such as `tracing by coverage`."""
    is_asyncio_debug = not sys.flags.ignore_environment and bool(os.environ.get("PYTHONASYNCIODEBUG"))
    found = {
        "development mode": sys.flags.dev_mode,
        "asyncio debug mode": is_asyncio_debug and not sys.flags.dev_mode,
        "tracemalloc": tracemalloc.is_tracing(),
        "debugging memory allocator": os.environ.get("PYTHONMALLOC", "").endswith("debug") and not sys.flags.ignore_environment,
        "verbose imports": sys.flags.verbose,
        "perf support": "perf" in _OPTIONS or bool(os.environ.get("PYTHONPERFSUPPORT", "0").strip("0")),
    }
    hooks = {"tracing": sys.gettrace(), "profiling": sys.getprofile()}
    tools = [f"{kind} by {_owner(hook)}" for kind, hook in hooks.items() if hook is not None]
    if monitoring := getattr(sys, "monitoring", None):  # from Python 3.12 on
        tools += [f"monitoring by {tool}" for number in _MONITORING_TOOLS if (tool := monitoring.get_tool(number)) is not None]
    return [name for name, is_active in found.items() if is_active] + tools


def _owner(tool: object) -> str:
    """Return the package of a trace or profile function, which may be an object with a method `__call__`."""
    return (getattr(tool, "__module__", None) or type(tool).__module__).partition(".")[0]


def _build() -> str:
    variables = {"Py_GIL_DISABLED": "free-threaded", "Py_DEBUG": "debug", "Py_TRACE_REFS": "reference tracing"}
    return ", ".join(name for variable, name in variables.items() if sysconfig.get_config_var(variable))


def _agent() -> str:
    place = getattr(sys.modules.get("sitecustomize"), "__file__", None) or ""
    return next((agent for agent in _AGENTS if agent in Path(place).parts), "")


def _without_folders(value: str) -> str:
    return re.sub(r"/(?:[^\s:,;/]*/)*", "", value)


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
