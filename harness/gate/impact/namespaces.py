"""Which names of the tree's modules a process reads otherwise than by its own code, whose names can be seen in it.

Standard library only and loadable by path, because it runs in the process of another tree.
"""

import importlib
import os
import sys
from collections.abc import Callable, Collection
from types import CodeType, FrameType, ModuleType
from typing import Any

ANY = "*"
"""Any name of a module, or, in place of a module's file, any module."""
MODULE = "<module>"
WHOLE = "__dict__"
"""The attribute of a module that has all of its names."""

BY_FIXED_NAME = {
    ("dataclasses.py", "_is_type"),  # looks for `ClassVar` and `InitVar`, which are no functions and no numbers
    ("dataclasses.py", "_process_class"),  # generates code
    ("typing.py", "_evaluate"),  # the same, by `eval`
    ("typing.py", "get_type_hints"),
    ("inspect.py", "get_annotations"),
    ("typing.py", "_caller"),  # reads `__name__`
    ("enum.py", "_create_"),
    ("__init__.py", "namedtuple"),
    ("warnings.py", "warn"),
    ("_py_warnings.py", "warn"),
}
"""Functions of the library that take the names of a module to look up fixed ones, or to run generated code, which is seen."""
_REFLECTING = {"__globals__", "f_globals", "f_locals", "get_objects", "get_referents", "get_referrers", "__subclasses__"}
_OWN_NAMES = {"globals"}
"""What gives the names of the module that calls it."""
_OF_MODULE_LEVEL = {"locals", "vars", "dir"}
"""The same at module level."""
_PICKLERS = ("cloudpickle", "dill")
"""Packages that pickle a module by its exact type."""


def looks_at_any(code: CodeType) -> bool:
    """Return whether code may look at all names of any module without being noted."""
    return _mentions(code, _REFLECTING)


def looks_at_own(code: CodeType) -> bool:
    """Return whether code may look at all names of the module that it belongs to."""
    return _mentions(code, _OWN_NAMES | _OF_MODULE_LEVEL if code.co_name == MODULE else _OWN_NAMES)


def _mentions(code: CodeType, names: Collection[str]) -> bool:
    """Return whether code uses one of these names, or has it in a text, as `getattr` takes it."""
    texts = (each for value in code.co_consts for each in (value if isinstance(value, tuple) else (value,)))
    return any(map(names.__contains__, code.co_names)) or any(
        part in names for text in texts if isinstance(text, str) for part in text.split(".")
    )


class Namespaces:
    """The modules of a tree, which say what is read of them."""

    def __init__(self, note: Callable[[str, str], None], is_library: Callable[[str], bool]) -> None:
        """Call `note` with a module's file and a name, or `ANY`; `is_library` is true of files of the standard library."""
        self._note, self._is_library = note, is_library
        self._modules: dict[int, tuple[ModuleType, str]] = {}
        """The identity of a module → the module and its file relative to the tree."""
        self.noted: set[tuple[ModuleType, str]] = set()
        """Modules and names that need not be noted again; to be cleared when something else is to know about them."""
        self._watched = _module_type(self._read, self.noted)

    def watch(self, file: str, names: dict[str, Any]) -> None:
        """Watch the module whose code, of this file, begins to run in the dictionary `names`."""
        module = sys.modules.get(str(names.get("__name__")))
        if module is None or type(module) not in {ModuleType, self._watched} or vars_of(module) is not names:
            self._note(file, ANY)  # it is run in another way than by an import
            return
        self._modules[id(module)] = (module, file)
        module.__class__ = self._watched

    def end(self) -> None:
        """Note the modules that have become something else meanwhile."""
        for module, file in self._modules.values():
            if type(module) is not self._watched or sys.modules.get(vars_of(module).get("__name__", "")) is not module:
                self._note(file, ANY)

    def _read(self, module: ModuleType, name: str, frame: FrameType) -> None:
        _, file = self._modules.get(id(module), (None, ANY))
        if name != WHOLE:
            self.noted.add((module, name))
            self._note(file, name)
        elif not self.looks_up_fixed_names(frame.f_code):
            self._note(file, ANY)

    def looks_up_fixed_names(self, code: CodeType) -> bool:
        """Return whether code is known to look up fixed names only, where it has all names of a module."""
        if code.co_filename.startswith("<frozen importlib"):
            return True
        return self._is_library(code.co_filename) and (os.path.basename(code.co_filename), code.co_name) in BY_FIXED_NAME


def vars_of(module: ModuleType) -> dict[str, Any]:
    """Return the names of a module without being noted."""
    found: dict[str, Any] = ModuleType.__getattribute__(module, WHOLE)
    return found


def _module_type(read: Callable[[ModuleType, str, FrameType], None], noted: Collection[tuple[ModuleType, str]]) -> type[ModuleType]:
    """Return a type of modules that calls `read` with the module, the name of an attribute that is read, and the reader's frame.

    Not again for those in `noted`.
    """

    class Module(ModuleType):
        def __getattribute__(self, name: str) -> Any:
            if (self, name) not in noted:
                read(self, name, sys._getframe(1))  # noqa: SLF001 - no other way to the caller
            return ModuleType.__getattribute__(self, name)

        def __reduce_ex__(self, protocol: Any) -> Any:
            if any(name in sys._getframe(1).f_code.co_filename for name in _PICKLERS):  # noqa: SLF001
                return importlib.import_module, (vars_of(self)["__name__"],)
            return super().__reduce_ex__(protocol)

    Module.__name__ = Module.__qualname__ = ModuleType.__name__
    Module.__module__ = ModuleType.__module__
    return Module
