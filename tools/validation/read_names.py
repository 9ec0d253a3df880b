"""A part of the suite of `tools.validation.unchanged`: benchmarks that read the names of a module in every way but by its code.

A function, a class or a constant that is added to `toy/plugins.py` looks harmless, and is not for those that find it.
"""

from collections.abc import Mapping, Sequence

PLUGINS = '''\
"""Plugins."""

import sys

__all__ = ["slow"]
LIMIT = 1


class Base:
    known = []

    def __init_subclass__(cls):
        Base.known.append(cls)

    def cost(self):
        return 1


class Child(Base):
    pass


def slow(n=1):
    return n


def added_up():
    return sum(range(3))


def own_names():
    return len(globals())


def evaluated():
    try:
        return eval("fast")
    except NameError:
        return None


def executed():
    space = {}
    try:
        exec("def f():\\n    return fast\\n", globals() if LIMIT > 1 else sys.modules[__name__].__dict__, space)
        return space["f"]()
    except NameError:
        return None


def hinted(n: "Fast"):
    return n


def costs():
    return Child().cost(), len(Base.known)
'''
LAZY = '''\
"""Names that are made when they are asked for."""


def __getattr__(name):
    return len(name)
'''
PLAIN = '''\
"""Names that nothing but an import in a benchmark reads."""

VALUE = 1
'''
NAMES = """\
import ast
import contextlib
import importlib
import inspect
import operator
import pickle
import sys
import typing

from toy import lazy, plain, plugins


def by_dir():
    return len([name for name in dir(plugins) if not name.startswith("_")])


def by_vars():
    return sorted(vars(plugins))


def by_members():
    return inspect.getmembers(plugins, inspect.isfunction)


def by_star():
    space = {}
    exec("from toy.plugins import *", space)
    return space


def by_name():
    return callable(getattr(plugins, "fast", plugins.slow))


def by_presence():
    return hasattr(plugins, "fast")


def by_path():
    with contextlib.suppress(AttributeError):
        return operator.attrgetter("plugins.fast")(sys.modules["toy"])


def by_import():
    try:
        from toy.plugins import fast
    except ImportError:
        fast = None
    return fast


def by_pickle():
    with contextlib.suppress(AttributeError):
        return pickle.loads(b"ctoy.plugins\\nfast\\n.")


def by_globals():
    return len(plugins.slow.__globals__)


def by_frame():
    return [len(each.frame.f_globals) for each in inspect.stack(0)[:1]]


def by_hint():
    with contextlib.suppress(NameError):
        return typing.get_type_hints(plugins.hinted)


def by_subclasses():
    return len(ArithmeticError.__subclasses__())


def by_signature():
    return inspect.signature(plugins.slow)


def by_module_function():
    return lazy.value


def by_reload():
    return importlib.reload(plain)


def by_source():
    return len(inspect.getsource(plain))
"""
OWN = ("added_up", "own_names", "evaluated", "executed", "costs")
"""Functions of `toy/plugins.py` that read its names themselves."""
TESTS = tuple(line[4:].partition("(")[0] for line in NAMES.splitlines() if line.startswith("def "))
FILES = {"toy/plugins.py": PLUGINS, "toy/lazy.py": LAZY, "toy/plain.py": PLAIN, "toy/names.py": NAMES}

_WHOLE = ("by_dir", "by_vars", "by_members", "by_globals", "own_names")
_FAST = ("by_name", "by_presence", "by_path", "by_import", "by_pickle", "evaluated", "executed")
_ATTRIBUTES = ("by_dir", "by_vars", "own_names", "by_globals")


def _plugins(added: str) -> Mapping[str, str]:
    return {"toy/plugins.py": f"{PLUGINS}\n\n{added}"}


def _swapped(old: str, new: str) -> Mapping[str, str]:
    if old not in PLUGINS:
        raise ValueError(f"the plugins do not contain {old!r}")
    return {"toy/plugins.py": PLUGINS.replace(old, new)}


CHANGES: Sequence[tuple[str, Mapping[str, str], Sequence[str]]] = [
    ("def fast() added", _plugins("def fast():\n    return 2\n"), (*_WHOLE, *_FAST)),
    ("fast = 2 added", _plugins("fast = 2\n"), (*_ATTRIBUTES, *_FAST)),
    ("class fast added", _plugins("class fast:\n    pass\n"), (*_ATTRIBUTES, *_FAST)),
    ("class Fast added", _plugins("class Fast:\n    pass\n"), (*_ATTRIBUTES, "by_hint")),
    ("class Fast(ArithmeticError) added", _plugins("class Fast(ArithmeticError):\n    pass\n"), (*_ATTRIBUTES, "by_subclasses")),
    ("class Fast(Base) added", _plugins("class Fast(Base):\n    pass\n"), (*_ATTRIBUTES, "costs")),
    ("def sum() added", _plugins("def sum(numbers):\n    return len(numbers)\n"), (*_WHOLE, "added_up")),
    ("LIMIT = 1 → 2", _swapped("LIMIT = 1", "LIMIT = 2"), ("executed",)),
    ("LIMIT removed", _swapped("LIMIT = 1\n", "LIMIT = True\n"), ("executed",)),
    ("__all__ longer", _swapped('["slow"]', '["slow", "LIMIT"]'), ("by_star",)),
    ("__all__ removed", _swapped('__all__ = ["slow"]\n', ""), ("by_star",)),
    ("default argument of a function that is read", _swapped("slow(n=1)", "slow(n=2)"), ("by_signature",)),
    ("type hint of a function that is read", _swapped("slow(n=1)", "slow(n: int = 1)"), ("by_signature",)),
    (
        "method added that replaces another",
        _swapped("(Base):\n    pass", "(Base):\n    def cost(self):\n        return 2"),
        ("costs",),
    ),
    ("default argument with an effect", _plugins("def fast(n=Base.known.append(1)):\n    return n\n"), ("costs",)),
    ("type hint with an effect", _plugins("def fast(n: Base.known.append(1)):\n    return n\n"), ("costs",)),
    ("decorator with an effect", _plugins("@Base.known.append\ndef fast():\n    return 1\n"), ("costs",)),
    ("class body with an effect", _plugins("class Fast:\n    Base.known.append(1)\n"), ("costs",)),
    ("constant with an effect", _plugins("N = Base.known.append(1)\n"), ("costs",)),
    ("name deleted", _plugins("del LIMIT\n"), ("executed",)),
    ("value = 1 added before __getattr__", {"toy/lazy.py": f"{LAZY}\n\nvalue = 1\n"}, ("by_module_function",)),
    ("__getattr__ removed", {"toy/lazy.py": "value = 5\n"}, ("by_module_function",)),
    ("statement added where a module is loaded again", {"toy/plain.py": f"{PLAIN}OTHER = 2\n"}, ("by_reload", "by_source")),
    ("function added where a module is loaded again", {"toy/plain.py": f"{PLAIN}\n\ndef f():\n    pass\n"}, ("by_reload",)),
]
"""What is changed, the files, and the functions that depend on it."""
UNREAD: Sequence[tuple[str, Mapping[str, str]]] = [
    ("LAST = 3 added", {"toy/settings.py": "FACTOR = 2\nUNREAD = 1\nLAST = 3\n"}),
    ("UNREAD removed", {"toy/settings.py": "FACTOR = 2\n"}),
    ("class added", {"toy/settings.py": "FACTOR = 2\nUNREAD = 1\n\n\nclass Added:\n    def f(self):\n        return 1\n"}),
    ("error added", {"toy/settings.py": "FACTOR = 2\nUNREAD = 1\n\n\nclass AddedError(ValueError):\n    pass\n"}),
    ("__all__ and a function added", {"toy/settings.py": '__all__ = ["f"]\nFACTOR = 2\nUNREAD = 1\n\n\ndef f():\n    pass\n'}),
]
"""Changes that no benchmark depends on."""
