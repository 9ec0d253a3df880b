"""Missing extras: the message, and the table of packages against pyproject.toml."""

import errno
import importlib.metadata
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.error_groups import leaves
from harness.errors import (
    EXTRAS,
    HarnessError,
    NotMeasurableError,
    bug_report,
    describe,
    extra_of,
    failed_import,
    missing_extra,
    reason,
    refusal_of_system,
    without_own_names,
)
from harness.version import DISTRIBUTION

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def distributions(extra: str) -> set[str]:
    """Return the names of the distributions that an extra installs here."""
    found = [Requirement(text) for text in PROJECT["optional-dependencies"][extra]]
    here = [each for each in found if each.name != DISTRIBUTION and (each.marker is None or each.marker.evaluate())]
    return {canonicalize_name(each.name) for each in here}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENAMETOOLONG, "File name too long", "xxx"), "xxx: File name too long; choose another file or folder"),
        (PermissionError(errno.EACCES, "Permission denied", b"x"), "x: Permission denied; choose another file or folder"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device; free some space, or write elsewhere"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files; raise the limit, or measure less at once (ulimit -n)"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), ""),
        (OSError("no number"), ""),
        (ValueError("x"), ""),
    ],
    ids=["long", "forbidden", "full", "files", "missing", "unnumbered", "other"],
)
def test_what_the_machine_refuses_is_no_bug(error: Exception, message: str) -> None:
    """It is named with the next step; a file that is missing, or any other error, may be a bug."""
    assert refusal_of_system(error) == message


def test_the_message_has_the_command() -> None:
    """With or without the part that needs the package."""
    assert str(missing_extra("httptools", "load", "the load generator")) == (
        "the load generator needs the package httptools; install it with: pip install 'advice-on-trial[load]'"
    )
    assert str(missing_extra("redis", "redis")) == (
        "the package redis is not installed; install it with: pip install 'advice-on-trial[redis]'"
    )


def test_a_version_that_does_not_work_is_named() -> None:
    """A name that an old version lacks is not a package that is missing."""
    installed = importlib.metadata.version("sqlalchemy")
    old = failed_import(ImportError("cannot import name 'Connection' from 'sqlalchemy'", name="sqlalchemy"), "sql", "SqlScenario")
    assert str(old) == (
        f"SqlScenario does not work with sqlalchemy {installed}; "
        "install another version with: pip install --upgrade 'advice-on-trial[sql]'"
    )
    part = failed_import(ModuleNotFoundError(name="sqlalchemy.connectors.asyncio"), "turso")
    assert str(part).startswith(f"sqlalchemy {installed} does not work; ")
    missing = failed_import(ModuleNotFoundError(name="redis"), "redis")
    assert str(missing) == str(missing_extra("redis", "redis"))


def test_a_failed_import_has_its_extra() -> None:
    """By the top-level package; other packages have none."""
    assert extra_of(ModuleNotFoundError(name="sqlalchemy.ext.asyncio")) == "sql"
    assert extra_of(ModuleNotFoundError(name="jinja2")) == "report"
    assert extra_of(ModuleNotFoundError(name="sqlalchemyish")) is None
    assert extra_of(ImportError()) is None


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_package_is_installed_by_its_extra(extra: str) -> None:
    """Each package to import belongs to a distribution of the extra, and each distribution is in the table."""
    owners = importlib.metadata.packages_distributions()
    named = {canonicalize_name(owner) for package in EXTRAS[extra] for owner in owners.get(package, [])}
    assert named == distributions(extra)


def test_all_has_every_extra() -> None:
    """The extra `all` names each of the others."""
    (requirement,) = PROJECT["optional-dependencies"]["all"]
    assert requirement == f"{DISTRIBUTION}[{','.join(sorted(EXTRAS))}]"
    assert set(PROJECT["optional-dependencies"]) == {*EXTRAS, "all"}


def test_an_error_whose_text_cannot_be_read_has_its_type() -> None:
    """`__str__` of foreign code may raise, or return no text; in a group as well, and in the report of a bug."""

    class Unreadable(Exception):  # noqa: N818 - foreign
        def __str__(self) -> str:
            raise RuntimeError

    class Silent(Exception):  # noqa: N818 - foreign
        def __str__(self) -> str:
            return None  # type: ignore[return-value] # noqa: PLE0307 - foreign

    assert describe(Unreadable()) == describe(ExceptionGroup("two", [Unreadable()])) == reason(Unreadable()) == "Unreadable"
    assert describe(Silent()) == "Silent"
    message = bug_report(Unreadable(), "harness run")
    assert message.startswith("internal error (Unreadable:); report it with ")
    Path(message.rpartition(" ")[2]).unlink()


REFUSED = "connection to 127.0.0.1, port {} refused"


@pytest.mark.parametrize(
    ("error", "description"),
    [
        (ExceptionGroup("tasks", [OSError("too many clients")] * 5), "5 × OSError: too many clients"),
        (
            ExceptionGroup(
                "tasks", [OSError("a"), ExceptionGroup("more", [ExceptionGroup("deep", [OSError("a")]), ValueError("b")])]
            ),
            "2 × OSError: a; ValueError: b",
        ),
        (ExceptionGroup("tasks", [OSError(REFUSED.format(port)) for port in (1, 20, 300)]), f"3 × OSError: {REFUSED.format(1)}"),
        (ExceptionGroup("tasks", [kind("x") for kind in (OSError, ValueError, KeyError, TypeError, RuntimeError)]), None),
        (BaseExceptionGroup("tasks", [SystemExit(3)]), "SystemExit: 3"),
    ],
    ids=["equal", "nested", "differ in numbers", "many kinds", "one"],
)
def test_a_group_is_described_by_its_errors_with_their_numbers(error: BaseException, description: str | None) -> None:
    """A group's own message says nothing; however deep an error is, it is counted, and of many kinds some are only counted."""
    found = describe(error)
    if description is None:
        assert found == "OSError: x; ValueError: x; KeyError: 'x'; 2 others"
    else:
        assert found == description


@given(st.recursive(st.sampled_from(["a", "b"]), lambda each: st.lists(each, min_size=1, max_size=4), max_leaves=20))
def test_no_error_of_a_group_is_lost(tree: Any) -> None:
    """The numbers of a description add up to the errors of the group, whatever its shape."""

    def made(node: Any) -> Exception:
        return ValueError(node) if isinstance(node, str) else ExceptionGroup("group", [made(each) for each in node])

    def flat(node: Any) -> list[str]:
        return [node] if isinstance(node, str) else [leaf for each in node for leaf in flat(each)]

    numbers = [int(part.partition(" × ")[0]) if " × " in part else 1 for part in describe(made(tree)).split("; ")]
    assert sum(numbers) == len(flat(tree))
    assert len(list(leaves(made(tree)))) == len(flat(tree))


def test_a_reason_has_no_name_of_our_own() -> None:
    """The message of one of our errors is the reason by itself; of any other, the type is a part of it."""
    assert reason(NotMeasurableError("one connection is shared\nmore")) == "one connection is shared"
    assert reason(ValueError("no")) == "ValueError: no"
    assert reason(HarnessError("")) == ""


def test_stored_reasons_lose_our_own_names() -> None:
    """Those of other packages, and words that only contain one, are kept."""
    assert without_own_names("a, b: NotMeasurableError: refused") == "a, b: refused"
    assert without_own_names("OSError: refused") == "OSError: refused"
    assert without_own_names("MyUsageError: refused") == "MyUsageError: refused"
