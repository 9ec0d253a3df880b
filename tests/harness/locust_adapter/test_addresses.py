"""Locust's web UI and master are this machine's alone unless asked otherwise."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import harness.locust_adapter
from locust.argument_parser import get_parser
found = get_parser(default_config_files=[]).parse_args(sys.argv[1:])
print(found.web_host, found.master_bind_host)
"""
"""It runs in a process of its own, since Locust patches the one that imports it."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "hosts"),
    [([], "127.0.0.1 127.0.0.1"), (["--web-host", "*", "--master-bind-host", "192.0.2.1"], "* 192.0.2.1")],
)
def test_only_this_machine_reaches_it_by_default(arguments: list[str], hosts: str) -> None:
    """Locust's own default is every address; its options still choose another one."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == hosts
