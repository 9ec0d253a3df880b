"""A service for orders on FastAPI and Redis: a customer's newest orders, one hash each."""

from typing import Any

from fastapi import FastAPI
from redis.asyncio import Redis

LIMIT = 20


class OrderStore:
    """Orders in Redis: a hash per order, and a sorted set of a customer's orders by time."""

    def __init__(self, redis: Redis, prefix: str = "") -> None:
        self.redis = redis
        self.prefix = prefix

    async def add(self, customer: int, order: int, fields: dict[str, str]) -> None:
        """Store an order; a higher number is a newer one."""
        async with self.redis.pipeline() as pipeline:
            pipeline.hset(f"{self.prefix}order:{order}", mapping=fields)
            pipeline.zadd(f"{self.prefix}customer:{customer}", {str(order): order})
            await pipeline.execute()

    async def ids(self, customer: int) -> list[str]:
        """Return the numbers of a customer's newest orders."""
        return await self.redis.zrange(f"{self.prefix}customer:{customer}", 0, LIMIT - 1, desc=True)

    async def newest(self, customer: int) -> list[dict[str, str]]:
        """Return a customer's newest orders: one command each."""
        return [await self.redis.hgetall(f"{self.prefix}order:{order}") for order in await self.ids(customer)]


class PipelinedOrderStore(OrderStore):
    """The same, with the commands of a list in one pipeline."""

    async def newest(self, customer: int) -> list[dict[str, str]]:
        """Return a customer's newest orders: all commands at once."""
        async with self.redis.pipeline(transaction=False) as pipeline:
            for order in await self.ids(customer):
                pipeline.hgetall(f"{self.prefix}order:{order}")
            return await pipeline.execute()


def create_app(store: OrderStore) -> FastAPI:
    """Return the application."""
    app = FastAPI()

    @app.get("/customers/{customer}/orders")
    async def orders(customer: int) -> list[dict[str, Any]]:
        """Return a customer's newest orders."""
        return await store.newest(customer)

    return app
