"""Servers that run already, as a scenario."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.discovery import load
from harness.results.run import BASELINE
from harness.scenario import Case, Setting
from harness.targets import building, plan
from harness.targets.building import RequestOptions
from harness.targets.http_scenario import FailedStatusError, HttpTarget, server_pid

Serve = Callable[..., Any]


def test_an_operation_is_a_request(serve: Serve, tmp_path: Path) -> None:
    """The connection is kept, host and body are sent, the status is the answer; 400 and above raise."""
    server = serve(lambda _, path, __: (404 if path == "/items/2" else 302, b"x" * 100_000))
    made = building.of_urls([server.url + "/items/{id}"], RequestOptions("POST", body="hello {id}", values=["id=1,2"]))
    scenario = HttpTarget(made)

    async def go() -> None:
        async with scenario.open(BASELINE, Setting(tmp_path, tmp_path)) as instance:
            good, bad = (Case("g", "n", (0, (("id", value),))) for value in ("1", "2"))
            assert [await scenario.run(instance, good) for _ in range(2)] == [302, 302]
            with pytest.raises(FailedStatusError, match="404 Not Found"):
                await scenario.run(instance, bad)
            assert instance.client.opened == 1
            assert scenario.targets(instance) == {"server": os.getpid()}
            assert scenario.counts(instance) == {"connections opened": 1.0}

    asyncio.run(go())
    assert server.paths == ["POST /items/1", "POST /items/1", "POST /items/2"]
    assert server.requests[0][2]["host"] == server.url.removeprefix("http://")
    assert server.requests[2][3] == b"hello 2"


def test_cases_have_the_shares_of_the_plan(tmp_path: Path) -> None:
    """Requests of a file come in its order, however many each group has; values are drawn, the same for every arm and process."""
    file = tmp_path / "a.txt"
    file.write_text("/a\n/a\n/a\n/b/1\n")
    made, _ = building.of_file(file, ["http://localhost"], RequestOptions())
    setting = Setting(tmp_path, tmp_path, stream=3)
    assert [case.group for case in HttpTarget(made).load_cases(setting)] == ["GET /a"] * 3 + ["GET /b/{id}"]
    drawn = building.of_urls(["http://localhost/{id}"], RequestOptions(values=["id=1..3"]))
    cases = HttpTarget(drawn).load_cases(setting)
    assert cases == HttpTarget(drawn).load_cases(setting)
    counts = Counter(dict(case.args[1])["id"] for case in cases)
    assert set(counts) == {"1", "2", "3"}
    assert max(counts.values()) < 1.3 * min(counts.values())


def test_a_plan_is_loaded_in_another_process_from_its_file(tmp_path: Path) -> None:
    """Arms, groups and remarks are those of the plan; bytes of a body come back."""
    made = building.of_urls(["http://localhost/a", "http://localhost/b"], RequestOptions(body="\x00\xff"))
    loaded = load(plan.write(made, tmp_path))
    assert (loaded.name, list(loaded.scenario.arms), list(loaded.scenario.group)) == ("a", [BASELINE, "candidate"], ["POST /a"])
    assert loaded.scenario.engines == ("http",)
    assert plan.read(loaded.file) == made


def test_the_process_of_a_server(serve: Serve) -> None:
    """It is found by the port on this machine; otherwise it is not known."""
    server = serve(lambda *_: (200, b""))
    port = server.server.server_address[1]
    assert server_pid("127.0.0.1", port) == server_pid("localhost", port) == os.getpid()
    assert server_pid("127.0.0.1", 1) == server_pid("192.0.2.1", port) == 0
