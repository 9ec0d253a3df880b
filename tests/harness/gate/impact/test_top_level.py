"""Module-level code of two versions that differs in names only, and in more than that."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate.impact.top_level import InertChange, TopLevel, inert_change, read_top_level

MODULE = '"""A module."""\nimport json\n\nN = 1\n\n\ndef used(n=N):\n    return other(n)\n\n\ndef other(n):\n    return n\n'


def top_level(folder: Path, text: str) -> TopLevel:
    """Return the module-level code of a text."""
    file = folder / "m.py"
    file.write_text(text, encoding="utf-8")
    found = read_top_level(file, "m.py")
    assert found is not None
    return found


def change(folder: Path, old: str, new: str) -> InertChange | None:
    """Return in what two versions of a text differ."""
    return inert_change(top_level(folder, old), top_level(folder, new))


INERT = {
    "def f(): pass": {"f"},
    "async def f(n: int, *a: str, m: list[int] = None, **k: 'A') -> int | None: pass": {"f"},
    "def f(n=-1, *, m='a'): return undefined": {"f"},
    "def f(n: json): pass": {"f"},
    "X = 1": {"X"},
    "X = Y = b'a'": {"X", "Y"},
    "X: int = -2.5": {"X", "__annotations__"},
    "__all__ = ['used', 'f']": {"__all__"},
    "__version__ = '1'": {"__version__"},
    "class C: pass": {"C"},
    "class C(ValueError):\n    '''Doc.'''\n    code = 1\n    @property\n    def f(self): return 1": {"C"},
    "'a text'": set(),
}
ACTS = [
    "import os",
    "from os import path",
    "X = [1]",
    "X = {}",
    "X = -'a'",
    "X = json",
    "X = used(1)",
    "X += 1",
    "X.y = 1",
    "X, Y = 1, 2",
    "X: json.Any = 1",
    "X: int = used(1)",
    "__all__ = ['a', *json.__all__]",
    "__all__ = [used]",
    "def f(n=used(1)): pass",
    "def f(n=[]): pass",
    "def f(n: used(1)): pass",
    "def f(n: json.Any): pass",
    "def f(n: json | None): pass",
    "def f(n: 'a' | None): pass",
    "def f(n: json[int]): pass",
    "@used\ndef f(): pass",
    "def __getattr__(name): pass",
    "def __dir__(): pass",
    "__path__ = 'a'",
    "class C(used): pass",
    "class C(metaclass=used): pass",
    "@used\nclass C: pass",
    "class C:\n    x = used(1)",
    "class C:\n    x = []",
    "class C:\n    used(1)",
    "class C:\n    @used\n    def f(self): pass",
    "class C:\n    def __init_subclass__(cls): pass",
    "class C:\n    class D(used): pass",
    "if N:\n    def f(): pass",
    "for X in 'a': pass",
    "del N",
    "raise ValueError",
    "used(1)",
]


@pytest.mark.parametrize(("added", "names"), INERT.items(), ids=INERT)
def test_a_statement_that_only_binds_names_is_inert(tmp_path: Path, added: str, names: set[str]) -> None:
    """Wherever it is added or removed, with the names that it binds."""
    for new in (f"{MODULE}{added}\n", MODULE.replace("N = 1\n", f"N = 1\n{added}\n")):
        for versions in ((MODULE, new), (new, MODULE)):
            found = change(tmp_path, *versions)
            assert found is not None
            assert found.names == names
            assert found.classes == {name for name in names if name == "C"}


@pytest.mark.parametrize("added", ACTS)
def test_a_statement_that_may_do_more_is_not_inert(tmp_path: Path, added: str) -> None:
    """It may run code, or change something that is there."""
    assert change(tmp_path, MODULE, f"{MODULE}{added}\n") is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import json", "import json as j"),
        ("N = 1", "N = 2"),  # a default argument reads it
        ("def used(n=N)", "def used(n=2)"),
        ("N = 1\n", "int = 2\n\n\ndef f(n: int | None): pass\n\n\nN = 1\n"),
        ("N = 1\n", "from json import *\n\n\ndef f(n: int | None): pass\n\n\nN = 1\n"),
        ("N = 1\n", "N = 1\nN = 1\n"),
        ("N = 1\n", "N = 1\nX: int = 1\nM = __annotations__\n"),
    ],
)
def test_a_module_that_differs_in_more_than_names_is_another_one(tmp_path: Path, old: str, new: str) -> None:
    """What a statement that stays reads, or a builtin name that the module has bound, is no new name."""
    assert change(tmp_path, MODULE, MODULE.replace(old, new)) is None


def test_a_constant_with_a_type_hint_adds_to_the_hints_of_its_module(tmp_path: Path) -> None:
    """Which others of the module do as well; what reads them reads a name that differs."""
    hints = f"{MODULE}A: int = 1\n\n\nclass C:\n    a: int = 1\n"
    found = change(tmp_path, hints, f"{hints}\n\nX: int = 1\n")
    assert found is not None
    assert found.names == {"X", "__annotations__"}
    assert not any("__annotations__" in names for (name, _), names in found.new.names.items() if name == "C")
    reading = f"{hints}B = __annotations__\n"
    assert change(tmp_path, reading, f"{reading}X: int = 1\n") is None


def test_type_hints_that_are_not_evaluated_are_texts(tmp_path: Path) -> None:
    """With the import from `__future__`."""
    text = f"from __future__ import annotations\n{MODULE}"
    found = change(tmp_path, text, f"{text}\n\ndef f(n: json.Any | used(1)): pass\n")
    assert found is not None
    assert found.names == {"f"}


def test_names_are_those_of_the_module(tmp_path: Path) -> None:
    """Global variables that code reads, in nested code if that may be read as well; not its attributes and own names."""
    method = "    def f(self):\n        return self.g(h)\n"
    text = f"class C:\n    a = b\n\n{method}\n\ndef f():\n    def inner():\n        return x\n    return inner\n"
    found = top_level(tmp_path, text)
    of = {name: names for (name, _), names in found.names.items()}
    assert {"b", "h"} <= set().union(*(names for (name, _), names in found.names.items() if name == "C"))
    assert of["C.f"] == {"h"}
    assert of["f"] == {"x"}
    assert "a" not in frozenset().union(*found.names.values())


def test_a_file_that_is_not_python_has_no_module_level_code(tmp_path: Path) -> None:
    """Nor has one that is missing, or of another syntax."""
    (tmp_path / "m.py").write_bytes(b"\0")
    assert read_top_level(tmp_path / "m.py", "m.py") is None
    assert read_top_level(tmp_path / "n.py", "n.py") is None


@given(st.lists(st.sampled_from([*INERT]), max_size=4), st.lists(st.sampled_from([*INERT]), max_size=4))
def test_versions_with_inert_statements_differ_in_their_names_at_most(old: list[str], new: list[str]) -> None:
    """Whatever their order."""
    import tempfile  # noqa: PLC0415 - a fixture would be shared by the examples

    with tempfile.TemporaryDirectory() as folder:
        found = change(Path(folder), "\n".join([MODULE, *old]), "\n".join([MODULE, *new]))
    assert found is None or found.names <= set().union(*(INERT[each] for each in [*old, *new]))
    assert found is not None or {*old} & {*new}  # a name that stays and is bound again
