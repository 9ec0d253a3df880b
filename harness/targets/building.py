"""From what the user named, URLs or a file of requests, to the plan of the load."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from harness.errors import ScenarioFailedError, UsageError
from harness.results.run import BASELINE
from harness.targets import har, openapi, request_file, urls, values
from harness.targets.contact import Contact
from harness.targets.documents import bytes_of
from harness.targets.paths import shown
from harness.targets.plan import HttpArm, HttpPlan, TargetRequest
from harness.targets.source import METHODS, FoundRequests, below, few_groups, header, merged_headers
from harness.targets.urls import TargetUrl

MAX_ARMS = 8
"""Limit of the servers that are compared."""
_YAML = (".yaml", ".yml")
_OPENAPI_YAML = re.compile(rb"^[\"']?(?:openapi|swagger)[\"']?[ \t]*:", re.MULTILINE)
_MEMBER = re.compile(rb'"(log|openapi|swagger)"\s*:')
_HEAD_BYTES = 100_000


@dataclass(frozen=True)
class RequestOptions:
    """Options of the command line about requests."""

    method: str | None = None
    headers: Sequence[str] = ()
    """Lines `Name: value`."""
    body: str | None = None
    """A text, or `@FILE`."""
    values: Sequence[str] = ()
    """Texts `NAME=VALUES`."""

    @property
    def named(self) -> list[str]:
        """The names of the options that are given."""
        given = {"--method": self.method, "--header": self.headers, "--body": self.body, "--values": self.values}
        return [name for name, value in given.items() if value not in (None, (), [])]

    @property
    def header_fields(self) -> dict[str, str]:
        """The headers by name."""
        return merged_headers(*(dict([header(text, f"--header {text.partition(':')[0]!r}")]) for text in self.headers))


def arm_names(number: int) -> list[str]:
    """Return the names of arms: the baseline and its candidates."""
    if number > MAX_ARMS:
        raise UsageError(f"{number} servers are more than the limit of {MAX_ARMS}; name fewer")
    return [BASELINE, *(f"candidate {place}" if number > 2 else "candidate" for place in range(1, number))]  # noqa: PLR2004 - two need no number


def of_urls(words: Sequence[str], options: RequestOptions) -> HttpPlan:
    """Return the plan for URLs, each of which is an arm."""
    targets = [urls.parse(word) for word in words]
    body = _body(options.body)
    method = options.method or ("POST" if options.body is not None else "GET")
    if method not in METHODS:
        raise UsageError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")
    group = shown(method, (targets[0].path or "/").partition("?")[0])
    content_type = {"Content-Type": _content_type(body)} if options.body is not None else {}
    arms = {}
    for name, url in zip(arm_names(len(targets)), targets, strict=True):
        headers = merged_headers(content_type, url.headers, options.header_fields)
        arms[name] = HttpArm(url.shown, url.host, url.port, [TargetRequest(group, method, url.path or "/", headers, body)])
    found = values.parse(options.values)
    values.check([request for arm in arms.values() for request in arm.requests], found)
    title = f"{method} {targets[0].shown}" if len(targets) == 1 else f"{method} {' against '.join(url.shown for url in targets)}"
    return HttpPlan(name_of(targets[0].path), title, arms, found)


def of_file(file: Path, words: Sequence[str], options: RequestOptions) -> tuple[HttpPlan, FoundRequests]:
    """Return the plan for a file of requests and the servers that get them, each of which is an arm, with its source.

    Without servers, the file has to name one.
    """
    if wrong := [name for name in options.named if name in {"--method", "--body"}]:
        raise UsageError(f"{wrong[0]} is for a URL; {file} says it for each request, so leave the option out")
    bases = [urls.parse(word) for word in words]
    found = _read(file, bases)
    if found.origin is not None and not bases:
        bases = [replace(found.origin, path="", headers={})]
    if not bases:
        raise UsageError(f"{file} names no server; name it: harness load {file} http://127.0.0.1:8000")
    given, arms = values.parse(options.values), {}
    for name, base in zip(arm_names(len(bases)), bases, strict=True):
        requests = [
            TargetRequest(
                r.group, r.method, below(base, r.path), merged_headers(base.headers, r.headers, options.header_fields), r.body
            )
            for r in found.requests
        ]
        arms[name] = HttpArm(_without_path(base), base.host, base.port, requests)
    values.check(arms[BASELINE].requests, given)
    title = f"requests of {file.name} to {' against '.join(arm.url for arm in arms.values())}"
    return HttpPlan(name_of(file.stem), title, arms, given), found


def after_contact(plan: HttpPlan, source: FoundRequests | None, contact: Contact) -> HttpPlan:
    """Return the plan with the remarks of the first contact, and without requests with made-up values that the server refuses.

    Raises ScenarioFailedError if everything that was tried failed.
    """
    base, notes = plan.arms[BASELINE], contact.notes(len(plan.arms))
    left = dict.fromkeys(request.group for request in base.requests)
    if source is not None:
        if source.is_generated:
            refused = {
                group: f"answered {contact.failures[group]} when tried" for group in contact.failures if contact.is_refused(group)
            }
            source.left_out.update(refused.values())
            left = {group: None for group in left if group not in refused}
            for group in refused:
                del contact.failures[group]
            notes = contact.notes(len(plan.arms))
        notes = [*([source.note] if source.note else []), *notes]
    if not left or (contact.failures and not contact.succeeded):
        failed = next(iter(contact.failures.items()), None)
        reason = f"{failed[0]} answers {failed[1]}" if failed else source.note if source is not None else ""
        remedy = "fix the request, or its values" if failed else "name a header or values that the server accepts, such as --header"
        raise ScenarioFailedError(
            f"{base.url}: nothing that was tried succeeds: {reason}; {remedy}, or load it all the same with --compare 0"
        )
    arms = {
        name: msgspec.structs.replace(arm, requests=few_groups(request for request in arm.requests if request.group in left))
        for name, arm in plan.arms.items()
    }
    return msgspec.structs.replace(plan, arms=arms, notes=notes)


def _read(file: Path, bases: Sequence[TargetUrl]) -> FoundRequests:
    """Read a file of any of the formats."""
    content = bytes_of(file)
    start = content[:_HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    has_base_path = any(base.path.partition("?")[0].strip("/") for base in bases)
    if start[:1] == b"{" or file.suffix.lower() in {".json", ".har"}:
        named = Counter(member[1].decode() for member in _MEMBER.finditer(content))
        if file.suffix.lower() == ".har" or (named["log"] and not named["openapi"] and not named["swagger"]):
            return har.read(file, content, needs_origin=not bases)
        if not named:
            raise UsageError(
                f"{file} is JSON, but neither a HAR file nor an OpenAPI document; name one of these, or a file of requests"
            )
        return openapi.read(file, content, is_yaml=False, has_base_path=has_base_path)
    if file.suffix.lower() in _YAML or _OPENAPI_YAML.search(start):
        return openapi.read(file, content, is_yaml=True, has_base_path=has_base_path)
    return request_file.read(file)


def _without_path(url: TargetUrl) -> str:
    """Return a URL to show, up to its path."""
    return f"http://{url.authority}{url.path.partition('?')[0].rstrip('/')}"


def _body(text: str | None) -> bytes:
    if text is None:
        return b""
    return bytes_of(Path(text[1:])) if text.startswith("@") else text.encode()


def _content_type(body: bytes) -> str:
    """Return the type of a body for which none is given: JSON by its first character, else that of a form, as with curl."""
    return "application/json" if body.lstrip()[:1] in {b"{", b"["} else "application/x-www-form-urlencoded"


def name_of(text: str) -> str:
    """Return a scenario's name for a path or a file."""
    return re.sub(r"\W+", "_", text.partition("?")[0], flags=re.ASCII).strip("_")[:60] or "root"
