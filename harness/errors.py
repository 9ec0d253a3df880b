"""What can go wrong for a person using the harness, each kind with its exit code."""

from __future__ import annotations

from typing import ClassVar

from harness.version import DISTRIBUTION


class HarnessError(Exception):
    """A predictable refusal: one line that names the thing and the next step. The roof prints it and exits with `code`."""

    code: ClassVar[int] = 2


class UsageError(HarnessError):
    """A name, option or file that cannot be used: unknown scenario, engine or size, an unreadable run, a closed folder."""


class ScenarioFailedError(HarnessError):
    """A scenario whose arms disagree, whose baseline raised, or whose worker died. Other scenarios' results are kept."""

    code: ClassVar[int] = 1


class NotMeasurableError(HarnessError):
    """A promise that this run cannot answer; the message is the reason shown beside the verdict."""


class NotComparableError(HarnessError):
    """Two files that say nothing about each other: a benchmark is missing or renamed, or the data or the tool is another."""

    code: ClassVar[int] = 4


def missing_extra(package: str, extra: str, needed_for: str = "") -> UsageError:
    """Return the error for a package that only an extra installs, with the command that installs it.

    `needed_for` is the subject of the message, such as "the load generator"; the package itself where it is empty.

    Example:
        except ModuleNotFoundError as error:
            raise missing_extra("httptools", "load", "the load generator") from error
    """
    subject = f"{needed_for} needs the package {package}" if needed_for else f"the package {package} is not installed"
    return UsageError(f"{subject}; install it with: pip install '{DISTRIBUTION}[{extra}]'")
