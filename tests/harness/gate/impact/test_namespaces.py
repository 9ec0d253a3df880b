"""Who reads the names of a module: a new one matters to these only."""

import sys
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from harness.gate.impact.namespaces import ANY, Namespaces, looks_at_any, looks_at_own
from tests.harness.gate.impact.trees import Files, compared

LIB = "def run():\n    return 1\n\n\ndef found():\n    try:\n        return fast()\n    except NameError:\n        return 1\n"
ADDED = f"{LIB}\n\ndef fast():\n    return 2\n"
SUITE = "import sys\n\nimport lib\n\n\ndef bench():\n    return {}\n"


def code(text: str) -> CodeType:
    """Return the code of a function's body."""
    made = compile(f"def f():\n    {text}\n", "m.py", "exec").co_consts[0]
    assert isinstance(made, CodeType)
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    "call",
    [
        "lib.found()",
        "len(dir(lib))",
        "len(vars(lib))",
        "len(lib.__dict__)",
        "hasattr(lib, 'fa' + 'st')",
        "len(lib.run.__globals__)",
        "len(getattr(lib.run, '__globals__'))",
        "eval('fa' + 'st', vars(lib), {'fast': 1})",
        "eval('len(lib.' + '__dict__)')",
        "[getattr(each, 'fast', 0) for each in sys.modules.values()] and 0",
        "__import__('pickle').whichmodule(1, 'fast') and 0",
        "__import__('importlib').reload(lib) and 0",
    ],
)
def test_who_may_find_a_new_name_is_timed(tmp_path: Path, call: str) -> None:
    """By its code, by the module's attributes, or by all of its names."""
    base: Files = {"suite.py": SUITE.format(call), "lib.py": LIB}
    assert "module-level code of lib.py differs" in compared(tmp_path, base, {"lib.py": ADDED})


@pytest.mark.slow
@pytest.mark.parametrize(
    "lib",
    [
        "import sys\n\n\nclass Lazy(type(sys)):\n    pass\n\n\nsys.modules[__name__].__class__ = Lazy\n",
        "import sys\n\nold = sys.modules['lib']\nnew = type(sys)('lib')\nvars(new).update(vars(old))\nsys.modules['lib'] = new\n",
        "names = sorted(locals())\n",
        "count = len(globals())\n",
    ],
    ids=["another class", "another module", "locals", "globals"],
)
def test_a_module_that_cannot_be_watched_is_timed(tmp_path: Path, lib: str) -> None:
    """It has become another object, or looks at its own names."""
    base: Files = {"suite.py": SUITE.format("lib.run()"), "lib.py": f"{LIB}\n\n{lib}"}
    assert compared(tmp_path, base, {"lib.py": f"{ADDED}\n\n{lib}"}) == ["module-level code of lib.py differs"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "new"),
    [
        ("lib.run()", ADDED),
        ("lib.run()", LIB + "X: int = 1\n"),
        ("lib.run()", LIB + "class E(ValueError):\n    pass\n"),
        ("lib.run()", LIB.replace("def found()", "def found(n: int = 2)")),
        ("isinstance(lib, type(sys)) and lib.run() and lib.__name__", ADDED),
        ("hasattr(lib, 'slow')", ADDED),
    ],
    ids=["function", "constant", "class", "signature", "a look at the module", "another name"],
)
def test_a_name_that_is_not_read_makes_no_difference(tmp_path: Path, call: str, new: str) -> None:
    """To a benchmark that runs code of the same module, data classes in it included."""
    data = "import dataclasses\n\n\n@dataclasses.dataclass\nclass D:\n    x: int = 1\n\n\n"
    base: Files = {"suite.py": SUITE.format(call), "lib.py": data + LIB}
    assert compared(tmp_path, base, {"lib.py": data + new}) == []


def test_code_that_looks_at_names_is_known() -> None:
    """By its names and texts."""
    assert looks_at_any(code("return f.__globals__"))
    assert looks_at_any(code("return attrgetter('a.f_globals')(x)"))
    assert not looks_at_any(code("return globals()"))
    assert looks_at_own(code("return globals()"))
    assert not looks_at_own(code("return locals()"))
    assert looks_at_own(compile("x = locals()", "m.py", "exec"))


def test_a_module_says_what_is_read_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name once until it is to be noted again; all of them where the whole is read, but not by the import system."""
    notes: list[tuple[str, str]] = []
    names = Namespaces(lambda file, name: notes.append((file, name)), lambda _: False)
    module = ModuleType("toy_module")
    module.a = 1  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_module", module)
    names.watch("toy.py", vars(module))
    assert module.a == module.a == 1
    assert getattr(module, "b", 2) == 2
    assert notes == [("toy.py", "a"), ("toy.py", "b")]
    names.noted.clear()
    assert module.a
    assert len(vars(module)) > 1
    assert notes[2:] == [("toy.py", "a"), ("toy.py", ANY)]
    assert isinstance(module, ModuleType)
    assert repr(type(module)) == repr(ModuleType)
    names.end()
    assert len(notes) == 4
    monkeypatch.setitem(sys.modules, "toy_module", ModuleType("toy_module"))
    names.end()
    names.watch("main.py", {"__name__": "toy_module"})
    assert notes[4:] == [("toy.py", ANY), ("main.py", ANY)]
