"""Fixtures of the deployment tests: Locust's own options, read in a separate process, since importing Locust patches it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
_LIST_OPTIONS = """
import json
from locust.argument_parser import get_parser
print(json.dumps({a.dest: [a.env_var, a.default if type(a.default) is int else None] for a in get_parser()._actions
                  if getattr(a, "env_var", None)}))
"""


@pytest.fixture(scope="session")
def options() -> dict[str, tuple[str, int | None]]:
    """Return the options of the installed Locust: name → environment variable, and the default if it is a number."""
    environment = {**os.environ, "LOCUST_SKIP_MONKEY_PATCH": "1"}
    listed = subprocess.run([sys.executable, "-c", _LIST_OPTIONS], env=environment, capture_output=True, check=True)
    return msgspec.json.decode(listed.stdout, type=dict[str, tuple[str, int | None]])


@pytest.fixture(scope="session")
def locust_variables(options: dict[str, tuple[str, int | None]]) -> set[str]:
    """Return the names of the environment variables that Locust reads."""
    return {variable for variable, _ in options.values()}


@pytest.fixture(scope="session")
def web_port(options: dict[str, tuple[str, int | None]]) -> int:
    """Return the port of the web UI."""
    port = options["web_port"][1]
    assert port is not None
    return port


@pytest.fixture(scope="session")
def workers_port(options: dict[str, tuple[str, int | None]]) -> int:
    """Return the port on which workers find the master: it listens where they connect."""
    port = options["master_bind_port"][1]
    assert port is not None
    assert port == options["master_port"][1]
    return port


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    """Return the compose file, with its variables not filled in."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


@pytest.fixture(scope="session")
def manifests() -> list[dict[str, Any]]:
    """Return every object of the Kubernetes manifests, in the order in which they are applied."""
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    return [each for file in files for each in yaml.safe_load_all(file.read_text())]
