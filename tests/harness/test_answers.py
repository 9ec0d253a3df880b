"""Tests of answers: work that is not done is recognised wherever it is, and what is done is left alone."""

import asyncio
import io
import itertools
import sqlite3
import sys
from collections import deque, namedtuple
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Query

from harness.answers import find_lazy

CONNECTION = sa.create_engine("sqlite://").connect()
Page = namedtuple("Page", "number rows")  # noqa: PYI024 - as users write it


@dataclass
class Box:
    """A dataclass with one part."""

    rows: Any


async def rows() -> AsyncIterator[int]:
    """Yield a row."""
    yield 1


class Chunks:
    """An asynchronous iterable of an application."""

    def __aiter__(self) -> AsyncIterator[int]:
        """Iterate."""
        return rows()


class Later:
    """An awaitable of an application."""

    def __await__(self) -> Iterator[None]:
        """Wait."""
        yield


def foreign(module: str, name: str, **attributes: Any) -> Any:
    """Return an object of a class as a library that is not installed here has it."""
    return type(name, (), {"__module__": module, **attributes})()


LAZY: list[tuple[Callable[[], Any], str]] = [
    (lambda: (n for n in "ab"), "a generator"),
    (lambda: map(str, [1]), "an iterator (map)"),
    (lambda: filter(None, [1]), "an iterator (filter)"),
    (lambda: zip([1], [2], strict=True), "an iterator (zip)"),
    (lambda: itertools.islice([1], 1), "an iterator (islice)"),
    (lambda: iter([1]), "an iterator (list_iterator)"),
    (rows, "an asynchronous generator"),
    (Chunks, "an asynchronous iterator (Chunks)"),
    (Later, "an awaitable (Later)"),
    (Future, "a future"),
    (lambda: io.TextIOWrapper(io.BytesIO(b"x")), "an open file"),
    (lambda: sqlite3.connect(":memory:").execute("SELECT 1"), "a database cursor"),
    (lambda: CONNECTION.execute(sa.text("SELECT 1")), "a result that was not read"),
    (lambda: CONNECTION.execute(sa.text("SELECT 1")).scalars(), "a result that was not read"),
    (lambda: CONNECTION.execute(sa.text("SELECT 1")).mappings(), "a result that was not read"),
    (lambda: sa.select(sa.literal(1)), "a statement that was not executed"),
    (lambda: Query(sa.literal(1)), "a lazy query"),
    (lambda: pd.DataFrame({"a": [1]}).groupby("a"), "a lazy group"),
    (lambda: foreign("polars.lazyframe.frame", "LazyFrame"), "a lazy frame"),
    (lambda: foreign("django.db.models.query", "QuerySet", _result_cache=None), "a lazy query"),
    (lambda: foreign("_duckdb", "DuckDBPyRelation"), "a lazy query"),
    (lambda: foreign("dask.bag.core", "Bag", __dask_graph__=lambda self: {}), "a lazy collection"),
    (lambda: foreign("requests.models", "Response", _content_consumed=False), "a response that was not read"),
    (lambda: foreign("aiohttp.client_reqrep", "ClientResponse", _body=None), "a response that was not read"),
    (lambda: foreign("starlette.responses", "StreamingResponse"), "a streaming response"),
]


@pytest.mark.parametrize(("make", "kind"), LAZY, ids=[kind for _, kind in LAZY])
def test_work_that_is_not_done_is_recognised(make: Callable[[], Any], kind: str) -> None:
    """Alone and within every container, where its place is named."""
    assert str(find_lazy(make())) == kind
    assert str(find_lazy([1, make()])) == f"{kind} at [1]"
    assert str(find_lazy({"page": (1, [make()])})) == f"{kind} at ['page'][1][0]"
    assert str(find_lazy(Box(Page(1, make())))) == f"{kind} at .rows[1]"
    assert str(find_lazy(SimpleNamespace(rows=deque([make()])))) == f"{kind} at .rows[0]"


def test_awaitables_of_asyncio_are_lazy() -> None:
    """A coroutine that was not awaited, a task and a future that may still run."""

    async def examine() -> list[str]:
        coroutine, future = asyncio.sleep(0), asyncio.get_running_loop().create_future()
        task = asyncio.create_task(asyncio.sleep(0))
        found = [str(find_lazy(each)) for each in (coroutine, future, task)]
        coroutine.close()
        await task
        return found

    assert asyncio.run(examine()) == ["a coroutine", "an awaitable (Future)", "an awaitable (Task)"]


DONE = [
    *(None, 1, 1.5, "text", b"bytes", True, range(3), [1, "a"], (1,), {1: 2}, {1, 2}, frozenset(), {1: 2}.keys(), {1: 2}.values()),
    *(io.BytesIO(b"x"), io.StringIO("x"), object(), Box([1]), Page(1, [2]), sqlite3.connect(":memory:")),
    *(
        np.zeros(3),
        np.float64(1),
        pd.DataFrame({"a": [1]}),
        pd.Series([1]),
        CONNECTION.execute(sa.text("SELECT 1")).all(),
        CONNECTION,
        CONNECTION.execute(sa.text("CREATE TABLE done (id INT)")),
        sqlite3.connect(":memory:").execute("CREATE TABLE done (id INT)"),
    ),
    foreign("django.db.models.query", "QuerySet", _result_cache=[1]),
    foreign("requests.models", "Response", _content_consumed=True),
    foreign("aiohttp.client_reqrep", "ClientResponse", _body=b""),
    foreign("xarray.core.dataset", "Dataset", __dask_graph__=lambda self: None),
]


@pytest.mark.parametrize("answer", DONE, ids=lambda answer: type(answer).__name__)
def test_an_answer_that_is_complete_is_not_lazy(answer: Any) -> None:
    """Values, containers, arrays, frames, fetched rows, handles, and results of statements that return no rows."""
    assert find_lazy(answer) is None


def test_each_kind_has_its_remedy() -> None:
    """The change that does the work, in the words of its library."""
    cases = [(iter([1]), "list(…)"), (rows(), "async for"), (Later(), "await"), (Query(sa.literal(1)), ".all()")]
    for answer, remedy in cases:
        found = find_lazy(answer)
        assert found is not None
        assert remedy in found.remedy


def test_a_field_that_would_be_loaded_now_is_not_touched() -> None:
    """Looking for lazy parts sends no statement."""

    class Loading(Box):
        def __getattribute__(self, name: str) -> Any:
            assert name != "rows", "loaded"
            return super().__getattribute__(name)

    assert find_lazy(Loading([1])) is None


def test_the_search_ends_in_large_and_in_circular_answers() -> None:
    """It is bounded in depth and in the number of parts."""
    circular: list[Any] = []
    circular.append(circular)
    assert find_lazy(circular) is None
    assert find_lazy([[n] for n in range(200_000)]) is None
    assert find_lazy([[[[[iter([1])]]]]]) is None


class Endless(Sequence[Any]):
    """A sequence that makes its elements, and never ends."""

    def __len__(self) -> int:
        """Return a length that no search may walk."""
        return sys.maxsize

    def __getitem__(self, place: Any) -> Any:
        """Return the place itself."""
        return place


def test_the_search_of_a_container_without_an_end_ends() -> None:
    """A limited number of parts is looked at, complete ones included."""
    assert find_lazy(Endless()) is None
