"""Databases on every engine: made from rows, copied, migrated, opened and removed."""
