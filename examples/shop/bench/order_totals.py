"""Totals of customers' orders."""

import random

from shop import ShopTables, totals_eager, totals_grouped, totals_one_by_one

from harness import Case, Group, Promise, SqlScenario, cut, fewer, speedup, times

CUSTOMERS, ORDERS = 500, 20_000
TOTALS = {"baseline": totals_one_by_one, "eager": totals_eager, "grouped": totals_grouped}


class OrderTotals(SqlScenario):
    """Totals of fifty customers in one query."""

    arms = {
        "baseline": "one query per customer",
        "eager": "selectinload: two queries, all orders as objects",
        "grouped": "one query with GROUP BY",
    }
    groups = [Group("invoice", "totals of the orders of fifty customers")]
    promises = [
        Promise("O1", "96 % fewer statements", cut(0.96), fewer("statements", "invoice")),
        Promise("O2", "five times faster", times(5), speedup("invoice")),
    ]
    metadata = ShopTables.metadata

    def data(self, setting):
        """Yield customers, and orders of random customers."""
        draw = random.Random(setting.seed)
        yield "customers", ({"id": n, "name": f"customer {n}"} for n in range(CUSTOMERS))
        yield "orders", ({"id": n, "customer_id": n % CUSTOMERS, "cents": draw.randrange(10_000)} for n in range(ORDERS))

    def cases(self, setting):
        """Return groups of fifty customers."""
        draw = random.Random(f"{setting.seed}/{setting.stream}")
        return [Case("invoice", f"invoice {n}", draw.sample(range(CUSTOMERS), 50)) for n in range(8)]

    async def run(self, instance, case):
        """Compute the totals in one session."""
        async with instance.sessions() as session:
            return await TOTALS[instance.arm](session, case.args)
