"""What a process of the service is told when it starts: where its data are, and which optimisations it runs with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from service.switches import Level, Switches

DATABASE, REDIS = "PROMPT_SERVICE_DATABASE", "PROMPT_SERVICE_REDIS"
SWITCHES, NAMESPACE = "PROMPT_SERVICE_SWITCHES", "PROMPT_SERVICE_NAMESPACE"
BODY_LIMIT = "PROMPT_SERVICE_BODY_LIMIT"
"""Environment variables from which a process reads its settings."""

TODAY = Switches.all(Level.BASELINE)

BODY_LIMIT_BYTES = 4 * 2**20
"""The largest body by default: a thousand prompts of four thousand characters."""


@dataclass(frozen=True)
class Settings:
    """How one process of the service is set up.

    `database_url` is SQLAlchemy's, with whatever driver; which one is used depends on the switches. `redis_url` may be None where
    caching is as today. `namespace` begins every key in Redis, its last separator included. A request's body may have
    `body_limit_bytes`.

    Raises:
        ValueError: the switches want a cache, and there is no Redis; or the limit is not above nothing.
    """

    database_url: str = field(repr=False)  # it may hold a password
    redis_url: str | None = field(default=None, repr=False)
    switches: Switches = TODAY
    namespace: str = "prompt-service:"
    body_limit_bytes: int = BODY_LIMIT_BYTES

    def __post_init__(self) -> None:
        if self.switches.caching is not Level.BASELINE and self.redis_url is None:
            raise ValueError(f"caching={self.switches.caching} needs a Redis; name one in {REDIS}")
        if self.body_limit_bytes < 1:
            raise ValueError(
                f"a body limit of {self.body_limit_bytes} bytes lets nothing in; give a number above 0 in {BODY_LIMIT}"
            )

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Self:
        """Return the settings that these variables give.

        Raises:
            ValueError: one is missing or cannot be used; the message names it.
        """
        if not variables.get(DATABASE):
            raise ValueError(f"{DATABASE} is not set; name the database, such as sqlite:////path/to/prompts.db")
        limit = variables.get(BODY_LIMIT, str(BODY_LIMIT_BYTES))
        if not (limit.isascii() and limit.isdigit()):
            raise ValueError(f"{BODY_LIMIT} {limit!r} is no number of bytes; give one such as {BODY_LIMIT_BYTES}")
        return cls(
            variables[DATABASE],
            variables.get(REDIS) or None,
            Switches.parse(variables.get(SWITCHES, Level.BASELINE)),
            variables.get(NAMESPACE, cls.namespace),
            int(limit),
        )

    def to_environment(self) -> dict[str, str]:
        """Return the variables that give these settings, for another process."""
        return {
            DATABASE: self.database_url,
            REDIS: self.redis_url or "",
            SWITCHES: str(self.switches),
            NAMESPACE: self.namespace,
            BODY_LIMIT: str(self.body_limit_bytes),
        }
