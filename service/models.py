"""The prompt service's four tables, with the single-column indexes that the review assumes to exist.

Ids are UUID strings created by the client, as in the service under review. Composite indexes are not here: they are under test
(`service.migrations`).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """The declarative base of the service's tables."""


class Prompt(Base):
    """A prompt, one row per version; soft-deleted by `deleted_at`."""

    __tablename__ = "prompts"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(36))
    title: Mapped[str] = mapped_column(String(200))
    content: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    version: Mapped[int]
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("prompts.id"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]

    evaluations: Mapped[list[Evaluation]] = relationship(back_populates="prompt", order_by="Evaluation.id")

    __table_args__ = (
        Index("idx_prompts_user_id", "user_id"),
        Index("idx_prompts_status", "status"),
        Index("idx_prompts_created_at", "created_at"),
        Index("idx_prompts_parent_id", "parent_id"),
        Index("idx_prompts_deleted_at", "deleted_at"),
    )


class Evaluation(Base):
    """One evaluation of a prompt by a provider's model; `overall_score` is NULL until it completes, and sometimes afterwards."""

    __tablename__ = "evaluations"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id"))
    status: Mapped[str] = mapped_column(String(16))
    provider: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(64))
    overall_score: Mapped[float | None]
    created_at: Mapped[datetime]

    prompt: Mapped[Prompt] = relationship(back_populates="evaluations")
    test_results: Mapped[list[TestResult]] = relationship(back_populates="evaluation", order_by="TestResult.id")

    __table_args__ = (
        Index("idx_evaluations_prompt_id", "prompt_id"),
        Index("idx_evaluations_status", "status"),
        Index("idx_evaluations_created_at", "created_at"),
        Index("idx_evaluations_provider_model", "provider", "model"),
    )


class TestResult(Base):
    """One test case's outcome within an evaluation; `score` may be NULL."""

    __tablename__ = "test_results"
    __test__ = False  # pytest would collect a class of this name

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    evaluation_id: Mapped[str] = mapped_column(ForeignKey("evaluations.id"))
    test_case_name: Mapped[str] = mapped_column(String(80))
    score: Mapped[float | None]
    passed: Mapped[bool]

    evaluation: Mapped[Evaluation] = relationship(back_populates="test_results")

    __table_args__ = (
        Index("idx_test_results_evaluation_id", "evaluation_id"),
        Index("idx_test_results_passed", "passed"),
        Index("idx_test_results_score", "score"),
    )


class PromptTemplate(Base):
    """A template for new prompts. The review names no existing index of this table."""

    __tablename__ = "prompt_templates"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    category: Mapped[str] = mapped_column(String(32))
    usage_count: Mapped[int]
    content: Mapped[str] = mapped_column(Text)
