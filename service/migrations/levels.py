"""The migrations that a database has had at each level of the switch `indexes`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sqlalchemy import Connection

from service.migrations import composite_indexes, keyset_index
from service.switches import Level

UPGRADES: Mapping[Level, tuple[Callable[[Connection], None], ...]] = MappingProxyType(
    {
        Level.BASELINE: (),
        Level.PROPOSED: (composite_indexes.upgrade_proposed,),
        Level.OPTIMISED: (composite_indexes.upgrade_optimised, keyset_index.upgrade),
    }
)


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
