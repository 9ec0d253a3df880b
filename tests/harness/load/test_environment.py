"""Remote servers are refused unless allowed."""

import pytest

from harness.errors import UsageError
from harness.load.environment import hosts, refuse_remote
from harness.network.addresses import is_loopback


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
    """Loopback addresses, socket files and plain files are accepted: no host in the URL is another machine's."""
    refuse_remote(url, allow=False)
    assert all(is_loopback(host) for host in hosts(url))


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
def test_another_machine_is_refused(url: str, host: str) -> None:
    """A name that cannot be resolved is refused as well; permission allows all of them."""
    with pytest.raises(UsageError, match="--allow-remote") as refused:
        refuse_remote(url, allow=False)
    assert host in str(refused.value)
    assert "\n" not in str(refused.value)
    refuse_remote(url, allow=True)


def test_a_password_is_not_a_host() -> None:
    """Commas and @ in a password do not separate hosts."""
    assert hosts("postgresql://me:p,a@ss@localhost:5432/data") == ["localhost"]
    assert is_loopback("127.8.9.10")
