"""Whether the module-level code of two versions differs only in names that a benchmark does not read.

A statement is inert if all it does is to bind a name to something new: a function, a number or a text, a class without bases of the
project. Without it the module is the same for everything that does not read the name. What reads a name is seen in two places: the
code of the module has the name, and so has generated code; everything else looks at an attribute of the module, which the
recorder notes. A statement that differs and is not inert, or whose name may be read, is a difference.
"""

import ast
import builtins
import dis
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from types import CodeType

from harness.gate.impact.code import digest

MODULE = "<module>"
ANNOTATIONS = "__annotations__"
ALL = "__all__"
FOR_READERS = {ALL, "__author__", "__version__"}
"""Names that look special and are not: nothing looks them up but as the attributes of a module."""

_OF_OTHERS = {"LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR", "DELETE_ATTR", "IMPORT_NAME", "IMPORT_FROM", "STORE_NAME"}
"""Instructions whose name is not that of a global variable."""
_GENERIC = {"dict", "frozenset", "list", "set", "tuple", "type"}
_PLAIN = {"bool", "bytearray", "bytes", "complex", "float", "int", "object", "str", *_GENERIC}
_DESCRIPTORS = {"classmethod", "property", "staticmethod"}
_ERRORS = {name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)}


@dataclass(frozen=True)
class TopLevel:
    """The module-level code of one version of a file, and the names in all of its code."""

    statements: Sequence[ast.stmt]
    digest: str
    names: dict[tuple[str, str], frozenset[str]]
    """Qualified name and digest of code → the names of the module that it uses."""
    file: str

    def inert(self, statement: ast.stmt) -> frozenset[str] | None:
        """Return the names that a statement binds, None if it may do anything else."""
        return _Inert(self.statements).names(statement)

    def without(self, dropped: Collection[ast.stmt]) -> CodeType:
        """Return the code of the module without some statements."""
        left = [each for each in self.statements if each not in set(dropped)]
        return compile(ast.Module(left, []), self.file, "exec", dont_inherit=True)


@dataclass(frozen=True)
class InertChange:
    """Statements of a module that differ, each of which only binds a name."""

    names: frozenset[str]
    classes: frozenset[str]
    """Those of the names that are classes, whose bodies run."""
    old: TopLevel
    new: TopLevel


def read_top_level(path: Path, file: str) -> TopLevel | None:
    """Return the module-level code of a file, None if it is not Python; `file` is its name for the compiler."""
    try:
        module = ast.parse(path.read_bytes())
        code = compile(module, file, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    names: dict[tuple[str, str], frozenset[str]] = {}
    for each in _codes(code):
        names[each.co_qualname, digest(each)] = _used(each)
        names[each.co_qualname, digest(each, whole=True)] = frozenset().union(*map(_used, _codes(each)))
    return TopLevel(module.body, digest(code), names, file)


def inert_change(old: TopLevel, new: TopLevel) -> InertChange | None:
    """Return in what the module-level code of two versions differs, None if statements that do more than to bind a name differ."""
    dropped: tuple[list[ast.stmt], list[ast.stmt]] = ([], [])
    keys = ([_key(each) for each in old.statements], [_key(each) for each in new.statements])
    for way, first, last, first_new, last_new in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if way != "equal":
            dropped[0].extend(old.statements[first:last])
            dropped[1].extend(new.statements[first_new:last_new])
    names: set[str] = set()
    for version, statements in zip((old, new), dropped, strict=True):
        for statement in statements:
            bound = version.inert(statement)
            if bound is None:
                return None
            names |= bound
    left = [version.without(statements) for version, statements in zip((old, new), dropped, strict=True)]
    stay = {*left[0].co_names, *left[1].co_names}
    if not any(isinstance(node, ast.Name) and node.id == ANNOTATIONS for each in old.statements for node in ast.walk(each)):
        stay.discard(ANNOTATIONS)  # type hints that stay add themselves to those of the module
    if digest(left[0]) != digest(left[1]) or not names.isdisjoint(stay):
        return None
    classes = {each.name for statements in dropped for each in statements if isinstance(each, ast.ClassDef)}
    return InertChange(frozenset(names), frozenset(classes), old, new)


def _used(code: CodeType) -> frozenset[str]:
    """Return the names of the module that code uses: not those of attributes, nor those that a class body binds."""
    found = list(dis.get_instructions(code))
    names = {str(each.argval) for each in found if each.opcode in dis.hasname and each.opname not in _OF_OTHERS}
    has_own_hints = any(each.opname == "SETUP_ANNOTATIONS" for each in found)
    return frozenset(names - {ANNOTATIONS} if has_own_hints else names)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for nested in code.co_consts:
        if isinstance(nested, CodeType):
            yield from _codes(nested)


def _key(statement: ast.stmt) -> str:
    """Return a text that is equal for statements of which the module-level code is: bodies are compared where they run."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        values = {name: value for name, value in ast.iter_fields(statement) if name != "body"}
        return ast.dump(type(statement)(**values, body=[]))
    return ast.dump(statement)


def _bound(statements: Sequence[ast.stmt]) -> frozenset[str]:
    """Return all names that a module may bind, in any scope; with `*` if it imports all names of another one."""
    found: set[str] = set()
    for node in ast.walk(ast.Module(list(statements), [])):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.Global):
            found.update(node.names)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
            found.add(node.name or "")
        elif isinstance(node, ast.MatchMapping):
            found.add(node.rest or "")
    return frozenset(found)


class _Inert:
    """Decides whether statements of a module only bind names."""

    def __init__(self, module: Sequence[ast.stmt]) -> None:
        self._bound = _bound(module)
        futures = [each for each in module if isinstance(each, ast.ImportFrom) and each.module == "__future__"]
        self._evaluates_hints = not any(alias.name == "annotations" for each in futures for alias in each.names)

    def names(self, statement: ast.stmt) -> frozenset[str] | None:
        """Return the names that a statement binds, None if it may do anything else."""
        match statement:
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                return frozenset()
            case ast.FunctionDef(name=name, decorator_list=[]) | ast.AsyncFunctionDef(name=name, decorator_list=[]):
                found = {name} if self._is_signature(statement) else None
            case ast.ClassDef(name=name, bases=bases, keywords=[], decorator_list=[], body=body):
                is_plain = all(self._is_builtin(base, {"object", *_ERRORS}) for base in bases) and not _parameters(statement)
                found = {name} if is_plain and all(map(self._is_member, body)) else None
            case ast.Assign(targets=targets, value=value) if all(isinstance(each, ast.Name) for each in targets):
                found = {each.id for each in targets if isinstance(each, ast.Name)}
                if not _is_scalar(value) and not (found == {ALL} and _is_list_of_scalars(value)):
                    return None
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                is_plain = (value is None or _is_scalar(value)) and self._is_annotation(annotation)
                found = {name} if is_plain else None
            case _:
                return None
        if found is None or any(name.startswith("__") for name in found - FOR_READERS):
            return None  # such as `__getattr__`, which the interpreter itself looks up
        return frozenset(found) | ({ANNOTATIONS} if isinstance(statement, ast.AnnAssign) else frozenset())

    def _is_member(self, statement: ast.stmt) -> bool:
        """Return whether a statement of a class body does nothing to its class."""
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            is_plain = all(self._is_builtin(each, _DESCRIPTORS) for each in statement.decorator_list)
            return is_plain and self._is_signature(statement) and statement.name not in {"__init_subclass__", "__class_getitem__"}
        return self.names(statement) is not None

    def _is_signature(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        """Return whether to evaluate default arguments and annotations does nothing else."""
        given = function.args
        arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        hints = [function.returns, *(each.annotation for each in arguments if each)]
        defaults = [*given.defaults, *given.kw_defaults]
        is_plain = all(map(self._is_annotation, hints)) and all(each is None or _is_scalar(each) for each in defaults)
        return is_plain and not _parameters(function)

    def _is_annotation(self, hint: ast.expr | None) -> bool:
        """Return whether to evaluate a type hint runs no code of any class."""
        if not self._evaluates_hints:
            return True
        match hint:
            case None | ast.Constant() | ast.Name():
                return True
            case ast.Subscript(value=generic, slice=ast.Tuple(elts=parts)):
                return self._is_builtin(generic, _GENERIC) and all(map(self._is_annotation, parts))
            case ast.Subscript(value=generic, slice=part):
                return self._is_builtin(generic, _GENERIC) and self._is_annotation(part)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return all(self._is_union_part(each) for each in (left, right))
        return False

    def _is_union_part(self, hint: ast.expr) -> bool:
        """Return whether `|` of it is that of builtin types."""
        if isinstance(hint, ast.Constant):
            return hint.value is None
        return self._is_builtin(hint, _PLAIN) or (isinstance(hint, ast.Subscript | ast.BinOp) and self._is_annotation(hint))

    def _is_builtin(self, expression: ast.expr, names: Collection[str]) -> bool:
        """Return whether an expression is one of these builtin names, which the module does not bind itself."""
        return isinstance(expression, ast.Name) and expression.id in names and self._bound.isdisjoint({expression.id, "*"})


def _parameters(statement: ast.stmt) -> Sequence[ast.AST]:
    """Return the type parameters of a function or class, which Python 3.11 does not have."""
    found: Sequence[ast.AST] = getattr(statement, "type_params", ())
    return found


def _is_scalar(value: ast.expr) -> bool:
    """Return whether an expression is a number, a text, bytes, or None."""
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        value = value.operand
        return isinstance(value, ast.Constant) and type(value.value) in {int, float, complex}
    return isinstance(value, ast.Constant)


def _is_list_of_scalars(value: ast.expr) -> bool:
    return isinstance(value, ast.List | ast.Tuple) and all(map(_is_scalar, value.elts))
