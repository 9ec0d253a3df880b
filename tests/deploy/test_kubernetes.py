"""The Kubernetes manifests, checked against their schemas, Locust and each other."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.databases import postgres_server
from harness.servers import redis

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
PODS = {"Deployment", "StatefulSet"}
OURS = {postgres_server.URL_VARIABLE, redis.URL_VARIABLE}


def of_kind(manifests: list[dict[str, Any]], *kinds: str) -> dict[str, dict[str, Any]]:
    """Return the objects of some kinds by name."""
    return {m["metadata"]["name"]: m for m in manifests if m["kind"] in kinds}


def containers(manifests: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield name, pod and container of everything that runs."""
    for name, each in of_kind(manifests, *PODS).items():
        pod = each["spec"]["template"]["spec"]
        for container in pod["containers"]:
            yield name, pod, container


@pytest.mark.parametrize("version", ["1.25", "1.37"])
def test_every_object_conforms_to_its_schema(version: str) -> None:
    """Old and new Kubernetes versions know every object and every field."""
    check = [sys.executable, "-m", "kubernetes_validate", "--strict", "--kubernetes-version", version]
    done = subprocess.run([*check, *sorted(FOLDER.glob("*.yaml"))], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_objects_are_in_one_namespace_created_first(manifests: list[dict[str, Any]]) -> None:
    """The first object is the namespace; every other one is in it."""
    assert manifests[0]["kind"] == "Namespace"
    assert {m["metadata"]["namespace"] for m in manifests[1:]} == {manifests[0]["metadata"]["name"]}


def test_pods_conform_to_the_restricted_standard(manifests: list[dict[str, Any]]) -> None:
    """No pod is root, gains a privilege, writes the image or has a token; each has a probe, and requests equal limits."""
    for name, pod, container in containers(manifests):
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False), name
        security = container["securityContext"]
        assert (security["allowPrivilegeEscalation"], security["readOnlyRootFilesystem"]) == (False, True), name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        assert container["resources"]["requests"] == container["resources"]["limits"], name
        assert container["resources"]["limits"]["cpu"].isdigit(), name
        assert "readinessProbe" in container, name


def test_images_are_those_of_the_compose_file(manifests: list[dict[str, Any]], compose: dict[str, Any]) -> None:
    """Both deployments run the same versions."""
    images = {container["image"] for _, _, container in containers(manifests)}
    assert images == {service["image"] for service in compose["services"].values()}


def test_services_and_labels_lead_to_pods_and_open_ports(manifests: list[dict[str, Any]]) -> None:
    """Each Service selects the pods of its name, and each of its ports is open there."""
    running = {name: (each, container) for (name, each), (_, _, container) in
               zip(of_kind(manifests, *PODS).items(), containers(manifests), strict=True)}  # fmt: skip
    for name, service in of_kind(manifests, "Service").items():
        each, container = running[name]
        assert service["spec"]["selector"] == each["spec"]["template"]["metadata"]["labels"]
        opened = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert {p["targetPort"]: p["port"] for p in service["spec"]["ports"]} == opened
    for each, _ in running.values():
        assert each["spec"]["selector"]["matchLabels"] == each["spec"]["template"]["metadata"]["labels"]


def test_ports_are_those_that_locust_opens(manifests: list[dict[str, Any]], web_port: int, workers_port: int) -> None:
    """The master's container opens the ports of the web UI and of the workers, and workers connect to it there."""
    found = {name: container for name, _, container in containers(manifests)}
    opened = {port["name"]: port["containerPort"] for port in found["master"]["ports"]}
    assert opened == {"web": web_port, "workers": workers_port}
    assert f"('master', {workers_port})" in found["workers"]["readinessProbe"]["exec"]["command"][-1]


def test_every_variable_is_known(manifests: list[dict[str, Any]], locust_variables: set[str]) -> None:
    """Every variable of ConfigMaps and pods is one of Locust's or of the harness's, or part of another variable."""
    maps = of_kind(manifests, "ConfigMap")
    for name, _, container in containers(manifests):
        if not container["image"].startswith("advice-on-trial"):
            continue
        given = [e["name"] for e in container.get("env", [])]
        given += [key for source in container["envFrom"] for key in maps[source["configMapRef"]["name"]]["data"]]
        used = {part for e in container.get("env", []) for part in re.findall(r"\$\((\w+)\)", e.get("value", ""))}
        assert set(given) - locust_variables - OURS == used, name


def test_the_password_is_referenced_and_never_defined(manifests: list[dict[str, Any]]) -> None:
    """The secret's name and key are the same wherever it is used, it is documented, and no file contains one."""
    assert of_kind(manifests, "Secret") == {}
    texts = "".join(file.read_text() for file in FOLDER.glob("*.yaml"))
    assert set(re.findall(r"secretKeyRef: (.*)", texts)) == {"{name: postgres, key: password}"}
    assert "create secret generic postgres --from-literal=password=" in texts


def test_postgresql_and_redis_start_as_in_the_compose_file(manifests: list[dict[str, Any]], compose: dict[str, Any]) -> None:
    """Both deployments give the servers the same settings."""
    found = {name: container for name, _, container in containers(manifests)}
    assert found["postgres"]["args"] == compose["services"]["postgres"]["command"][1:]
    assert found["redis"]["args"] == compose["services"]["redis"]["command"]


def test_the_master_waits_for_as_many_workers_as_there_are(manifests: list[dict[str, Any]]) -> None:
    """The number in the settings is the number of replicas."""
    expected = of_kind(manifests, "ConfigMap")["master"]["data"]["LOCUST_EXPECT_WORKERS"]
    assert int(expected) == of_kind(manifests, "Deployment")["workers"]["spec"]["replicas"]


@pytest.mark.slow
@pytest.mark.parametrize("role", ["master", "workers"])
def test_locust_accepts_the_command_line(manifests: list[dict[str, Any]], role: str) -> None:
    """Locust accepts every argument of the role's container."""
    (words,) = [container["args"] for name, _, container in containers(manifests) if name == role]
    locust = [sys.executable, "-m", "locust", "--locustfile", "scenarios/locustfile.py", *words, "--list"]
    done = subprocess.run(locust, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "WholeApi" in done.stdout
