"""From what the user named to a plan."""

import json
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.results.run import BASELINE
from harness.targets import building
from harness.targets.building import RequestOptions
from harness.targets.contact import Contact
from harness.targets.source import MAX_GROUPS, OTHER


def test_urls_are_arms() -> None:
    """Each with its own path and host, in the group of the first one."""
    plan = building.of_urls(["http://localhost:1/a/{id}?key=s", "http://localhost:2/b/{id}"], RequestOptions(values=["id=1"]))
    assert list(plan.arms) == [BASELINE, "candidate"]
    assert [(a.port, a.requests[0].path, a.requests[0].group) for a in plan.arms.values()] == [
        (1, "/a/{id}?key=s", "GET /a/{id}"),
        (2, "/b/{id}", "GET /a/{id}"),
    ]
    assert plan.title == "GET http://localhost:1/a/{id}?key=*** against http://localhost:2/b/{id}"
    assert list(building.of_urls(["http://localhost/"] * 3, RequestOptions()).arms) == [BASELINE, "candidate 1", "candidate 2"]


def test_methods_and_bodies() -> None:
    """A body makes it a POST, of JSON or of a form; a header of the user replaces that, and the URL's user."""
    (request,) = (
        building.of_urls(["http://u:p@localhost/"], RequestOptions(body="a=1", headers=["authorization: Bearer x"]))
        .arms[BASELINE]
        .requests
    )
    assert request.method == "POST"
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded", "authorization": "Bearer x"}
    (request,) = (
        building.of_urls(["http://localhost/"], RequestOptions("PUT", ["content-type: text/csv"], "[1]")).arms[BASELINE].requests
    )
    assert (request.method, request.headers) == ("PUT", {"content-type": "text/csv"})


def test_a_file_below_the_path_of_a_url(tmp_path: Path) -> None:
    """Its requests go to the servers that are named, below their paths; a document's own path gives way to that."""
    file = tmp_path / "requests.txt"
    file.write_text("GET http://elsewhere:9/items\n")
    plan, _ = building.of_file(file, ["http://localhost:1/v2/", "http://localhost:2"], RequestOptions(headers=["A: b"]))
    assert [(a.host, a.port, a.requests[0].path, a.requests[0].headers) for a in plan.arms.values()] == [
        ("localhost", 1, "/v2/items", {"A": "b"}),
        ("localhost", 2, "/items", {"A": "b"}),
    ]
    file = tmp_path / "api.json"
    file.write_text(json.dumps({"openapi": "3.1.0", "servers": [{"url": "/v1"}], "paths": {"/a": {"get": {}}}}))
    for url, path in (("http://localhost:1/v2", "/v2/a"), ("http://localhost:1", "/v1/a")):
        assert building.of_file(file, [url], RequestOptions())[0].arms[BASELINE].requests[0].path == path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "/items", r"names no server; name it: harness load .*a.txt http://127.0.0.1:8000"),
        ("a.json", '{"a": 1}', "neither a HAR file nor an OpenAPI document"),
        ("a.har", '{"log": {"entries": []}}', "a HAR file without requests"),
        ("a.json", '{"openapi": "3.1.0", "paths": ', "is not valid JSON"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, content: str, message: str) -> None:
    """Each is refused with its reason."""
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=message):
        building.of_file(tmp_path / name, [], RequestOptions())


def test_options_that_do_not_apply(tmp_path: Path) -> None:
    """A method for a file that has its own, an unknown one, a header without a colon, and too many servers."""
    file = tmp_path / "a.txt"
    file.write_text("/items")
    with pytest.raises(UsageError, match="--method is for a URL"):
        building.of_file(file, ["http://localhost"], RequestOptions(method="PUT"))
    with pytest.raises(UsageError, match="unknown method 'get'; choose from GET"):
        building.of_urls(["http://localhost"], RequestOptions(method="get"))
    with pytest.raises(UsageError, match="--header 'Authorization' is not a header"):
        building.of_urls(["http://localhost"], RequestOptions(headers=["Authorization"]))
    with pytest.raises(UsageError, match="9 servers are more than the limit of 8"):
        building.of_urls(["http://localhost"] * 9, RequestOptions())


def test_many_groups_are_few(tmp_path: Path) -> None:
    """The rare ones are one group."""
    file = tmp_path / "a.txt"
    file.write_text("\n".join(f"/{first}{second}" for first in "abcdefghij" for second in "abcdefghij"))
    plan, source = building.of_file(file, ["http://localhost"], RequestOptions())
    after = building.after_contact(plan, source, Contact())
    groups = [request.group for request in after.arms[BASELINE].requests]
    assert len(set(groups)) == MAX_GROUPS
    assert groups.count(OTHER) == 100 - MAX_GROUPS + 1
