"""Request bodies, validated, and response bodies, created from the rows of the service.

Response times are in UTC with a Z; the service stores them without a zone. Ids are opaque: any text of up to 36 characters without
control characters, which neither a path nor every database can contain.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import uuid4

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

MAX_BULK_PROMPTS = 1_000  # limit of prompts per bulk request
_NO_CONTROL = r"^[^\x00-\x1f\x7f]+$"
_NO_NUL = r"^[^\x00]*$"

Id = Annotated[str, StringConstraints(min_length=1, max_length=36, pattern=_NO_CONTROL)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=_NO_CONTROL)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_NO_NUL)]
Content = Annotated[str, StringConstraints(max_length=40_000, pattern=_NO_NUL)]
Utc = Annotated[datetime, AfterValidator(lambda at: at.replace(tzinfo=UTC))]


def _distinct(items: list[Any]) -> list[Any]:
    """Return the items, ids or objects with an id, if no id occurs twice."""
    if len({getattr(item, "id", item) for item in items}) < len(items):
        raise ValueError("an id occurs twice")
    return items


_UNIQUE = Field(min_length=1, max_length=MAX_BULK_PROMPTS, json_schema_extra={"uniqueItems": True})
Ids = Annotated[list[Id], _UNIQUE, AfterValidator(_distinct)]


class Status(StrEnum):
    """The state of a prompt."""

    DRAFT = "draft"
    ACTIVE = "active"
    ARCHIVED = "archived"


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


class _In(BaseModel):
    """A request body. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", use_enum_values=True, validate_default=True)


class _Out(BaseModel):
    """A response body; its fields are in the order of the columns of a row."""

    @classmethod
    def of(cls, row: Iterable[Any]) -> Self:
        """Return the body for a row, its values in the order of the fields."""
        return cls.model_validate(dict(zip(cls.model_fields, row, strict=True)))


class NewPrompt(_In):
    """A prompt to create. With an id from the client, the request can be repeated safely."""

    id: Id = Field(default_factory=lambda: str(uuid4()))
    user_id: Id
    title: Title
    content: Content
    status: Status = Status.DRAFT

    def row(self, at: datetime) -> dict[str, Any]:
        """Return all columns of the prompt, created at `at`, in UTC without a zone."""
        rest = {"version": 1, "parent_id": None, "created_at": at, "updated_at": at, "deleted_at": None}
        return {"id": self.id, "user_id": self.user_id, "title": self.title, "content": self.content, "status": self.status, **rest}


class NewEvaluation(_In):
    """The first evaluation of a new prompt, still to be run by a provider's model."""

    id: Id = Field(default_factory=lambda: str(uuid4()))
    provider: Name
    model: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=_NO_CONTROL)]

    def row(self, prompt_id: str, at: datetime) -> dict[str, Any]:
        """Return all columns of the evaluation."""
        rest = {"status": "pending", "overall_score": None, "created_at": at}
        return {"id": self.id, "prompt_id": prompt_id, "provider": self.provider, "model": self.model, **rest}


class NewPromptEvaluated(NewPrompt):
    """A prompt to create together with its first evaluation."""

    model_config = _example(
        user_id="user-1",
        title="Summarise a text",
        content="Summarise: {text}",
        evaluation={"provider": "openai", "model": "gpt-4o"},
    )
    evaluation: NewEvaluation


class NewPrompts(_In):
    """Prompts to create, all or none."""

    prompts: Annotated[list[NewPrompt], Field(min_length=1, max_length=MAX_BULK_PROMPTS), AfterValidator(_distinct)]


class TitleChange(_In):
    """A new title for a user's prompt."""

    model_config = _example(user_id="user-1", title="A better title")
    user_id: Id
    title: Title


class StatusChange(_In):
    """A new status for many prompts."""

    ids: Ids
    status: Status


class Deletion(_In):
    """Prompts to mark as deleted."""

    ids: Ids


class Created(_Out):
    """The ids of the created prompt and its evaluation."""

    id: str
    evaluation_id: str


class Version(_Out):
    """A prompt's version after a change."""

    id: str
    version: int


class Changed(_Out):
    """The number of prompts created or changed; missing prompts are not counted."""

    prompts: int


class PromptDetail(_Out):
    """A prompt."""

    id: str
    title: str
    content: str
    status: str
    version: int
    created_at: Utc


class Listed(_Out):
    """A prompt in a list."""

    id: str
    title: str
    created_at: Utc


class Newest(_Out):
    """A user's newest active prompts."""

    prompts: list[Listed]


class PromptPage(_Out):
    """A page of a user's prompts, newest first, and the position of the next page; both are null on the last one."""

    prompts: list[Listed]
    next_cursor: Annotated[str | None, Field(description="Set unless the page was requested by offset.")] = None
    next_offset: Annotated[int | None, Field(description="Set if the page was requested by offset.")] = None


class Evaluated(_Out):
    """A completed evaluation of a prompt."""

    id: str
    provider: str
    model: str
    overall_score: float | None
    created_at: Utc


class PromptWithEvaluations(Listed):
    """A prompt with its completed evaluations, sorted by id."""

    evaluations: list[Evaluated]
    eval_count: int


class PromptsWithEvaluations(_Out):
    """A user's newest prompts with their evaluations."""

    prompts: list[PromptWithEvaluations]


class TestCase(_Out):
    """A test case's outcome."""

    __test__ = False  # pytest would collect a class of this name
    id: str
    test_case_name: str
    score: float | None
    passed: bool


class EvaluationDetail(_Out):
    """An evaluation with its test results, sorted by id."""

    id: str
    prompt_id: str
    status: str
    provider: str
    model: str
    overall_score: float | None
    test_results: list[TestCase]


class Template(_Out):
    """A template."""

    id: str
    name: str
    usage_count: int


class Templates(_Out):
    """A category's most used templates."""

    templates: list[Template]


class Best(_Out):
    """A prompt with the mean score and the number of its completed evaluations."""

    prompt_id: str
    mean_score: float
    evaluations: int


class Statistics(_Out):
    """The best-scoring prompts."""

    best: list[Best]


class Health(_Out):
    """The status of the service and its database, and the switches that it runs with."""

    status: str
    switches: str
