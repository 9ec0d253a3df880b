"""A shop's inventory on sqlite3: products, their stock in several warehouses, and what has to be ordered again."""

import sqlite3

SCHEMA = """
CREATE TABLE product (id INTEGER PRIMARY KEY, supplier TEXT NOT NULL, name TEXT NOT NULL, minimum INTEGER NOT NULL);
CREATE TABLE stock (product_id INTEGER NOT NULL REFERENCES product, warehouse TEXT NOT NULL, quantity INTEGER NOT NULL);
CREATE INDEX product_by_supplier ON product (supplier);
CREATE INDEX stock_by_product ON stock (product_id);
"""

ORDER_AGAIN = """
SELECT product.name, product.minimum - coalesce(sum(stock.quantity), 0) AS missing
FROM product LEFT JOIN stock ON stock.product_id = product.id
WHERE product.supplier = ? GROUP BY product.id HAVING missing > 0 ORDER BY product.id
"""


def order_one_by_one(connection: sqlite3.Connection, supplier: str) -> list[tuple[str, int]]:
    """Return a supplier's products that are short, with the missing quantity: one query per product."""
    products = "SELECT id, name, minimum FROM product WHERE supplier = ? ORDER BY id"
    stock = "SELECT quantity FROM stock WHERE product_id = ?"
    found = []
    for product, name, minimum in connection.execute(products, [supplier]).fetchall():
        missing = minimum - sum(quantity for (quantity,) in connection.execute(stock, [product]))
        if missing > 0:
            found.append((name, missing))
    return found


def order_grouped(connection: sqlite3.Connection, supplier: str) -> list[tuple[str, int]]:
    """Return the same with one query."""
    return connection.execute(ORDER_AGAIN, [supplier]).fetchall()
