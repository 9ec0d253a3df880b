"""Requests of an OpenAPI document, version 3.0 or 3.1: GET operations whose required parameters have values.

A value is the parameter's example, default, constant or first values of its enumeration, or is made from its schema. References
within the document are resolved, up to a depth; everything that cannot be used is counted with the reason.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import quote

from harness.errors import UsageError
from harness.targets import urls
from harness.targets.documents import json_of, yaml_of
from harness.targets.paths import shown
from harness.targets.plan import TargetRequest
from harness.targets.source import BY_CLIENT, MAX_REQUESTS, FoundRequests
from harness.targets.urls import TargetUrl

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
MAX_BYTES = 20 * 2**20
"""Limit of the size of a document, which is held in memory as a whole."""
MAX_DEPTH = 30
"""Limit of references that lead to one another, and of schemas within schemas."""
MAX_EXAMPLES = 10
"""Limit of the requests of one operation, if a parameter has several examples."""
MAX_TEXT = 1_000
"""Limit of a required length of text that is made."""
_FORMATS = {
    "date": "2024-01-01",
    "date-time": "2024-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "email": "user@example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "hostname": "localhost",
    "uri": "http://localhost/",
}
"""Format of a text → a value."""
_KEYWORDS = ("example", "default", "const")


class _NoValueError(Exception):
    """There is no value for a parameter; the message is the reason."""


def read(file: Path, content: bytes, *, is_yaml: bool, has_base_path: bool = False) -> FoundRequests:
    """Read the operations of a document; raise UsageError if none of them can be used.

    With `has_base_path` the paths are below that of a URL which the user named, in place of that of the document's server.
    """
    if len(content) > MAX_BYTES:
        raise UsageError(f"{file} has more than {MAX_BYTES // 2**20} MB; name a document with fewer operations")
    document = yaml_of(file, content) if is_yaml else json_of(file, content, dict)
    if not isinstance(document, Mapping):
        raise UsageError(f"{file} is not an OpenAPI document: it is not a mapping; name another file")
    if "swagger" in document:
        raise UsageError(f"{file} is Swagger {str(document['swagger'])[:10]}, which is not read; convert it to OpenAPI 3")
    version = str(document.get("openapi", ""))
    if not version.startswith("3."):
        raise UsageError(f"{file} is OpenAPI {version[:20]!r}; versions 3.0 and 3.1 are read")
    paths = document.get("paths")
    reader, left_out, total = _Reader(document), Counter[str](), 0
    prefix, origin = reader.server()
    prefix = "" if has_base_path else prefix
    requests: list[TargetRequest] = []
    for path, item, method, operation in reader.operations(paths if isinstance(paths, Mapping) else {}):
        total += 1
        if total > MAX_REQUESTS:
            raise UsageError(f"{file} has more than {MAX_REQUESTS:,} operations; name a part of it")
        if method != "get":
            left_out[f"with method {method.upper()}"] += 1
            continue
        try:
            requests += reader.requests(prefix, path, item, operation)
        except _NoValueError as reason:
            left_out[str(reason)] += 1
    if not requests:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common(MAX_EXAMPLES)) or "it has no paths"
        raise UsageError(f"{file} has no operation that can be used: {reasons}; add examples to required parameters")
    return FoundRequests(requests, origin, "operations", total, left_out, is_generated=True)


class _Reader:
    """One document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def server(self) -> tuple[str, TargetUrl | None]:
        """Return the path of the first server, and its URL if that is absolute."""
        servers = self._document.get("servers")
        server = servers[0] if isinstance(servers, list) and servers else {}
        url = str(server.get("url", "")) if isinstance(server, Mapping) else ""
        variables = server.get("variables") if isinstance(server, Mapping) else None
        for name, variable in variables.items() if isinstance(variables, Mapping) else ():
            if isinstance(variable, Mapping):
                url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
        if "{" in url:
            url = ""
        if not urls.is_url(url):
            return url.rstrip("/") if url.startswith("/") else "", None
        try:
            found = urls.parse(url)
        except UsageError:  # such as https: the user names another one
            return "/" + url.partition("://")[2].partition("/")[2].rstrip("/") if url.count("/") > 2 else "", None  # noqa: PLR2004 - of the scheme
        return found.path.partition("?")[0].rstrip("/"), found

    def operations(self, paths: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], str, Mapping[str, Any]]]:
        """Yield path, path item, method and operation."""
        for path, found in paths.items():
            try:
                item = self.resolved(found)
            except _NoValueError:
                continue
            for method in METHODS if isinstance(item, Mapping) else ():
                if isinstance(item.get(method), Mapping):
                    yield str(path), item, method, item[method]

    def resolved(self, part: Any) -> Any:
        """Return a part of the document, or the part that it refers to."""
        for _ in range(MAX_DEPTH):
            if not isinstance(part, Mapping) or not isinstance(part.get("$ref"), str):
                return part
            reference = part["$ref"]
            if not reference.startswith("#/"):
                raise _NoValueError("with a reference to another document")
            part = self._document
            for name in reference[2:].split("/"):
                key = name.replace("~1", "/").replace("~0", "~")
                if not isinstance(part, Mapping) or key not in part:
                    raise _NoValueError("with a reference to a part that is missing")
                part = part[key]
        raise _NoValueError("with references that lead to one another")

    def requests(self, prefix: str, path: str, item: Mapping[str, Any], operation: Mapping[str, Any]) -> list[TargetRequest]:
        """Return the requests of one operation, one per example."""
        parameters: dict[tuple[str, str], Mapping[str, Any]] = {}
        for source in (item, operation):
            listed = source.get("parameters")
            for each in listed if isinstance(listed, list) else ():
                parameter = self.resolved(each)
                if isinstance(parameter, Mapping):
                    parameters[str(parameter.get("in")), str(parameter.get("name"))] = parameter
        needed = {key: p for key, p in parameters.items() if p.get("required") is True or key[0] == "path"}
        values = {key: self._values(parameter) for key, parameter in needed.items()}
        number = min(MAX_EXAMPLES, max((len(found) for found in values.values()), default=1))
        group = shown("GET", prefix + path)
        return [self._request(prefix + path, group, {key: v[i % len(v)] for key, v in values.items()}) for i in range(number)]

    def _request(self, path: str, group: str, values: Mapping[tuple[str, str], Any]) -> TargetRequest:
        query, headers, cookies = [], {}, []
        for (place, name), value in values.items():
            if place == "path":
                path = path.replace(f"{{{name}}}", quote(_text(value), safe=""))
            elif place == "query":
                query += [f"{quote(name, safe='')}={quote(_text(each), safe='')}" for each in _listed(value)]
            elif place == "header" and name.lower() not in BY_CLIENT:
                headers[name] = _text(value)
            elif place == "cookie":
                cookies.append(f"{name}={_text(value)}")
        if "{" in path:
            raise _NoValueError("with a path parameter that is not declared")
        headers |= {"Cookie": "; ".join(cookies)} if cookies else {}
        whole = f"{path}?{'&'.join(query)}" if query else path
        return TargetRequest(group, "GET", urls.encoded_path(whole if whole.startswith("/") else f"/{whole}"), headers)

    def _values(self, parameter: Mapping[str, Any]) -> list[Any]:
        """Return the values of a required parameter, at least one."""
        if "example" in parameter:
            return [parameter["example"]]
        examples = parameter.get("examples")
        if isinstance(examples, Mapping):
            found = [self.resolved(each) for each in list(examples.values())[:MAX_EXAMPLES]]
            given = [each["value"] for each in found if isinstance(each, Mapping) and "value" in each]
            if given:
                return given
        schema = parameter.get("schema")
        if schema is None:
            content = parameter.get("content")
            if not isinstance(content, Mapping):
                raise _NoValueError("with a required parameter without a schema")
            raise _NoValueError("with a required parameter of a media type")
        try:
            return self._of_schema(schema, MAX_DEPTH)
        except _NoValueError as reason:
            raise _NoValueError(
                f"{reason}" if "reference" in str(reason) else f"without a value for a required parameter ({reason})"
            ) from None

    def _of_schema(self, found: Any, depth: int) -> list[Any]:
        """Return values that fit a schema, at least one."""
        schema = self.resolved(found)
        if not depth:
            raise _NoValueError("schemas are nested too deeply")
        if not isinstance(schema, Mapping):
            raise _NoValueError("it has no type")
        for keyword in _KEYWORDS:
            if keyword in schema:
                return [schema[keyword]]
        for keyword in ("examples", "enum"):
            listed = schema.get(keyword)
            if isinstance(listed, list) and (values := [each for each in listed if each is not None]):
                return values[:MAX_EXAMPLES]
        for keyword in ("anyOf", "oneOf", "allOf"):
            for each in schema.get(keyword, ()) if isinstance(schema.get(keyword), list) else ():
                try:
                    return self._of_schema(each, depth - 1)
                except _NoValueError:
                    continue
        return [self._made(schema, depth)]

    def _made(self, schema: Mapping[str, Any], depth: int) -> Any:
        """Return a value of a schema's type."""
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((each for each in kind if each != "null"), None)
        if kind in {"integer", "number"}:
            return _number(schema)
        if kind == "boolean":
            return True
        if kind == "array":
            return self._of_schema(schema.get("items"), depth - 1)[:1]
        if kind != "string":
            raise _NoValueError(f"it is of type {kind!r:.20}" if kind else "it has no type")
        if "pattern" in schema:
            raise _NoValueError("a text with a pattern")
        form = schema.get("format")
        if isinstance(form, str) and form in _FORMATS:
            return _FORMATS[form]
        shortest = schema.get("minLength", 1)
        if not isinstance(shortest, int) or shortest > MAX_TEXT:
            raise _NoValueError("a text that is too long")
        return "a" * max(1, shortest)


def _number(schema: Mapping[str, Any]) -> float:
    """Return the lowest number that a schema allows, or 1."""
    lowest, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    start = lowest if _is_number(lowest) else above if _is_number(above) else None
    if start is not None and (above is True or (_is_number(above) and start <= above)):
        start += 1
    if start is None:
        highest = schema.get("maximum")
        start = min(1, highest) if _is_number(highest) else 1
    step = schema.get("multipleOf")
    if _is_number(step) and step > 0:
        start = step * max(1, -(-start // step))
    return int(start) if float(start).is_integer() else float(start)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _listed(value: Any) -> list[Any]:
    """Return the values of a query parameter: a list is repeated, as by default."""
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return json.dumps(value) if isinstance(value, dict) else str(value)
