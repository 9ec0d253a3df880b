"""The queries that the service answers about one subject, and the dashboard of eight queries that do not depend on each other."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from service import prompts


class Subject(NamedTuple):
    """The ids and names that a request is about."""

    user_id: str
    prompt_id: str
    evaluation_id: str
    category: str
    provider: str
    model: str


QueryOf = Callable[[AsyncSession, Subject], Awaitable[Any]]
Query = Callable[[AsyncSession], Awaitable[Any]]

DASHBOARD: Mapping[str, QueryOf] = MappingProxyType(
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
"""The dashboard's queries, by name."""

API: Mapping[str, QueryOf] = MappingProxyType(
    {
        **DASHBOARD,
        "newest evaluations": lambda session, about: prompts.newest_evaluations(session, about.provider, about.model),
        "analysis": lambda session, _: prompts.evaluation_analysis(session),
    }
)
"""All queries that the service answers, by name."""


def query(make: QueryOf, subject: Subject) -> Query:
    """Return a query about a subject, to be run on any session."""
    return lambda session: make(session, subject)


def queries(subject: Subject) -> list[Query]:
    """Return the dashboard's queries about a subject."""
    return [query(make, subject) for make in DASHBOARD.values()]
