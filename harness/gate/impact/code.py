"""Digests of compiled code: equal for two versions of a function that do the same, whatever their place in a file.

Standard library only and loadable by path, because the code of another tree is digested in a process of that tree.
"""

import dis
import hashlib
import inspect
import re
from collections.abc import Iterator
from types import CodeType
from typing import Any

DOC = "__doc__"
UNREAD = {DOC, "__firstlineno__", "__static_attributes__"}
"""Names in which a namespace stores constants that do not decide how code runs: its docstring and, from Python 3.13 on, its line
number and, in any order, the names that its methods assign. Docstrings that a program reads are found by `reads_docstrings`."""

_CONSTANTS = re.compile(b"[%s]" % re.escape(bytes(number for number in dis.hasconst if number < 256)))  # noqa: PLR2004 - a byte
_COPY = re.compile(f"LOAD_(FAST|FAST_BORROW|DEREF|NAME|GLOBAL):[^ ]+ STORE_ATTR:{DOC}$")
_LOADS = {"LOAD_ATTR", "LOAD_METHOD", "LOAD_NAME", "LOAD_GLOBAL"}


def is_namespace(code: CodeType) -> bool:
    """Return whether this is the code of a module or a class body: it runs once and makes names, functions among them."""
    return not code.co_flags & inspect.CO_OPTIMIZED


def digest(code: CodeType, *, whole: bool = False) -> str:
    """Return the digest of a code object: its instructions, constants, names, flags and nested code.

    Lines, paths and docstrings are left out. Of the functions that a module or a class body defines only names and arguments count,
    unless it is to be the `whole`: what runs of them is digested by itself.
    """
    return hashlib.blake2b(repr(_parts(code, whole=whole)).encode(errors="surrogatepass"), digest_size=16).hexdigest()


def reads_docstrings(code: CodeType) -> bool:
    """Return whether code reads an attribute `__doc__`, but to copy it, or mentions it in a text, as `getattr` takes it."""
    if any(DOC in ((value,) if isinstance(value, str) else value) for value in code.co_consts if isinstance(value, str | tuple)):
        return True
    if DOC not in code.co_names:
        return False
    found = list(dis.get_instructions(code))
    reads = (place for place, each in enumerate(found) if each.argval == DOC and each.opname in _LOADS)
    return any(_COPY.match(" ".join(f"{each.opname}:{each.argval}" for each in found[at + 1 : at + 3])) is None for at in reads)


def docstrings(code: CodeType) -> Iterator[tuple[str, str]]:
    """Yield the names and docstrings of a module, its classes and its functions."""
    first = next(iter(code.co_consts), None)
    if is_namespace(code):
        stores = zip(dis.get_instructions(code), [*dis.get_instructions(code)][1:], strict=False)
        first = next((load.argval for load, store in stores if (store.opname, store.argval) == ("STORE_NAME", DOC)), None)
    if isinstance(first, str) and not code.co_name.startswith(("<lambda>", "<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>")):
        yield code.co_qualname, first
    for nested in code.co_consts:
        if isinstance(nested, CodeType):
            yield from docstrings(nested)


def _parts(code: CodeType, *, whole: bool) -> tuple[Any, ...]:
    nested = whole or not is_namespace(code)
    instructions: object = list(_of_namespace(code, nested=nested)) if is_namespace(code) else _of_function(code)
    return (_arguments(code), instructions, code.co_exceptiontable, code.co_varnames, code.co_freevars, code.co_cellvars)


def _arguments(code: CodeType) -> tuple[Any, ...]:
    """Return what a caller, or a decorator, sees of a function without its body."""
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    return (code.co_name, code.co_flags & ~_HAS_DOCSTRING, *counts, code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


_HAS_DOCSTRING = getattr(inspect, "CO_HAS_DOCSTRING", 0x4000000)


def _of_function(code: CodeType) -> tuple[Any, ...]:
    """Return the instructions with the constants that they load in place of their numbers; a docstring is not loaded by any."""
    operations, arguments = code.co_code[::2], bytearray(code.co_code[1::2])
    loaded = []
    for found in _CONSTANTS.finditer(operations):
        place, number, shift = found.start(), arguments[found.start()], 8
        arguments[place] = 0
        while place and operations[place - 1] == dis.EXTENDED_ARG:
            place -= 1
            number |= arguments[place] << shift
            arguments[place], shift = 0, shift + 8
        loaded.append(_constant(code.co_consts[number], nested=True))
    return (operations, bytes(arguments), loaded, code.co_names)


def _of_namespace(code: CodeType, *, nested: bool) -> Iterator[tuple[str, str]]:
    """Yield the instructions with their constants and names, without those that store what is not read."""
    before = None
    for instruction in dis.get_instructions(code):
        number = instruction.opcode
        if instruction.opname == "STORE_NAME" and instruction.argval in UNREAD and before is not None and before[0] == "LOAD_CONST":
            before = None
            continue
        if before is not None:
            yield before
        if number in dis.hasconst:
            before = (instruction.opname, _constant(instruction.argval, nested=nested))
        elif number in dis.hasname:
            before = (instruction.opname, instruction.argrepr)
        else:
            before = (instruction.opname, repr(instruction.arg))
    if before is not None:
        yield before


def _constant(value: Any, *, nested: bool) -> str:
    """Return a text that is equal for equal constants of the same type only."""
    if isinstance(value, CodeType):
        return repr(_parts(value, whole=True)) if nested else repr(_arguments(value))
    if isinstance(value, tuple):
        return f"({','.join(_constant(each, nested=nested) for each in value)})"
    if isinstance(value, frozenset):
        return f"{{{','.join(sorted(_constant(each, nested=nested) for each in value))}}}"
    if type(value) is int:
        return f"int:{value:x}"  # of any length, unlike its decimal digits
    return f"{type(value).__name__}:{value!r}"
