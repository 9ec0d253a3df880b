"""The findings in the sources of a project, none of which is imported."""

from pathlib import Path

import pytest

from harness.init.sources import module_name, read_sources
from harness.init.tree import source_tree
from tests.harness.init.conftest import Project


def test_a_flask_application_with_tables(project: Project) -> None:
    """Its modules, its engine and the function that makes the application are found, with their lines."""
    found = read_sources(source_tree(project("blog")))
    assert [name for name, _ in found.table_modules] == ["blog.app", "blog.models"]
    (app,) = found.apps
    assert (app.framework, app.module, app.name, app.is_factory) == ("flask", "blog.app", "create_app", True)
    assert str(found.sync_engines[0]) == "blog/app.py:10"
    assert found.async_engines == []


def test_an_asynchronous_application_below_src(project: Project) -> None:
    """`src` is not part of a module's name."""
    found = read_sources(source_tree(project("shop")))
    assert [(app.framework, app.module, app.name, app.is_factory) for app in found.apps] == [("fastapi", "shop.web", "app", False)]
    assert [place.file for place in found.async_engines] == ["src/shop/models.py"]


def test_a_function_with_a_connection_needs_its_tables(project: Project) -> None:
    """One that takes a connection of sqlite3 is found with the constant that creates its tables; one with an effect is not."""
    root = project("inventory")
    (site,) = read_sources(source_tree(root)).functions
    assert (site.module, site.name, site.schema) == ("inventory", "low_stock", "SCHEMA")
    assert site.parameters == [("connection", "sqlite3.Connection"), ("limit", "int")]
    (root / "inventory.py").write_text((root / "inventory.py").read_text().replace("CREATE TABLE", "CREATE_TABLE"))
    assert read_sources(source_tree(root)).functions == []


def test_suites_of_other_tools(tmp_path: Path) -> None:
    """A test with pytest-benchmark's fixture, and a locustfile."""
    (tmp_path / "test_speed.py").write_text("def test_sum(benchmark):\n    benchmark(sum, [1])\n")
    (tmp_path / "locustfile.py").write_text("from locust import HttpUser\n\n\nclass Visitor(HttpUser):\n    pass\n")
    found = read_sources(source_tree(tmp_path))
    assert [str(place) for place in found.benchmarks] == ["test_speed.py:1"]
    assert [str(place) for place in found.locustfiles] == ["locustfile.py:4"]
    assert found.functions == []


def test_a_django_project(tmp_path: Path) -> None:
    """Its settings are those that manage.py sets."""
    text = "import os\n\n\ndef main():\n    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n"
    (tmp_path / "manage.py").write_text(text)
    (app,) = read_sources(source_tree(tmp_path)).apps
    assert (app.framework, app.name, app.place.line) == ("django", "mysite.settings", 5)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"def broken(:\n", "odd.py, line 1: invalid syntax"),
        (b"name = '\xff'\n", "odd.py, line 1: (unicode error)"),
        (b"# coding: no-such-thing\n", "odd.py, line "),
        (b"x = 1\0\n", "odd.py"),
    ],
    ids=["syntax", "not UTF-8", "unknown coding", "NUL"],
)
def test_a_file_that_cannot_be_parsed_is_a_problem_and_no_more(tmp_path: Path, content: bytes, problem: str) -> None:
    """The other files are read."""
    (tmp_path / "odd.py").write_bytes(content)
    (tmp_path / "good.py").write_text("def double(number: int) -> int:\n    return 2 * number\n")
    found = read_sources(source_tree(tmp_path))
    assert [site.name for site in found.functions] == ["double"]
    assert len(found.problems) == 1
    assert found.problems[0].startswith(problem)


def test_functions_that_are_not_called(tmp_path: Path) -> None:
    """Private ones, ones with effects, with arguments of unknown types or by name, and those of tests and scenarios."""
    text = (
        "def _private(n: int): ...\ndef delete(n: int): ...\ndef odd(n: object): ...\ndef named(*, n: int): ...\ndef none(): ...\n"
    )
    (tmp_path / "code.py").write_text(text + "async def later(n: int): ...\n")
    (tmp_path / "scenario.py").write_text("from harness import Scenario\n\n\ndef double(n: int): ...\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "helpers.py").write_text("def double(n: int): ...\n")
    assert read_sources(source_tree(tmp_path)).functions == []


def test_names_of_modules() -> None:
    """A package is named by its folder, and a file that is not an identifier cannot be imported."""
    root = Path("/p")
    names = {"a/__init__.py": "a", "a/b.py": "a.b", "src/c.py": "c", "my-script.py": "", "__init__.py": ""}
    assert {name: module_name(root, root / name) for name in names} == names
