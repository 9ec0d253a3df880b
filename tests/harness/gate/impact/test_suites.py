"""Changes of a pytest suite, recorded in real sessions of both versions: which benchmarks they touch."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.gate.against.checkout import Checkout
from harness.gate.against.pytest_suites import SuiteVersions
from harness.gate.impact.proof import Impact
from tests.harness.gate.impact.trees import Files, write

pytestmark = pytest.mark.slow

CONFTEST = """\
import pytest

SIZE = 10


@pytest.fixture
def numbers():
    return list(range(SIZE))


@pytest.fixture(scope="session")
def table():
    return {"a": 1}


@pytest.fixture(scope="module")
def words():
    return ["a"]


@pytest.fixture
def text():
    from pathlib import Path
    return (Path(__file__).parent / "data" / "text.txt").read_text()
"""
CORE = """\
def one(values):
    return sum(values)


def two(values):
    return max(values, default=0)


CACHE = {}


def cached():
    if "x" not in CACHE:
        CACHE["x"] = make()
    return CACHE["x"]


def make():
    return 1
"""
BASE: Mapping[str, str] = {
    "pytest.ini": "[pytest]\n# a comment\naddopts = -p suite_plugin\npython_files = test_*.py\n",
    "src/suite_plugin.py": "from pathlib import Path\n\nLEVEL = Path('level.txt').read_text()\n",
    "level.txt": "1",
    "src/core.py": CORE,
    "bench/conftest.py": CONFTEST,
    "bench/data/text.txt": "some text",
    "bench/test_a.py": """\
import pytest
from core import cached, one


def setup_module():
    int(1)


def test_numbers(benchmark, numbers):
    benchmark(one, numbers)


@pytest.mark.parametrize("n", [10], ids=["some"])
def test_range(benchmark, n):
    benchmark(one, range(n))


def test_words(benchmark, words):
    benchmark(len, words)


def test_cached_first(benchmark):
    benchmark(cached)
""",
    "bench/test_b.py": """\
from core import cached, two


class TestTable:
    def setup_method(self):
        self.extra = 1

    def test_table(self, benchmark, table):
        benchmark(two, table)


def test_text(benchmark, text):
    benchmark.pedantic(len, args=(text,), setup=lambda: None, rounds=2)


def test_words(benchmark, words):
    benchmark(len, words)


def test_cached_second(benchmark):
    benchmark(cached)
""",
}
A = {"numbers", "range[some]", "words", "cached_first"}
B = {"table", "text", "words", "cached_second"}
ALL = {f"a::{name}" for name in A} | {f"b::{name}" for name in B}


def change(file: str, old: str, new: str) -> Files:
    """Return a change of one file."""
    assert old in BASE[file], old
    return {file: BASE[file].replace(old, new)}


CHANGES: dict[str, tuple[Files, set[str]]] = {
    "nothing": ({}, set()),
    "documentation, comments and what does not run": (
        {
            "README.md": "new",
            "bench/data/other.txt": "not read",
            "pytest.ini": BASE["pytest.ini"].replace("a comment", "another"),
            "src/core.py": f"# a comment\n{CORE}",
        },
        set(),
    ),
    "function": (change("src/core.py", "max(values, default=0)", "max(values, default=1)"), {"b::table"}),
    "function behind a cache": (change("src/core.py", "return 1", "return 2"), {"a::cached_first", "b::cached_second"}),
    "test": (change("bench/test_a.py", "range(n)", "range(n + 1)"), {"a::range[some]"}),
    "parameter of the same name": (change("bench/test_a.py", "[10]", "[11]"), {f"a::{name}" for name in A}),
    "test that is added": (
        {"bench/test_a.py": BASE["bench/test_a.py"] + "\n\ndef test_more(benchmark):\n    benchmark(int)\n"},
        {f"a::{name}" for name in A},
    ),
    "fixture": (change("bench/conftest.py", "list(range(SIZE))", "list(range(SIZE + 1))"), {"a::numbers"}),
    "fixture of the session": (change("bench/conftest.py", '{"a": 1}', '{"a": 2}'), ALL),
    "constant of the fixtures": (change("bench/conftest.py", "SIZE = 10", "SIZE = 11"), ALL),
    "setup of a module": (change("bench/test_a.py", "int(1)", "int(2)"), {f"a::{name}" for name in A}),
    "setup of a class": (change("bench/test_b.py", "extra = 1", "extra = 2"), {"b::table"}),
    "file that a fixture reads": ({"bench/data/text.txt": "other"}, {"b::text"}),
    "setting": ({"pytest.ini": BASE["pytest.ini"] + "xfail_strict = true\n"}, ALL),
    "file that a plugin of the settings reads": ({"level.txt": "2"}, ALL),
    "plugin of the suite": ({"bench/conftest.py": CONFTEST + "\n\ndef pytest_runtest_setup():\n    int(1)\n"}, ALL),
}
"""Change → the benchmarks that it touches."""


@pytest.fixture(autouse=True)
def few_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out other installed plugins, which take seconds to import."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[4]))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")


def test_a_suite_that_allows_no_warnings_is_recorded(tmp_path: Path) -> None:
    """The recording itself causes none."""
    found = impact_of(tmp_path, {}, {"pytest.ini": BASE["pytest.ini"] + "filterwarnings = error\n"})
    assert len(found.unchanged) == len(ALL)


def impact_of(folder: Path, changed: Files, base: Files | None = None) -> Impact:
    """Return what a change of the suite touches; `base` are files of both versions that are not those of `BASE`."""
    old, new = write(folder / "old", BASE, base or {}), write(folder / "new", BASE, base or {}, changed)
    (folder / "space").mkdir()
    trees = Checkout("main", "0000000", old, new, Path(), "1111111", dirty=False)
    suite = SuiteVersions(trees, sys.executable, ["bench", "-p", "pytest_benchmark.plugin"], folder / "space", 60.0, lambda _: None)
    before, after = suite.collected(recorded=True)
    assert not before["failed"], before["failed"]
    return suite.impact(before, after, [name for name in before["benchmarks"] if name in after["benchmarks"]])


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_touches_the_benchmarks_that_depend_on_it(tmp_path: Path, name: str) -> None:
    """These and no others, or all where it is shared by all."""
    changed, expected = CHANGES[name]
    found = impact_of(tmp_path, changed)
    short = {
        each: each.removeprefix("bench/test_").replace(".py", "").replace("TestTable::", "").replace("::test_", "::")
        for each in found.differences
    }
    assert set(short.values()) == ALL
    assert {short[each] for each in found.touched} == expected, {short[k]: v for k, v in found.differences.items()}
