"""The findings of importing a project's modules in another process, whatever they do there."""

import sys
from pathlib import Path

import pytest

from harness.init.findings import Imported
from harness.init.inspection import inspect_modules
from harness.init.sources import read_sources
from harness.init.tree import source_tree
from tests.harness.init.conftest import Project

pytest.importorskip("sqlalchemy")
START = "import sqlalchemy\n\nmetadata = sqlalchemy.MetaData()\n"
MAPPING = """
from sqlalchemy.orm import declarative_base, relationship

Base = declarative_base()


class A(Base):
    __tablename__ = "a"
    id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
    b = relationship("B")
"""


def imported(root: Path, timeout_s: float = 60.0) -> Imported:
    """Return the findings in a folder."""
    return inspect_modules(root, read_sources(source_tree(root)), timeout_s)


def test_tables_relationships_and_pages(project: Project) -> None:
    """Foreign keys, unique columns and kinds are found, the base that holds the tables, and pages without parameters."""
    pytest.importorskip("flask")
    found = imported(project("blog"))
    (schema,) = found.schemas
    assert (schema.module, schema.expression, schema.modules) == ("blog.models", "Base.metadata", ["blog.models"])
    assert [table.name for table in schema.tables] == ["author", "post"]
    assert schema.tables[0].column("email").unique
    key = schema.tables[1].column("author_id")
    assert (key.kind, key.table, key.column, key.nullable) == ("integer", "author", "id", False)
    many, one = schema.relations
    assert (many.parent, many.name, many.child, many.many) == ("Author", "posts", "Post", True)
    assert (one.parent, one.name, one.many, one.parent_key) == ("Post", "author", False, "id")
    assert [routes.paths for routes in found.routes] == [["/authors"]]
    assert found.problems == []


def test_kinds_of_columns(project: Project) -> None:
    """Those of SQLAlchemy's types, also in a project below `src`."""
    (schema,) = imported(project("shop")).schemas
    kinds = {f"{table.name}.{column.name}": column.kind for table in schema.tables for column in table.columns}
    expected = {"customer.id": "uuid", "customer.joined": "datetime", "orders.status": "enum", "orders.total": "decimal"}
    assert kinds | expected | {"orders.note": "json", "country.code": "text"} == kinds
    assert schema.is_portable


def test_an_import_error_has_its_line(project: Project) -> None:
    """The module that fails is named with the line of the project and the error; the others are used."""
    root = project("core")
    (root / "broken.py").write_text("import sqlalchemy\n\n\ndef connect():\n    raise OSError('no server')\n\n\nconnect()\n")
    found = imported(root)
    assert found.problems == ["broken cannot be imported: broken.py, line 5: OSError: no server"]
    assert len(found.schemas) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import os\nos._exit(7)\n", "importing oddity ended the process: exit code 7"),
        ("import sys\nsys.exit('no')\n", "oddity cannot be imported: oddity.py, line 5: SystemExit: no"),
        ("import time\ntime.sleep(60)\n", "importing oddity took over 3 s"),
        ("print('x' * 100_000)\nimport nothing_there\n", "oddity cannot be imported: oddity.py, line 5: ModuleNotFoundError"),
        (
            "sqlalchemy.Table('a', metadata, sqlalchemy.Column('b', sqlalchemy.ForeignKey('nowhere.id')))\n",
            "oddity.metadata cannot be used: ",
        ),
        (MAPPING, "the mapped classes cannot be configured: "),
    ],
    ids=["_exit", "exit", "hang", "missing", "key", "mapping"],
)
def test_foreign_code_that_misbehaves_is_a_problem(tmp_path: Path, text: str, problem: str) -> None:
    """It exits, hangs, prints or raises in its own process."""
    (tmp_path / "oddity.py").write_text(START + text)
    found = imported(tmp_path, 3.0 if "sleep" in text else 60.0)
    assert len(found.problems) == 1
    assert found.problems[0].startswith(problem)
    assert "oddity" not in sys.modules


def test_tables_of_another_schema_are_a_problem(tmp_path: Path) -> None:
    """A scenario cannot fill them, so that none is written; the problem says what to do."""
    table = "t = sqlalchemy.Table('t', metadata, sqlalchemy.Column('id', sqlalchemy.Integer, primary_key=True))\n"
    (tmp_path / "oddity.py").write_text(START.replace("MetaData()", "MetaData(schema='app')") + table)
    found = imported(tmp_path)
    assert not found.schemas
    assert "is in the schema 'app', and a scenario fills the default one alone" in found.problems[0]


def test_types_of_one_database_are_not_portable(tmp_path: Path) -> None:
    """SQLite cannot create a table with an array."""
    columns = "sqlalchemy.Column('id', sqlalchemy.Integer, primary_key=True), sqlalchemy.Column('tags', ARRAY(sqlalchemy.String))"
    text = f"{START}from sqlalchemy.dialects.postgresql import ARRAY\nt = sqlalchemy.Table('t', metadata, {columns})\n"
    (tmp_path / "oddity.py").write_text(text)
    (schema,) = imported(tmp_path).schemas
    assert not schema.is_portable


def test_nothing_is_imported_where_nothing_is_wanted(tmp_path: Path) -> None:
    """A project without tables or an application needs no other process."""
    (tmp_path / "oddity.py").write_text("raise RuntimeError\n")
    assert imported(tmp_path) == Imported()
