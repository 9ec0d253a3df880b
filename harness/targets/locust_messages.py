"""The messages between the harness and a process of Locust users: a job and then orders one way, reports the other way."""

import msgspec

from harness.runtime.child import JobFailed


class UsersJob(msgspec.Struct, tag=True, frozen=True):
    """The first message: import a locustfile, and prepare users."""

    file: str
    """The locustfile, as `harness.runtime.child.encode_path` writes it."""
    host: str = ""
    """The host in place of that of the user classes; empty for theirs."""
    users: dict[str, int] = {}
    """User class → number of users that start at once; without any, the classes are listed and the process ends."""
    max_users: int = 1_000
    """Limit of the users of the process."""
    seed: int = 0


class RunTask(msgspec.Struct, tag=True, frozen=True):
    """An order: have a free user run a task once."""

    number: int
    """Number of the operation."""
    user: str
    """Name of the user class."""
    index: int
    """Place of the task among those of the class."""


class CancelTask(msgspec.Struct, tag=True, frozen=True):
    """An order: end an operation that has exceeded its timeout, and its user with it."""

    number: int


class FoundTask(msgspec.Struct, frozen=True):
    """A task of a user class."""

    index: int
    """Its first place among the tasks of the class."""
    name: str
    weight: int
    """Number of its places."""
    is_set: bool = False
    """Whether it is a set of tasks."""


class FoundUser(msgspec.Struct, frozen=True):
    """A user class of a locustfile."""

    name: str
    host: str | None
    weight: float
    needs_host: bool
    tasks: list[FoundTask]
    waits: bool
    """Whether it has a wait time."""


class UsersFound(msgspec.Struct, tag=True, frozen=True):
    """The locustfile was imported."""

    users: list[FoundUser]
    has_shape: bool
    """Whether it has a load shape."""


class UsersReady(msgspec.Struct, tag=True, frozen=True):
    """The users have started: `on_start` of each has ended."""

    users: int


class TaskEnded(msgspec.Struct, tag=True, frozen=True):
    """A task has ended."""

    number: int
    """Number of the operation."""
    error: str = ""
    """The first failure of it or of one of its requests; empty without one."""
    is_refused: bool = False
    """Whether the failure is that no connection was made."""
    requests: list[str] = []
    """Method and name of its requests."""


UsersOrder = RunTask | CancelTask
UsersReport = UsersFound | UsersReady | TaskEnded | JobFailed
