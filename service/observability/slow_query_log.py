"""A log of slow statements: JSON lines with the statement's normal form, its duration, call site, and plan.

A request only enqueues a statement. The log's own thread normalises the SQL, requests the plan on its own connection, once per form
and at most once per `plan_every_s`, and writes the line, without anything that a client sent. The file is rotated at `max_bytes`,
and only `kept_files` rotated files are kept. Statements that cannot be written, or arrive faster than they are written, are counted
in `dropped` and never delay a request.
"""

import asyncio
import contextlib
import json
import logging
import queue
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType
from typing import Any, Self

from greenlet import getcurrent  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

PLAN_S = 5.0  # timeout of a plan in seconds; EXPLAIN waits for locks as any statement does
MAX_FORMS = 1000  # forms whose plan is taken; later ones get none, which bounds the memory
_FRAMES = 3
_NOT_THE_CALLER = frozenset({"sqlalchemy", "asyncio", "contextlib", "concurrent", "threading", "starlette", "fastapi", "anyio"})
_HAS_A_PLAN = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)


@dataclass(frozen=True)
class SlowStatement:
    """A statement as sent to the driver through `engine`."""

    engine: Engine
    sql: str
    parameters: Any  # a list of sets if `many`
    many: bool
    duration_s: float
    rows: int | None  # number of rows, if the driver reports it
    call_site: Sequence[str]  # places in the code that sent it; see `call_site`


Explain = Callable[[SlowStatement], list[str]]


def explain(slow: SlowStatement) -> list[str]:
    """Return the plan of a statement, on a new connection, without executing it.

    Raises SQLAlchemyError if the database refuses, OSError if it cannot be reached, and TimeoutError if an asyncio driver takes
    longer than PLAN_S.
    """
    on_postgresql = slow.engine.dialect.name == "postgresql"
    sql = f"{'EXPLAIN' if on_postgresql else 'EXPLAIN QUERY PLAN'} {slow.sql}"
    parameters = slow.parameters[0] if slow.many else slow.parameters
    if slow.engine.dialect.is_async:
        rows = asyncio.run(asyncio.wait_for(_rows(slow, sql, parameters), PLAN_S))
    else:
        own = create_engine(slow.engine.url, poolclass=NullPool)
        with own.connect() as connection:
            rows = [tuple(row) for row in connection.exec_driver_sql(sql, parameters)]
    return [str(row[-1]) for row in rows]


async def _rows(slow: SlowStatement, sql: str, parameters: Any) -> list[tuple[Any, ...]]:
    own = create_async_engine(slow.engine.url, poolclass=NullPool)
    async with own.connect() as connection:
        return [tuple(row) for row in await connection.exec_driver_sql(sql, parameters)]


class SlowQueryLog:
    """Writes the statements passed to `note` by any thread. A context manager.

    `threshold_s` is for the caller: the duration from which a statement is slow. `now_s` returns monotonic seconds, `utc` the time
    of day. At most `waiting` statements wait to be written.
    """

    def __init__(
        self,
        path: Path,
        *,
        threshold_s: float = 0.1,
        max_bytes: int = 10_000_000,
        kept_files: int = 3,
        waiting: int = 1000,
        plan_every_s: float = 1.0,
        explain: Explain = explain,
        now_s: Callable[[], float] = time.monotonic,
        utc: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.threshold_s = threshold_s
        self.dropped = 0
        self._file = _Lines(path, max_bytes, kept_files)
        self._queue: queue.Queue[SlowStatement | None] = queue.Queue(waiting)
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="slow-query-log", daemon=True)
        self._plan_every_s = plan_every_s
        self._explain = explain
        self._now_s = now_s
        self._utc = utc
        self._explained: set[str] = set()
        self._next_plan_s = float("-inf")

    def __enter__(self) -> Self:
        """Start writing. Without slow statements the log is an empty file, not a missing one."""
        with contextlib.suppress(OSError):  # counted at the first statement that cannot be written
            Path(self._file.baseFilename).touch()
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Write the waiting statements, and close the file."""
        self._queue.put(None)
        self._thread.join()
        self._file.close()

    def note(self, slow: SlowStatement) -> None:
        """Enqueue a statement. Never waits and never raises: a statement that does not fit is counted."""
        try:
            self._queue.put_nowait(slow)
        except queue.Full:
            self._drop()

    def flush(self) -> None:
        """Wait until all enqueued statements are written or dropped."""
        self._queue.join()

    def _work(self) -> None:
        while (slow := self._queue.get()) is not None:
            try:
                written = self._file.write(json.dumps(self._line(slow), ensure_ascii=False))
            except Exception:  # noqa: BLE001 - a statement that cannot be logged must not end the log
                written = False
            if not written:
                self._drop()
            self._queue.task_done()

    def _line(self, slow: SlowStatement) -> dict[str, Any]:
        from service.observability import redaction  # noqa: PLC0415 - sqlglot is slow to import and seldom needed

        normal = redaction.normal_form(slow.sql, slow.engine.dialect.name)
        name = redaction.fingerprint(normal)
        plan = self._plan(name, slow)
        sets = slow.parameters if slow.many else [slow.parameters]
        return {
            "at": self._utc().isoformat(timespec="milliseconds"),
            "fingerprint": name,
            "sql": normal,
            "duration_ms": round(slow.duration_s * 1000, 3),
            "rows": slow.rows,
            "parameters": redaction.kinds(sets[0]) if sets else [],
            "parameter_sets": len(sets),
            "call_site": list(slow.call_site),
            "plan": plan and [redaction.plan_line(line) for line in plan],
        }

    def _plan(self, name: str, slow: SlowStatement) -> list[str] | None:
        """Return a form's plan if it is due; None otherwise."""
        if not _HAS_A_PLAN.match(slow.sql):
            return None
        now_s = self._now_s()
        if name in self._explained or now_s < self._next_plan_s or len(self._explained) >= MAX_FORMS:
            return None
        self._next_plan_s = now_s + self._plan_every_s
        self._explained.add(name)
        try:
            return self._explain(slow)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            return [f"no plan: {type(error).__name__}"]  # an error's text may repeat the parameters

    def _drop(self) -> None:
        with self._lock:
            self.dropped += 1


def call_site() -> list[str]:
    """Return up to three frames of the application that sent the statement, as "service/prompts.py:50 in prompt", innermost first.

    Under asyncio SQLAlchemy runs in its own greenlet; the calling code is on the stack of the greenlet that waits for it.
    """
    found: list[str] = []
    greenlet, frame = getcurrent(), sys._getframe(1)  # noqa: SLF001 - traceback and inspect read every frame's source file as well
    while len(found) < _FRAMES:
        for caller, line in traceback.walk_stack(frame):
            if _is_the_application(caller):
                code = caller.f_code
                found.append(f"{'/'.join(Path(code.co_filename).parts[-2:])}:{line} in {code.co_name}")
        greenlet = greenlet.parent
        if greenlet is None or greenlet.gr_frame is None:
            break
        frame = greenlet.gr_frame
    return found[:_FRAMES]


def _is_the_application(frame: FrameType) -> bool:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0] not in _NOT_THE_CALLER and name not in {__name__, "service.observability.monitoring"}


class _Lines(RotatingFileHandler):
    """A rotating file, opened when it is first needed, and again after every failure."""

    def __init__(self, path: Path, max_bytes: int, kept_files: int) -> None:
        super().__init__(path, maxBytes=max_bytes, backupCount=kept_files, encoding="utf-8", delay=True)
        self._failed = False

    def write(self, line: str) -> bool:
        """Write a line; return whether it was written."""
        self._failed = False
        self.emit(logging.makeLogRecord({"msg": line}))
        return not self._failed

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Record the failure, instead of printing a traceback on standard error."""
        del record
        self._failed = True
        if self.stream is not None:
            stream, self.stream = self.stream, None
            with contextlib.suppress(OSError):
                stream.close()
