"""Small projects that `harness init` meets."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

BLOG = """\
from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(80), unique=True)
    posts: Mapped[list["Post"]] = relationship(back_populates="author")


class Post(Base):
    __tablename__ = "post"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    published: Mapped[datetime | None]
    author: Mapped[Author] = relationship(back_populates="posts")
"""
FLASK = """\
from flask import Flask, g, jsonify, request
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from blog.models import Author, Base


def create_app(url="sqlite://"):
    app = Flask(__name__)
    app.engine = create_engine(url)
    Base.metadata.create_all(app.engine)

    @app.get("/authors")
    def authors():
        with Session(app.engine) as session:
            return jsonify([author.email for author in session.scalars(select(Author))])

    @app.get("/authors/<int:key>")
    def author(key):
        return str(key)

    return app
"""
SHOP = """\
import enum
import uuid
from datetime import datetime
from decimal import Decimal

from sqlalchemy import JSON, DateTime, ForeignKey, Numeric, String, UniqueConstraint
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

engine = create_async_engine("sqlite+aiosqlite://")


class Base(DeclarativeBase):
    pass


class Status(enum.Enum):
    NEW = 1
    DONE = 2


class Country(Base):
    __tablename__ = "country"
    code: Mapped[str] = mapped_column(String(6), primary_key=True)


class Customer(Base):
    __tablename__ = "customer"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    country_code: Mapped[str] = mapped_column(ForeignKey("country.code"))
    boss_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("customer.id"))
    joined: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    orders: Mapped[list["Order"]] = relationship(back_populates="customer")


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("customer.id"), index=True)
    status: Mapped[Status]
    total: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    note: Mapped[dict | None] = mapped_column(JSON)
    customer: Mapped[Customer] = relationship(back_populates="orders")


class Line(Base):
    __tablename__ = "line"
    __table_args__ = (UniqueConstraint("order_id", "kind"),)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
"""
FASTAPI = """\
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from .models import Base, Order, engine


@asynccontextmanager
async def lifespan(app):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/orders/count")
async def count() -> int:
    async with AsyncSession(engine) as session:
        return await session.scalar(select(func.count()).select_from(Order))
"""
INVENTORY = '''\
import sqlite3

SCHEMA = """
CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL);
CREATE TABLE stock (
    product_id INTEGER NOT NULL REFERENCES product, place TEXT NOT NULL, amount INTEGER NOT NULL, PRIMARY KEY (product_id, place)
);
"""


def create(connection: sqlite3.Connection) -> None:
    connection.executescript(SCHEMA)


def low_stock(connection: sqlite3.Connection, limit: int) -> list[tuple[str, int]]:
    found = []
    for key, name in connection.execute("SELECT id, name FROM product ORDER BY id LIMIT 50"):
        (amount,) = connection.execute("SELECT sum(amount) FROM stock WHERE product_id = ?", (key,)).fetchone()
        if amount is None or amount < limit:
            found.append((name, amount))
    return found
'''
CORE = """\
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table

metadata = MetaData()
users = Table("users", metadata, Column("id", Integer, primary_key=True), Column("name", String(50)))
visits = Table(
    "visits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", ForeignKey("users.id")),
    Column("page", String(3), nullable=False),
)
"""
MANAGE = """\
import os


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
"""
URLS = """\
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("hello/", lambda request: HttpResponse("hello")), path("n/<int:n>/", lambda request, n: HttpResponse(n))]
"""
DJANGO = {"manage.py": MANAGE, "mysite/__init__.py": "", "mysite/urls.py": URLS}
PROJECTS: Mapping[str, Mapping[str, str]] = {
    "blog": {"blog/__init__.py": "", "blog/models.py": BLOG, "blog/app.py": FLASK},
    "shop": {"src/shop/__init__.py": "", "src/shop/models.py": SHOP, "src/shop/web.py": FASTAPI},
    "inventory": {"inventory.py": INVENTORY},
    "core": {"tables.py": CORE},
    "django": {**DJANGO, "mysite/settings.py": "SECRET_KEY = 'x'\nDEBUG = True\nROOT_URLCONF = 'mysite.urls'\n"},
    "nothing": {},
}
"""Name → the files of a project."""
Project = Callable[[str], Path]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a function that writes one of `PROJECTS` and returns its folder."""

    def written(name: str) -> Path:
        folder = tmp_path / f"{name}_project"
        folder.mkdir()
        for path, text in PROJECTS[name].items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder

    return written
