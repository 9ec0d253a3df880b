"""Composite indexes for the service's most frequent queries: as the review proposes them, and done right.

The review's four are right about which columns belong together. What they leave: the partial predicate is given for PostgreSQL
alone, and SQLite ignores it in silence; a tie on the sort column is broken by an id that is not in the index; no index
covers its query; and the old indexes that become redundant stay, and are paid for by every insert.
"""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, Connection, Index, text

from service.migrations.building import MISLEADING, analyse, build, detached, drop

REDUNDANT = (
    "idx_prompts_user_id",
    "idx_evaluations_prompt_id",
    "idx_evaluations_provider_model",
    "idx_test_results_evaluation_id",
)
"""Indexes whose columns lead one of the optimised ones. The first still served deleted prompts, which no statement asks for."""


def proposed() -> list[Index]:
    """Return the review's four indexes as written, the predicate for PostgreSQL alone."""
    prompts, evaluations = detached("prompts").c, detached("evaluations").c
    results, templates = detached("test_results").c, detached("prompt_templates").c
    return [
        Index(
            "idx_prompts_user_status_created",
            prompts.user_id,
            prompts.status,
            prompts.created_at,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index("idx_evaluations_prompt_status_score", evaluations.prompt_id, evaluations.status, evaluations.overall_score),
        Index("idx_test_results_eval_passed_score", results.evaluation_id, results.passed, results.score),
        Index("idx_templates_category_usage", templates.category, templates.usage_count),
    ]


def optimised(dialect: str) -> list[Index]:
    """Return the indexes a good engineer ships for a dialect ("sqlite", "postgresql").

    Columns compared for equality come first, then the sort in the query's own directions. Where all directions agree the index
    stays ascending, since it is read backwards as well. Columns beyond these are there where they save steps:

    - title and id in the prompts index spare the sort and the visit to wide rows, for more bytes
    - id in the index of best evaluations spares both as well, for more bytes
    - id is left out of the index of test results: an evaluation has few, so that sorting the ties costs next to nothing
    """
    prompts, evaluations = detached("prompts").c, detached("evaluations").c
    results, templates = detached("test_results").c, detached("prompt_templates").c
    live = text("deleted_at IS NULL")
    analysed = text("status = 'completed' AND overall_score IS NOT NULL")
    return [
        Index(
            "ix_prompts_live_by_user_status",
            prompts.user_id,
            prompts.status,
            prompts.created_at,
            prompts.id,
            prompts.title,
            sqlite_where=live,
            postgresql_where=live,
        ),
        Index(
            "ix_evaluations_best_of_prompt",
            evaluations.prompt_id,
            evaluations.status,
            _best_first(evaluations.overall_score, dialect),
            evaluations.id,
        ),
        Index("ix_evaluations_newest_of_model", evaluations.provider, evaluations.model, evaluations.created_at, evaluations.id),
        Index(
            "ix_evaluations_analysed",
            evaluations.prompt_id,
            evaluations.overall_score,
            # All its rows are completed, but SQLite calls an index covering only if it holds every column of the WHERE.
            evaluations.status,
            sqlite_where=analysed,
            postgresql_where=analysed,
        ),
        Index("ix_test_results_best_of_evaluation", results.evaluation_id, results.passed, _best_first(results.score, dialect)),
        Index("ix_templates_top_of_category", templates.category, templates.usage_count.desc(), templates.id, templates.name),
    ]


def upgrade_proposed(connection: Connection) -> None:
    """Add the review's indexes to a database that has the baseline's, and no more: its migration gathers no statistics."""
    build(connection, proposed())


def upgrade_optimised(connection: Connection) -> None:
    """Add the optimised indexes to a database that has the baseline's, drop what is redundant or misleads, gather statistics."""
    drop(connection, REDUNDANT + MISLEADING)
    build(connection, optimised(connection.dialect.name))
    analyse(connection)


def _best_first(score: Column[float], dialect: str) -> ColumnElement[float]:
    """Sort scores down with NULL last: SQLite's only way in an index, while PostgreSQL puts NULL first unless told."""
    return score.desc().nulls_last() if dialect == "postgresql" else score.desc()
