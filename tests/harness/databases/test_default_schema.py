"""Tables of another schema than the default one: refused, with a way that works."""

from pathlib import Path

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, create_engine, func, select
from sqlalchemy.schema import BLANK_SCHEMA

from harness.databases.default_schema import require_default_schema
from harness.databases.drawn_rows import DrawnRows
from harness.databases.filled import filled_database
from harness.databases.load_sqlite import load_sqlite
from harness.errors import UsageError
from harness.scenario import Setting

APP = MetaData()
USERS = Table("users", APP, Column("id", Integer, primary_key=True), Column("name", String(20)), schema="app")
POSTS = Table("posts", APP, Column("id", Integer, primary_key=True), Column("user", ForeignKey("app.users.id")), schema="app")


def test_a_table_of_another_schema_is_refused_before_anything_is_filled(tmp_path: Path) -> None:
    """Drawn rows and rows of one's own are; the line names the table, the schema and both things to do."""
    with pytest.raises(
        UsageError, match=r"the table app\.\w+ is in the schema 'app', and .*to_metadata\(metadata, schema=None, "
    ) as refused:
        require_default_schema(APP)
    assert "execution_options={'schema_translate_map': {'app': None}}" in str(refused.value)
    with pytest.raises(UsageError, match="is in the schema 'app'"):
        DrawnRows(APP, Setting(tmp_path, tmp_path), {}, {})
    with pytest.raises(UsageError, match="is in the schema 'app'"):
        load_sqlite(tmp_path / "app.db", APP, [])
    assert not list(tmp_path.iterdir())
    require_default_schema(MetaData())


def test_the_way_that_the_refusal_names_works(tmp_path: Path) -> None:
    """Copies of the tables are filled with foreign keys kept, and the application's statements on the schema read them."""
    pytest.importorskip("mimesis")
    copies = MetaData()
    for table in APP.tables.values():
        table.to_metadata(copies, schema=None, referred_schema_fn=lambda *_: BLANK_SCHEMA)  # type: ignore[arg-type] # works
    with filled_database(Setting(tmp_path, tmp_path), copies, {"users": 3, "posts": 12}) as filled:
        engine = create_engine(filled.url, execution_options={"schema_translate_map": {"app": None}})
        with engine.connect() as connection:
            joined = select(func.count()).select_from(POSTS).join(USERS, POSTS.c.user == USERS.c.id)
            assert 0 < connection.execute(joined).scalar_one() <= 12
            assert connection.execute(select(func.count()).select_from(USERS)).scalar_one() == 3
        engine.dispose()
