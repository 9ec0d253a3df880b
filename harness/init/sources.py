"""Read the sources of a project, without importing them: its tables, engines, applications, functions and suites."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from harness.init.findings import AppSite, FunctionSite, Place, Sources
from harness.init.tree import SourceTree

APPS = {"Flask": "flask", "FastAPI": "fastapi", "Starlette": "starlette"}
SQL = ("DeclarativeBase", "DeclarativeBaseNoMeta", "MappedAsDataclass", "declarative_base", "registry", "MetaData", "SQLModel")
TABLES = ("Table", "mapped_column", "Column", "relationship")
SIMPLE = frozenset({"int", "float", "str", "bytes", "bool"})
DRAWN = re.compile(r"(?:list|List|Sequence|Iterable|Collection|set|frozenset|tuple)\[(int|float|str)(?:, \.\.\.)?\]")
CONNECTIONS = ("sqlite3.Connection", "Connection")
EFFECTS = re.compile(
    r"^(main|run|start|stop|exit|quit|delete|remove|drop|send|write|save|post|put|push|update|insert|create|make|print|show|log|set|load"
    r"|open|close|init|setup|install|deploy|download|upload|sleep|wait|kill|clear|reset|migrate|fill|seed|test)(_|$)"
)
"""Names of functions that probably have an effect elsewhere."""
MAX_PROBLEMS = 20


def read_sources(tree: SourceTree) -> Sources:
    """Return the findings in the files of a tree; a file that cannot be parsed is a problem, and no more."""
    found = Sources()
    for file in tree.files:
        try:
            module = ast.parse(file.read_bytes(), filename=str(file))
        except SyntaxError as error:
            _problem(found, f"{file.relative_to(tree.root)}, line {error.lineno}: {error.msg}")
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            _problem(found, f"{file.relative_to(tree.root)}: {error}")
        else:
            _FileReader(tree.root, file, module, found).read()
    return found


def _problem(found: Sources, text: str) -> None:
    if len(found.problems) < MAX_PROBLEMS:
        found.problems.append(text)


def module_name(root: Path, file: Path) -> str:
    """Return the name by which a file is imported with the project's folder and its `src` on the path; empty if it has none."""
    parts = list(file.relative_to(root).with_suffix("").parts)
    if parts[0] == "src" and len(parts) > 1 and not (root / "src" / "__init__.py").exists():
        parts = parts[1:]
    if parts[-1] == "__init__":
        parts = parts[:-1]
    return ".".join(parts) if parts and all(part.isidentifier() for part in parts) else ""


class _FileReader:
    """Reads one file."""

    def __init__(self, root: Path, file: Path, tree: ast.Module, found: Sources) -> None:
        self._tree, self._found = tree, found
        self._file = str(file.relative_to(root))
        self._module = module_name(root, file)
        self._imports = dict(_imports(tree))
        self._is_test = (
            re.match(r"(test_|bench_|conftest)|.*_test\.py$", file.name) is not None or "tests" in Path(self._file).parts
        )

    def _place(self, node: ast.AST) -> Place:
        return Place(self._file, getattr(node, "lineno", 1))

    def _origin(self, node: ast.AST) -> str:
        """Return the dotted name of what an expression refers to, with its module if it was imported."""
        if isinstance(node, ast.Name):
            return self._imports.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            return f"{self._origin(node.value)}.{node.attr}"
        return ""

    def read(self) -> None:
        """Add the findings of the file."""
        modules = {origin.partition(".")[0] for origin in self._imports.values()}
        found = self._found
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                last = self._origin(node.func).rpartition(".")[2]
                if last == "create_engine":
                    found.sync_engines.append(self._place(node))
                elif last == "create_async_engine":
                    found.async_engines.append(self._place(node))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and self._is_benchmark(node):
                found.benchmarks.append(self._place(node))
        if "locust" in modules and (users := [c for c in self._tree.body if isinstance(c, ast.ClassDef) and self._is_user(c)]):
            found.locustfiles.append(self._place(users[0]))
        if not self._module or self._is_test or "harness" in modules:
            return
        if modules & {"sqlalchemy", "sqlmodel", "flask_sqlalchemy"} or self._derives():
            found.table_modules.append((self._module, Place(self._file, 1)))
        found.apps += self._apps()
        found.functions += self._functions()

    def _is_benchmark(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        return node.name.startswith("test") and any(argument.arg == "benchmark" for argument in node.args.args)

    def _is_user(self, node: ast.ClassDef) -> bool:
        return any(self._origin(base).rpartition(".")[2].endswith("User") for base in node.bases)

    def _derives(self) -> bool:
        """Return whether the file has a class with a table's name, whose base is elsewhere."""
        return any(
            isinstance(statement, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == "__tablename__" for t in statement.targets)
            for node in self._tree.body
            if isinstance(node, ast.ClassDef)
            for statement in node.body
        )

    def _apps(self) -> Iterator[AppSite]:
        for node in self._tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                framework = APPS.get(self._origin(node.value.func).rpartition(".")[2])
                if framework and isinstance(target, ast.Name):
                    yield AppSite(framework, self._module, target.id, is_factory=False, place=self._place(node))
            elif isinstance(node, ast.FunctionDef) and not _required(node):
                calls = (call for call in ast.walk(node) if isinstance(call, ast.Call))
                framework = next((f for call in calls if (f := APPS.get(self._origin(call.func).rpartition(".")[2]))), None)
                if framework:
                    yield AppSite(framework, self._module, node.name, is_factory=True, place=self._place(node))
        for call in ast.walk(self._tree):
            if isinstance(call, ast.Call) and self._origin(call.func) == "os.environ.setdefault" and len(call.args) > 1:
                key, value = call.args[:2]
                if isinstance(key, ast.Constant) and key.value == "DJANGO_SETTINGS_MODULE" and isinstance(value, ast.Constant):
                    yield AppSite("django", self._module, str(value.value), is_factory=False, place=self._place(call))

    def _functions(self) -> Iterator[FunctionSite]:
        schemas = {
            target.id: str(node.value.value)
            for node in self._tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
            for target in node.targets
            if isinstance(target, ast.Name) and re.search(r"\bCREATE\s+TABLE\b", node.value.value, re.IGNORECASE)
        }
        schema, text = next(iter(schemas.items()), ("", ""))
        for node in self._tree.body:
            if not isinstance(node, ast.FunctionDef) or not _is_callable_alone(node):
                continue
            required = _required(node)
            parameters = [(each.arg, ast.unparse(each.annotation) if each.annotation else "") for each in required]
            takes_connection = bool(parameters) and parameters[0][1] in CONNECTIONS and "sqlite3" in self._imports.values()
            rest = parameters[1:] if takes_connection else parameters
            if takes_connection and not schema:
                continue
            if parameters and all(kind in SIMPLE or DRAWN.fullmatch(kind) for _, kind in rest):
                own = (schema, text) if takes_connection else ("", "")
                yield FunctionSite(self._module, node.name, parameters, self._place(node), *own)


def _is_callable_alone(node: ast.FunctionDef) -> bool:
    """Return whether a function is public, probably has no effect elsewhere, and needs no argument by name."""
    return not (node.name.startswith("_") or EFFECTS.match(node.name) or node.decorator_list or _named(node))


def _required(node: ast.FunctionDef) -> list[ast.arg]:
    """Return the parameters of a function that have no default, those that are given by name last."""
    plain = [*node.args.posonlyargs, *node.args.args]
    return [*plain[: len(plain) - len(node.args.defaults)], *_named(node)]


def _named(node: ast.FunctionDef) -> list[ast.arg]:
    """Return the parameters without a default that are given by name."""
    return [each for each, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if default is None]


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the names that a file imports, each with its dotted origin."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname or alias.name.partition(".")[0]), (alias.name if alias.asname else alias.name.partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield (alias.asname or alias.name), f"{'.' * node.level}{node.module or ''}.{alias.name}"
