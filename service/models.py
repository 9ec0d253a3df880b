"""The prompt service's four tables, with the single-column indexes that the review assumes to exist.

Ids are UUID strings created by the client, as in the service under review. Composite indexes are under test (`service.migrations`).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """The declarative base of the service's tables."""

    metadata = MetaData(naming_convention={"ix": "idx_%(table_name)s_%(column_0_N_name)s"})


class Prompt(Base):
    """A prompt, one row per version; soft-deleted by `deleted_at`."""

    __tablename__ = "prompts"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(36), index=True)
    title: Mapped[str] = mapped_column(String(200))
    content: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16), index=True)
    version: Mapped[int]
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("prompts.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(index=True)
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None] = mapped_column(index=True)
    evaluations: Mapped[list[Evaluation]] = relationship(back_populates="prompt", order_by="Evaluation.id")


class Evaluation(Base):
    """One evaluation of a prompt by a provider's model; `overall_score` is NULL until it completes, and sometimes afterwards."""

    __tablename__ = "evaluations"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id"), index=True)
    status: Mapped[str] = mapped_column(String(16), index=True)
    provider: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(64))
    overall_score: Mapped[float | None]
    created_at: Mapped[datetime] = mapped_column(index=True)
    prompt: Mapped[Prompt] = relationship(back_populates="evaluations")
    test_results: Mapped[list[TestResult]] = relationship(back_populates="evaluation", order_by="TestResult.id")
    __table_args__ = (Index(None, "provider", "model"),)


class TestResult(Base):
    """One test case's outcome within an evaluation; `score` may be NULL."""

    __tablename__ = "test_results"
    __test__ = False  # pytest would collect a class of this name
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    evaluation_id: Mapped[str] = mapped_column(ForeignKey("evaluations.id"), index=True)
    test_case_name: Mapped[str] = mapped_column(String(80))
    score: Mapped[float | None] = mapped_column(index=True)
    passed: Mapped[bool] = mapped_column(index=True)
    evaluation: Mapped[Evaluation] = relationship(back_populates="test_results")


class PromptTemplate(Base):
    """A template for new prompts. The review names no existing index of this table."""

    __tablename__ = "prompt_templates"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    category: Mapped[str] = mapped_column(String(32))
    usage_count: Mapped[int]
    content: Mapped[str] = mapped_column(Text)
