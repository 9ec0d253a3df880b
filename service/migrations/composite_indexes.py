"""Indexes for the service's queries: the proposed composite ones, the optimised ones, and those for keyset pages.

The review's four are right about which columns belong together. Their gaps: the partial predicate is given for PostgreSQL only, and
SQLite silently ignores it; ties on the sort column are broken by an id that is not in the index; no index covers its query; and the
old indexes that become redundant stay, and cost time on every insert.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Index, MetaData, TextClause, text
from sqlalchemy.schema import DropIndex
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from service.models import Base
from service.switches import Level

MISLEADING = ("idx_prompts_deleted_at",)
"""Indexes that the planner overestimates. Nearly all prompts have `deleted_at IS NULL`, but the statistics hold an average over the
distinct deletion times: SQLite expects a dozen rows, prefers this index even to the primary key's, and reads every live prompt of
every user."""

REDUNDANT = ("idx_prompts_user_id", "idx_evaluations_prompt_id", "idx_evaluations_provider_model", "idx_test_results_evaluation_id")
"""Indexes whose columns are the leading columns of an optimised one. The first also served deleted prompts, which no statement
reads."""

_TABLES = ("prompts", "evaluations", "test_results", "prompt_templates")
_LIVE = text("deleted_at IS NULL")
_ANALYSED = text("status = 'completed' AND overall_score IS NOT NULL")


def proposed() -> list[Index]:
    """Return the review's four indexes as written, with the predicate for PostgreSQL only."""
    p, e, r, t = _columns()
    return [
        Index("idx_prompts_user_status_created", p.user_id, p.status, p.created_at, postgresql_where=_LIVE),
        Index("idx_evaluations_prompt_status_score", e.prompt_id, e.status, e.overall_score),
        Index("idx_test_results_eval_passed_score", r.evaluation_id, r.passed, r.score),
        Index("idx_templates_category_usage", t.category, t.usage_count),
    ]


def optimised(dialect: str) -> list[Index]:
    """Return the optimised indexes for a dialect ("sqlite", "postgresql").

    Columns compared for equality come first, then the sort columns in the query's directions. If all directions agree the index
    stays ascending, since it can be read backwards. Further columns are included if they save steps:

    - title and id in the prompts index save the sort and the access to wide rows, for more bytes
    - id in the index of best evaluations saves both as well, for more bytes
    - id is not in the index of test results: an evaluation has few, so sorting the ties costs almost nothing
    """
    p, e, r, t = _columns()

    def best_first(score: Column[float]) -> ColumnElement[float]:
        """Sort scores in descending order with NULL last: SQLite's only option in an index; PostgreSQL's default is NULL first."""
        return score.desc().nulls_last() if dialect == "postgresql" else score.desc()

    return [
        _partial("ix_prompts_live_by_user_status", (p.user_id, p.status, p.created_at, p.id, p.title), _LIVE),
        Index("ix_evaluations_best_of_prompt", e.prompt_id, e.status, best_first(e.overall_score), e.id),
        Index("ix_evaluations_newest_of_model", e.provider, e.model, e.created_at, e.id),
        # All its rows are completed, but SQLite treats an index as covering only if it contains every column of the WHERE.
        _partial("ix_evaluations_analysed", (e.prompt_id, e.overall_score, e.status), _ANALYSED),
        Index("ix_test_results_best_of_evaluation", r.evaluation_id, r.passed, best_first(r.score)),
        Index("ix_templates_top_of_category", t.category, t.usage_count.desc(), t.id, t.name),
    ]


def keyset() -> list[Index]:
    """Return the indexes for keyset pages. Ascending ones serve newest-first too, since both sort columns have one direction."""
    p, *_ = _columns()
    return [
        _partial("ix_prompts_live_by_user_time", (p.user_id, p.created_at, p.id), _LIVE),
        _partial("ix_prompts_live_by_time", (p.created_at, p.id), _LIVE),
    ]


def upgrade_proposed(connection: Connection) -> None:
    """Add the review's indexes to a database with the baseline's, and nothing else: its migration gathers no statistics."""
    _build(connection, proposed())


def upgrade_optimised(connection: Connection) -> None:
    """Add the optimised indexes to a database with the baseline's, drop redundant and misleading ones, gather statistics."""
    _drop(connection, REDUNDANT + MISLEADING)
    _build(connection, optimised(connection.dialect.name))
    analyse(connection)


def upgrade_keyset(connection: Connection) -> None:
    """Add the keyset indexes to a database with the baseline's or the optimised ones, drop the misleading, gather statistics."""
    _drop(connection, MISLEADING)
    _build(connection, keyset())
    analyse(connection)


def upgrade_all(connection: Connection) -> None:
    """Add the optimised and the keyset indexes to a database with the baseline's."""
    upgrade_optimised(connection)
    upgrade_keyset(connection)


def upgrade(connection: Connection, level: Level) -> None:
    """Migrate a database with the baseline's indexes to a level of the switch `indexes`."""
    if level is not Level.BASELINE:
        (upgrade_proposed if level is Level.PROPOSED else upgrade_all)(connection)


def analyse(connection: Connection) -> None:
    """Gather statistics: without them the planner guesses which of two indexes is narrower. SQLite never gathers them by itself."""
    connection.execute(text("ANALYZE"))


def _columns() -> list[ReadOnlyColumnCollection[str, Column[Any]]]:
    """Return each table's columns, in copies: `create_all` would create an index that has become part of the shared table."""
    copies = [table.to_metadata(MetaData()) for table in map(Base.metadata.tables.__getitem__, _TABLES)]
    for copy in copies:
        copy.indexes.clear()
    return [copy.c for copy in copies]


def _partial(name: str, columns: Iterable[Column[Any]], where: TextClause) -> Index:
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


def _build(connection: Connection, indexes: Iterable[Index]) -> None:
    for index in indexes:
        index.create(connection)


def _drop(connection: Connection, names: Iterable[str]) -> None:
    for name in names:
        connection.execute(DropIndex(Index(name), if_exists=True))
