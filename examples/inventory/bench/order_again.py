"""The products that a supplier has to deliver again."""

import random
import sqlite3

from inventory import SCHEMA, order_grouped, order_one_by_one

from harness import Case, Group, Promise, Scenario, cut, fewer, speedup, times

PRODUCTS = {"tiny": 300, "small": 3_000, "medium": 30_000, "large": 100_000}
ORDER = {"baseline": order_one_by_one, "optimised": order_grouped}


class SqliteStatements:
    """Counts the statements that a connection of sqlite3 executes."""

    def __init__(self, connection):
        self.connection, self.sent = connection, []

    async def __aenter__(self):
        self.connection.set_trace_callback(self.sent.append)
        return self

    async def __aexit__(self, *exc_info):
        self.connection.set_trace_callback(None)

    def counts(self):
        """Return the number of statements."""
        return {"statements": len(self.sent)}


class OrderAgain(Scenario):
    """One query with a join instead of one query per product."""

    engines = ["sqlite"]
    arms = {"baseline": "one query per product", "optimised": "a join and GROUP BY"}
    groups = [Group("supplier", "what a supplier of a hundred products has to deliver")]
    promises = [
        Promise("I1", "twice as fast", times(2), speedup("supplier")),
        Promise("I2", "99 % fewer statements", cut(0.99), fewer("statements", "supplier")),
    ]

    def cases(self, setting):
        """Return suppliers of about a hundred products each."""
        count = PRODUCTS[setting.size] // 100
        return [Case("supplier", f"supplier {n % count}", f"supplier {n % count}") for n in range(min(count, 10))]

    def open(self, arm, setting):
        """Fill a database in memory, the same for every arm."""
        connection, draw = sqlite3.connect(":memory:", check_same_thread=False), random.Random(setting.seed)
        connection.executescript(SCHEMA)
        count = PRODUCTS[setting.size]
        products = ((n, f"supplier {n % (count // 100)}", f"product {n}", draw.randrange(50)) for n in range(count))
        connection.executemany("INSERT INTO product VALUES (?, ?, ?, ?)", products)
        stock = ((n, place, draw.randrange(20)) for n in range(count) for place in ("north", "south", "east"))
        connection.executemany("INSERT INTO stock VALUES (?, ?, ?)", stock)
        return arm, connection

    def run(self, instance, case):
        """Ask for the list."""
        arm, connection = instance
        return ORDER[arm](connection, case.args)

    def probes(self, instance):
        """Count statements."""
        return [SqliteStatements(instance[1])]
