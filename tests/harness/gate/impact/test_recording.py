"""Changes of everything that a benchmark may depend on, injected one by one into a small program: none may go unnoticed."""

import io
import json
import shutil
import sqlite3
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from harness.gate.impact.decision import differences
from tests.harness.gate.impact.trees import Files, compared, record, write

pytestmark = pytest.mark.slow  # a process per version
SUITE = "import lib\n\n\ndef bench():\n    return lib.run()\n"


def lib(old: str, new: str, **others: str) -> tuple[Files, Files]:
    """Return a program whose benchmark calls `run` of a module, and the change of that module."""
    return {"suite.py": SUITE, "lib.py": old, **others}, {"lib.py": new}


def swap(text: str, old: str, new: str) -> tuple[Files, Files]:
    """Return the same, by a change of a part of the module's text."""
    assert old in text
    return lib(text, text.replace(old, new))


def reads(expression: str, name: str = "data.txt", imports: str = "from pathlib import Path") -> tuple[Files, Files]:
    """Return a program whose benchmark reads a file that changes."""
    text = f"{imports}\n\nHERE = Path(__file__).parent\n\n\ndef run():\n    return {expression}\n"
    return {"suite.py": SUITE, "lib.py": f"from pathlib import Path\n{text}", name: "[one]"}, {name: "[two]\nn = 2"}


EITHER = "\n\ndef slow():\n    return 2\n\n\ndef run():\n    return slow() if HAS else 1\n"
"""A program that depends on whether it has a module."""


def archive(text: str) -> bytes:
    """Return a ZIP file with a module of this text."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr(zipfile.ZipInfo("inside.py"), text)
    return content.getvalue()


CODE: dict[str, tuple[Files, Files]] = {
    "function": swap("def run():\n    return 1\n", "1", "2"),
    "function called": swap("def run():\n    return other()\n\n\ndef other():\n    return 1\n", "return 1", "return 2"),
    "nested function": swap("def run():\n    def inner():\n        return 1\n    return inner()\n", "1", "2"),
    "lambda": swap("f = lambda: 1\n\n\ndef run():\n    return f()\n", "lambda: 1", "lambda: 2"),
    "method": swap("class C:\n    def m(self):\n        return 1\n\n\ndef run():\n    return C().m()\n", "return 1", "return 2"),
    "property": swap(
        "class C:\n    @property\n    def p(self):\n        return 1\n\n\ndef run():\n    return C().p\n", "return 1", "return 2"
    ),
    "operator": swap(
        "class C:\n    def __eq__(self, o):\n        return 1\n\n\ndef run():\n    return C() in [C()]\n", "return 1", "return 2"
    ),
    "finaliser": swap("class C:\n    def __del__(self):\n        int(1)\n\n\ndef run():\n    C()\n", "int(1)", "int(2)"),
    "generator": swap("def g():\n    yield 1\n\n\ndef run():\n    return list(g())\n", "yield 1", "yield 2"),
    "coroutine": swap(
        "import asyncio\n\n\nasync def c():\n    return 1\n\n\ndef run():\n    return asyncio.run(c())\n", "return 1", "return 2"
    ),
    "callback of C": swap(
        "def key(x):\n    return 1\n\n\ndef run():\n    return sorted([2, 1], key=key)\n", "return 1", "return 2"
    ),
    "thread": swap(
        "import threading\n\n\ndef work():\n    int(1)\n\n\n"
        "def run():\n    t = threading.Thread(target=work)\n    t.start()\n    t.join()\n",
        "int(1)",
        "int(2)",
    ),
    "default argument": swap("def run(n=1):\n    return n\n", "n=1", "n=2"),
    "keyword default": swap("def run(*, n=1):\n    return n\n", "n=1", "n=2"),
    "argument name": swap(
        "import inspect\n\n\ndef f(a):\n    pass\n\n\ndef run():\n    return str(inspect.signature(f))\n", "(a)", "(b)"
    ),
    "decorator": swap(
        "def twice(f):\n    def g():\n        return f() * 1\n    return g\n\n\n@twice\ndef run():\n    return 1\n", "* 1", "* 2"
    ),
    "decorator's argument": swap(
        "def times(n):\n    return lambda f: lambda: f() * n\n\n\n@times(1)\ndef run():\n    return 1\n", "(1)", "(2)"
    ),
    "decorator removed": swap("import functools\n\n\n@functools.cache\ndef run():\n    return 1\n", "@functools.cache\n", ""),
    "class attribute": swap("class C:\n    A = 1\n\n\ndef run():\n    return C.A\n", "A = 1", "A = 2"),
    "class base": swap("class B(list):\n    pass\n\n\ndef run():\n    return B()\n", "(list)", "(dict)"),
    "slots": swap("class B:\n    pass\n\n\ndef run():\n    return B()\n", "pass", "__slots__ = ()"),
    "metaclass": swap(
        "class M(type):\n    def __new__(m, n, b, d):\n        return super().__new__(m, n, b, d | {'a': 1})\n\n\n"
        "class C(metaclass=M):\n    pass\n\n\ndef run():\n    return C.a\n",
        "'a': 1",
        "'a': 2",
    ),
    "data class": swap(
        "from dataclasses import dataclass\n\n\n@dataclass\nclass C:\n    a: int = 1\n\n\ndef run():\n    return C() == C()\n",
        "@dataclass\n",
        "@dataclass(order=True)\n",
    ),
    "exception handler": swap(
        "def run():\n    try:\n        int('x')\n    except (ValueError, TypeError):\n        pass\n", "TypeError", "KeyError"
    ),
    "constant of another type": swap("def run():\n    return 1\n", "return 1", "return 1.0"),
    "constant set": swap("def run():\n    return 3 in {1, 2}\n", "{1, 2}", "{1, 3}"),
    "negative zero": swap("def run():\n    return 0.0\n", "0.0", "-0.0"),
    "module-level constant": swap("N = 10\n\n\ndef run():\n    return range(N)\n", "N = 10", "N = 11"),
    "module-level table": swap("T = {'a': 1}\n\n\ndef run():\n    return T\n", "1}", "1, 'b': 2}"),
    "module-level loop": swap("T = [i for i in range(3)]\n\n\ndef run():\n    return T\n", "range(3)", "range(4)"),
    "monkeypatch at import": swap("import json\njson.extra = 1\n\n\ndef run():\n    return json.extra\n", "= 1", "= 2"),
    "module attribute function": swap(
        "import sys\n\n\ndef __getattr__(name):\n    return 1\n\n\ndef run():\n    return getattr(sys.modules[__name__], 'x')\n",
        "return 1",
        "return 2",
    ),
    "thread without the profile function": swap(
        "import threading\n\nthreading.setprofile(None)\n\n\ndef work():\n    int(1)\n\n\n"
        "def run():\n    t = threading.Thread(target=work)\n    t.start()\n    t.join()\n",
        "int(1)",
        "int(2)",
    ),
    "thread of the lowest level": swap(
        "import _thread\n\n\ndef work(lock):\n    int(1)\n    lock.release()\n\n\n"
        "def run():\n    lock = _thread.allocate_lock()\n    lock.acquire()\n"
        "    _thread.start_new_thread(work, (lock,))\n    lock.acquire()\n",
        "int(1)",
        "int(2)",
    ),
    "generator that was started before": swap(
        "def g():\n    while True:\n        yield h()\n\n\ndef h():\n    return 1\n\n\n"
        "G = g()\n\n\ndef run():\n    return next(G)\n",
        "return 1",
        "return 2",
    ),
    "callback of the garbage collector": swap(
        "import gc\n\n\ndef callback(phase, info):\n    int(1)\n\n\ngc.callbacks.append(callback)\n\n\n"
        "def run():\n    return [[] for _ in range(3000)]\n",
        "int(1)",
        "int(2)",
    ),
    "function that later runs reach": swap(
        "calls = []\n\n\ndef later():\n    return 1\n\n\ndef run():\n    calls.append(1)\n    return len(calls) > 20 and later()\n",
        "return 1",
        "return 2",
    ),
    "expression compiled at import": swap(
        "import re\n\nPATTERN = re.compile('a+')\n\n\ndef run():\n    return PATTERN.match('aab')\n", "a+", "(a|a)+b"
    ),
    "huge constant": swap(f"def run():\n    return 0x{'f' * 6000}\n", "0xf", "0xe"),
    "docstring that is read": swap("def f():\n    'one'\n\n\ndef run():\n    return len(f.__doc__)\n", "one", "three"),
    "docstring that is read by name": swap(
        "class C:\n    'one'\n\n\ndef run():\n    return len(getattr(C, '__doc__'))\n", "one", "three"
    ),
    "docstring that the library reads": swap(
        "import inspect\n\n\ndef f():\n    'one'\n\n\ndef run():\n    return inspect.getdoc(f)\n", "one", "three"
    ),
    "annotation that is read": swap(
        "import typing\n\n\ndef f(a: int):\n    pass\n\n\ndef run():\n    return typing.get_type_hints(f)\n", ": int", ": str"
    ),
    "executed text": swap("def run():\n    exec('x = 1')\n", "x = 1", "x = 2"),
    "variable set at import": swap(
        "import os\nos.environ['TOY'] = '1'\n\n\ndef run():\n    return os.environ['TOY']\n", "'1'", "'2'"
    ),
    "code read, not run": swap("def f():\n    return 1\n\n\ndef run():\n    return f.__code__.co_consts\n", "return 1", "return 2"),
    "source read": swap(
        "import inspect\n\n\ndef f():\n    return 1\n\n\ndef run():\n    return inspect.getsource(f)\n", "return 1", "return 2"
    ),
    "imported constant": (
        {"suite.py": SUITE, "lib.py": "from settings import N\n\n\ndef run():\n    return N\n", "settings.py": "N = 1\n"},
        {"settings.py": "N = 2\n"},
    ),
    "package module": (
        {"suite.py": SUITE, "lib.py": "from pack.sub import f as run\n", "pack/sub.py": "def f():\n    return 1\n"},
        {"pack/sub.py": "def f():\n    return 2\n"},
    ),
    "attribute that another module sets": (
        {
            "suite.py": SUITE,
            "lib.py": "import settings\nimport patch\n\n\ndef run():\n    return settings.N\n",
            "settings.py": "N = 0\n",
        }
        | {"patch.py": "import settings\n\nsettings.N = 1\n"},
        {"patch.py": "import settings\n\nsettings.N = 2\n"},
    ),
    "module that is only looked for": (
        {"suite.py": SUITE, "lib.py": f"import importlib.util\n\nHAS = importlib.util.find_spec('fast') is not None\n{EITHER}"},
        {"fast.py": "N = 1\n"},
    ),
    "package without a file": (
        {"suite.py": SUITE, "lib.py": f"try:\n    import fast\n    HAS = True\nexcept ImportError:\n    HAS = False\n{EITHER}"},
        {"fast/data.txt": ""},
    ),
    "module that is removed": (
        {"suite.py": SUITE, "lib.py": f"try:\n    import fast\n    HAS = True\nexcept ImportError:\n    HAS = False\n{EITHER}"}
        | {"fast.py": ""},
        {"fast.py": None},
    ),
    "archive of modules": (
        {
            "suite.py": SUITE,
            "lib.py": "import sys\n\nsys.path.insert(0, __file__.replace('lib.py', 'fast.zip'))\nfrom inside import f as run\n",
            "fast.zip": archive("def f():\n    return 1\n"),
        },
        {"fast.zip": archive("def f():\n    return 2\n")},
    ),
    "late import": (
        {"suite.py": SUITE, "lib.py": "def run():\n    import late\n    return late.N\n", "late.py": "N = 1\n"},
        {"late.py": "N = 2\n"},
    ),
    "optional module that appears": (
        {
            "suite.py": SUITE,
            "lib.py": "try:\n    from fast import f\nexcept ImportError:\n    f = int\n\n\ndef run():\n    return f()\n",
        },
        {"fast.py": "f = float\n"},
    ),
    "script that is run": (
        {
            "suite.py": SUITE,
            "lib.py": "import runpy\n\n\ndef run():\n    return runpy.run_path('script.py')\n",
            "script.py": "N = 1\n",
        },
        {"script.py": "N = 2\n"},
    ),
    "generated from a file": (
        {
            "suite.py": SUITE,
            "lib.py": "def run():\n    exec(open('template.txt').read())\n",
            "template.txt": "x = 1\n",
        },
        {"template.txt": "x = 2\n"},
    ),
}
"""Changes of code."""

FILES: dict[str, tuple[Files, Files]] = {
    "opened": reads("open(HERE / 'data.txt').read()"),
    "opened by a relative path": reads("open('data.txt').read()"),
    "opened by pathlib": reads("(HERE / 'data.txt').read_bytes()"),
    "opened by the system's call": reads("os.read(os.open('data.txt', os.O_RDONLY), 9)", imports="import os"),
    "opened to be changed": reads("open('data.txt', 'r+').read()"),
    "opened by the library": reads("configparser.ConfigParser(strict=False).read(['data.ini'])", "data.ini", "import configparser"),
    "resource": reads("pkgutil.get_data('lib', 'data.txt')", imports="import pkgutil"),
    "opened by compiled code": reads(
        "ctypes.CDLL(None).fclose(ctypes.c_void_p(OPEN(b'data.txt', b'r')))",
        imports="import ctypes\nOPEN = ctypes.CDLL(None).fopen\nOPEN.restype = ctypes.c_void_p",
    ),
    "size": reads("os.path.getsize('data.txt')", imports="import os"),
    "mapped into memory": reads(
        "mmap.mmap(os.open('data.txt', os.O_RDONLY), 3, prot=mmap.PROT_READ)[0]", imports="import mmap, os"
    ),
    "resource of a package": reads(
        "resources.files('pack').joinpath('d.txt').read_text()", "pack/d.txt", "from importlib import resources"
    ),
    "resources of a package": (
        reads("list(resources.files('pack').iterdir())", "pack/d.txt", "from importlib import resources")[0],
        {"pack/e.txt": ""},
    ),
    "modules of a package": (
        reads("list(pkgutil.iter_modules([str(HERE / 'pack')]))", "pack/d.py", "import pkgutil")[0],
        {"pack/e.py": ""},
    ),
    "pickle": (
        {**reads("pickle.loads((HERE / 'd.pickle').read_bytes())", "data.txt", "import pickle")[0], "d.pickle": b"I1\n."},
        {"d.pickle": b"I2\n."},
    ),
    "folder of another tool's packages": reads("open('node_modules/data.txt').read()", "node_modules/data.txt"),
    "size below an open folder": reads(
        "os.stat('data.txt', dir_fd=os.open('data', os.O_RDONLY)).st_size", "data/data.txt", "import os"
    ),
    "open folder listed": (reads("os.listdir(os.open('data', os.O_RDONLY))", "data/a.txt", "import os")[0], {"data/b.txt": ""}),
    "open folder walked": (reads("list(os.fwalk('data'))", "data/a.txt", "import os")[0], {"data/b.txt": ""}),
    "opened by a function of the library": (
        {"suite.py": "from pathlib import Path\n\nbench = Path('data.txt').read_text\n", "data.txt": "one"},
        {"data.txt": "two"},
    ),
    "listed by a built-in function": (
        {"suite.py": "import functools, os\n\nbench = functools.partial(os.listdir, 'data')\n", "data/a.txt": ""},
        {"data/b.txt": ""},
    ),
    "changed while it runs": (
        {
            "suite.py": SUITE,
            "lib.py": "import os\n\n\ndef run():\n    if os.path.exists('gone.txt'):\n        os.remove('gone.txt')\n",
            "gone.txt": "",
        },
        {"gone.txt": None},
    ),
    "listed": ({**reads("os.listdir('data')", "data/a.txt", "import os")[0]}, {"data/b.txt": ""}),
    "found by pattern": ({**reads("list(HERE.glob('data/*.txt'))", "data/a.txt")[0]}, {"data/b.txt": ""}),
    "sizes of a folder": reads("[e.stat().st_size for e in os.scandir('data')]", "data/a.txt", "import os"),
    "existence": ({**reads("os.path.exists('new.txt')", imports="import os")[0]}, {"new.txt": ""}),
    "existence by pathlib": ({**reads("(HERE / 'new.txt').is_file()")[0]}, {"new.txt": ""}),
    "removed": ({**reads("os.path.exists('data.txt')", imports="import os")[0]}, {"data.txt": None}),
    "looked for in vain": ({**reads("os.access('new.txt', os.R_OK)", imports="import os")[0]}, {"new.txt": ""}),
    "setting read at import": (
        {"suite.py": SUITE, "lib.py": "N = int(open('.env').read())\n\n\ndef run():\n    return N\n", ".env": "1"},
        {".env": "2"},
    ),
}
"""Changes of files that are read, listed or looked at."""

PROCESSES = {
    "compiled code": "ctypes.CDLL(None).system(b'true')",
    "subprocess": "subprocess.run(['true'])",
    "shell": "os.system('true')",
    "fork": "os.waitpid(os.fork() or os._exit(0), 0)",
    "spawn": "os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)",
    "multiprocessing": "[p.start() or p.join() for p in [multiprocessing.get_context('spawn').Process(target=int)]]",
}
"""Ways to start a process."""


@pytest.mark.parametrize("change", [*CODE, *FILES])
def test_a_change_of_what_runs_or_is_read_is_a_difference(tmp_path: Path, change: str) -> None:
    """Never "unchanged"; and the reason names the file, or that a thread could not be followed."""
    base, changed = (CODE | FILES)[change]
    found = compared(tmp_path, base, changed)
    assert found, change
    names = [name.split("/")[0].removesuffix(".py") for name in changed]
    assert any(name in reason or "generated" in reason or "thread" in reason for name in names for reason in found), found


@pytest.mark.parametrize("way", PROCESSES)
def test_a_process_that_is_started_cannot_be_followed(tmp_path: Path, way: str) -> None:
    """A benchmark that starts one is timed, although nothing is known to differ."""
    text = f"import ctypes, multiprocessing, os, subprocess\n\n\ndef run():\n    return {PROCESSES[way]}\n"
    base = {"suite.py": SUITE, "lib.py": text}
    old, new = write(tmp_path / "old", base), write(tmp_path / "new", base)
    found = differences(record(old), record(new), (old, new), ["bench"])["bench"]
    assert any("process is started" in reason or "started a process" in reason for reason in found)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the module has other names elsewhere")
def test_another_interpreter_in_the_process_cannot_be_followed(tmp_path: Path) -> None:
    """Its code is not recorded, so that the benchmark is timed."""
    text = "import _xxsubinterpreters as others\n\n\ndef run():\n    others.destroy(others.create())\n"
    assert compared(tmp_path, {"suite.py": SUITE, "lib.py": text}, {}) == ["an interpreter of its own is started"]


def test_a_program_of_the_command_line_is_not_followed(tmp_path: Path) -> None:
    """It may run Python from compiled files; a program of an installed package is followed by the files that it opens."""
    program = Path("/bin/true").resolve()
    places = [tmp_path / "bin" / "tool", tmp_path / "lib" / "site-packages" / "pack" / "tool"]
    found = []
    for place in places:
        place.parent.mkdir(parents=True)
        shutil.copy(program, place)
        text = f"import subprocess\n\n\ndef run():\n    subprocess.run([{str(place)!r}])\n"
        found.append(compared(tmp_path / place.parent.name, {"suite.py": SUITE, "lib.py": text}, {}))
    assert [bool(each) for each in found] == [True, False]


def test_a_tree_below_a_folder_named_like_a_tool_is_read_as_any(tmp_path: Path) -> None:
    """A package's reads are the benchmark's, although the folder of its environment is called pytest."""
    reader = {"reader.py": "def read():\n    return open('data.txt').read()\n"}
    site = write(tmp_path / "pytest" / "lib" / "site-packages", reader)
    base = {"suite.py": "import reader\n\nbench = reader.read\n", "data.txt": "one"}
    old, new = write(tmp_path / "old", base), write(tmp_path / "new", base, {"data.txt": "two"})
    found = differences(record(old, site), record(new, site), (old, new), ["bench"])["bench"]
    assert found == ["data.txt, which is read, differs"]


def test_an_installed_copy_of_the_tree_is_no_version_of_it(tmp_path: Path) -> None:
    """Both versions import it, so that a change of the tree does not show: its benchmarks are timed."""
    base = {"suite.py": "import copied\n\nbench = copied.f\n"}
    tree = write(tmp_path / "tree", base)
    site = write(
        tmp_path / "lib" / "site-packages",
        {
            "copied.py": "def f():\n    return 1\n",
            "copied-1.dist-info/METADATA": "Name: copied\nVersion: 1\n",
            "copied-1.dist-info/RECORD": "copied.py,,\n",
            "copied-1.dist-info/direct_url.json": json.dumps({"url": tree.as_uri(), "dir_info": {}}),
        },
    )
    found = differences(record(tree, site), record(tree, site), (tree, tree), ["bench"])["bench"]
    assert found == ["the installed copy of copied is imported, not the one of its tree"]


BIG = '''\
"""A module."""

N = 1


def unused():
    return 1


class Used:
    def run(self):
        return [i for i in range(N)]

    def unused(self):
        return 1


def run():
    return Used().run()
'''

HARMLESS: dict[str, Files] = {
    "nothing": {},
    "comment": {"lib.py": BIG.replace("N = 1\n", "# one\n\n\nN = 1  # yes\n")},
    "function that does not run": {"lib.py": BIG.replace("def unused():\n    return 1", "def unused():\n    return 2")},
    "method that does not run": {
        "lib.py": BIG.replace("def unused(self):\n        return 1", "def unused(self):\n        return 2")
    },
    "formatting": {"lib.py": BIG.replace("range(N)]", "range(\n            N\n        )]")},
    "docstrings": {
        "lib.py": '"""Another text."""\n'
        + BIG.replace("class Used:", 'class Used:\n    """One."""\n').replace('"""A module."""', "")
    },
    "docstring of what runs": {"lib.py": BIG.replace("def run():", 'def run():\n    """Run."""')},
    "documentation": {"README.md": "new", "docs/page.md": "new"},
    "module that is not imported": {"other.py": "N = 2\n"},
    "data that is not read": {"data.txt": "two"},
}
"""Changes that a benchmark cannot depend on."""


@pytest.mark.parametrize("change", HARMLESS)
def test_a_change_that_cannot_matter_is_none(tmp_path: Path, change: str) -> None:
    """Line numbers, code that does not run, and files that are not read make no difference."""
    base = {"suite.py": SUITE, "lib.py": BIG, "other.py": "N = 1\n", "data.txt": "one", "README.md": "old"}
    assert compared(tmp_path, base, HARMLESS[change]) == []


def test_a_database_file_is_an_input(tmp_path: Path) -> None:
    """What SQLite opens is compared by its content."""
    base = {"suite.py": SUITE, "lib.py": "import sqlite3\n\n\ndef run():\n    sqlite3.connect('toy.db').execute('SELECT 1')\n"}
    old, new = write(tmp_path / "old", base), write(tmp_path / "new", base)
    for tree, rows in ((old, 1), (new, 2)):
        with sqlite3.connect(tree / "toy.db") as connection:
            connection.execute("CREATE TABLE t (x)")
            connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(rows)])
        connection.close()
    assert "toy.db, which is read, differs" in differences(record(old), record(new), (old, new), ["bench"])["bench"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    """A link to a file that differs is a difference."""
    base, _ = reads("open('link.txt').read()")
    old, new = write(tmp_path / "old", base), write(tmp_path / "new", base, {"data.txt": "two"})
    for tree in (old, new):
        (tree / "link.txt").symlink_to("data.txt")
    assert "link.txt, which is read, differs" in differences(record(old), record(new), (old, new), ["bench"])["bench"]


@pytest.mark.parametrize("way", ["import", "dlopen"])
def test_an_extension_is_compared_by_its_file(tmp_path: Path, way: str) -> None:
    """A compiled module of the tree that was built anew is a difference, imported or loaded as a library."""
    folder = Path(sysconfig.get_path("stdlib")) / "lib-dynload"
    library = next(iter(sorted(folder.glob("_[a-z]*.so"))))
    name = library.name.split(".")[0]
    load = {
        "import": "from importlib.machinery import ExtensionFileLoader\n"
        "from importlib.util import module_from_spec, spec_from_loader\n"
        f"loader = ExtensionFileLoader({name!r}, __file__.replace('lib.py', 'native.so'))\n"
        f"made = module_from_spec(spec_from_loader({name!r}, loader))",
        "dlopen": "import ctypes\nmade = ctypes.CDLL(__file__.replace('lib.py', 'native.so'))",
    }
    base: Files = {
        "suite.py": SUITE,
        "lib.py": f"{load[way]}\n\n\ndef run():\n    return made\n",
        "native.so": library.read_bytes(),
    }
    old, new = write(tmp_path / "old", base), write(tmp_path / "new", base, {"native.so": library.read_bytes() + b"\0"})
    assert "native.so, which is read, differs" in differences(record(old), record(new), (old, new), ["bench"])["bench"]


def test_the_environment_is_compared(tmp_path: Path) -> None:
    """Variables, flags of the interpreter, and the versions and files of packages are facts; each that differs is named."""
    tree = write(tmp_path / "tree", {"suite.py": SUITE, "lib.py": "def run():\n    return 1\n"})
    site = [
        write(tmp_path / version, {f"dep-{version}.dist-info/METADATA": f"Name: dep\nVersion: {version}\n"})
        for version in ("1.0", "1.1")
    ]
    plain = record(tree)

    def differs(*folders: Path, options: tuple[str, ...] = (), **variables: str) -> list[str]:
        return differences(plain, record(tree, *folders, options=options, **variables), (tree, tree), ["bench"])["bench"]

    assert differs() == []
    assert differs(TOY_LEVEL="2") == ["the variable TOY_LEVEL was added"]
    assert differs(options=("-O",)) == ["the set of the interpreter's flags differs"]
    assert differs(site[0]) == ["the package dep was added"]
    plain = record(tree, site[0])
    assert differs(site[1]) == ["the package dep differs"]
    moved = write(tmp_path / "moved", {"dep-1.0.dist-info/METADATA": "Name: dep\nVersion: 1.0\n"})
    assert differs(moved) == ["the package dep differs"]  # without a list of its files, another folder may have others


def test_code_outside_of_both_trees_counts(tmp_path: Path) -> None:
    """A dependency's changed function is a difference, wherever it is installed."""
    trees = [write(tmp_path / name, {"suite.py": "import dep\n\n\ndef bench():\n    return dep.f()\n"}) for name in ("old", "new")]
    folders = [write(tmp_path / f"lib-{n}", {"dep.py": f"def f():\n    return {n}\n"}) for n in (1, 2)]
    before, after = (record(tree, folder) for tree, folder in zip(trees, folders, strict=True))
    found = differences(before, after, (trees[0], trees[1]), ["bench"])["bench"]
    assert any("f in " in reason for reason in found)


def test_only_the_benchmarks_that_run_a_function_differ(tmp_path: Path) -> None:
    """Each benchmark has a window of its own, and its calls are counted."""
    text = "def f():\n    return 1\n\n\ndef g():\n    return 2\n"
    base = {
        "suite.py": "import lib\n\n\ndef bench_f():\n    return lib.f()\n\n\ndef bench_g():\n    return lib.g()\n",
        "lib.py": text,
    }
    old, new = write(tmp_path / "old", base), write(tmp_path / "new", base, {"lib.py": text.replace("return 2", "return abs(2)")})
    before, after = record(old), record(new)
    found = differences(before, after, (old, new), ["bench_f", "bench_g"])
    assert found == {"bench_f": [], "bench_g": ["g in lib.py differs"]}
    assert after.counts["bench_g"]["calls"] == before.counts["bench_g"]["calls"] + 1
    assert after.counts["bench_f"]["calls"] == before.counts["bench_f"]["calls"]


def test_a_function_that_runs_once_only_is_timed(tmp_path: Path) -> None:
    """It cannot be recorded a second time, so that what later calls do is unknown."""
    text = "calls = []\n\n\ndef run():\n    calls.append(1)\n    if len(calls) > 1:\n        raise ValueError\n"
    tree = write(tmp_path / "tree", {"suite.py": SUITE, "lib.py": text})
    found = differences(record(tree), record(tree), (tree, tree), ["bench"])["bench"]
    assert found == ["it runs only once: ValueError"]


def test_a_second_path_is_recorded_as_well(tmp_path: Path) -> None:
    """What runs from the second call on, such as behind a filled cache, counts too."""
    text = (
        "calls = []\n\n\ndef later():\n    return 1\n\n\ndef run():\n    calls.append(1)\n    return len(calls) > 1 and later()\n"
    )
    found = compared(tmp_path, *swap(text, "return 1", "return 2"))
    assert found == ["later in lib.py differs"]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="only where the profile function is what records")
def test_another_profile_function_is_a_hazard(tmp_path: Path) -> None:
    """It replaces the recorder's, so that the benchmark is timed."""
    text = "import sys\n\n\ndef run():\n    sys.setprofile(None)\n"
    tree = write(tmp_path / "tree", {"suite.py": SUITE, "lib.py": text})
    found = differences(record(tree), record(tree), (tree, tree), ["bench"])["bench"]
    assert "another profile function was set" in found
