"""Is a benchmark ever "unchanged code: not timed" although what it depends on has changed? Changes injected into a small suite.

Alone: `python -m tools.validation --only unchanged`, some minutes.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import NotMeasurableError
from harness.gate.against.checkout import Checkout
from harness.gate.against.pytest_suites import SuiteVersions
from harness.gate.impact.proof import Impact
from tools.section import Requirement, Section, SectionTable
from tools.validation import read_names

TITLE = "Is a benchmark ever called unchanged although what it depends on has changed?"

TIMEOUT_S = 120.0

CORE = '''\
"""The core."""

import functools
import re
from dataclasses import dataclass

from toy.settings import FACTOR

SIZE = 10
TABLE = {"a": 1, "b": 2}
PATTERN = re.compile("a+b")
NAMES = [name for name in ("a", "b")]
HANDLERS = []


def unused(n: int = 1) -> int:
    """Return a number."""
    return n


def register(function):
    HANDLERS.append(function)
    return function


@register
def handler(n):
    return n + 1


@functools.lru_cache(maxsize=8)
def cached(n):
    return n * 2


@dataclass
class Point:
    x: int = 1
    y: int = 2


class Shape:
    sides = 4

    def __eq__(self, other):
        return self.sides == other.sides

    def area(self):
        return self.sides * 2

    def unused(self):
        return 1


def scaled(n=3, *, by=2):
    """Scale."""
    return sum(range(n)) * by * FACTOR


def sized():
    return list(range(SIZE))


def looked_up():
    return [TABLE[name] for name in NAMES]


def matched():
    return PATTERN.match("aaab")


def handled():
    return [handler(1) for handler in HANDLERS]


def compared():
    return [Shape()] == [Shape()] and Point() == Point() and Shape().area()


def late():
    from toy import later

    return later.VALUE


def made():
    space = {}
    exec("def f():\\n    return 1\\n", space)
    return space["f"]()


def closed(n):
    def inner():
        return n * 3

    return inner


tripled = closed(2)
'''
DATA = '''\
import configparser
import importlib.util
import json
import mmap
import os
import pickle
import pkgutil
import sqlite3
import threading
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

HERE = Path(__file__).parent
HAS_FAST = importlib.util.find_spec("fast") is not None


def text():
    return (HERE / "data" / "text.txt").read_text()


def mapped():
    with open(HERE / "data" / "mapped.bin", "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
        return content[0]


def low_level():
    file = os.open(HERE / "data" / "low.bin", os.O_RDONLY)
    found = os.read(file, 10)
    os.close(file)
    return found


def packed():
    return pickle.loads(pkgutil.get_data("toy", "data/packed.pickle"))


def queried():
    connection = sqlite3.connect(f"file:{HERE}/data/rows.db?mode=ro", uri=True)
    found = connection.execute("SELECT count(*) FROM t").fetchone()
    connection.close()
    return found


def configured():
    parser = configparser.ConfigParser()
    parser.read(HERE / "data" / "toy.ini")
    return dict(parser["toy"])


def listed():
    return sorted(os.listdir(HERE / "data" / "parts"))


def found():
    return [path.name for path in (HERE / "data" / "parts").glob("*.json")]


def optional():
    path = HERE / "data" / "optional.json"
    return json.loads(path.read_text()) if path.exists() else 0


def fast():
    return slow() if HAS_FAST else 1


def slow():
    return sum(range(100))


def level():
    return os.environ.get("TOY_LEVEL", "1")


def threaded():
    thread = threading.Thread(target=worked)
    thread.start()
    thread.join()


def worked():
    return 1


def documented():
    return len(slow_help.__doc__)


def slow_help():
    """Help."""


def dependent():
    import toydep

    return toydep.VALUE


def native():
    loader = ExtensionFileLoader("_queue", str(HERE / "_queue.so"))
    return module_from_spec(spec_from_loader("_queue", loader))
'''
CONFTEST = """\
import pytest

ROWS = 5


@pytest.fixture
def rows():
    return list(range(ROWS))


@pytest.fixture(scope="session")
def table():
    return {"a": 1}
"""
CORE_TESTS = ("scaled", "sized", "looked_up", "matched", "handled", "compared", "late", "made", "tripled")
READING_TESTS = ("text", "mapped", "low_level", "packed", "queried", "configured", "listed", "found", "optional")
OTHER_TESTS = ("fast", "level", "threaded", "documented", "dependent", "native")
TESTS = {"core": CORE_TESTS, "data": READING_TESTS + OTHER_TESTS, "names": read_names.TESTS, "plugins": read_names.OWN}
ALL = frozenset(f"test_{name}" for names in TESTS.values() for name in names) | {"test_rows", "test_table", "test_range"}
FIXTURES = """

def test_rows(benchmark, rows):
    benchmark(sum, rows)


def test_table(benchmark, table):
    benchmark(len, table)


@pytest.mark.parametrize("n", [10], ids=["some"])
def test_range(benchmark, n):
    benchmark(list, range(n))
"""
SETTINGS = "FACTOR = 2\nUNREAD = 1\n"
INI = "[pytest]\n# the settings of the tests\npython_files = test_*.py\n"

Files = Mapping[str, str | bytes | None]
"""Path → content; None removes the file."""


def project() -> dict[str, str | bytes | None]:
    """Return the files of the suite."""
    tests = {
        f"bench/test_{module}.py": f"import pytest\nfrom toy import {module}\n"
        + "".join(f"\n\ndef test_{name}(benchmark):\n    benchmark({module}.{name})\n" for name in names)
        for module, names in TESTS.items()
    }
    tests["bench/test_core.py"] += FIXTURES
    return {
        **tests,
        **read_names.FILES,
        "pytest.ini": INI,
        "bench/conftest.py": CONFTEST,
        "toy/__init__.py": "",
        "toy/core.py": CORE,
        "toy/data.py": DATA,
        "toy/settings.py": SETTINGS,
        "toy/later.py": "VALUE = 1\n",
        "toy/data/text.txt": "one",
        "toy/data/mapped.bin": b"one",
        "toy/data/low.bin": b"one",
        "toy/data/packed.pickle": b"I1\n.",
        "toy/data/rows.db": rows(1),
        "toy/data/toy.ini": "[toy]\nlevel = 1\n",
        "toy/data/parts/one.json": "1",
        "toy/data/unread.txt": "one",
        "toy/_queue.so": native(),
        "CHANGELOG.md": "# Changes\n",
    }


def rows(number: int) -> bytes:
    """Return an SQLite database with a number of rows."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (x)")
    connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(number)])
    connection.commit()
    return connection.serialize()


def native() -> bytes:
    """Return a compiled module of this interpreter; raise NotMeasurableError if all are built into it."""
    folder = Path(sysconfig.get_path("stdlib")) / "lib-dynload"
    found = sorted(folder.glob("_queue.*.so"))
    if not found:
        raise NotMeasurableError("this interpreter has no compiled module in a file of its own")
    return found[0].read_bytes()


@dataclass(frozen=True)
class InjectedChange:
    """One change of the suite or of what surrounds it."""

    kind: str
    name: str
    files: Files = field(default_factory=dict)
    touched: frozenset[str] = frozenset()
    """The benchmarks that depend on it."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables that only the new version has."""
    options: Sequence[str] = ()
    """Options of the new version's interpreter."""
    dependency: Files = field(default_factory=dict)
    """Files of the new version's environment that differ."""


def _swap(kind: str, file: str, old: str, new: str, *touched: str, name: str = "") -> InjectedChange:
    """Return the change of a part of a file."""
    text = project()[file]
    if not isinstance(text, str) or old not in text:
        raise ValueError(f"{file} does not contain {old!r}")
    label = name or f"{old.strip().splitlines()[0]} → {new.strip().splitlines()[0] if new.strip() else 'nothing'}"
    return InjectedChange(kind, label, {file: text.replace(old, new)}, _tests(touched))


def _file(kind: str, file: str, content: str | bytes | None, *touched: str) -> InjectedChange:
    way = "removed" if content is None else "changed" if file in project() else "added"
    return InjectedChange(kind, f"{file} {way}", {file: content}, _tests(touched))


def _tests(names: Sequence[str]) -> frozenset[str]:
    return ALL if names == ("all",) else frozenset(f"test_{name}" for name in names)


def changes() -> list[InjectedChange]:
    """Return the changes that touch benchmarks."""
    core, data, constant, named = "toy/core.py", "toy/data.py", "constant", "name that is read"
    code, file, setting, around = "code", "file", "setting of the suite", "environment"
    dist = "toydep-1.dist-info"
    return [
        _swap(constant, core, "SIZE = 10", "SIZE = 11", "sized"),
        _swap(constant, core, '"b": 2', '"b": 3', "looked_up"),
        _swap(constant, core, 're.compile("a+b")', 're.compile("(a|a)+b")', "matched"),
        _swap(constant, core, '("a", "b")]', '("a", "b", "a")]', "looked_up"),
        _swap(constant, core, "    sides = 4", "    sides = 5", "compared"),
        _swap(constant, core, "y: int = 2", "y: int = 3", "compared"),
        _swap(constant, core, "maxsize=8", "maxsize=9", "all"),
        _swap(constant, core, "n=3, *", "n=4, *", "scaled"),
        _swap(constant, core, "by=2", "by=3", "scaled"),
        _swap(constant, core, "tripled = closed(2)", "tripled = closed(4)", "tripled"),
        _swap(constant, "toy/settings.py", "FACTOR = 2", "FACTOR = 3", "scaled"),
        _swap(constant, "toy/later.py", "VALUE = 1", "VALUE = 2", "late"),
        _swap(constant, "bench/conftest.py", "ROWS = 5", "ROWS = 6", "rows"),
        _swap(constant, "bench/test_core.py", "[10]", "[11]", "range", name="a parameter"),
        _swap(code, core, "return n + 1", "return n + 2", "handled"),
        _swap(code, core, "HANDLERS.append(function)", "HANDLERS[:0] = [function, function]", "handled"),
        _swap(code, core, "@dataclass\n", "@dataclass(order=True)\n", "compared"),
        _swap(code, core, "self.sides == other.sides", "other.sides == self.sides", "compared"),
        _swap(code, core, "return n * 3", "return n * 4", "tripled"),
        _swap(code, core, "return 1\\n", "return 2\\n", "made"),
        _swap(code, data, "def worked():\n    return 1", "def worked():\n    return 2", "threaded"),
        _swap(code, data, '"""Help."""', '"""Another help."""', "documented"),
        _swap(code, "bench/conftest.py", '{"a": 1}', '{"a": 2}', "table"),
        _file(code, "bench/conftest.py", CONFTEST + "\n\ndef pytest_runtest_call():\n    int(1)\n", "all"),
        _file(code, "toy/__init__.py", "import sys\n\nsys.setswitchinterval(0.001)\n", "all"),
        _file(file, "toy/data/text.txt", "two", "text"),
        _file(file, "toy/data/text.txt", "one and more", "text"),
        _file(file, "toy/data/mapped.bin", b"two", "mapped"),
        _file(file, "toy/data/low.bin", b"two", "low_level"),
        _file(file, "toy/data/packed.pickle", b"I2\n.", "packed"),
        _file(file, "toy/data/rows.db", rows(100), "queried"),
        _file(file, "toy/data/toy.ini", "[toy]\nlevel = 2\n", "configured"),
        _file(file, "toy/data/parts/two.json", "2", "listed", "found"),
        _file(file, "toy/data/parts/one.json", None, "listed", "found"),
        _file(file, "toy/data/optional.json", "1", "optional"),
        _file(file, "fast.py", "", "fast"),
        _file(file, "fast/notes.txt", "", "fast"),
        _file("extension", "toy/_queue.so", native() + b"\0", "native"),
        _file(setting, "pytest.ini", INI + "xfail_strict = true\n", "all"),
        _file(setting, "pytest.ini", INI + "addopts = --strict-markers\n", "all"),
        _file(setting, "pytest.ini", INI + "filterwarnings = error\n", "all"),
        _file(setting, "bench/conftest.py", f"import os\n\nos.environ['TOY_LEVEL'] = '2'\n{CONFTEST}", "all"),
        InjectedChange(around, "a variable added", touched=ALL, variables={"TOY_LEVEL": "2"}),
        InjectedChange(around, "a variable of the interpreter", touched=ALL, variables={"PYTHONMALLOC": "malloc"}),
        InjectedChange(around, "the interpreter's option -O", touched=ALL, options=("-O",)),
        InjectedChange(around, "the interpreter's option -X dev", touched=ALL, options=("-X", "dev")),
        InjectedChange("dependency", "another version", touched=ALL, dependency={f"{dist}/METADATA": "Name: toydep\nVersion: 2\n"}),
        InjectedChange(
            "dependency",
            "another build",
            touched=ALL,
            dependency={f"{dist}/RECORD": "toydep.py,sha256=b,9\n", "toydep.py": "VALUE = 2\n"},
        ),
        InjectedChange(
            "dependency",
            "a package added",
            touched=ALL,
            dependency={"other-1.dist-info/METADATA": "Name: other\nVersion: 1\n", "other-1.dist-info/RECORD": ""},
        ),
        InjectedChange("dependency", "a module without a package added", touched=ALL, dependency={"speedups.py": ""}),
        *(InjectedChange(named, name, files, _tests(touched)) for name, files, touched in read_names.CHANGES),
    ]


def harmless() -> list[InjectedChange]:
    """Return changes that no benchmark depends on."""
    core = "toy/core.py"
    return [
        _swap("comment", core, "SIZE = 10\n", "# The size.\nSIZE = 10  # rows\n"),
        _swap("comment", "pytest.ini", "# the settings of the tests", "# settings"),
        _swap("docstring", core, '"""The core."""', '"""The core of the toy."""'),
        _swap("docstring", core, '"""Scale."""', '"""Scale a sum."""'),
        _swap("docstring", core, "class Shape:\n", 'class Shape:\n    """A shape."""\n\n'),
        _swap(
            "function that does not run", core, '"""Return a number."""\n    return n', '"""Return a number."""\n    return n + 1'
        ),
        _swap("function that does not run", core, "def unused(self):\n        return 1", "def unused(self):\n        return 2"),
        _swap("formatting", core, "list(range(SIZE))", "list(\n        range(\n            SIZE,\n        )\n    )"),
        _swap("moved lines", core, "def scaled(", "\n\n\n\ndef scaled(", name="empty lines"),
        _swap("type hint", core, "def area(self):", "def area(self) -> int:"),
        _swap("type hint", core, "def sized():", "def sized() -> list[int]:"),
        _swap("constant that is not read", "toy/settings.py", "UNREAD = 1", "UNREAD = 2"),
        _swap("function added", core, "def matched():", "def added():\n    return 1\n\n\ndef matched():", name="def added()"),
        _file("file that is not read", "toy/data/unread.txt", "two"),
        _file("file that is not read", "CHANGELOG.md", "# Changes\n\n- one\n"),
        _swap("signature", core, "def unused(n: int = 1) -> int", "def unused(n: int, m: int | None = None) -> str"),
        *(InjectedChange("name that is not read", name, files) for name, files in read_names.UNREAD),
        _file("file that is not read", "toy/another.py", "VALUE = 1\n"),
    ]


@dataclass(frozen=True)
class ChangeResult:
    """The benchmarks that the gate would time because of one change."""

    change: InjectedChange
    touched: frozenset[str]
    """The benchmarks that are timed."""

    @property
    def wrongly_unchanged(self) -> frozenset[str]:
        """The benchmarks that depend on the change and are not timed."""
        return self.change.touched - self.touched


class InjectedSuite:
    """The suite, with an environment of its own for each version."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._number = folder, 0
        self._old = _write(folder / "old", project())
        self._environment = self._created(folder / "environment", {})

    def result(self, change: InjectedChange) -> ChangeResult:
        """Return what a change touches, as `harness gate --against` finds it."""
        self._number += 1
        folder = self._folder / str(self._number)
        new, space = _write(folder / "new", {**project(), **change.files}), folder / "space"
        space.mkdir()
        python = self._created(folder / "environment", change.dependency) if change.dependency else self._environment
        trees = Checkout("main", "0000000", self._old, new, Path(), "1111111", dirty=False)
        arguments = ["bench", "-q", "-p", "pytest_benchmark.plugin"]
        suite = SuiteVersions(trees, str(self._environment), arguments, space, TIMEOUT_S, lambda _: None)
        command = [str(python), *change.options, *suite.new.command[1:]]
        suite.new = replace(suite.new, command=command, environment={**suite.new.environment, **change.variables})
        before, after = suite.collected(recorded=True)
        problems = {**before["failed"], **before["uncollected"], **after["failed"], **after["uncollected"]}
        if problems:
            raise NotMeasurableError(f"the suite failed with {change.name}: {problems}")
        names = [name for name in before["benchmarks"] if name in after["benchmarks"]]
        found = suite.impact(before, after, names)
        shutil.rmtree(folder)
        return ChangeResult(change, _short(found))

    def _created(self, folder: Path, changed: Files) -> Path:
        """Return the interpreter of a new environment with this one's packages, and a dependency of its own."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        python = folder / "bin" / "python"
        ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        site = Path(subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip())
        dependency: Files = {
            "toydep.py": "VALUE = 1\n",
            "toydep-1.dist-info/METADATA": "Name: toydep\nVersion: 1\n",
            "toydep-1.dist-info/RECORD": "toydep.py,sha256=a,9\n",
            "shared.pth": "\n".join(sorted({sysconfig.get_path(name) for name in ("purelib", "platlib")})),
        }
        _write(site, {**dependency, **changed})
        return python


def _short(found: Impact) -> frozenset[str]:
    return frozenset(name.rpartition("::")[2].partition("[")[0] for name in found.touched)


def _write(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def run(effort: float) -> Section:
    """Inject the changes, one by one."""
    every = max(1, round(1 / effort))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # other plugins take seconds to import
    try:
        with tempfile.TemporaryDirectory(prefix="harness-unchanged-") as folder:
            suite = InjectedSuite(Path(folder))
            found = [suite.result(change) for change in changes()[::every]]
            needless = [suite.result(change) for change in harmless()[::every]]
    finally:
        del os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]
    return section(found, needless)


_TEXT = (
    f"A suite of {len(ALL)} benchmarks is recorded in two versions, as by `harness gate --against`. The new version has one change:"
    " of a constant, code, a name that is read, a file that is read, an extension, a setting, a dependency or the environment."
    " Every benchmark that depends on it has to be timed. Changes that no benchmark depends on follow."
)


def section(found: Sequence[ChangeResult], needless: Sequence[ChangeResult]) -> Section:
    """Return the section."""
    wrong = sum(bool(each.wrongly_unchanged) for each in found)
    kinds = list(dict.fromkeys(each.change.kind for each in found))
    table = []
    for kind in kinds:
        of_kind = [each for each in found if each.change.kind == kind]
        depend, also = (
            sum(map(len, sets)) for sets in zip(*((e.change.touched, e.touched - e.change.touched) for e in of_kind), strict=True)
        )
        table.append([kind, f"{len(of_kind)}", f"{depend}", f"{sum(len(e.wrongly_unchanged) for e in of_kind)}", f"{also}"])
    rest = [[f"{e.change.kind}: {e.change.name}", f"{len(ALL) - len(e.touched)}", f"{len(e.touched)}"] for e in needless]
    missed = [f"{e.change.name}: {', '.join(sorted(e.wrongly_unchanged))}" for e in found if e.wrongly_unchanged]
    timed = sum(bool(each.touched) for each in needless)
    return Section(
        TITLE,
        _TEXT,
        [
            SectionTable(
                "Changes that matter", ("change of", "changes", "dependent benchmarks", "wrongly unchanged", "others timed"), table
            ),
            SectionTable("Changes that do not matter", ("change", "not timed", "timed"), rest),
        ],
        [Requirement(f"a benchmark is never wrongly unchanged: {wrong} of {len(found)} changes", bool(found) and not wrong)],
        [*missed, f"Of {len(needless)} changes that do not matter, {timed} have a benchmark timed."],
    )
