"""Rows for the tables of a foreign application: every constraint is kept, and a seed gives the same rows in every process."""

import asyncio
import enum
import hashlib
import os
import random
import subprocess
import sys
import uuid
import warnings
from collections import Counter
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    func,
    text,
    types,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from harness.databases.application_rows import stored_blocks
from harness.databases.drawn_counts import per
from harness.databases.drawn_rows import DrawnRows
from harness.databases.interface import Databases, databases
from harness.errors import MissingExtraError, UsageError
from harness.scenario import Server, Setting

pytest.importorskip("mimesis")
ROOT = Path(__file__).parents[3]


class Tables(DeclarativeBase):
    """The tables of a blog, with everything that makes foreign tables hard to fill."""


class Standing(enum.Enum):
    """An enumeration whose names are stored."""

    NEW = "n"
    OLD = "o"


class Shouted(TypeDecorator[str]):
    """A type of the application."""

    impl = String(20)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """Store capitals."""
        return value and value.upper()


class Writer(Tables):
    """A writer, whose favourite article is of a table that refers to this one."""

    __tablename__ = "writers"
    __table_args__ = (CheckConstraint("score > 0 AND score <= 10", name="score_range"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(12))
    born: Mapped[date | None]
    standing: Mapped[Standing]
    score: Mapped[Decimal] = mapped_column(Numeric(6, 2))
    extra: Mapped[dict[str, Any]] = mapped_column(JSON)
    token: Mapped[uuid.UUID]
    stars: Mapped[int] = mapped_column(Integer, CheckConstraint("stars BETWEEN 1 AND 5"))
    level: Mapped[str] = mapped_column(String(10), CheckConstraint("level IN ('junior', 'it''s')"))
    photo: Mapped[bytes] = mapped_column(LargeBinary)
    rate: Mapped[float]
    wakes: Mapped[time]
    rests: Mapped[timedelta]
    motto: Mapped[str] = mapped_column(Shouted)
    favourite_id: Mapped[int | None] = mapped_column(ForeignKey("articles.id", use_alter=True))


class Profile(Tables):
    """One to one with a writer."""

    __tablename__ = "profiles"
    writer_id: Mapped[int] = mapped_column(ForeignKey("writers.id"), primary_key=True)
    bio: Mapped[str]


class Article(Tables):
    """An article, which may answer another one."""

    __tablename__ = "articles"
    id: Mapped[int] = mapped_column(primary_key=True)
    writer_id: Mapped[int] = mapped_column(ForeignKey("writers.id"))
    answers: Mapped[int | None] = mapped_column(ForeignKey("articles.id"))
    title: Mapped[str] = mapped_column(String(60))
    body: Mapped[str] = mapped_column(Text)
    draft: Mapped[bool] = mapped_column(default=True)
    views: Mapped[int] = mapped_column(server_default="7")
    shown: Mapped[bool] = mapped_column(server_default=text("true"))
    made: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    twice: Mapped[int] = mapped_column(Computed("views * 2", persisted=True))


class Label(Tables):
    """A label with a short key of text."""

    __tablename__ = "labels"
    code: Mapped[str] = mapped_column(String(2), primary_key=True)
    word: Mapped[str] = mapped_column(String(9), unique=True)


class ArticleLabel(Tables):
    """Many to many, with a rank within the article."""

    __tablename__ = "article_labels"
    __table_args__ = (UniqueConstraint("article_id", "rank"), Index("by_label", "label_code", "article_id", unique=True))
    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id"), primary_key=True)
    label_code: Mapped[str] = mapped_column(ForeignKey("labels.code"), primary_key=True)
    rank: Mapped[int]


class Branch(Tables):
    """A branch, numbered within its firm."""

    __tablename__ = "branches"
    firm: Mapped[str] = mapped_column(String(36), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)


class Desk(Tables):
    """A desk of a branch."""

    __tablename__ = "desks"
    __table_args__ = (ForeignKeyConstraint(["firm", "branch"], ["branches.firm", "branches.number"]),)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    firm: Mapped[str] = mapped_column(String(36))
    branch: Mapped[int]


class Call(Tables):
    """A call from a desk to another branch of the same firm: two foreign keys with a common column."""

    __tablename__ = "calls"
    __table_args__ = (
        ForeignKeyConstraint(["firm", "number"], ["branches.firm", "branches.number"]),
        ForeignKeyConstraint(["firm", "other"], ["branches.firm", "branches.number"]),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    firm: Mapped[str] = mapped_column(String(36))
    number: Mapped[int]
    other: Mapped[int]


COUNTS = {Writer: 300, Article: per(Writer, 4), ArticleLabel: per("articles", 3), Label.__table__: 200, Profile: per(Writer, 1)}
COUNTS |= {Desk: 5_000, Call: 5_000}


def drawn(
    metadata: MetaData, counts: Any = None, values: Any = None, *, size: str = "tiny", seed: int = 0, scale: float = 1.0
) -> DrawnRows:
    """Return rows of a metadata."""
    return DrawnRows(metadata, Setting(Path(), Path(), size=size, seed=seed, scale=scale), counts or {}, values or {})


def lists(rows: DrawnRows) -> dict[str, list[dict[str, Any]]]:
    """Return all rows by table."""
    return {table: list(some) for table, some in rows}


@pytest.fixture(scope="module")
def blog() -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the blog."""
    return lists(drawn(Tables.metadata, COUNTS))


def test_numbers_of_rows_are_as_declared(blog: dict[str, list[Any]]) -> None:
    """A tenth at size tiny, per parent, one to one, and by default; never fewer than one."""
    numbers = {table: len(rows) for table, rows in blog.items()}
    assert numbers == {
        "writers": 30,
        "articles": 120,
        "article_labels": 360,
        "labels": 20,
        "profiles": 30,
        "branches": 100,
        "desks": 500,
        "calls": 500,
    }
    by_default = {table: len(rows) for table, rows in lists(drawn(Tables.metadata)).items()}
    assert by_default == {
        **dict.fromkeys(("writers", "profiles", "branches"), 100),
        **dict.fromkeys(("desks", "calls"), 500),
        "articles": 500,
        "article_labels": 2_500,
        "labels": 100,
    }
    assert lists(drawn(Tables.metadata, {Desk: 10})).keys() == {"branches", "desks"}
    assert drawn(Tables.metadata, COUNTS, size="large").count(Writer) == 15_000
    assert drawn(Tables.metadata, COUNTS, scale=0.5).count(Article) == 60
    assert drawn(Tables.metadata, {Writer: lambda setting: 7}, size="large").count("writers") == 7


def test_children_are_spread_evenly(blog: dict[str, list[Any]]) -> None:
    """Each row of the other table has the declared number."""
    assert set(Counter(row["writer_id"] for row in blog["articles"]).values()) == {4}
    assert set(Counter(row["article_id"] for row in blog["article_labels"]).values()) == {3}


def test_foreign_keys_are_kept(blog: dict[str, list[Any]]) -> None:
    """Of one column and of several, to the same table, in a circle, and with a common column."""
    ids = {row["id"] for row in blog["articles"]}
    assert {row["favourite_id"] for row in blog["writers"]} <= ids | {None}
    assert all(row["answers"] is None or row["answers"] < row["id"] for row in blog["articles"])
    assert blog["articles"][0]["answers"] is None
    assert sum(row["answers"] is None for row in blog["articles"]) > 1
    branches = {(row["firm"], row["number"]) for row in blog["branches"]}
    assert len(branches) == 100
    assert {(row["firm"], row["branch"]) for row in blog["desks"]} <= branches
    for row in blog["calls"]:
        assert {(row["firm"], row["number"]), (row["firm"], row["other"])} <= branches
    assert {row["writer_id"] for row in blog["profiles"]} == {row["id"] for row in blog["writers"]}


def test_unique_columns_are(blog: dict[str, list[Any]]) -> None:
    """Alone and together; labels of an article are not the same few."""
    assert len({row["email"] for row in blog["writers"]}) == 30
    assert len({row["word"] for row in blog["labels"]}) == 20
    pairs = {(row["article_id"], row["label_code"]) for row in blog["article_labels"]}
    assert len(pairs) == len({(row["article_id"], row["rank"]) for row in blog["article_labels"]}) == 360
    assert len({code for _, code in pairs}) == 20
    many = drawn(Tables.metadata, {Writer: 20_000}, size="small")
    emails = [row["email"] for row in lists(many)["writers"]]
    assert len(set(emails)) == 20_000
    assert max(map(len, emails)) <= 40
    assert all(email.count("@") == 1 for email in emails)


def test_values_fit_their_types_and_checks(blog: dict[str, list[Any]]) -> None:
    """Lengths, precision, enumerations, bounds and lists of CHECK constraints; NULL only where it is allowed."""
    for row in blog["writers"]:
        assert 0 < len(row["name"]) <= 12
        assert row["standing"] in Standing
        assert 0 < row["score"] <= 10
        assert row["score"] == row["score"].quantize(Decimal("0.01"))
        assert 1 <= row["stars"] <= 5
        assert row["level"] in {"junior", "it's"}
        assert isinstance(row["token"], uuid.UUID)
        assert [name for name, value in row.items() if value is None and name not in {"born", "favourite_id"}] == []
    assert {row["born"] is None for row in blog["writers"]} == {True, False}


def test_defaults_are_those_of_the_application(blog: dict[str, list[Any]]) -> None:
    """A scalar default is the value; constant defaults of the server and computed columns are left to it; its functions are not."""
    first = blog["articles"][0]
    assert {row["draft"] for row in blog["articles"]} == {True}
    assert not {"views", "shown", "twice"} & first.keys()
    assert first["made"].tzinfo is not None


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_an_engine_accepts_all_rows(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """They are loaded in bulk; what the server checks, CHECK constraints and foreign keys included, holds."""
    setting = Setting(tmp_path, tmp_path, engine)
    if engine == "postgres":
        url = request.getfixturevalue("postgres_url")
        setting = Setting(tmp_path, tmp_path, engine, servers={"postgres": Server(url, url)})
    found, rows = databases(setting), drawn(Tables.metadata, COUNTS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counts = filled(found, Tables.metadata, rows)
    assert counts["article_labels"] == 360

    async def read() -> tuple[list[Any], Any]:
        async with found.open("blog") as opened, opened.connect() as connection:
            if engine == "sqlite":
                assert (await connection.exec_driver_sql("PRAGMA foreign_key_check")).all() == []
                assert (await connection.exec_driver_sql("PRAGMA integrity_check")).scalar_one() == "ok"
            twice = (await connection.exec_driver_sql("SELECT DISTINCT views, twice FROM articles")).all()
            return list(twice), (await connection.exec_driver_sql("SELECT motto FROM writers")).scalars().all()

    twice, mottoes = asyncio.run(read())
    assert [tuple(row) for row in twice] == [(7, 14)]
    assert all(motto == motto.upper() for motto in mottoes)
    found.remove("blog")


def filled(found: Databases, metadata: MetaData, rows: DrawnRows) -> dict[str, int]:
    """Fill the database `blog`."""
    found.remove("blog")
    return found.fill("blog", metadata, stored_blocks(metadata, rows, found.url("blog").get_dialect()(), lambda _: None))


def test_a_seed_gives_the_same_rows_in_every_process(blog: dict[str, list[Any]]) -> None:
    """Whatever the hash seed, and however the tables are asked for; another seed gives others."""
    program = (
        "import importlib.util, sys;"
        f"spec = importlib.util.spec_from_file_location('rows', {__file__!r});"
        "rows = importlib.util.module_from_spec(spec); sys.modules['rows'] = rows; spec.loader.exec_module(rows);"
        "print(rows.digest(rows.lists(rows.drawn(rows.Tables.metadata, rows.COUNTS))))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    assert found == {digest(blog)}
    rows = drawn(Tables.metadata, COUNTS)
    assert rows.keys(ArticleLabel)[:2] == [(row["article_id"], row["label_code"]) for row in blog["article_labels"][:2]]
    assert digest(lists(rows)) == digest(blog)
    assert digest(lists(drawn(Tables.metadata, COUNTS, seed=1))) != digest(blog)


def digest(rows: dict[str, list[dict[str, Any]]]) -> str:
    """Return a digest of all rows, without the address of an enumeration's class."""
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def test_keys_are_those_of_the_rows(blog: dict[str, list[Any]]) -> None:
    """Integers count from 1; a UUID is a UUID."""
    rows = drawn(Tables.metadata, COUNTS)
    assert rows.keys(Writer) == list(range(1, 31)) == [row["id"] for row in blog["writers"]]
    assert rows.keys("desks") == [row["id"] for row in blog["desks"]]


def test_values_are_those_of_the_rows(blog: dict[str, list[Any]]) -> None:
    """The different ones, without NULL, of keys and of drawn columns, in the order of the rows."""
    rows = drawn(Tables.metadata, COUNTS)
    for column, name in ((Article.writer_id, "writer_id"), ("articles.title", "title"), (Article.answers, "answers")):
        expected = list(dict.fromkeys(row[name] for row in blog["articles"] if row[name] is not None))
        assert rows.values(column) == expected
    assert digest(lists(rows)) == digest(blog)
    with pytest.raises(UsageError, match=r"the database fills articles\.views, so that its values are not known"):
        rows.values(Article.views)


def test_a_users_values_are_taken() -> None:
    """A list, a function of the row's number, and NULL; by attribute, column and name."""
    values = {
        Article.title: lambda draw, n: f"{n} of {draw.randrange(9)}",
        "articles.body": ["a", "b"],
        Writer.__table__.c.born: [None],
    }
    rows = lists(drawn(Tables.metadata, COUNTS, values))
    assert [row["title"].partition(" ")[0] for row in rows["articles"][:3]] == ["1", "2", "3"]
    assert {row["body"] for row in rows["articles"]} == {"a", "b"}
    assert {row["born"] for row in rows["writers"]} == {None}
    unique = lists(drawn(Tables.metadata, COUNTS, {Writer.email: lambda _, n: f"{n}@x.org"}))
    assert unique["writers"][1]["email"] == "2@x.org"
    given_key = lists(drawn(Tables.metadata, COUNTS, {Article.writer_id: [3]}))
    assert {row["writer_id"] for row in given_key["articles"]} == {3}


def one(*columns: Any, **more: Any) -> MetaData:
    """Return a metadata with a table."""
    metadata = MetaData()
    Table("things", metadata, *columns, **more)
    return metadata


ID = ("id", Integer)


@pytest.mark.parametrize(
    ("metadata", "counts", "values", "message"),
    [
        (Tables.metadata, {"writer": 1}, {}, "row_counts names an unknown table 'writer'; did you mean writers?"),
        (Tables.metadata, {random.Random: 1}, {}, "row_counts names Random, which is not a table of the scenario's metadata"),
        (Tables.metadata, {}, {"writers.mail": [1]}, "column_values names an unknown column 'writers.mail'; did you mean"),
        (Tables.metadata, {}, {"writers.email": []}, "column_values of writers.email is an empty list; give at least one value"),
        (Tables.metadata, {}, {Writer: [1]}, "which is not a column of the scenario's metadata"),
        (Tables.metadata, {Writer: per(Article, 1), Article: per(Writer, 1)}, {}, "is circular; give a number to one of"),
        (Tables.metadata, {Writer: -1}, {}, "row_counts of writers is negative"),
        (Tables.metadata, {Writer: lambda setting: 0.5}, {}, "row_counts of writers gives 0.5"),
        (
            Tables.metadata,
            {Writer: 0, Article: 5},
            {},
            "articles.writer_id refers to writers, which has no rows; give it some in row_counts",
        ),
        (
            Tables.metadata,
            {**COUNTS, Profile: per(Writer, 2)},
            {},
            "profiles cannot have 60 rows, because writer_id must be unique; lower its row_counts",
        ),
        (Tables.metadata, COUNTS, {Writer.email: lambda draw, n: "same"}, "30 rows of writers have the same email, which must be"),
        (
            one(Column(*ID, primary_key=True), Column("words", TSVECTOR, nullable=False)),
            {},
            {},
            "things.words has the type TSVECTOR(), for which no value is known; give it some: column_values = {'things.words': ",
        ),
        (
            one(Column(*ID, primary_key=True), Column("n", Integer, CheckConstraint("n > 5 AND n < 6"), nullable=False)),
            {},
            {},
            "no number fits the CHECK constraints of things.n; give it values in column_values",
        ),
        (
            one(Column(*ID, ForeignKey("elsewhere.id"), primary_key=True)),
            {},
            {},
            "import the modules of all tables into the scenario",
        ),
        (
            one(
                Column(*ID, ForeignKey("things.other"), primary_key=True),
                Column("other", Integer, ForeignKey("things.id"), unique=True),
            ),
            {},
            {},
            "keys refer to each other: ",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_next_step(metadata: MetaData, counts: Any, values: Any, message: str) -> None:
    """One line that names the table and the column."""
    with pytest.raises(UsageError) as refused:
        lists(drawn(metadata, counts, values))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_type_may_be_null() -> None:
    """A column of a type without values is NULL where it may be."""
    rows = lists(drawn(one(Column(*ID, primary_key=True), Column("words", TSVECTOR))))["things"]
    assert {row["words"] for row in rows} == {None}


def test_arrays_are_drawn_and_loaded(postgres_url: str, tmp_path: Path) -> None:
    """One to three values; a user's lists, with NULL and empty ones, arrive as they are."""
    metadata = one(
        Column(*ID, primary_key=True),
        Column("tags", ARRAY(String(5)), nullable=False),
        Column("numbers", ARRAY(Integer)),
        Column("days", ARRAY(types.Date), nullable=False),
    )
    given_numbers = [[1, None, 3], [], None, [-7]]
    rows = drawn(metadata, {"things": 40}, {"things.numbers": lambda _, n: given_numbers[n - 1]})
    setting = Setting(tmp_path, tmp_path, "postgres", servers={"postgres": Server(postgres_url, postgres_url)})
    found = databases(setting)
    filled(found, metadata, rows)

    async def read() -> list[Any]:
        async with found.open("blog") as engine, engine.connect() as connection:
            return list((await connection.exec_driver_sql("SELECT id, tags, numbers, days FROM things ORDER BY id")).all())

    loaded = asyncio.run(read())
    found.remove("blog")
    assert [row.numbers for row in loaded] == given_numbers
    expected = lists(drawn(metadata, {"things": 40}, {"things.numbers": lambda _, n: given_numbers[n - 1]}))["things"]
    assert [(row.tags, row.days) for row in loaded] == [(row["tags"], row["days"]) for row in expected]
    assert all(1 <= len(row.tags) <= 3 and max(map(len, row.tags)) <= 5 for row in loaded)


def test_a_table_needs_no_key() -> None:
    """One without a primary key has the default number of rows."""
    rows = lists(drawn(one(Column("small", SmallInteger), Column("at", types.TIMESTAMP))))["things"]
    assert len(rows) == 100


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the command that installs it."""
    monkeypatch.setitem(sys.modules, "mimesis", None)
    with pytest.raises(MissingExtraError, match=r"drawing rows needs the package mimesis; install it with: pip install .*\[rows\]"):
        lists(drawn(Tables.metadata, COUNTS))


KINDS = st.sampled_from(
    [Integer(), SmallInteger(), String(3), String(30), Numeric(4, 1), types.Uuid(), DateTime(), types.Boolean()]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    parents=st.integers(1, 6),
    children=st.integers(0, 40),
    kinds=st.lists(KINDS, min_size=1, max_size=3),
    nullable=st.booleans(),
    seed=st.integers(0, 5),
)
def test_any_two_tables_are_filled_with_their_keys_kept(
    parents: int, children: int, kinds: list[Any], nullable: bool, seed: int
) -> None:
    """Children refer to rows that exist, keys of several columns are unique, and there are as many rows as asked for."""
    metadata = MetaData()
    Table("parents", metadata, *(Column(f"k{n}", kind, primary_key=True) for n, kind in enumerate(kinds)))
    names = [f"k{n}" for n in range(len(kinds))]
    Table(
        "children",
        metadata,
        Column("id", Integer, primary_key=True),
        *(Column(name, kind, nullable=nullable) for name, kind in zip(names, kinds, strict=True)),
        ForeignKeyConstraint(names, [f"parents.{name}" for name in names]),
    )
    number = {"parents": lambda _: min(parents, 2), "children": lambda _: children}
    rows = {"children": [], **lists(drawn(metadata, number, seed=seed))}
    keys = [tuple(row[name] for name in names) for row in rows["parents"]]
    assert len(set(keys)) == len(keys) == min(parents, 2)
    assert len(rows["children"]) == children
    allowed = {*keys, (None,) * len(names)} if nullable else set(keys)
    assert {tuple(row[name] for name in names) for row in rows["children"]} <= allowed
