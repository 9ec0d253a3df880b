"""Answers of operations: whether the work behind one is done.

Standard library only, and no other library is imported to recognise its objects.
"""

import dataclasses
import inspect
import io
from collections.abc import Callable, Iterable, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any, NamedTuple

DEPTH = 3
"""Levels of containers in which a lazy part is looked for."""
PARTS = 20_000
"""Limit of the parts that are looked at, so that the search costs milliseconds however large an answer is."""

_FETCH = "return list(…) from run()"
_AWAIT = "await it in run()"
_GATHER = "return [row async for row in …] from run()"
_COMPUTE = "return its .compute() from run()"
_EXECUTE = "execute it in run() and return its rows"
_LAZY_CLASSES = {
    ("sqlalchemy", "Executable"): ("a statement that was not executed", _EXECUTE),
    ("sqlalchemy", "Query"): ("a lazy query", "return its .all() from run()"),
    ("sqlalchemy", "Result"): ("a result that was not read", "return its .all() from run()"),
    ("sqlalchemy", "AsyncResult"): ("a result that was not read", "return await ….all() from run()"),
    ("sqlalchemy", "FilterResult"): ("a result that was not read", "return its .all() from run()"),
    ("sqlalchemy", "AsyncCommon"): ("a result that was not read", "return await ….all() from run()"),
    ("sqlalchemy", "AppenderQuery"): ("a lazy query", "return its .all() from run()"),
    ("django", "QuerySet"): ("a lazy query", _FETCH),
    ("django", "BaseManager"): ("a lazy query", "return list(….all()) from run()"),
    ("django", "StreamingHttpResponseBase"): ("a streaming response", "read its content in run()"),
    ("starlette", "StreamingResponse"): ("a streaming response", "read its body in run()"),
    ("requests", "Response"): ("a response that was not read", "read its content in run()"),
    ("httpx", "Response"): ("a response that was not read", "read its content in run()"),
    ("aiohttp", "ClientResponse"): ("a response that was not read", "return await ….read() from run()"),
    ("peewee", "BaseQuery"): ("a lazy query", _FETCH),
    ("pony", "Query"): ("a lazy query", "return its [:] from run()"),
    ("mongoengine", "BaseQuerySet"): ("a lazy query", _FETCH),
    ("elasticsearch_dsl", "Request"): ("a lazy query", _EXECUTE),
    ("polars", "LazyFrame"): ("a lazy frame", "return its .collect() from run()"),
    ("narwhals", "LazyFrame"): ("a lazy frame", "return its .collect() from run()"),
    ("pyspark", "DataFrame"): ("a lazy frame", "return its .collect() from run()"),
    ("pyspark", "RDD"): ("a lazy collection", "return its .collect() from run()"),
    ("ibis", "Expr"): ("a lazy query", "return its .execute() from run()"),
    ("duckdb", "DuckDBPyRelation"): ("a lazy query", "return its .fetchall() from run()"),
    ("pyarrow", "Scanner"): ("a lazy scan", "return its .to_table() from run()"),
    ("pyarrow", "Dataset"): ("a lazy dataset", "return its .to_table() from run()"),
    ("datafusion", "DataFrame"): ("a lazy frame", "return its .collect() from run()"),
    ("daft", "DataFrame"): ("a lazy frame", "return its .collect() from run()"),
    ("pandas", "BaseGroupBy"): ("a lazy group", "return its aggregate from run()"),
    ("concurrent", "Future"): ("a future", "return its .result() from run()"),
    ("multiprocessing", "ApplyResult"): ("a future", "return its .get() from run()"),
    ("celery", "AsyncResult"): ("a future", "return its .get() from run()"),
}
"""(package, class) of objects whose work is done later though they are neither iterators nor awaitables → kind and remedy."""
_LAZY_PROTOCOLS: Sequence[tuple[Callable[[Any], bool], str, str]] = (
    (inspect.isgenerator, "a generator", _FETCH),
    (inspect.isasyncgen, "an asynchronous generator", _GATHER),
    (inspect.iscoroutine, "a coroutine", _AWAIT),
    (inspect.isawaitable, "an awaitable ({})", _AWAIT),
    (lambda part: _has(part, "execute", "fetchall"), "a database cursor", "return its .fetchall() from run()"),
    (lambda part: _has(part, "__aiter__"), "an asynchronous iterator ({})", _GATHER),
    (lambda part: isinstance(part, io.IOBase), "an open file", "return what was read or written from run()"),
    (lambda part: _has(part, "__next__"), "an iterator ({})", _FETCH),
    (lambda part: _has(part, "__dask_graph__") and part.__dask_graph__() is not None, "a lazy collection", _COMPUTE),
)
"""Test of an object → kind, with its class's name at `{}`, and remedy; the first that holds counts."""
_FILLED = ("_result_cache", "_cursor_wrapper", "_content_consumed", "is_stream_consumed", "_body")
"""Attributes of these that show that the work is done, because rows are kept there or content was read; None or False before."""
_COMPLETE = (str, bytes, bytearray, memoryview, int, float, complex, bool, type(None), type, range, io.BytesIO, io.StringIO)
"""Types whose objects are neither lazy nor searched."""


class LazyPart(NamedTuple):
    """An answer, or a part of one, whose work is not done."""

    kind: str
    """A noun with its article, such as "a generator"."""
    remedy: str
    """The change that does the work, such as "return list(…) from run()"."""
    path: str
    """Its place in the answer, such as `['rows']`; empty if it is the answer itself."""

    def __str__(self) -> str:
        """Return the kind with its place."""
        return f"{self.kind} at {self.path}" if self.path else self.kind


def find_lazy(answer: Any) -> LazyPart | None:
    """Return the first part of an answer whose work is not done: an iterator, an awaitable, a lazy query; None if there is none.

    Containers (tuples, lists, sets, mappings, dataclasses and the like) are searched `DEPTH` levels deep, `PARTS` parts at most.
    """
    level: list[tuple[str, Any]] = [("", answer)]
    left = PARTS
    for depth in range(DEPTH + 1):
        below: list[tuple[str, Any]] = []
        for path, part in level[:left]:
            if type(part) in _COMPLETE:
                continue
            if (found := _lazy(part)) is not None:
                return LazyPart(*found, path)
            if depth < DEPTH and len(below) < left:
                below += _parts(path, part, left - len(below))
        left -= len(level)
        if left <= 0 or not below:
            return None
        level = below
    return None


def _lazy(part: Any) -> tuple[str, str] | None:
    """Return the kind of one object whose work is not done, and the remedy."""
    if _has_no_rows(part):
        return None
    for base in type(part).__mro__[:-1]:
        known = _LAZY_CLASSES.get((base.__module__.partition(".")[0].lstrip("_"), base.__name__))
        if known is not None:
            return None if _is_filled(part) else known
    for is_lazy, kind, remedy in _LAZY_PROTOCOLS:
        if is_lazy(part):
            return kind.format(type(part).__name__), remedy
    return None


def _is_filled(part: Any) -> bool:
    values = (getattr(part, name, None) for name in _FILLED)
    return any(value is not None and value is not False for value in values)


def _has_no_rows(part: Any) -> bool:
    """Return whether the result or the cursor of a statement has nothing to read, as that of an INSERT."""
    if _has(part, "execute", "fetchall"):
        return getattr(part, "description", part) is None
    return _has(part, "returns_rows", "fetchall") and part.returns_rows is False


def _has(part: Any, *names: str) -> bool:
    return all(hasattr(type(part), name) for name in names)


def _parts(path: str, part: Any, limit: int) -> Iterable[tuple[str, Any]]:
    """Return the parts of a container that may be lazy themselves, with their paths, `limit` at most."""
    names = field_names(part)
    if names is not None:
        pairs: Iterable[tuple[Any, Any]] = ((name, field_value(part, name)) for name in names)
        place = ".{}"
    elif isinstance(part, Mapping):
        pairs, place = part.items(), "[{!r:.40}]"
    elif isinstance(part, Sequence):
        pairs, place = enumerate(part), "[{}]"
    elif isinstance(part, AbstractSet | ValuesView):
        pairs, place = enumerate(part), " (an element)"
    else:
        return ()
    return [(path + place.format(key), value) for key, value in islice(pairs, limit) if type(value) not in _COMPLETE]


def field_value(part: Any, name: str) -> Any:
    """Return a field's value, without loading one that its object would load now."""
    return vars(part).get(name) if hasattr(part, "__dict__") else getattr(part, name, None)


def field_names(part: Any) -> list[str] | None:
    """Return the fields of a dataclass's object or one of its kin (attrs, msgspec, a namespace); None for others."""
    kind = type(part)
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    if hasattr(kind, "__attrs_attrs__"):
        return [field.name for field in kind.__attrs_attrs__]
    if hasattr(kind, "__struct_fields__"):
        return list(kind.__struct_fields__)
    if kind.__module__ == "types" and kind.__name__ == "SimpleNamespace":
        return list(vars(part))
    return None
