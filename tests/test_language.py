"""The words of the project: unique names, documented names, and none of the idioms that the glossary replaced."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness

ROOT = Path(__file__).parents[1]
PACKAGES = ("harness", "fixtures", "datasets", "service", "scenarios", "tools", "commands", "examples")

PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(str(page.relative_to(ROOT)) for folder in ("docs", "examples") for page in (ROOT / folder).rglob("*.md")),
]

BANNED = {
    r"^(What|Who|How)\b": "open with a verb (functions) or a noun (classes)",
    r"\b(?<!there )(is|are) no\b(?! (more|less|fewer|further|higher|lower|longer|later|better|worse)\b)": "is not a, there is no",
    r"\b(operations?|requests?|rows?|times|users?) a second\b|\ban arm each\b|\ba row a figure\b": "per second, per arm",
    r"\bso many\b|\bas many as\b(?! possible)": "a count, a number of",
    r"\bunder way\b|\btake off\b|\bflying\b": "in flight, running",
    r"\btold from none\b|\bcan(not)? be told\b|\bcould not be told\b": "significant, cannot be decided",
    r"\btakes? turns\b|\btaking turns\b|\bin turn\b": "interleaved, alternating",
    r"\bwho(so)?ever\b|\bsomebody\b|\banybody\b|\bnobody\b|\ba person\b|\ba newcomer\b": "the user, the caller, the process",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bheard?\b|\bhears\b|\bhearing\b": "receive, received",
    r"\bdoubts?\b|\bdoubted\b": "warning",
    r"\bworlds?\b": "instance",
    r"\bledger\b": "review",
    r"\bthe (roof|room|floor|door|house|wall(?!-))s?\b(?!-)": "the entry point, package, layer, import contract",
    r"\bwithout a word\b|\blast words\b": "unexpectedly, last error line",
    r"\bhas gone\b|\bis gone\b|\bhave gone\b": "is missing, has stopped",
    r"\bexact work\b": "work counts",
    r"\bplanted\b": "injected",
    r"\bdone right\b": "optimised",
    r"\bred or green\b|\bwrong use\b": "pass or fail, usage error",
    r"\bof (ours|yours|theirs)\b": "our, your",
}
"""Pattern → what to write instead; tried on docstrings, help texts, messages and pages of documentation, without regard to case."""


def sources(*packages: str) -> list[Path]:
    """Return the Python files of the packages."""
    return [file for package in packages for file in sorted((ROOT / package).rglob("*.py"))]


def docstrings(file: Path) -> Iterator[tuple[int, str, str]]:
    """Yield every docstring of a file, fields' included, with its line and kind."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        for place, statement in enumerate(body):
            if (
                isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Constant)
                and isinstance(statement.value.value, str)
            ):
                kind = "field" if place else type(node).__name__
                yield statement.lineno, kind, statement.value.value


def messages(file: Path) -> Iterator[tuple[int, str]]:
    """Yield every other text of a file with at least one space: messages, help, captions; backquoted code left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value and id(node) not in documented:
            yield node.lineno, node.value


def idioms(text: str, *, opens: bool) -> list[str]:
    """Return the banned idioms in a text; those at its beginning only where it `opens` a docstring."""
    plain = re.sub(r"`[^`]*`", "", text)
    return [
        f"{found[0]!r}: {better}"
        for pattern, better in BANNED.items()
        if opens or not pattern.startswith("^")
        if (found := re.search(pattern, plain, 0 if pattern.startswith("^") else re.IGNORECASE))
    ]


def test_class_names_are_unique() -> None:
    """One name has one meaning: no two classes outside of the tests share one."""
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for file in sources(*PACKAGES):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(str(file.relative_to(ROOT)))
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_have_none_of_the_replaced_idioms(package: str) -> None:
    """They open with a verb or a noun and use the field's terms."""
    found = [
        f"{file.relative_to(ROOT)}:{line}: {idiom}"
        for file in sources(package)
        for line, kind, text in docstrings(file)
        for idiom in idioms(text, opens=kind != "field")
    ]
    assert found == []


@pytest.mark.parametrize("package", PACKAGES)
def test_messages_have_none_of_the_replaced_idioms(package: str) -> None:
    """Errors, help, captions and descriptions use the field's terms."""
    found = [
        f"{file.relative_to(ROOT)}:{line}: {idiom}"
        for file in sources(package)
        for line, text in messages(file)
        for idiom in idioms(text, opens=False)
    ]
    assert found == []


@pytest.mark.parametrize("page", PAGES)
def test_pages_have_none_of_the_replaced_idioms(page: str) -> None:
    """Code blocks and printed output left out, since commands wrote them."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    found = [f"{page}: {idiom}" for paragraph in text.split("\n\n") for idiom in idioms(paragraph, opens=False)]
    assert found == []


def test_the_public_names_are_there_and_documented() -> None:
    """Each name of `from harness import …` exists, has a docstring, and is known to type checkers under the same name."""
    undocumented = [
        name
        for name in harness.__all__
        if callable(value := getattr(harness, name)) and not inspect.getdoc(value) and not isinstance(value, str)
    ]
    assert undocumented == []
    (checked,) = [
        node.body
        for node in ast.parse((ROOT / "harness" / "__init__.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.If)
    ]
    seen = {alias.asname or alias.name for node in checked if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(harness.__all__)


def test_public_functions_and_classes_are_documented() -> None:
    """Every public function, class and method of the package has a docstring."""
    undocumented = []
    for file in sources("harness"):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if name.endswith("__main__"):
            continue
        body = ast.parse(file.read_text(encoding="utf-8")).body
        members = [
            node for owner in body if isinstance(owner, ast.ClassDef) and not owner.name.startswith("_") for node in owner.body
        ]
        for node in (*body, *members):
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            if not ast.get_docstring(node):
                undocumented.append(f"{name}.{node.name}")
    assert [name for name in undocumented if not name.startswith("harness.runnable.")] == []  # signatures for the type checker


def test_importing_the_package_loads_nothing_heavy() -> None:
    """The names of the contract are loaded when they are first used."""
    program = (
        "import sys, harness; print(sorted({'numpy', 'msgspec', 'sqlalchemy', 'rich', 'locust', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert importlib.import_module("harness") is harness
