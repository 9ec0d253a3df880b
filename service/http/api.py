"""The prompt service over HTTP. All levels of all switches answer the same requests with the same responses.

The remaining differences belong to the review and are documented where they occur: prompts that its cursor omits (`streaming`),
rows that its upsert replaces (`composition`), and writes that its shared connection to SQLite loses under concurrent requests
(`database`). Statistics may be as old as their lifetime in a cache.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from service.composition import open_service
from service.http import problems, routes
from service.settings import ServiceSettings
from service.switches import Level

if TYPE_CHECKING:
    from service.observability.monitoring import Monitoring

Clock = Callable[[], datetime]


def now_utc() -> datetime:
    """Return the current time in UTC without a zone, as the service stores it."""
    return datetime.now(UTC).replace(tzinfo=None)


def create_app(settings: ServiceSettings, monitoring: "Monitoring | None" = None, now: Clock = now_utc) -> FastAPI:
    """Return the application, which opens its database and its cache while it runs. `now` provides the times that are written."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if monitoring is not None and monitoring.slow is not None:
                stack.enter_context(monitoring.slow)
            app.state.service = service = await stack.enter_async_context(open_service(settings))
            if monitoring is not None:
                monitoring.watch(service.database.engine)
                monitoring.watch_cache(service.front.counts)
            yield

    app = FastAPI(
        title="Prompt service",
        version="1.0.0",
        description="Prompts, their evaluations and templates. Errors are problem details (RFC 9457).",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from another server
        redoc_url=None,
    )
    app.state.now = now
    app.state.body_limit_bytes = settings.body_limit_bytes
    app.state.monitoring = monitoring
    app.include_router(routes.reads)
    app.include_router(routes.writes)
    problems.install(app)
    if monitoring is not None:
        app.add_middleware(monitoring.timed)
    _document_problems(app)
    return app


def from_environment() -> FastAPI:
    """Return the application that the environment configures, for `uvicorn --factory`. Raises ValueError for a bad variable."""
    settings = ServiceSettings.from_environment(os.environ)
    return create_app(settings, monitoring_for(settings))


def monitoring_for(settings: ServiceSettings) -> "Monitoring | None":
    """Return a service's monitoring if it is optimised, else None: the review's is for the methods of its own repositories."""
    if settings.switches.monitoring is not Level.OPTIMISED:
        return None
    from service.observability.monitoring import Monitoring  # noqa: PLC0415 - not needed without monitoring
    from service.observability.slow_query_log import SlowQueryLog  # noqa: PLC0415 - not needed without monitoring

    slow = None if settings.slow_log is None else SlowQueryLog(settings.slow_log, threshold_s=settings.slow_ms / 1000)
    return Monitoring(slow)


def _document_problems(app: FastAPI) -> None:
    """Add the schemas that the documented problems refer to; FastAPI adds only those of its own responses."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        document = describe()
        schema = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        document["components"]["schemas"] |= {**schema.pop("$defs"), "Problem": schema}
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents
