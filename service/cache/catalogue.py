"""Caching done right: the catalogue behind two layers, each type of data with its lifetime and with what a write clears.

A row that is not there is remembered too, for a shorter time. Statistics are cleared by nothing: they are as old as their lifetime
allows, as the review has it.

Why not cashews, whose decorator and client-side caching come closest: its local copy stays old for good when the answer of a read
arrives after the news of a write, a reader can fill Redis with what it read before the write, and a hit in memory costs the
decorator's key templates and middlewares. What is left of it to use is the connection pool, which is redis-py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from service.cache.layers import Kind, Layers
from service.catalogue import Catalogue, EvaluationDetail, PromptDetail, Statistics, Templates, UserPrompts

MISSING_TTL_S = 30.0
"""How long to remember that a row is not there."""

_MINUTE_S, _HOUR_S = 60.0, 3600.0

PROMPT: Final = Kind[PromptDetail | None]("prompt", 10 * _MINUTE_S, PromptDetail | None, MISSING_TTL_S)
USER_PROMPTS: Final = Kind[UserPrompts]("user_prompts", 5 * _MINUTE_S, UserPrompts)
EVALUATION: Final = Kind[EvaluationDetail | None]("evaluation", _HOUR_S, EvaluationDetail | None, MISSING_TTL_S)
TEMPLATES: Final = Kind[Templates]("templates", _HOUR_S, Templates)
STATISTICS: Final = Kind[Statistics]("statistics", 30 * _MINUTE_S, Statistics)

KINDS: Final[tuple[Kind[Any], ...]] = (PROMPT, USER_PROMPTS, EVALUATION, TEMPLATES, STATISTICS)


class CachedCatalogue:
    """A catalogue behind `layers`, whose life is its owner's."""

    def __init__(self, database: Catalogue, layers: Layers) -> None:
        self._database = database
        self._layers = layers

    async def prompt(self, prompt_id: str) -> PromptDetail | None:
        """Keep for 10 minutes, or until the prompt is written."""
        return await self._layers.read(PROMPT, prompt_id, lambda: self._database.prompt(prompt_id))

    async def user_prompts(self, user_id: str) -> UserPrompts:
        """Keep for 5 minutes, or until one of the user's prompts is written."""
        return await self._layers.read(USER_PROMPTS, user_id, lambda: self._database.user_prompts(user_id))

    async def evaluation(self, evaluation_id: str) -> EvaluationDetail | None:
        """Keep for an hour, or until it is evaluated again."""
        return await self._layers.read(EVALUATION, evaluation_id, lambda: self._database.evaluation(evaluation_id))

    async def templates(self, category: str) -> Templates:
        """Keep for an hour, or until one of them is written."""
        return await self._layers.read(TEMPLATES, category, lambda: self._database.templates(category))

    async def statistics(self) -> Statistics:
        """Keep for 30 minutes, whatever is written."""
        return await self._layers.read(STATISTICS, "", self._database.statistics)

    async def update_prompt(self, prompt_id: str, user_id: str, title: str, at: datetime) -> int | None:
        """Write, and clear the prompt and its user's list."""
        async with self._layers.changing(self._name(PROMPT, prompt_id), self._name(USER_PROMPTS, user_id)):
            return await self._database.update_prompt(prompt_id, user_id, title, at)

    async def create_prompt(self, row: Mapping[str, Any]) -> None:
        """Write, and clear its user's list, and that the prompt is not there."""
        async with self._layers.changing(self._name(PROMPT, row["id"]), self._name(USER_PROMPTS, row["user_id"])):
            await self._database.create_prompt(row)

    async def re_evaluate(self, evaluation_id: str, score: float) -> None:
        """Write, and clear the evaluation."""
        async with self._layers.changing(self._name(EVALUATION, evaluation_id)):
            await self._database.re_evaluate(evaluation_id, score)

    async def rename_template(self, template_id: str, category: str, name: str) -> None:
        """Write, and clear the category's list."""
        async with self._layers.changing(self._name(TEMPLATES, category)):
            await self._database.rename_template(template_id, category, name)

    def _name(self, kind: Kind[Any], key: str) -> str:
        return self._layers.name(kind, key)
