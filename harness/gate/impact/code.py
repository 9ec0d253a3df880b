"""Digests of compiled code: equal for two versions of a function that do the same, whatever their place in a file.

Standard library only and loadable by path, because the code of another tree is digested in a process of that tree.
"""

import dis
import hashlib
import inspect
from types import CodeType
from typing import Any

FIRST_LINE = "__firstlineno__"
"""The attribute with which a class body of Python 3.13 and later stores its own line number."""


def is_namespace(code: CodeType) -> bool:
    """Return whether this is the code of a module or a class body: it runs once and makes names, functions among them."""
    return not code.co_flags & inspect.CO_OPTIMIZED


def digest(code: CodeType, *, whole: bool = False) -> str:
    """Return the digest of a code object: its instructions, constants, names, flags and nested code, without lines and paths.

    Of the functions that a module or a class body defines only names count, unless it is to be the `whole`: what runs of them is
    digested by itself.
    """
    return hashlib.blake2b(repr(_parts(code, whole=whole)).encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _parts(code: CodeType, *, whole: bool) -> tuple[Any, ...]:
    nested = whole or not is_namespace(code)
    instructions: object = (code.co_code, [_constant(value, nested=nested) for value in code.co_consts])
    if FIRST_LINE in code.co_names and is_namespace(code):
        instructions = _without_first_line(code, nested=nested)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return (_arguments(code), instructions, code.co_exceptiontable, *names)


def _arguments(code: CodeType) -> tuple[Any, ...]:
    """Return what a caller, or a decorator, sees of a function without its body."""
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    return (code.co_name, code.co_flags, *counts, code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


def _without_first_line(code: CodeType, *, nested: bool) -> list[tuple[str, str]]:
    """Return the instructions of a class body with the values of their constants, without those that store its line number."""
    found: list[tuple[str, str]] = []
    for instruction in dis.get_instructions(code):
        if instruction.opname == "STORE_NAME" and instruction.argval == FIRST_LINE:
            found.pop()
            continue
        is_constant = instruction.opcode in dis.hasconst
        value = _constant(instruction.argval, nested=nested) if is_constant else repr(instruction.arg)
        found.append((instruction.opname, value))
    return found


def _constant(value: Any, *, nested: bool) -> str:
    """Return a text that is equal for equal constants of the same type only."""
    if isinstance(value, CodeType):
        return repr(_parts(value, whole=True)) if nested else repr(_arguments(value))
    if isinstance(value, tuple):
        return f"({','.join(_constant(each, nested=nested) for each in value)})"
    if isinstance(value, frozenset):
        return f"{{{','.join(sorted(_constant(each, nested=nested) for each in value))}}}"
    return f"{type(value).__name__}:{value!r}"
