"""Files beside scenarios that have none, such as conftest.py and helpers.py: recognised by their text, without an import."""

import ast
import builtins
import sys
from pathlib import Path

NAMES = ("conftest", "locustfile")
"""The stems of files that other tools read."""
SCENARIO = "Scenario"
"""The end of the names of the classes that a scenario inherits from."""


def is_helper(file: Path) -> bool:
    """Return whether a Python file cannot have a scenario: its name starts with `_`, is one of `NAMES`, or no class may be one.

    A class may be one if it inherits from anything but built-in classes, those of the standard library and classes of the file that
    may not be one. So may everything in a file that names a class such as `Scenario`, that imports all names of a module, or that
    cannot be read; importing it shows whether it has one.
    """
    if file.name.startswith("_") or file.stem in NAMES:
        return True
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    plain = set(dir(builtins))
    for node in ast.walk(tree):
        if any(name.endswith(SCENARIO) for name in _names(node)):
            return False
        if isinstance(node, ast.Import | ast.ImportFrom):
            if any(alias.name == "*" for alias in node.names):
                return False
            plain |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names if _is_standard(node, alias)}
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    plain |= {each.name for each in classes}  # one that inherits from another kind of class is found by itself
    return all(_root(base) in plain for each in classes for base in each.bases)


def _names(node: ast.AST) -> tuple[str, ...]:
    """Return the names that a node of a file uses or binds."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return (name,)
        case ast.alias(name=name, asname=other):
            return (name, other or "")
    return ()


def _is_standard(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> bool:
    """Return whether what an import binds is of the standard library."""
    if isinstance(node, ast.ImportFrom):
        return not node.level and (node.module or "").partition(".")[0] in sys.stdlib_module_names
    return alias.name.partition(".")[0] in sys.stdlib_module_names


def _root(base: ast.expr) -> str:
    """Return the name that a base class begins with, such as `enum` of `enum.Enum` and `list` of `list[int]`."""
    while isinstance(base, ast.Attribute | ast.Subscript | ast.Call):
        base = base.func if isinstance(base, ast.Call) else base.value
    return base.id if isinstance(base, ast.Name) else ""
