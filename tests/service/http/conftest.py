"""The application, called directly instead of over a network, on a small database per test."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from harness.servers.redis import namespace
from service.http.api import create_app
from service.settings import ServiceSettings
from service.switches import Level, Switches

NOW = datetime(2025, 6, 1, 1, 2, 3)  # noqa: DTZ001 - the service stores naive UTC

Use = Callable[[httpx.AsyncClient], Awaitable[Any]]
Call = Callable[[FastAPI, Use], Any]
Calling = Callable[..., Any]


@pytest.fixture
def call() -> Call:
    """Return a function that starts an application, calls another with a client of it, and stops it."""

    def run(app: FastAPI, use: Use) -> Any:
        async def opened() -> Any:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(app.router.lifespan_context(app))
                transport = httpx.ASGITransport(app, raise_app_exceptions=False)
                return await use(await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://service")))

        return asyncio.run(opened())

    return run


@pytest.fixture
def calling(database: Path, request: pytest.FixtureRequest, call: Call) -> Calling:
    """Return a function that calls another with a client of the service with some switches; it starts a Redis if they need one."""

    def run(use: Use, switches: Switches | None = None, **settings: Any) -> Any:
        chosen = switches or Switches()
        url = None if chosen.caching is Level.BASELINE else request.getfixturevalue("redis_url")
        address = settings.pop("database_url", f"sqlite:///{database}")

        def go(prefix: str) -> Any:
            made = ServiceSettings(address, url, chosen, prefix, **settings)
            return call(create_app(made, now=lambda: NOW), use)

        if url is None:
            return go("none:")
        with namespace(url, "test") as prefix:
            return go(prefix)

    return run
