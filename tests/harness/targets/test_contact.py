"""The first contact with servers."""

import asyncio
import itertools
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ScenarioFailedError, UsageError
from harness.targets import building
from harness.targets.building import RequestOptions
from harness.targets.contact import Contact, first_contact
from harness.targets.plan import HttpPlan

Serve = Callable[..., Any]


def contact(plan: HttpPlan, count: int = 2, ignored: tuple[str, ...] = ()) -> Contact:
    """Make the first contact."""
    return asyncio.run(first_contact(plan, count, 20.0, ignored))


def urls(*servers: Any, path: str = "/items/{id}", **options: Any) -> HttpPlan:
    """Return the plan for the same path on some servers."""
    return building.of_urls(
        [server.url + path for server in servers], RequestOptions(values=["id=1..9"] if "{" in path else [], **options)
    )


def test_servers_that_agree(serve: Serve) -> None:
    """Each of two values is sent once to the candidate and twice to the baseline; what changes by itself is not compared."""
    ticks = itertools.count()
    one = serve(lambda _, path, __: (200, json.dumps({"path": path, "now": next(ticks)}).encode()))
    other = serve(lambda _, path, __: (200, json.dumps({"now": next(ticks), "path": path}).encode()))
    found = contact(urls(one, other))
    assert found.notes(2) == [
        "the answers to 2 requests were compared and agree",
        "the answers to GET /items/{id} were compared without what changes by itself: ['now']",
    ]
    assert one.paths == ["GET /items/1", "GET /items/1", "GET /items/2", "GET /items/2"]
    assert other.paths == ["GET /items/1", "GET /items/2"]


def test_servers_that_disagree(serve: Serve) -> None:
    """The arm, the request and the place are named, with the options; an ignored member does not count; 0 compares nothing."""
    one = serve(lambda *_: (200, b'{"version": 1, "n": 5}'))
    other = serve(lambda *_: (200, b'{"version": 2, "n": 5}'))
    with pytest.raises(
        ScenarioFailedError, match=r"candidate answers GET /items/1 with a body that differs at \['version'\]: 2 instead of 1"
    ):
        contact(urls(one, other))
    assert contact(urls(one, other), ignored=("version",)).compared == 2
    assert contact(urls(one, other), count=0).compared == 0
    failing = serve(lambda *_: (500, b""))
    with pytest.raises(ScenarioFailedError, match="status 500 Internal Server Error instead of 200 OK"):
        contact(urls(one, failing))


def test_writes_are_sent_once_and_compared_by_their_form(serve: Serve) -> None:
    """A POST creates something, whose number may differ."""
    numbers = itertools.count()
    one, other = (serve(lambda *_: (201, json.dumps({"id": next(numbers)}).encode())) for _ in range(2))
    assert contact(urls(one, other, path="/orders", body="{}")).compared == 1
    assert one.paths == other.paths == ["POST /orders"]
    assert one.requests[0][2]["content-type"] == "application/json"
    different = serve(lambda *_: (201, b'{"number": 1}'))
    with pytest.raises(ScenarioFailedError, match="a body that differs"):
        contact(urls(one, different, path="/orders", body="{}"))


@pytest.mark.parametrize("count", [0, 2])
def test_a_server_that_refuses_connections(count: int) -> None:
    """It is a usage error that names the address and the next step, whether answers are compared or not."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        plan = building.of_urls([f"http://127.0.0.1:{port}/"], RequestOptions())
        with pytest.raises(
            UsageError, match=rf"the server refuses connections; start the server, or check its address 127.0.0.1:{port}"
        ):
            contact(plan, count)


def test_a_server_that_accepts_and_never_answers() -> None:
    """It is a usage error too, after the timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        plan = building.of_urls([f"http://127.0.0.1:{silent.getsockname()[1]}/"], RequestOptions())
        with pytest.raises(UsageError, match="no response from the server before the deadline"):
            asyncio.run(first_contact(plan, 1, 0.2))


def test_failures_and_redirects_are_remarks(serve: Serve, tmp_path: Path) -> None:
    """A group that fails, and one that redirects, are named; if everything fails, the run ends."""
    server = serve(lambda _, path, __: ({"/old": 307, "/broken": 500, "/none": 404}.get(path, 200), b"{}"))
    file = tmp_path / "requests.txt"
    file.write_text("/ok\n/old\n/broken\n")
    plan, source = building.of_file(file, [server.url], RequestOptions())
    assert building.after_contact(plan, source, contact(plan)).notes == [
        "GET /old answers 307 Temporary Redirect; redirects are not followed: name the final URL",
        "GET /broken answers 500 Internal Server Error; it counts as failed",
    ]
    file.write_text("/none\n")
    plan, source = building.of_file(file, [server.url], RequestOptions())
    with pytest.raises(
        ScenarioFailedError, match="nothing that was tried succeeds: GET /none answers 404 Not Found; fix the request"
    ):
        building.after_contact(plan, source, contact(plan))


def test_requests_with_made_up_values_that_the_server_refuses(serve: Serve, tmp_path: Path) -> None:
    """They are left out and counted with the reason; an error of the server itself stays."""
    server = serve(lambda _, path, __: ({"/items/1": 404, "/me": 401, "/broken": 500}.get(path, 200), b"{}"))
    parameter = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
    paths = {"/items/{id}": {"get": {"parameters": [parameter]}}, "/me": {"get": {}}, "/broken": {"get": {}}, "/ok": {"get": {}}}
    file = tmp_path / "api.json"
    file.write_text(json.dumps({"openapi": "3.1.0", "paths": paths}))
    plan, source = building.of_file(file, [server.url], RequestOptions())
    after = building.after_contact(plan, source, contact(plan))
    assert [r.path for r in after.arms["baseline"].requests] == ["/broken", "/ok"]
    assert after.notes == [
        "2 of 4 operations used; not used: 1 answered 404 Not Found when tried; 1 answered 401 Unauthorized when tried",
        "GET /broken answers 500 Internal Server Error; it counts as failed",
    ]
