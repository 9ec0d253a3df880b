"""The schema of a database that has all tables of a scenario: the default one."""

from sqlalchemy import MetaData

from harness.errors import UsageError


def require_default_schema(metadata: MetaData) -> None:
    """Raise UsageError for a table of another schema, which SQLite does not have, and whose rows cannot be loaded."""
    for table in metadata.tables.values():
        if table.schema:
            raise UsageError(
                f"the table {table.key} is in the schema {table.schema!r}, and a scenario fills the default one alone; declare the "
                "metadata of copies, table.to_metadata(metadata, schema=None, referred_schema_fn=lambda *_: BLANK_SCHEMA), and "
                f"have the application's engine translate: execution_options={{'schema_translate_map': {{{table.schema!r}: None}}}}"
            )
