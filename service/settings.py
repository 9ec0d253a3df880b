"""Settings of a service process: database, cache, limits, and the level of each optimisation."""

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

ALL_BASELINE = Switches.all(Level.BASELINE)

BODY_LIMIT_BYTES = 4 * 2**20  # default limit of a request body: a thousand prompts of four thousand characters
SLOW_THRESHOLD_MS = 100.0  # default threshold of the slow-query log: statements that take this time or longer are logged


@dataclass(frozen=True)
class ServiceSettings:
    """The settings of one service process. Raises ValueError for a limit of 0, or what lacks its Redis or its monitoring."""

    database_url: str = field(repr=False)  # SQLAlchemy's, with any driver, as the switches choose it; it may hold a password
    redis_url: str | None = field(default=None, repr=False)  # URL of Redis; may be None if caching is at its baseline
    switches: Switches = ALL_BASELINE
    namespace: str = "prompt-service:"  # prefix of every key in Redis, including its last separator
    body_limit_bytes: int = BODY_LIMIT_BYTES
    slow_log: Path | None = None  # file of the slow-query log, kept by optimised monitoring only; None for no log
    slow_ms: float = SLOW_THRESHOLD_MS  # threshold of the slow-query log in milliseconds

    def __post_init__(self) -> None:
        caching, monitoring, limit = self.switches.caching, self.switches.monitoring, self.body_limit_bytes
        if caching is not Level.BASELINE and self.redis_url is None:
            raise ValueError(f"caching={caching} needs Redis; set {REDIS} to its URL")
        if limit < 1:
            raise ValueError(f"a body limit of {limit} bytes accepts no request; set {BODY_LIMIT} to a number above 0")
        if not 0 < self.slow_ms < math.inf:
            threshold = f"the slow-statement threshold of {self.slow_ms:g} ms"
            raise ValueError(f"{threshold} is not above 0; set {SLOW_MS} to a number above 0")
        if self.slow_log is not None and monitoring is not Level.OPTIMISED:
            raise ValueError(f"monitoring={monitoring} keeps no slow-query log; unset {SLOW_LOG} or set monitoring=optimised")

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Self:
        """Return the settings given by environment variables. Raises ValueError if one is missing or invalid, with its name."""
        if not variables.get(DATABASE):
            raise ValueError(f"{DATABASE} is not set; set it to the URL of the database, such as sqlite:////path/to/prompts.db")
        limit = variables.get(BODY_LIMIT, str(BODY_LIMIT_BYTES))
        if not (limit.isascii() and limit.isdigit()):
            raise ValueError(f"{BODY_LIMIT} {limit!r} is not a number of bytes; try {BODY_LIMIT_BYTES}")
        slow_ms = variables.get(SLOW_MS, str(SLOW_THRESHOLD_MS))
        try:
            slow_threshold_ms = float(slow_ms)
        except ValueError:
            raise ValueError(f"{SLOW_MS} {slow_ms!r} is not a number of milliseconds; try {SLOW_THRESHOLD_MS:g}") from None
        slow_log = variables.get(SLOW_LOG)
        return cls(
            variables[DATABASE],
            variables.get(REDIS) or None,
            Switches.parse(variables.get(SWITCHES, Level.BASELINE)),
            variables.get(NAMESPACE, cls.namespace),
            int(limit),
            Path(slow_log) if slow_log else None,
            slow_threshold_ms,
        )

    def to_environment(self) -> dict[str, str]:
        """Return the variables that represent these settings, for another process."""
        return {
            DATABASE: self.database_url,
            REDIS: self.redis_url or "",
            SWITCHES: str(self.switches),
            NAMESPACE: self.namespace,
            BODY_LIMIT: str(self.body_limit_bytes),
            SLOW_LOG: "" if self.slow_log is None else str(self.slow_log),
            SLOW_MS: repr(self.slow_ms),
        }
