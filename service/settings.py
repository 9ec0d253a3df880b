"""What a process of the service is told when it starts: where its data are, and which optimisations it runs with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from service.switches import Level, Switches

DATABASE, REDIS = "PROMPT_SERVICE_DATABASE", "PROMPT_SERVICE_REDIS"
SWITCHES, NAMESPACE = "PROMPT_SERVICE_SWITCHES", "PROMPT_SERVICE_NAMESPACE"
BODY_LIMIT = "PROMPT_SERVICE_BODY_LIMIT"
SLOW_LOG, SLOW_MS = "PROMPT_SERVICE_SLOW_LOG", "PROMPT_SERVICE_SLOW_MS"
"""Environment variables from which a process reads its settings."""

TODAY = Switches.all(Level.BASELINE)

BODY_LIMIT_BYTES = 4 * 2**20
"""The largest body by default: a thousand prompts of four thousand characters."""

SLOW_FROM_MS = 100.0
"""How long a statement takes, by default, that the slow-query log tells about."""


@dataclass(frozen=True)
class ServiceSettings:
    """How one process of the service is set up.

    `database_url` is SQLAlchemy's, with whatever driver; which one is used depends on the switches. `redis_url` may be None where
    caching is as today. `namespace` begins every key in Redis, its last separator included. A request's body may have
    `body_limit_bytes`. `slow_log` is the file of the slow-query log, which monitoring done right keeps of statements that take
    `slow_ms` or longer; None for none.

    Raises:
        ValueError: the switches want a cache, and there is no Redis; a limit is not above nothing; or a slow-query log is asked for
            without the monitoring that keeps it.
    """

    database_url: str = field(repr=False)  # it may hold a password
    redis_url: str | None = field(default=None, repr=False)
    switches: Switches = TODAY
    namespace: str = "prompt-service:"
    body_limit_bytes: int = BODY_LIMIT_BYTES
    slow_log: Path | None = None
    slow_ms: float = SLOW_FROM_MS

    def __post_init__(self) -> None:
        if self.switches.caching is not Level.BASELINE and self.redis_url is None:
            raise ValueError(f"caching={self.switches.caching} needs a Redis; name one in {REDIS}")
        if self.body_limit_bytes < 1:
            raise ValueError(
                f"a body limit of {self.body_limit_bytes} bytes lets nothing in; give a number above 0 in {BODY_LIMIT}"
            )
        if not 0 < self.slow_ms < math.inf:
            raise ValueError(f"{self.slow_ms:g} ms is not what a slow statement takes; give a number above 0 in {SLOW_MS}")
        if self.slow_log is not None and self.switches.monitoring is not Level.OPTIMISED:
            raise ValueError(f"monitoring={self.switches.monitoring} keeps no slow-query log; leave {SLOW_LOG} out")

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
        slow_ms = variables.get(SLOW_MS, str(SLOW_FROM_MS))
        try:
            slow_from_ms = float(slow_ms)
        except ValueError:
            raise ValueError(f"{SLOW_MS} {slow_ms!r} is no number of milliseconds; give one such as {SLOW_FROM_MS:g}") from None
        slow_log = variables.get(SLOW_LOG)
        return cls(
            variables[DATABASE],
            variables.get(REDIS) or None,
            Switches.parse(variables.get(SWITCHES, Level.BASELINE)),
            variables.get(NAMESPACE, cls.namespace),
            int(limit),
            Path(slow_log) if slow_log else None,
            slow_from_ms,
        )

    def to_environment(self) -> dict[str, str]:
        """Return the variables that give these settings, for another process."""
        return {
            DATABASE: self.database_url,
            REDIS: self.redis_url or "",
            SWITCHES: str(self.switches),
            NAMESPACE: self.namespace,
            BODY_LIMIT: str(self.body_limit_bytes),
            SLOW_LOG: "" if self.slow_log is None else str(self.slow_log),
            SLOW_MS: repr(self.slow_ms),
        }
