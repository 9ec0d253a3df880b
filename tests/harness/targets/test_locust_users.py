"""The process of the users of a locustfile: real users of Locust against a local server."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ScenarioFailedError, UsageError
from harness.runtime.child import encode_path
from harness.targets.locust_messages import TaskEnded, UsersFound, UsersJob
from harness.targets.locust_process import LocustTaskError, LocustUsers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("locust") is None, reason="Locust, which patches the process that imports it, is not installed"),
]
Serve = Callable[..., Any]
TIMEOUT_S = 60.0

SHOP = """
from locust import FastHttpUser, HttpUser, SequentialTaskSet, TaskSet, between, task

class Checkout(SequentialTaskSet):
    @task
    def basket(self):
        self.client.get("/basket")
    @task
    def pay(self):
        self.client.post("/pay", name="/pay/[id]")
        self.interrupt()

class ShopUser(HttpUser):
    wait_time = between(5, 9)
    def on_start(self):
        self.client.post("/login", json={})
    def on_stop(self):
        self.client.post("/logout")
    @task(3)
    def item(self):
        self.client.get("/items/7?token=abc")
    @task
    def wrong(self):
        with self.client.get("/odd", catch_response=True) as response:
            response.failure("odd answer")
    @task
    def broken(self):
        self.client.get("/broken")
    @task
    def raises(self):
        raise ValueError("no luck")
    @task
    def remote(self):
        self.client.get("http://192.0.2.1/x")
    tasks = [Checkout]

class Fast(FastHttpUser):
    weight = 3
    @task
    def look(self):
        self.client.get("/look")
"""
ITEM, WRONG, BROKEN, RAISES, REMOTE, CHECKOUT = 1, 4, 5, 6, 7, 0


def job(tmp_path: Path, text: str, **more: Any) -> UsersJob:
    """Return the job of a locustfile."""
    file = tmp_path / "locustfile.py"
    file.write_text(text)
    return UsersJob(encode_path(file), **more)


def outcomes(users: LocustUsers, *orders: tuple[str, int]) -> list[TaskEnded]:
    """Run tasks one after another."""

    async def go() -> list[TaskEnded]:
        return [await users.tried(*order) for order in orders]

    return asyncio.run(asyncio.wait_for(go(), TIMEOUT_S))


def test_the_users_of_a_locustfile_are_listed(tmp_path: Path) -> None:
    """Classes with weights and hosts, tasks with their numbers of places; without users the process contacts nothing."""
    with LocustUsers(job(tmp_path, SHOP)) as users:
        found = users.start(TIMEOUT_S)
    assert isinstance(found, UsersFound)
    shop, fast = found.users
    assert (shop.name, shop.needs_host, shop.waits, fast.weight, fast.waits, found.has_shape) == (
        "ShopUser",
        True,
        True,
        3.0,
        False,
        False,
    )
    assert [(task.name, task.index, task.weight) for task in shop.tasks] == [
        ("Checkout", CHECKOUT, 1),
        ("item", ITEM, 3),
        ("wrong", WRONG, 1),
        ("broken", BROKEN, 1),
        ("raises", RAISES, 1),
        ("remote", REMOTE, 1),
    ]


def test_tasks_run_when_ordered(serve: Serve, tmp_path: Path) -> None:
    """Each user logs in before its first task, and out at the end; a sequence goes on where it was; failures have their reasons."""
    server = serve(lambda _, path, __: (500 if path == "/broken" else 200, b"{}"))
    with LocustUsers(job(tmp_path, SHOP, host=server.url, users={"ShopUser": 1, "Fast": 1}, max_users=2)) as users:
        users.start(TIMEOUT_S)
        assert server.paths == ["POST /login"]
        tasks = [("ShopUser", index) for index in (WRONG, BROKEN, RAISES, REMOTE, CHECKOUT, CHECKOUT, CHECKOUT)]
        item, look, wrong, broken, raises, remote, *sequence = outcomes(users, ("ShopUser", ITEM), ("Fast", 0), *tasks)
    assert (item.error, item.requests) == ("", ["GET /items/7?token=***"])
    assert (look.error, look.requests) == ("", ["GET /look"])
    assert wrong.error == "GET /odd: CatchResponseError: odd answer"
    assert broken.error.startswith("GET /broken: HTTPError: 500 Server Error")
    assert server.url not in broken.error
    assert raises.error == "ShopUser at locustfile.py, line 31: ValueError: no luck"
    assert "192.0.2.1 is not this machine" in remote.error
    assert [ended.requests for ended in sequence] == [["GET /basket"], ["POST /pay/[id]"], ["GET /basket"]]
    assert Counter(server.paths)["POST /login"] == Counter(server.paths)["POST /logout"] == 1


def test_further_users_start_when_all_are_busy(serve: Serve, tmp_path: Path) -> None:
    """Two orders at once are carried out at once, though one user was prepared: neither waits for the other."""
    both_arrived = threading.Barrier(2, timeout=TIMEOUT_S)

    def respond(*_: Any) -> tuple[int, bytes]:
        both_arrived.wait()
        return 200, b"{}"

    server = serve(respond)
    with LocustUsers(job(tmp_path, SHOP, host=server.url, users={"Fast": 1})) as users:
        users.start(TIMEOUT_S)

        async def both() -> tuple[TaskEnded, TaskEnded]:
            return await asyncio.gather(users.run("Fast", 0), users.run("Fast", 0))

        ended = asyncio.run(asyncio.wait_for(both(), TIMEOUT_S))
    assert [task.error for task in ended] == ["", ""]


def test_a_task_that_is_cancelled(serve: Serve, tmp_path: Path) -> None:
    """Its user is ended, and the next order gets another one."""
    server = serve(lambda *_: (200, b"{}"))
    text = "import time\nfrom locust import User, task\nclass Slow(User):\n    @task\n    def sleep(self): time.sleep(600)\n"
    text += "    @task\n    def quick(self): pass\n"
    with LocustUsers(job(tmp_path, text, host=server.url, users={"Slow": 1}, max_users=1)) as users:
        users.start(TIMEOUT_S)

        async def go() -> TaskEnded:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(users.run("Slow", 0), 0.2)
            return await users.run("Slow", 1)

        assert asyncio.run(asyncio.wait_for(go(), TIMEOUT_S)).error == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import missing_module_x\nfrom locust import User", r"locustfile.py, line 1, cannot be imported: ModuleNotFoundError"),
        ("from locust import User\nclass A(User:\n", r"line 2, cannot be imported: SyntaxError"),
        ("from locust import User\nraise SystemExit(0)", r"line 2, cannot be imported: SystemExit"),
        ("import locust", "has no user class"),
        ("from locust import User\nclass A(User): pass", "A has no tasks"),
        ("from harness.locust_adapter import users", "is a locustfile of scenarios; name a scenario"),
    ],
)
def test_locustfiles_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    """Each is a usage error with the file, its line and its own error."""
    with LocustUsers(job(tmp_path, text)) as users, pytest.raises(UsageError, match=message):
        users.start(TIMEOUT_S)


def test_a_user_that_cannot_start(tmp_path: Path) -> None:
    """The error of its on_start is shown with the line."""
    text = "from locust import User, task\nclass A(User):\n    def on_start(self): raise ValueError('no')\n"
    made, message = (
        job(tmp_path, f"{text}    @task\n    def a(self): pass\n", users={"A": 1}),
        r"A: on_start at locustfile.py, line 3 failed",
    )
    with LocustUsers(made) as users, pytest.raises(ScenarioFailedError, match=f"{message}: ValueError: no"):
        users.start(TIMEOUT_S)


def test_a_process_that_exits(tmp_path: Path) -> None:
    """The operation in flight fails, instead of waiting for ever."""
    text = "import os\nfrom locust import User, task\nclass A(User):\n    @task\n    def a(self): os._exit(3)\n"
    with LocustUsers(job(tmp_path, text, users={"A": 1})) as users:
        users.start(TIMEOUT_S)

        async def go() -> None:
            with pytest.raises(LocustTaskError, match="exited unexpectedly"):
                await users.run("A", 0)

        asyncio.run(asyncio.wait_for(go(), TIMEOUT_S))
