"""A page of posts with their authors and comments."""

import random
from contextlib import asynccontextmanager
from types import SimpleNamespace

from blog import BlogTables, Post, create_app
from sqlalchemy.orm import joinedload, selectinload

from harness import Case, Group, Promise, SqlScenario, cut, fewer, speedup, times

POSTS = {"tiny": 200, "small": 1_000, "medium": 10_000, "large": 100_000}
OPTIONS = {"baseline": [], "optimised": [joinedload(Post.author), selectinload(Post.comments)]}


class FrontPage(SqlScenario):
    """Authors and comments of a page with the posts instead of one by one."""

    arms = {"baseline": "lazy: a query per author and per post", "optimised": "joinedload and selectinload: two queries"}
    groups = [Group("page", "twenty posts with their authors and comments")]
    promises = [
        Promise("B1", "twice as fast", times(2), speedup("page")),
        Promise("B2", "90 % fewer statements", cut(0.9), fewer("statements", "page")),
    ]
    engines = ["postgres", "sqlite"]
    metadata = BlogTables.metadata

    def data(self, setting):
        """Yield authors, posts, and five comments per post on average."""
        draw, posts = random.Random(setting.seed).randint, POSTS[setting.size]
        authors, comments = posts // 10, 5 * posts
        yield "author", ({"id": n, "name": f"author {n}"} for n in range(1, authors + 1))
        yield "post", ({"id": n, "author_id": draw(1, authors), "title": f"post {n}"} for n in range(1, posts + 1))
        made = ((n, draw(1, posts), draw(1, authors)) for n in range(1, comments + 1))
        yield "comment", ({"id": n, "post_id": post, "author_id": author, "text": f"text {n}"} for n, post, author in made)

    def cases(self, setting):
        """Return pages from anywhere in the blog."""
        draw = random.Random(f"{setting.seed}/{setting.stream}")
        return [Case("page", f"before {n}", n) for n in draw.sample(range(30, POSTS[setting.size]), 8)]

    @asynccontextmanager
    async def open(self, arm, setting):
        """Open the arm's own database, and the application on it."""
        async with self.sync_database(arm, setting) as store:
            yield SimpleNamespace(store=store, client=create_app(store.sessions, OPTIONS[arm]).test_client())

    def run(self, instance, case):
        """Request a page."""
        answer = instance.client.get(f"/posts?before={case.args}")
        assert answer.status_code == 200
        return answer.get_json()
