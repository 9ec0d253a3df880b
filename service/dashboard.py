"""What the service can be asked about one subject, and the dashboard that asks eight of it: no question needs another's answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from service import prompts


class Subject(NamedTuple):
    """What a request is about."""

    user_id: str
    prompt_id: str
    evaluation_id: str
    category: str
    provider: str
    model: str


Ask = Callable[[AsyncSession, Subject], Awaitable[Any]]
Question = Callable[[AsyncSession], Awaitable[Any]]

DASHBOARD: Mapping[str, Ask] = MappingProxyType(
    {
        "user's prompts": lambda session, about: prompts.active_prompts(session, about.user_id),
        "prompt": lambda session, about: prompts.prompt(session, about.prompt_id),
        "version history": lambda session, about: prompts.version_history(session, about.prompt_id),
        "best evaluations": lambda session, about: prompts.best_evaluations(session, about.prompt_id),
        "evaluation": lambda session, about: prompts.evaluation(session, about.evaluation_id),
        "failed results": lambda session, about: prompts.results(session, about.evaluation_id, passed=False),
        "passed results": lambda session, about: prompts.results(session, about.evaluation_id, passed=True),
        "templates": lambda session, about: prompts.top_templates(session, about.category),
    }
)
"""The dashboard's questions, by name."""

API: Mapping[str, Ask] = MappingProxyType(
    {
        **DASHBOARD,
        "newest evaluations": lambda session, about: prompts.newest_evaluations(session, about.provider, about.model),
        "analysis": lambda session, _: prompts.evaluation_analysis(session),
    }
)
"""All that the service can be asked, by name."""


def question(ask: Ask, subject: Subject) -> Question:
    """Return a question about a subject, for any session to answer."""
    return lambda session: ask(session, subject)


def questions(subject: Subject) -> list[Question]:
    """Return the dashboard's questions about a subject."""
    return [question(ask, subject) for ask in DASHBOARD.values()]
