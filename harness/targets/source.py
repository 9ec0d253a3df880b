"""Requests that a file or the command line names, and those that were left out, each with the reason."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.errors import UsageError
from harness.targets import urls
from harness.targets.plan import TargetRequest
from harness.targets.urls import TargetUrl

MAX_REQUESTS = 100_000
"""Limit of the requests of a file."""
MAX_GROUPS = 50
"""Limit of the groups; requests of further ones are counted together."""
OTHER = "other requests"
"""The group of requests beyond `MAX_GROUPS`."""
SHOWN_REASONS = 6
"""Reasons that are listed for what was left out."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
BY_CLIENT = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "transfer-encoding"}
)
"""Headers that the client decides on."""


@dataclass
class FoundRequests:
    """The requests of one source."""

    requests: list[TargetRequest]
    origin: TargetUrl | None = None
    """The server that the source names; None if it names none."""
    noun: str = "requests"
    """Plural noun for the parts of the source."""
    total: int = 0
    """Number of these in the source."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Reason → the number of those that are not used for it."""
    is_generated: bool = False
    """Whether values in the requests were made up, so that the server may refuse them."""

    @property
    def note(self) -> str:
        """The remark on what is not used and why; empty if everything is, unless requests were made up."""
        used = f"{self.total - self.left_out.total():,} of {self.total:,} {self.noun} used"
        if not self.left_out:
            return used if self.is_generated else ""
        listed = self.left_out.most_common(SHOWN_REASONS)
        rest = self.left_out.total() - sum(count for _, count in listed)
        reasons = [*(f"{count} {reason}" for reason, count in listed), *([f"{rest} for other reasons"] if rest else [])]
        return f"{used}; not used: {'; '.join(reasons)}"


def header(text: str, place: str) -> tuple[str, str]:
    """Return name and value of a header `Name: value`; raise UsageError, without the value, if it is not one."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or any(c.isspace() for c in name.strip()):
        raise UsageError(f"{place} is not a header; write it as 'Name: value'")
    if name.strip().lower() in BY_CLIENT - {"host"}:
        raise UsageError(f"{place}: the header {name.strip()!r} is set by the load generator; leave it out")
    return name.strip(), value.strip()


def merged_headers(*each: Mapping[str, str]) -> dict[str, str]:
    """Return headers without regard to the case of their names; later ones replace earlier ones."""
    found: dict[str, tuple[str, str]] = {}
    for headers in each:
        found |= {name.lower(): (name, value) for name, value in headers.items()}
    return dict(found.values())


def few_groups(requests: Iterable[TargetRequest]) -> list[TargetRequest]:
    """Return the requests with at most `MAX_GROUPS` groups: those with the most requests, and one of all others."""
    made = list(requests)
    counted = Counter(request.group for request in made)
    if len(counted) <= MAX_GROUPS:
        return made
    kept = {group for group, _ in counted.most_common(MAX_GROUPS - 1)}
    return [r if r.group in kept else TargetRequest(OTHER, r.method, r.path, r.headers, r.body) for r in made]


def one_origin(origins: Iterable[TargetUrl | None], file: str) -> TargetUrl | None:
    """Return the server that all URLs of a file name; raise UsageError if there are several."""
    named = {url.origin: url for url in origins if url is not None}
    if len(named) > 1:
        shown = ", ".join(f"{host}:{port}" for host, port in list(named)[:3])
        raise UsageError(f"{file} names several servers: {shown}; one load is for one server, so name it after the file")
    return next(iter(named.values()), None)


def below(base: TargetUrl, path: str) -> str:
    """Return the path of a request on the server of a base URL."""
    return urls.joined(base.path, path) or "/"
