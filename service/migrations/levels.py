"""The migrations that a database has had at each level of the switch `indexes`."""

from sqlalchemy import Connection

from service.migrations import composite_indexes
from service.switches import Level

UPGRADES = {
    Level.BASELINE: (),
    Level.PROPOSED: (composite_indexes.upgrade_proposed,),
    Level.OPTIMISED: (composite_indexes.upgrade_optimised, composite_indexes.upgrade_keyset),
}


def upgrade(connection: Connection, level: Level) -> None:
    """Migrate a database with the baseline's indexes to a level."""
    for step in UPGRADES[level]:
        step(connection)


def upgrade_proposed(connection: Connection) -> None:
    """Migrate to the proposed level."""
    upgrade(connection, Level.PROPOSED)


def upgrade_optimised(connection: Connection) -> None:
    """Migrate to the optimised level."""
    upgrade(connection, Level.OPTIMISED)
