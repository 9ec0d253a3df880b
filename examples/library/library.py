"""A library on synchronous SQLAlchemy: loans, and those that are overdue."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class LibraryTables(DeclarativeBase):
    """The tables of the library."""


class Loan(LibraryTables):
    """A loan of a book."""

    __tablename__ = "loans"
    id: Mapped[int] = mapped_column(primary_key=True)
    branch: Mapped[str]
    due: Mapped[datetime]
    returned: Mapped[datetime | None]


def overdue(session: Session, branch: str, now: datetime, limit: int = 20) -> list[tuple[int, datetime]]:
    """Return the ids and due dates of a branch's longest overdue loans."""
    late = (Loan.branch == branch, Loan.returned.is_(None), Loan.due < now)
    chosen = select(Loan.id, Loan.due).where(*late).order_by(Loan.due, Loan.id).limit(limit)
    return [(loan_id, due) for loan_id, due in session.execute(chosen)]
