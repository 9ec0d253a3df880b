"""The indexes for keyset pages: live prompts by time and id, per user and over all users."""

from sqlalchemy import Connection, Index, text

from service.migrations.building import MISLEADING, analyse, build, detached, drop


def keyset() -> list[Index]:
    """Return the indexes. An ascending index serves newest-first as well, since both sort columns have the same direction."""
    prompts = detached("prompts").c
    live = text("deleted_at IS NULL")
    return [
        Index(name, *columns, sqlite_where=live, postgresql_where=live)
        for name, columns in {
            "ix_prompts_live_by_user_time": (prompts.user_id, prompts.created_at, prompts.id),
            "ix_prompts_live_by_time": (prompts.created_at, prompts.id),
        }.items()
    ]


def upgrade(connection: Connection) -> None:
    """Add the indexes to a database with the baseline's or the optimised ones, drop the misleading one, gather statistics."""
    drop(connection, MISLEADING)
    build(connection, keyset())
    analyse(connection)
