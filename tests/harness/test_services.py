"""Scenarios of HTTP services: applications that the harness starts, and URLs; answers compared, failures never fast."""

import asyncio
import pickle
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from harness import Case, HttpScenario, Request, ScenarioFailedError, ServiceClient, Setting, UsageError, served
from harness.bench.verify import verify
from harness.bench.work_counts import count
from harness.discovery import load
from harness.served_application import served_application
from harness.targets.http_scenario import FailedStatusError

pytest.importorskip("uvicorn")
pytest.importorskip("httptools")

APPLICATION = """
import json, os, time


def create_app(indent=None, wrong=False):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        body = (await receive())["body"].decode()
        answer = {"path": scope["path"], "method": scope["method"], "body": body, "at": time.time(), "wrong": wrong}
        answer |= {"arm": os.environ.get("ARM", "")} if scope["path"] == "/arm" else {}
        headers = [(name, value) for name, value in scope["headers"] if name in (b"host", b"content-type", b"x-own")]
        answer["headers"] = {name.decode(): value.decode() for name, value in headers if name != b"host"}
        status = 500 if scope["path"] == "/fails" else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(answer, indent=indent).encode()})

    return app
"""

SCENARIO = """
from harness import Case, Group, HttpScenario, Promise, Request, measured, speedup


class Echo(HttpScenario):
    '''Answer without white space.'''

    services = {"baseline": "own_echo:create_app(indent=2)", "optimised": "own_echo:create_app()"}
    groups = [Group("get", "a page")]
    promises = [Promise("H1", "faster", measured("×"), speedup("get"))]
    ignored = ["at"]

    def environment(self, arm, setting):
        return {"ARM": "one of them"}

    def cases(self, setting):
        posted = Request("POST", "/items?a=b", json={"item": 7}, headers={"X-Own": "yes"})
        return [Case("get", "a path", "/arm"), Case("get", "a body", posted)]
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a scenario whose application is on the import path."""
    (tmp_path / "own_echo.py").write_text(APPLICATION)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_echo", raising=False)
    (tmp_path / "echo.py").write_text(SCENARIO)
    return tmp_path / "echo.py"


def opened(file: Path, check: Callable[[Any, dict[str, ServiceClient]], Awaitable[Any]], rtt_ms: float = 0.0) -> Any:
    """Open all arms of a scenario and run a check on them."""

    async def run() -> Any:
        scenario, setting = load(file).scenario, Setting(file.parent, file.parent, rtt_ms=rtt_ms)
        async with AsyncExitStack() as stack:
            return await check(
                scenario, {arm: await stack.enter_async_context(scenario.open(arm, setting)) for arm in scenario.arms}
            )

    return asyncio.run(run())


def cases(scenario: Any, file: Path) -> list[Case]:
    """Return the cases of a scenario."""
    return list(scenario.cases(Setting(file.parent, file.parent)))


def test_two_applications_are_compared(file: Path) -> None:
    """JSON is equal by its values, ignored members left out; each has a process of its own, and connections are kept."""

    async def check(scenario: Any, instances: dict[str, ServiceClient]) -> None:
        assert (await verify(scenario, instances, cases(scenario, file))).cases == 2
        for instance in instances.values():
            assert scenario.targets(instance) == {"service": instance.pid}
            assert (await scenario.counts(instance))["connections opened"] == 1
            assert await count(scenario, "baseline", instance, cases(scenario, file)[0], 1.0) is not None
        assert len({instance.pid for instance in instances.values()}) == 2

    opened(file, check)


def test_a_request_has_its_method_body_and_headers(file: Path) -> None:
    """A body of JSON has its content type; variables of the environment arrive."""

    async def check(scenario: Any, instances: dict[str, ServiceClient]) -> None:
        got, posted = [scenario.normalise(case, await scenario.run(instances["baseline"], case)) for case in cases(scenario, file)]
        assert (got.status, got.body["arm"], got.body["method"]) == (200, "one of them", "GET")
        assert (posted.body["method"], posted.body["body"]) == ("POST", '{"item": 7}')
        assert posted.body["headers"] == {"content-type": "application/json", "x-own": "yes"}
        assert (await instances["baseline"].get("/other")).status == 200

    opened(file, check)


def test_other_answers_are_refused(file: Path) -> None:
    """The message has the place of the difference; a member that changes by itself is to be ignored."""

    async def check(scenario: Any, instances: dict[str, ServiceClient]) -> None:
        await verify(scenario, instances, cases(scenario, file))

    file.write_text(SCENARIO.replace("create_app()", "create_app(wrong=True)"))
    with pytest.raises(ScenarioFailedError, match=r"optimised gives another answer than baseline.*wrong"):
        opened(file, check)
    file.write_text(SCENARIO.replace('ignored = ["at"]', ""))
    with pytest.raises(ScenarioFailedError, match="at"):
        opened(file, check)


def test_a_failure_is_not_an_answer(file: Path) -> None:
    """A status of 400 or above raises, with the request, the status and the beginning of the body."""

    async def check(scenario: Any, instances: dict[str, ServiceClient]) -> None:
        with pytest.raises(FailedStatusError, match=r"/fails was answered 500 Internal Server Error: \{"):
            await scenario.run(instances["baseline"], Case("get", "fails", "/fails"))
        with pytest.raises(UsageError, match="a request is 7; write a path to get, or Request"):
            await scenario.run(instances["baseline"], Case("get", "seven", 7))

    opened(file, check)


def test_latency_is_put_before_each_service(file: Path) -> None:
    """A request takes at least the round-trip time."""

    async def check(scenario: Any, instances: dict[str, ServiceClient]) -> list[float]:
        loop, times = asyncio.get_running_loop(), []
        for instance in instances.values():
            await instance.get("/first")
            started = loop.time()
            await instance.get("/second")
            times.append(loop.time() - started)
        return times

    assert min(opened(file, check, rtt_ms=30)) >= 0.03


def test_a_url_is_a_service(file: Path) -> None:
    """The path of the URL is before that of the request; its process is found, and nothing of it is counted."""
    with served_application("own_echo:create_app()") as application:

        async def check() -> None:
            async with served(f"{application.url}/api") as client:
                answer = await client.get("/items")
                assert b'"/api/items"' in answer.body
                assert (client.url, client.pid) == (f"{application.url}/api", application.pid)
                assert client.probes() == ()

        asyncio.run(check())


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ("https://127.0.0.1/", "https is not supported"),
        (
            "http://192.0.2.1:80",
            "is not on this machine; with its owner's consent, declare allow_remote = True",
        ),
        ("not an application", "does not name an application; write module:app"),
    ],
)
def test_a_service_that_cannot_be_used_is_refused(service: str, message: str) -> None:
    """Nothing is sent to another machine."""

    async def check() -> None:
        async with served(service):
            pass

    with pytest.raises(UsageError, match=message):
        asyncio.run(check())


def test_another_machine_needs_consent() -> None:
    """With it the client is made; it connects when a request is sent."""

    async def check() -> int:
        async with served("http://192.0.2.1:80", allow_remote=True) as client:
            return client.pid

    assert asyncio.run(check()) == 0


def test_arms_are_the_services() -> None:
    """Without descriptions of their own; other names are an error of the class."""
    kind: Any = type("Two", (HttpScenario,), {"services": {"baseline": "a:b", "optimised": "http://127.0.0.1:1"}})
    assert kind.arms == {"baseline": "a:b", "optimised": "http://127.0.0.1:1"}
    with pytest.raises(TypeError, match="`arms` and `services` have different names"):
        type("Unlike", (HttpScenario,), {"services": {"baseline": "a:b"}, "arms": {"baseline": "x", "other": "y"}})


def test_requests_are_equal_by_their_content() -> None:
    """A document is encoded; a header of the user's replaces its content type, whatever its case."""
    one, same = (Request("POST", "/", json={"a": [1]}, headers={"X": "y"}) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    assert (one.body, dict(one.headers)) == (b'{"a": [1]}', {"content-type": "application/json", "X": "y"})
    assert pickle.loads(pickle.dumps(one)) == one
    assert dict(Request("POST", "/", json=1, headers={"Content-Type": "text/json"}).headers) == {"Content-Type": "text/json"}
    assert Request("GET", "/") != one
