"""The compose file, checked against its specification, Locust and the harness's own variables."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from harness.databases import postgres_server
from harness.servers import redis

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "compose.yaml"
OURS = {postgres_server.URL_VARIABLE, redis.URL_VARIABLE}
PINNED = re.compile(r"[\w./-]+:\d+\.\d+(\.\d+)?[\w.-]*")


def test_it_is_a_compose_file() -> None:
    """The file conforms to the compose specification's schema."""
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", [*FILE.parent.glob("*.yaml"), *FILE.parent.glob("*/*.yaml")], ids=lambda file: file.name)
def test_every_file_named_exists(file: Path) -> None:
    """Modules of the project that comments refer to are at that path."""
    named = re.findall(r"\b(?:harness|fixtures|service|scenarios|commands|tools)/[\w/]+\.py\b", file.read_text())
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_image_has_a_version(compose: dict[str, Any]) -> None:
    """No image is the latest one, and the project's image has the project's version."""
    images = {name: service["image"] for name, service in compose["services"].items()}
    assert [image for image in images.values() if not PINNED.fullmatch(image)] == []
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {images["master"], images["worker"]} == {f"advice-on-trial:{version}"}


def test_every_service_is_limited_checked_and_unprivileged(compose: dict[str, Any]) -> None:
    """Each service has a health check, limits, no capabilities and a read-only file system; servers set their user."""
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        assert (service["cap_drop"], service["read_only"]) == (["ALL"], True), name
        assert "build" in service or service["user"] == "999:999", name


def test_every_variable_is_known(compose: dict[str, Any], locust_variables: set[str]) -> None:
    """Every variable of the generator is one of Locust's or of the harness's."""
    given = {v for name in ("master", "worker") for v in compose["services"][name]["environment"]}
    assert given - locust_variables - OURS == set()
    assert set(compose["services"]["worker"]["environment"]) == OURS


def test_ports_are_those_that_locust_opens(compose: dict[str, Any], web_port: int, workers_port: int) -> None:
    """The web UI is published on this machine only, and workers and health checks use the port that the master binds."""
    master, worker = compose["services"]["master"], compose["services"]["worker"]
    assert master["ports"] == [f"127.0.0.1:{web_port}:{web_port}"]
    assert master["expose"] == [str(workers_port)]
    for service, host in ((master, "127.0.0.1"), (worker, "master")):
        assert f"('{host}', {workers_port})" in service["healthcheck"]["test"][-1]


def test_postgresql_has_the_harness_settings(compose: dict[str, Any]) -> None:
    """Runs on this server and on one that the harness started have the same settings."""
    words = [word.removeprefix("-c").split("=") for word in compose["services"]["postgres"]["command"][1:]]
    assert dict(words) == postgres_server.SETTINGS


def test_the_passwords_variable_has_no_default() -> None:
    """Without a password nothing starts."""
    assert set(re.findall(r"\$\{POSTGRES_PASSWORD(.)", FILE.read_text())) == {":"}
    assert "${POSTGRES_PASSWORD:-" not in FILE.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("role", ["master", "worker"])
def test_locust_accepts_the_command_line(compose: dict[str, Any], role: str) -> None:
    """Locust accepts every option of the role's command, with the load of the file's example."""
    command = compose["services"][role]["command"]
    shown = re.search(r'LOAD="([^"]+)"', FILE.read_text())
    assert shown is not None
    words = command.replace("${LOAD:-}", shown[1]).split()
    locust = [sys.executable, "-m", "locust", "--locustfile", "scenarios/locustfile.py", *words, "--list"]
    done = subprocess.run(locust, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "WholeApi" in done.stdout
