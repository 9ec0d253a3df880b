"""Tests of the machine's description: it has the facts for comparing runs, and identifies neither a user nor a host."""

import getpass
import socket
from importlib.metadata import version
from pathlib import Path

from harness.runtime.cores import Cores
from harness.runtime.machine import describe


def test_versions_and_pinning_are_described() -> None:
    """The interpreter, the libraries and the cores are in it."""
    facts = describe(Cores(0, 1, (0, 1)))
    assert facts["sqlalchemy"] == version("sqlalchemy")
    assert facts["python"].startswith("CPython 3.")
    assert facts["workers pinned to"] == "core 1"
    assert describe(Cores(None, None))["workers pinned to"] == "no core"


def test_neither_user_nor_host_is_identified() -> None:
    """Neither the host's name nor the user's nor the home folder is in it."""
    text = " ".join(f"{k} {v}" for k, v in describe(Cores(None, None)).items()).split()
    assert socket.gethostname() not in text
    assert not any(str(Path.home()) in word for word in text if len(str(Path.home())) > 1)
    assert getpass.getuser() not in text
