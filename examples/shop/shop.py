"""A shop on SQLAlchemy's asyncio ORM: customers, their orders, and the totals of an invoice run."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ForeignKey, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

Totals = dict[int, int]
"""Customer's id → total of the orders, in cents."""


class ShopTables(DeclarativeBase):
    """The tables of the shop."""


class Customer(ShopTables):
    """A customer."""

    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    orders: Mapped[list[ShopOrder]] = relationship()


class ShopOrder(ShopTables):
    """An order."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    cents: Mapped[int]


async def totals_one_by_one(session: AsyncSession, ids: Sequence[int]) -> Totals:
    """Load the orders of each customer with one query."""
    totals = {}
    for customer_id in ids:
        orders = (await session.scalars(select(ShopOrder).where(ShopOrder.customer_id == customer_id))).all()
        totals[customer_id] = sum(order.cents for order in orders)
    return totals


async def totals_eager(session: AsyncSession, ids: Sequence[int]) -> Totals:
    """Load customers and all of their orders with two queries."""
    chosen = select(Customer).where(Customer.id.in_(ids)).options(selectinload(Customer.orders))
    return {customer.id: sum(order.cents for order in customer.orders) for customer in await session.scalars(chosen)}


async def totals_grouped(session: AsyncSession, ids: Sequence[int]) -> Totals:
    """Let the database add up, with one query."""
    customer = ShopOrder.customer_id
    chosen = select(customer, func.sum(ShopOrder.cents)).where(customer.in_(ids)).group_by(customer)
    return {customer_id: int(cents) for customer_id, cents in await session.execute(chosen)}
