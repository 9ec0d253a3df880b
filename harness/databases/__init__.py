"""Databases on every engine: filled with rows, copied, migrated, opened and removed. Its modules need SQLAlchemy."""
