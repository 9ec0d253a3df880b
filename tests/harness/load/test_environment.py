"""Only this machine is loaded, unless a person says otherwise."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.load.environment import hosts, is_loopback, refuse_remote


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000",
        "http://[::1]:8000/path",
        "redis://localhost:6379/0",
        "postgresql://me:secret@127.0.0.2/data",
        "postgresql:///data?host=/var/run/postgresql",
        "postgresql://127.0.0.1,localhost/data",
        "/tmp/file.db",
        "",
    ],
)
def test_this_machine_may_be_loaded(url: str) -> None:
    """By every name it has, by socket files and by plain files."""
    refuse_remote(url, allow=False)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://192.0.2.7:80", "192.0.2.7"),
        ("postgresql://me:pw@[2001:db8::1]:5432/data", "2001:db8::1"),
        ("postgresql://127.0.0.1,192.0.2.7:5433/data", "192.0.2.7"),
        ("postgresql:///data?host=192.0.2.9", "192.0.2.9"),
        ("http://service.invalid/", "service.invalid"),
    ],
)
def test_another_machine_is_refused_by_its_name(url: str, host: str) -> None:
    """One that is nowhere too, since nobody knows where it will be; permission lets all of them."""
    with pytest.raises(UsageError, match="--allow-remote") as refused:
        refuse_remote(url, allow=False)
    assert host in str(refused.value)
    assert "\n" not in str(refused.value)
    refuse_remote(url, allow=True)


def test_a_secret_is_no_host() -> None:
    """Whatever characters are in it."""
    assert hosts("postgresql://me:p,a@ss@localhost:5432/data") == ["localhost"]
    assert is_loopback("127.8.9.10")
