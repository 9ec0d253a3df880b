"""From a locustfile to a plan."""

from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from harness.discovery import load
from harness.errors import ScenarioFailedError, UsageError
from harness.results.run import BASELINE
from harness.scenario import Setting
from harness.targets import plan as plans
from harness.targets.locust_scenario import users_job
from harness.targets.locustfiles import is_locustfile, planned
from harness.targets.plan import LocustPlan

needs_locust = pytest.mark.skipif(find_spec("locust") is None, reason="Locust is not installed")
Serve = Callable[..., Any]
SHOP = """
from locust import HttpUser, LoadTestShape, between, task

class Wave(LoadTestShape):
    def tick(self):
        return None

class ShopUser(HttpUser):
    wait_time = between(5, 9)
    @task(3)
    def item(self):
        self.client.get("/items/7", name="/items/[id]")
    @task
    def order(self):
        self.client.get("/basket")
        self.client.post("/orders")

class Admin(HttpUser):
    @task
    def item(self):
        self.client.get("/admin")
"""


def plan_of(tmp_path: Path, text: str, *servers: str, tries: bool = True) -> LocustPlan:
    """Return the plan for a locustfile."""
    file = tmp_path / "locustfile.py"
    file.write_text(text)
    return planned(file, servers, tries=tries, timeout_s=20.0)


def test_python_files_that_import_locust_are_locustfiles(tmp_path: Path) -> None:
    """A scenario, and a locustfile of scenarios, import the harness instead."""
    for name, text, expected in (
        ("a.py", "import locust\n", True),
        ("b.py", "def f(): pass\n  from locust import task", True),
        ("c.py", "from harness import Scenario", False),
        ("d.py", "from harness.locust_adapter import users", False),
        ("e.txt", "import locust", False),
    ):
        (tmp_path / name).write_text(text)
        assert is_locustfile(tmp_path / name) is expected
    assert not is_locustfile(tmp_path / "missing.py")


@needs_locust
@pytest.mark.slow
def test_the_plan_of_a_locustfile(serve: Serve, tmp_path: Path) -> None:
    """A task with one request is named after it; shares are those of users and tasks; two servers are two arms."""
    servers = [serve(lambda *_: (200, b"{}")) for _ in range(2)]
    plan = plan_of(tmp_path, SHOP, *(server.url for server in servers))
    assert plan.arms == {BASELINE: servers[0].url, "candidate": servers[1].url}
    assert [(task.group, task.description, task.weight) for task in plan.tasks] == [
        ("GET /items/[id]", "ShopUser.item: GET /items/[id]", 0.75),
        ("ShopUser.order", "ShopUser.order: GET /basket, POST /orders", 0.25),
        ("GET /admin", "Admin.item: GET /admin", 1.0),
    ]
    assert plan.notes == [
        "wait_time of ShopUser is not used: --rate or --users says when tasks start",
        "the load shape of the locustfile is not used: --rate says when tasks start; write ramp:10..500 or steps:50,100",
    ]
    assert servers[0].paths == servers[1].paths == ["GET /items/7", "GET /basket", "POST /orders", "GET /admin"]
    loaded = load(plans.write(plan, tmp_path))
    cases = Counter(case.group for case in loaded.scenario.load_cases(Setting(tmp_path, tmp_path)))
    assert 0.45 < cases["GET /admin"] / cases.total() < 0.55
    assert 2.4 < cases["GET /items/[id]"] / cases["ShopUser.order"] < 3.6
    assert users_job(plan, "candidate", 5, 20).users == {"ShopUser": 10, "Admin": 10}


@needs_locust
@pytest.mark.slow
def test_locustfiles_whose_servers_cannot_be_used(tmp_path: Path) -> None:
    """No host, one on another machine, several, and one that refuses connections are usage errors."""
    with pytest.raises(UsageError, match=r"ShopUser of .* has no host; name the server: harness load"):
        plan_of(tmp_path, SHOP)
    remote = SHOP.replace("    @task\n    def item", "    host = 'http://192.0.2.1'\n    @task\n    def item")
    with pytest.raises(UsageError, match=r"192.0.2.1 is not this machine"):
        plan_of(tmp_path, remote.replace("wait_time = between(5, 9)", "host = 'http://192.0.2.1'"), tries=False)
    with pytest.raises(UsageError, match=r"has users of several hosts: http://localhost, http://192.0.2.1"):
        # A comment makes the file longer: Python takes one of the same second and size for the one that it has compiled.
        plan_of(tmp_path, remote.replace("wait_time = between(5, 9)", "host = 'http://localhost'  # two"), tries=False)
    with pytest.raises(UsageError, match=r"localhost:80 is not a URL of a server"):
        plan_of(tmp_path, SHOP, "localhost:80", tries=False)
    with pytest.raises(UsageError, match=r"http://127.0.0.1:1: no answer to GET /items/.*Connection refused"):
        plan_of(tmp_path, SHOP, "http://127.0.0.1:1")


@needs_locust
@pytest.mark.slow
def test_tasks_that_all_fail(serve: Serve, tmp_path: Path) -> None:
    """The run ends with the first error; if only some fail, they are remarks."""
    broken = serve(lambda *_: (500, b""))
    with pytest.raises(ScenarioFailedError, match=r"every task fails: GET /items/.* 500 Server Error"):
        plan_of(tmp_path, SHOP, broken.url)
    half = serve(lambda _, path, __: (500 if path == "/admin" else 200, b""))
    assert (
        plan_of(tmp_path, SHOP, half.url)
        .notes[-1]
        .startswith("Admin.item failed when tried on baseline: GET /admin: HTTPError: 500")
    )
