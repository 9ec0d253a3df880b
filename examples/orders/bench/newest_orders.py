"""A customer's newest orders."""

import random
from contextlib import asynccontextmanager

from httpx import ASGITransport, AsyncClient
from orders import OrderStore, PipelinedOrderStore, create_app
from redis.asyncio import Redis

from harness import Case, Group, Promise, Scenario, cut, fewer, speedup, times
from harness.servers.lifecycle import servers
from harness.servers.redis import namespace

CUSTOMERS, ORDERS = 20, 500
STORES = {"baseline": OrderStore, "optimised": PipelinedOrderStore}


class NewestOrders(Scenario):
    """One pipeline instead of a command per order."""

    arms = {"baseline": "a command per order", "optimised": "all commands in one pipeline"}
    groups = [Group("list", "a customer's twenty newest orders")]
    promises = [
        Promise("R1", "one and a half times as fast", times(1.5), speedup("list")),
        Promise("R2", "90 % fewer round trips", cut(0.9), fewer("round_trips", "list")),
    ]

    def servers(self, setting):
        """Start Redis for the run."""
        return servers(setting, "redis")

    def cases(self, setting):
        """Return random customers."""
        draw = random.Random(f"{setting.seed}/{setting.stream}")
        return [Case("list", f"customer {n}", n) for n in draw.sample(range(CUSTOMERS), 10)]

    @asynccontextmanager
    async def open(self, arm, setting):
        """Fill keys of the arm's own, and open the application on them."""
        redis, draw = setting.servers["redis"], random.Random(setting.seed)
        with namespace(redis.direct_url, arm) as prefix:
            async with Redis.from_url(redis.url, decode_responses=True) as connection:
                store = STORES[arm](connection, prefix)
                for order in range(ORDERS):
                    fields = {"number": order, "cents": draw.randrange(10_000), "state": draw.choice(["new", "paid", "sent"])}
                    await store.add(order % CUSTOMERS, order, fields)
                async with AsyncClient(transport=ASGITransport(create_app(store)), base_url="http://orders") as client:
                    yield client

    async def run(self, instance, case):
        """Request the list."""
        answer = await instance.get(f"/customers/{case.args}/orders")
        answer.raise_for_status()
        return answer.json()
