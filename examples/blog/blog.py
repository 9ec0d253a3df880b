"""A blog on Flask and synchronous SQLAlchemy: posts with their authors and comments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Flask, request
from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker
from sqlalchemy.orm.interfaces import ORMOption

PAGE = 20


class BlogTables(DeclarativeBase):
    """The tables of the blog."""


class Author(BlogTables):
    """An author of posts."""

    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Post(BlogTables):
    """A post; the highest id is the newest."""

    __tablename__ = "post"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    title: Mapped[str]
    author: Mapped[Author] = relationship()
    comments: Mapped[list[Comment]] = relationship(order_by="Comment.id")


class Comment(BlogTables):
    """A comment on a post."""

    __tablename__ = "comment"
    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("post.id"), index=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    text: Mapped[str]
    author: Mapped[Author] = relationship()


def create_app(sessions: sessionmaker[Session], page_options: Sequence[ORMOption] = ()) -> Flask:
    """Return the application; `page_options` say how the page of posts loads authors and comments."""
    app = Flask(__name__)

    @app.get("/posts")
    def posts() -> list[dict[str, Any]]:
        """Return a page of posts, the newest first."""
        before = request.args.get("before", type=int, default=2**31 - 1)
        chosen = select(Post).where(Post.id < before).order_by(Post.id.desc()).limit(PAGE).options(*page_options)
        with sessions() as session:
            return [
                {"title": post.title, "author": post.author.name, "comments": [comment.text for comment in post.comments]}
                for post in session.scalars(chosen)
            ]

    return app
