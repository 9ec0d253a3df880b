"""Composite indexes for the service's most frequent queries: the proposed and the optimised ones.

The review's four are right about which columns belong together. Their gaps: the partial predicate is given for PostgreSQL only, and
SQLite silently ignores it; ties on the sort column are broken by an id that is not in the index; no index covers its query; and the
old indexes that become redundant stay, and cost time on every insert.
"""

from sqlalchemy import Column, ColumnElement, Connection, Index, text

from service.migrations.building import MISLEADING, analyse, build, detached, drop

REDUNDANT = (
    "idx_prompts_user_id",
    "idx_evaluations_prompt_id",
    "idx_evaluations_provider_model",
    "idx_test_results_evaluation_id",
)
"""Indexes whose columns are the leading columns of an optimised one. The first also served deleted prompts, which no statement
reads."""


def proposed() -> list[Index]:
    """Return the review's four indexes as written, with the predicate for PostgreSQL only."""
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
    """Return the optimised indexes for a dialect ("sqlite", "postgresql").

    Columns compared for equality come first, then the sort columns in the query's directions. If all directions agree the index
    stays ascending, since it can be read backwards. Further columns are included if they save steps:

    - title and id in the prompts index save the sort and the access to wide rows, for more bytes
    - id in the index of best evaluations saves both as well, for more bytes
    - id is not in the index of test results: an evaluation has few, so sorting the ties costs almost nothing
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
            # All its rows are completed, but SQLite treats an index as covering only if it contains every column of the WHERE.
            evaluations.status,
            sqlite_where=analysed,
            postgresql_where=analysed,
        ),
        Index("ix_test_results_best_of_evaluation", results.evaluation_id, results.passed, _best_first(results.score, dialect)),
        Index("ix_templates_top_of_category", templates.category, templates.usage_count.desc(), templates.id, templates.name),
    ]


def upgrade_proposed(connection: Connection) -> None:
    """Add the review's indexes to a database with the baseline's, and nothing else: its migration gathers no statistics."""
    build(connection, proposed())


def upgrade_optimised(connection: Connection) -> None:
    """Add the optimised indexes to a database with the baseline's, drop redundant and misleading ones, gather statistics."""
    drop(connection, REDUNDANT + MISLEADING)
    build(connection, optimised(connection.dialect.name))
    analyse(connection)


def _best_first(score: Column[float], dialect: str) -> ColumnElement[float]:
    """Sort scores in descending order with NULL last: SQLite's only option in an index; PostgreSQL's default puts NULL first."""
    return score.desc().nulls_last() if dialect == "postgresql" else score.desc()
