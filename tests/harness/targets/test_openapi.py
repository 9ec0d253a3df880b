"""Requests of OpenAPI documents."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.load.http_client import Client
from harness.targets import openapi
from harness.targets.source import FoundRequests

FILE = Path("api.json")


def read(paths: dict[str, Any], **more: Any) -> FoundRequests:
    """Read a document with these paths."""
    return openapi.read(FILE, json.dumps({"openapi": "3.1.0", "paths": paths, **more}).encode(), is_yaml=False)


def parameter(schema: Any, place: str = "query", name: str = "q", **more: Any) -> dict[str, Any]:
    """Return a GET operation with one required parameter."""
    return {"get": {"parameters": [{"name": name, "in": place, "required": True, "schema": schema, **more}]}}


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        ({"type": "integer"}, ["1"]),
        ({"type": "integer", "minimum": 10}, ["10"]),
        ({"type": "integer", "exclusiveMinimum": 10}, ["11"]),
        ({"type": "number", "maximum": 0.5}, ["0.5"]),
        ({"type": "integer", "minimum": 5, "multipleOf": 4}, ["8"]),
        ({"type": "boolean"}, ["true"]),
        ({"type": ["null", "string"], "format": "date"}, ["2024-01-01"]),
        ({"type": "string", "minLength": 3}, ["aaa"]),
        ({"type": "string", "enum": ["a b", "c"]}, ["a%20b", "c"]),
        ({"const": 5}, ["5"]),
        ({"type": "string", "default": "x/y"}, ["x%2Fy"]),
        ({"anyOf": [{"type": "object"}, {"type": "integer"}]}, ["1"]),
        ({"type": "array", "items": {"enum": [4]}}, ["4"]),
        ({"$ref": "#/components/schemas/Id"}, ["7"]),
    ],
)
def test_values_from_a_schema(schema: Any, sent: list[str]) -> None:
    """Defaults, constants, enumerations and references come first; else the lowest value that its type allows is made."""
    found = read({"/s": parameter(schema)}, components={"schemas": {"Id": {"example": 7}}})
    assert [r.path for r in found.requests] == [f"/s?q={value}" for value in sent]


def test_values_from_examples() -> None:
    """Every example is a request; parameters in path, header and cookie are put in their places, optional ones are left out."""
    item = {
        "parameters": [{"name": "id", "in": "path", "required": True, "examples": {"a": {"value": "x y"}, "b": {"value": "z"}}}],
        "get": {
            "parameters": [
                {"name": "X-Kind", "in": "header", "required": True, "example": "k"},
                {"name": "sid", "in": "cookie", "required": True, "example": "s"},
                {"name": "page", "in": "query", "schema": {"type": "integer"}},
            ]
        },
    }
    found = read({"/items/{id}": item}, servers=[{"url": "http://localhost:8000/{v}/", "variables": {"v": {"default": "v1"}}}])
    assert [r.path for r in found.requests] == ["/v1/items/x%20y", "/v1/items/z"]
    assert found.requests[0].headers == {"X-Kind": "k", "Cookie": "sid=s"}
    assert {r.group for r in found.requests} == {"GET /v1/items/{id}"}
    assert found.origin is not None
    assert found.origin.origin == ("localhost", 8000)


def test_what_cannot_be_used_is_counted_with_the_reason() -> None:
    """Loops and missing references, patterns, undeclared path parameters and other methods."""
    parts = {"parameters": {"A": {"$ref": "#/components/parameters/B"}, "B": {"$ref": "#/components/parameters/A"}}}
    paths = {
        "/ok": {"get": {}, "post": {}},
        "/loop": {"get": {"parameters": [{"$ref": "#/components/parameters/A"}]}},
        "/none": {"get": {"parameters": [{"$ref": "#/components/parameters/C"}]}},
        "/file": {"get": {"parameters": [{"$ref": "other.yaml#/A"}]}},
        "/text": parameter({"type": "string", "pattern": "^A"}),
        "/object": parameter({"type": "object"}),
        "/{id}": {"get": {}},
    }
    found = read(paths, components=parts)
    assert [r.path for r in found.requests] == ["/ok"]
    assert found.total == 8
    assert found.left_out == {
        "with method POST": 1,
        "with references that lead to one another": 1,
        "with a reference to a part that is missing": 1,
        "with a reference to another document": 1,
        "without a value for a required parameter (a text with a pattern)": 1,
        "without a value for a required parameter (it is of type 'object')": 1,
        "with a path parameter that is not declared": 1,
    }
    assert found.note.startswith("1 of 8 operations used; not used: ")


def test_a_thousand_paths_and_schemas_that_contain_themselves() -> None:
    """They are read in a moment, and a schema without an end has a reason."""
    loop = {"Loop": {"type": "array", "items": {"$ref": "#/components/schemas/Loop"}}}
    paths = {f"/items{n}/{{id}}": parameter({"type": "integer"}, "path", "id") for n in range(1000)}
    began_s = time.process_time()
    found = read({**paths, "/loop": parameter({"$ref": "#/components/schemas/Loop"})}, components={"schemas": loop})
    assert time.process_time() - began_s < 5
    assert len(found.requests) == 1000
    assert found.left_out == {"without a value for a required parameter (schemas are nested too deeply)": 1}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"swagger": "2.0", "paths": {}}, "is Swagger 2.0"),
        ({"openapi": "4.0", "paths": {}}, "is OpenAPI '4.0'"),
        ({"openapi": "3.0.1"}, "no operation that can be used: it has no paths"),
        ({"openapi": "3.0.1", "paths": {"/a": {"post": {}}}}, "no operation that can be used: 1 with method POST"),
    ],
)
def test_documents_that_cannot_be_used(document: Any, message: str) -> None:
    """Each is refused with its reason."""
    with pytest.raises(UsageError, match=message):
        openapi.read(FILE, json.dumps(document).encode(), is_yaml=False)


def test_a_document_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused by its size, before it is read."""
    monkeypatch.setattr(openapi, "MAX_BYTES", 2**20)
    with pytest.raises(UsageError, match="more than 1 MB"):
        openapi.read(FILE, b"{" * (2**20 + 1), is_yaml=False)


def test_yaml() -> None:
    """A document in YAML is read alike."""
    pytest.importorskip("yaml")
    operation = "{parameters: [{name: d, in: path, schema: {example: 2024-01-01}}]}"
    content = f"openapi: 3.0.3\npaths:\n  /a/{{d}}:\n    get: {operation}\n".encode()
    assert [r.path for r in openapi.read(Path("api.yaml"), content, is_yaml=True).requests] == ["/a/2024-01-01"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda part: (
        st.lists(part, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "$ref", "enum", "anyOf", "items", "in", "name", "schema", "required", "parameters", "get", "examples"]
            ),
            part,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["/a", "/{id}", "b"]), ANYTHING, max_size=3), ANYTHING, ANYTHING)
def test_whatever_is_in_a_document(paths: dict[str, Any], servers: Any, components: Any) -> None:
    """It is refused, or every request can be sent."""
    try:
        found = read(paths, servers=servers, components=components)
    except UsageError:
        return
    for request in found.requests:
        Client("localhost", 80).encode(request.method, request.path)
