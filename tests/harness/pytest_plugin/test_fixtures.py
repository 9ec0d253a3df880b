"""The fixtures of the plugin, in the suite of a project that has no scenarios."""

from typing import Any

import pytest

pytest.importorskip("mimesis")

OWN = """
import asyncio

import pytest
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from harness import per


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Post(Base):
    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))


@pytest.fixture
def database(filled_database):
    return filled_database(Base.metadata, {Author: 50, Post: per(Author, 8)}, {Author.name: ["Ann"]})


def test_rows_and_statements(database, count_work):
    with Session(database.engine) as session, count_work(database.engine) as counted:
        names = session.scalars(select(Author.name)).all()
        posts = session.scalars(select(Post.author_id)).all()
    assert names == ["Ann"] * AUTHORS
    assert sorted(posts) == sorted(8 * database.keys(Author))
    assert counted["statements"] == 2, counted.sent


def test_with_asyncio(database, count_work):
    async def counted_posts():
        engine = create_async_engine(database.async_url)
        async with count_work(engine) as counted, engine.connect() as connection:
            (await connection.execute(select(Post.id))).all()
        await engine.dispose()
        return counted["rows"]

    assert asyncio.run(counted_posts()) == 8 * AUTHORS


def test_writes_of_a_test_are_its_own(database):
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM posts")


def test_two_databases(filled_database, database):
    other = filled_database(Base.metadata, {Author: 1, Post: 1})
    assert len(other.keys(Post)) == 1 < len(database.keys(Post))
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--harness-size", "small"), ("--harness-engine", "postgres")])
def test_a_foreign_suite_uses_the_fixtures(project: Any, options: tuple[str, ...], request: pytest.FixtureRequest) -> None:
    """Databases are filled at the size, on the engine, each test has its own, and statements are counted either way."""
    if "postgres" in options:
        request.getfixturevalue("postgres_url")
    project.write("pytest.ini", "[pytest]\nfilterwarnings = error\n")
    project.write("pyproject.toml", "[tool.harness]\n")
    project.write("tests/test_blog.py", OWN.replace("AUTHORS", "50" if "small" in options else "5"))
    done = project.pytest("tests/test_blog.py", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_the_fixtures_are_listed_with_what_they_are_for(project: Any) -> None:
    """`pytest --fixtures` has the first line of each; nothing of it is imported for that."""
    done = project.pytest("--fixtures", "-q", "tests")
    assert "filled_database" in done.stdout
    assert "Return a function that fills a database for the test" in done.stdout
    assert "Return a function whose context counts the statements" in done.stdout
