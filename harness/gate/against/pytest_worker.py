"""A pytest plugin, loaded by path, that serves slices of what a project's tests give to their `benchmark` fixture.

It replaces pytest-benchmark's fixture, installed or not. Every use of the fixture is a benchmark named by its test. It uses the
standard library and pytest only, since it runs in the tree and environment that is timed.
"""

from __future__ import annotations

import inspect
import os
import runpy
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.gate.against.protocol import VersionChannel

protocol = runpy.run_path(str(Path(__file__).resolve().with_name("protocol.py")))
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
        if not self.listing:
            wanted = [item for item in wanted if self.channel.wants(item.nodeid)]
        left_out = [item for item in items if item not in wanted]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
        items[:] = wanted

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """Record a failed test."""
        outcome: Any = yield
        report = outcome.get_result()
        if report.failed and item.nodeid not in self.failed:
            crash = getattr(getattr(report.longrepr, "reprcrash", None), "message", None)
            self.failed[item.nodeid] = (crash or _last_line(report, "no reason given")).splitlines()[0][:200]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record a file that cannot be collected."""
        if report.failed:
            self.uncollected[report.nodeid] = _last_line(report, "it cannot be collected").removeprefix("E").strip()[:200]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Send the session's benchmarks and failures."""
        found = {"benchmarks": self.names, "failed": self.failed, "uncollected": self.uncollected, "refused": self.refused}
        self.channel.end(**found, status=int(exitstatus))


def _last_line(report: pytest.TestReport | pytest.CollectReport, default: str) -> str:
    return (str(report.longrepr).strip().splitlines() or [default])[-1]


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
                start = time.perf_counter_ns()
                for _ in range(repeats):
                    last[0] = target(*args, **given)
                return [time.perf_counter_ns() - start]
            each = []
            for _ in range(repeats):
                now_args, now_kwargs = (setup() if setup else None) or (args, given)
                start = time.perf_counter_ns()
                last[0] = target(*now_args, **now_kwargs)
                each.append(time.perf_counter_ns() - start)
                if teardown:
                    teardown(*now_args, **now_kwargs)
            return each if repeats <= protocol["EACH"] else [sum(each)]

        timed(0, 1)
        if inspect.isawaitable(last[0]):
            self._refuse(target, last[0])
        self._session.names.append(self.name)
        if not self._session.listing:
            self._session.channel.serve(self.name, timed)
        return last[0]

    def _refuse(self, target: Callable[..., Any], answer: object = None) -> None:
        if inspect.iscoroutine(answer):
            answer.close()
        message = NOT_A_FUNCTION.format(f"the coroutine function {getattr(target, '__name__', target)!r}")
        self._session.refused.append(f"{self.name}: {message}")
        pytest.fail(message, pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Keep the session in this one process, and its random numbers the same in both versions."""
    for option, value in {"numprocesses": 0, "dist": "no", "tx": [], "randomly_seed": 0}.items():
        if hasattr(config.option, option):
            setattr(config.option, option, value)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the fixture after pytest-benchmark's, so that it replaces it, and its marker in case it is not installed."""
    config.addinivalue_line("markers", "benchmark: options of a benchmark")
    config.pluginmanager.register(ServedSession(), "harness-session")
