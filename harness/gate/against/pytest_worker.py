"""A pytest plugin, loaded by path, that serves slices of what a project's tests give to their `benchmark` fixture.

It replaces pytest-benchmark's fixture, installed or not. Every use of the fixture is a benchmark named by its test. It uses the
standard library and pytest only, since it runs in the tree and environment that is timed. As a program it is pytest, recorded
from before the project's own plugins are loaded; hence the mark for pytest that it need not be rewritten: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import inspect
import os
import re
import runpy
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

protocol = runpy.run_path(str(Path(__file__).resolve().with_name("protocol.py")))
begin, beat, now_ns = protocol["begin"], protocol["beat"], protocol["now_ns"]
recorder: Any = protocol["recorder"](__file__)

import pytest  # noqa: E402 - recorded, with what it loads

if TYPE_CHECKING:
    from harness.gate.against.protocol import VersionChannel

SHARED = ""
"""The recorder's window of what all benchmarks share."""
MOST_COUNTED_NS = 250_000_000
"""The longest operation whose work is counted: to count its calls takes ten times as long and more."""
NOT_A_FUNCTION = (
    "benchmark was given {}, whose call only creates a coroutine and does not run it; time asyncio.Runner().run(…) instead"
)


class ServedSession:
    """The fixtures and hooks of one pytest session."""

    def __init__(self) -> None:
        self.channel: VersionChannel = protocol["VersionChannel"]()
        self.listing = bool(os.environ.get(protocol["LIST"]))
        self.names: list[str] = []
        self.failed: dict[str, str] = {}
        self.uncollected: dict[str, str] = {}
        self.refused: list[str] = []
        self.skipped: list[str] = []
        self.windows: dict[str, list[str]] = {}
        begin("collecting", times=protocol["LONG"])

    def served(self, name: str, timed: Callable[[int, int], list[int]], once_ns: int) -> None:
        """Note a benchmark that has run once, in `once_ns`; record or serve it."""
        self.names.append(name)
        if recorder and once_ns < MOST_COUNTED_NS:
            begin("counting its work", name)
            recorder.count(name, lambda: timed(0, 1))
        if not self.listing:
            self.channel.serve(name, timed)

    @pytest.fixture
    def benchmark(self, request: pytest.FixtureRequest) -> SliceBenchmark:
        """Time a function, interleaved with the same test of the other version."""
        return SliceBenchmark(self, request.node.nodeid)

    @pytest.fixture
    def benchmark_weave(self, benchmark: SliceBenchmark) -> None:
        """Refuse what only pytest-benchmark's own fixture supports."""
        pytest.fail(f"{benchmark.name}: benchmark_weave cannot be timed against another version", pytrace=False)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Put the tests into the same order in both versions, and deselect those that are not wanted."""
        items.sort(key=lambda item: item.nodeid)
        wanted = [item for item in items if not hasattr(item, "fixturenames") or "benchmark" in item.fixturenames]
        wanted = [item for item in wanted if self.channel.wants(item.nodeid)]
        self.windows = {item.nodeid: list(dict.fromkeys([SHARED, *(node.nodeid for node in item.listchain())])) for item in wanted}
        left_out = [item for item in items if item not in wanted]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
        items[:] = wanted

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Record that the fixtures of a test are set up."""
        begin("setting up", nodeid)
        if recorder:
            recorder.enter(nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self) -> None:
        """Record what follows as shared."""
        if recorder:
            recorder.leave()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Iterator[None]:
        """Record a fixture of a wider scope as shared by all tests that it may serve."""
        is_shared = recorder is not None and fixturedef.scope != "function"
        if is_shared:
            recorder.enter(request.node.nodeid)
        yield
        if is_shared:
            recorder.leave()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Iterator[None]:
        """Record the code of a file of tests as shared by its tests, and what it imports as shared by all."""
        is_file = recorder is not None and isinstance(collector, pytest.Module)
        if is_file:
            recorder.enter(collector.nodeid)
        yield
        if is_file:
            recorder.leave(only_of=str(collector.path))

    def pytest_ignore_collect(self, collection_path: Path, config: pytest.Config) -> bool | None:
        """Do not import a file without a wanted test while what the others share is recorded."""
        if not recorder or collection_path.is_dir() or collection_path.name == "conftest.py":
            return None
        try:
            file = collection_path.relative_to(config.rootpath).as_posix()
        except ValueError:
            return None
        return None if self.channel.wants_any_of(file) else True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Record that the fixtures of a test are torn down."""
        begin("tearing down", item.nodeid)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """Record a failed test."""
        outcome: Any = yield
        report = outcome.get_result()
        if report.skipped:
            self._note_skip(report)
        if report.failed and item.nodeid not in self.failed:
            crash = getattr(getattr(report.longrepr, "reprcrash", None), "message", None)
            self.failed[item.nodeid] = (crash or _last_line(report, "no reason given")).splitlines()[0][:200]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record a file that cannot be collected."""
        if report.skipped:
            self._note_skip(report)
        if report.failed:
            self.uncollected[report.nodeid] = _last_line(report, "it cannot be collected")[:300]

    def _note_skip(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        self.skipped.append(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}"[:300])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Send the session's benchmarks and failures."""
        found: dict[str, Any] = {name: getattr(self, name) for name in ("failed", "uncollected", "refused", "skipped")}
        found["benchmarks"] = self.names
        if recorder:
            begin("digesting what was recorded", times=protocol["LONG"])
            with warnings.catch_warnings(action="ignore"):  # which the suite may make errors
                recorded = recorder.found()
                recorded["facts"] |= _settings(session.config, recorder.places.root)
            found["recording"] = recorded | {"benchmarks": self.windows}
        self.channel.end(**found, status=int(exitstatus))


def _settings(config: pytest.Config, root: str) -> dict[str, str]:
    """Return pytest's options and settings by name, without the paths of the tree."""
    plain = (str, int, float, list, tuple, dict, set, frozenset, Path, type(None))
    found = {f"pytest's option {name}": value for name, value in vars(config.option).items() if isinstance(value, plain)}
    found |= {f"pytest's setting {name}": value for name, value in _read_settings(config).items()}
    return {name: re.sub(" at 0x[0-9a-f]+", "", repr(value)).replace(root, "<tree>") for name, value in found.items()}


def _read_settings(config: pytest.Config) -> Mapping[str, Any]:
    """Return what the file of settings states, which pytest 9.1 renamed."""
    found: Mapping[str, Any] | None = getattr(config, "_inicfg", None)
    return config.inicfg if found is None else found


def _last_line(report: pytest.TestReport | pytest.CollectReport, default: str) -> str:
    """Return the last line of pytest's message that states an error, else its last line."""
    lines = [line.strip() for line in str(report.longrepr).splitlines() if line.strip()] or [default]
    errors = [line.removeprefix("E").strip() for line in lines if re.match(r"E\s", line)]
    return (errors or lines)[-1]


class SliceBenchmark:
    """The `benchmark` fixture: a call, or `pedantic`, serves slices as long as they are requested, and returns the last result."""

    is_guarded = True
    """Declares to `harness.pytest_plugin`, where it is installed, that coroutine functions are refused here already."""

    def __init__(self, session: ServedSession, name: str) -> None:
        self.name, self._session, self._used = name, session, False
        self.group: str | None = None
        self.extra_info: dict[str, Any] = {}
        self.enabled, self.disabled = True, False

    @property  # type: ignore[misc] # mypy knows `__class__` as what it usually is
    def __class__(self) -> type:
        """Pretend to be pytest-benchmark's fixture, which its plugin requires; pytest-codspeed's does the same."""
        module = sys.modules.get("pytest_benchmark.fixture")
        return getattr(module, "BenchmarkFixture", SliceBenchmark)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"benchmark.{name} is not available while two versions are timed interleaved")

    def __call__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Time `function(*args, **kwargs)`."""
        return self.pedantic(function, args, kwargs)

    def pedantic(
        self,
        target: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        setup: Callable[[], tuple[Sequence[Any], Mapping[str, Any]] | None] | None = None,
        teardown: Callable[..., Any] | None = None,
        **_: Any,
    ) -> Any:
        """Time `target`; `setup`, which may return its arguments, and `teardown` are not timed. Numbers of rounds are ignored."""
        if self._used:
            pytest.fail("benchmark was used twice in one test; split the test in two", pytrace=False)
        self._used = True
        if inspect.iscoroutinefunction(target):
            self._refuse(target)
        last: list[Any] = [None]

        def timed(_: int, repeats: int) -> list[int]:
            given = kwargs or {}
            if setup is None and teardown is None and repeats > protocol["EACH"]:
                start = now_ns()
                for _ in range(repeats):
                    last[0] = target(*args, **given)
                return [now_ns() - start]
            each = []
            for _ in range(repeats):
                beat()
                now_args, now_kwargs = (setup() if setup else None) or (args, given)
                start = now_ns()
                last[0] = target(*now_args, **now_kwargs)
                each.append(now_ns() - start)
                if teardown:
                    teardown(*now_args, **now_kwargs)
            return each if repeats <= protocol["EACH"] else [sum(each)]

        begin("warming up", self.name)
        once_ns = sum(timed(0, 1))
        if inspect.isawaitable(last[0]):
            self._refuse(target, last[0])
        self._session.served(self.name, timed, once_ns)
        return last[0]

    def _refuse(self, target: Callable[..., Any], answer: object = None) -> None:
        if inspect.iscoroutine(answer):
            answer.close()
        message = NOT_A_FUNCTION.format(f"the coroutine function {getattr(target, '__name__', target)!r}")
        self._session.refused.append(f"{self.name}: {message}")
        pytest.fail(message, pytrace=False)


NEUTRAL: dict[str, Any] = {
    # pytest-xdist, pytest-randomly, pytest-rerunfailures, pytest-repeat, pytest-timeout, pytest-memray, pytest-html
    "numprocesses": 0,
    "dist": "no",
    "tx": [],
    "randomly_seed": 0,
    "reruns": 0,
    "count": 1,
    "timeout": 0,
    "memray": False,
    "htmlpath": None,
    # pytest-benchmark
    "benchmark_skip": False,
    "benchmark_only": False,
    "benchmark_disable": False,
    "benchmark_enable": False,
    "benchmark_autosave": False,
    "benchmark_save": None,
    "benchmark_json": None,
    "benchmark_compare": False,
    "benchmark_compare_fail": [],
    "benchmark_histogram": None,
    "benchmark_cprofile": None,
    # pytest
    "maxfail": 0,
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "usepdb": False,
    "trace": False,
    "xmlpath": None,
    "durations": None,
}
"""Options of pytest and its plugins that may be in a project's settings, and the values with which every benchmark runs, once, in
this one process, with the same random numbers in both versions, unwatched, and without files of results."""


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Do not measure the coverage of what is timed: its tracer would be timed as well."""
    early_config.known_args_namespace.no_cov = True


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run every benchmark once, in this one process, whatever the project's settings say."""
    for option, value in NEUTRAL.items():
        if hasattr(config.option, option):
            setattr(config.option, option, value)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_set_timer() -> bool:
    """Set no timer of pytest-timeout, which a marker of a test may ask for: the gate has a timeout of its own."""
    return True


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the fixture after pytest-benchmark's, so that it replaces it, and its marker in case it is not installed."""
    config.addinivalue_line("markers", "benchmark: options of a benchmark")
    config.pluginmanager.register(ServedSession(), "harness-session")


if __name__ == "__main__":
    sys.modules[__spec__.name] = sys.modules[__name__]  # so that pytest does not load it anew
    sys.argv[0] = pytest.__file__.replace("__init__", "__main__")
    sys.exit(pytest.console_main())
