"""The findings of `harness init` about a project: from its sources, and from importing its modules in another process."""

import msgspec


class Place(msgspec.Struct, frozen=True):
    """A line of a file."""

    file: str
    """Relative to the project."""
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class AppSite(msgspec.Struct, frozen=True):
    """A web application, or the function that makes one."""

    framework: str
    """flask, fastapi, starlette or django."""
    module: str
    name: str
    """The name of the application in its module; of Django the name of the settings module."""
    is_factory: bool
    """Whether it is a function without required parameters that returns the application."""
    place: Place

    @property
    def label(self) -> str:
        """Its dotted name."""
        return self.name if self.framework == "django" else f"{self.module}.{self.name}"

    @property
    def subject(self) -> str:
        """The module that it is known by: of Django the package of its settings."""
        return self.name.partition(".")[0] if self.framework == "django" else self.module


class FunctionSite(msgspec.Struct, frozen=True):
    """A function whose arguments can be drawn."""

    module: str
    name: str
    parameters: list[tuple[str, str]]
    """Name and annotation of each required parameter."""
    place: Place
    schema: str = ""
    """The name of the constant in its module that creates its tables, if it takes a connection of sqlite3."""
    schema_text: str = ""
    """That constant."""


class Sources(msgspec.Struct):
    """The findings in the sources of a project, which are read and not imported."""

    table_modules: list[tuple[str, Place]] = []
    """Modules that define tables."""
    sync_engines: list[Place] = []
    async_engines: list[Place] = []
    apps: list[AppSite] = []
    functions: list[FunctionSite] = []
    benchmarks: list[Place] = []
    """Tests that take pytest-benchmark's fixture."""
    locustfiles: list[Place] = []
    problems: list[str] = []
    """Files that cannot be read, with the reason."""


class ColumnFact(msgspec.Struct, frozen=True):
    """A column of a table."""

    name: str
    kind: str
    """integer, text, boolean, float, decimal, datetime, date, time, interval, enum, json, bytes, uuid, array or the type's name."""
    nullable: bool = True
    primary_key: bool = False
    unique: bool = False
    made: bool = False
    """Whether the database makes the value: a server's default, a computed or an identity column."""
    length: int = 0
    zoned: bool = False
    choices: list[str] = []
    table: str = ""
    """The table that it refers to; empty for none."""
    column: str = ""
    """The column that it refers to."""


class TableFact(msgspec.Struct, frozen=True):
    """A table."""

    name: str
    columns: list[ColumnFact]
    indexed: list[str] = []
    """The columns that an index begins with."""
    unique: list[list[str]] = []
    """Columns that are unique together."""

    def column(self, name: str) -> ColumnFact:
        """Return a column by name."""
        return next(column for column in self.columns if column.name == name)

    @property
    def key(self) -> ColumnFact | None:
        """The primary key, if it is one column."""
        keys = [column for column in self.columns if column.primary_key]
        return keys[0] if len(keys) == 1 else None


class RelationFact(msgspec.Struct, frozen=True):
    """A relationship between two mapped classes."""

    module: str
    parent: str
    """The class that has the relationship."""
    name: str
    """The relationship's attribute."""
    child: str
    many: bool
    """Whether the parent has several children."""
    parent_table: str
    child_table: str
    parent_key: str
    """The attribute of the parent's primary key."""
    child_key: str


class SchemaFact(msgspec.Struct, frozen=True):
    """A SQLAlchemy `MetaData` with its tables, those first that others refer to."""

    module: str
    expression: str
    """The expression of the metadata in its module, such as `Base.metadata`."""
    modules: list[str]
    """All modules that define its tables."""
    tables: list[TableFact]
    relations: list[RelationFact]
    is_portable: bool
    """Whether SQLite can hold the tables."""

    def table(self, name: str) -> TableFact:
        """Return a table by name."""
        return next(table for table in self.tables if table.name == name)


class RoutesFact(msgspec.Struct, frozen=True):
    """The pages of an application that need no argument."""

    app: AppSite
    paths: list[str]


class InspectJob(msgspec.Struct, frozen=True):
    """A request to import modules."""

    root: str
    modules: list[str]
    apps: list[AppSite]


class Imported(msgspec.Struct):
    """The findings of importing a project's modules."""

    schemas: list[SchemaFact] = []
    routes: list[RoutesFact] = []
    problems: list[str] = []
    """Modules that cannot be imported, each with the line and the error."""
