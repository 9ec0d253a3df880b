"""The first contact with servers: whether they answer, and answer alike, before any load.

Of each group some requests are sent to each server, one at a time. The baseline gets safe ones twice: what differs between its own
two answers, such as a date, is not compared. Of the others, whose answers may name what they created, status and form are compared.
A server that never answers ends the run, as do servers whose answers differ.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.errors import ScenarioFailedError, UsageError
from harness.load.http_client import Client, connect_error
from harness.results.run import BASELINE
from harness.runtime.clock import Clock, MonotonicClock
from harness.targets.comparison import ComparedAnswer, answer_of, changing, disagreement, form_of, path_text
from harness.targets.paths import shown
from harness.targets.plan import HttpArm, HttpPlan, TargetRequest
from harness.targets.values import filled

LIMIT_S = 30.0
"""Seconds after which no further request is compared."""
FAILED, SERVER_FAILED, REDIRECT = 400, 500, 300
"""The lowest status of a failed request, of one that the server blames itself for, and of one that is answered with another URL."""
SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing, so that they are sent twice."""
SHOWN_PATHS = 3
"""Changing parts that are listed."""


@dataclass
class Contact:
    """The outcome of the first contact."""

    statuses: dict[str, int] = field(default_factory=dict)
    """Group → the status of the baseline's first answer."""
    compared: int = 0
    """Number of requests whose answers were compared."""
    redirects: dict[str, str] = field(default_factory=dict)
    """Group → the answer that is a redirect."""
    failures: dict[str, str] = field(default_factory=dict)
    """Group → the answer that is a failure."""
    changes: dict[str, str] = field(default_factory=dict)
    """Group → the parts of its bodies that are not compared."""
    is_cut: bool = False
    """Whether time was over before all groups were tried."""

    @property
    def succeeded(self) -> int:
        """Number of groups that were tried and did not fail."""
        return len(self.statuses.keys() - self.failures.keys())

    def is_refused(self, group: str) -> bool:
        """Return whether the baseline blames a group's request for the failure."""
        return FAILED <= self.statuses[group] < SERVER_FAILED

    def notes(self, arms: int) -> list[str]:
        """Return the remarks for the user."""
        found = []
        if arms > 1 and self.compared:
            found.append(f"the answers to {self.compared} request{'s' * (self.compared != 1)} were compared and agree")
        found += [
            f"the answers to {group} were compared without what changes by itself: {parts}" for group, parts in self.changes.items()
        ]
        for kind, each in (
            ("redirects are not followed: name the final URL", self.redirects),
            ("it counts as failed", self.failures),
        ):
            found += [f"{group} answers {status}; {kind}" for group, status in list(each.items())[:SHOWN_PATHS]]
        if self.is_cut:
            found.append(f"comparing was ended after {LIMIT_S:g} s; some groups were not tried before the load")
        return found


async def first_contact(
    plan: HttpPlan, count: int, timeout_s: float, ignored: Collection[str] = (), clock: Clock | None = None
) -> Contact:
    """Try `count` requests of each group on every server and compare the answers; with 0, connect only.

    Raises:
        UsageError: a server never answered.
        ScenarioFailedError: servers answer differently.
    """
    clients = {arm: Client(found.host, found.port) for arm, found in plan.arms.items()}
    try:
        if not count:
            for arm in plan.arms:
                await _connect(plan.arms[arm], timeout_s)
            return Contact()
        return await _compared(plan, clients, count, timeout_s, ignored, clock or MonotonicClock())
    finally:
        for client in clients.values():
            client.close()


async def _connect(arm: HttpArm, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(arm.host, arm.port)
    except OSError as error:
        raise UsageError(_unreachable(arm, str(connect_error(error)))) from None
    writer.close()


async def _compared(
    plan: HttpPlan, clients: Mapping[str, Client], count: int, timeout_s: float, ignored: Collection[str], clock: Clock
) -> Contact:
    found, until_ns = Contact(), clock.now_ns() + int(LIMIT_S * 1e9)
    for index, values in _first(plan.arms[BASELINE].requests, plan.values, count):
        if clock.now_ns() > until_ns and found.compared:
            found.is_cut = True
            break
        await _Trial(plan, clients, index, values, timeout_s, ignored).run(found)
    return found


def _first(
    requests: Sequence[TargetRequest], values: Mapping[str, Sequence[str]], count: int
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the places of the first requests of each group, each with values; one request with placeholders is tried repeatedly."""
    seen = Counter[str]()
    members = Counter(request.group for request in requests)
    most = max(map(len, values.values()), default=1)
    for index, request in enumerate(requests):
        for number in range(min(count, most) if members[request.group] == 1 else 1):
            if seen[request.group] < count:
                seen[request.group] += 1
                place = index + number
                yield index, {name: each[place % len(each)] for name, each in values.items()}


@dataclass
class _Trial:
    """One request on every server."""

    plan: HttpPlan
    clients: Mapping[str, Client]
    index: int
    values: Mapping[str, str]
    timeout_s: float
    ignored: Collection[str]

    async def run(self, found: Contact) -> None:
        """Send the request and compare the answers."""
        first = self._request(BASELINE)
        expected = await self._answer(BASELINE, first, found)
        changes: list[tuple[str | int, ...]] = []
        if first.method in SAFE and len(self.plan.arms) > 1:
            again = await self._answer(BASELINE, first, found)
            changes = list(changing(expected.body, again.body)) if again.status == expected.status else [()]
        elif first.method not in SAFE:
            expected = replace(expected, body=form_of(expected.body))
        found.statuses.setdefault(first.group, expected.status)
        if expected.status >= FAILED:
            found.failures.setdefault(first.group, expected.words)
        elif expected.status >= REDIRECT:
            found.redirects.setdefault(first.group, expected.words)
        for arm in self.clients:
            if arm != BASELINE:
                request = self._request(arm)
                answer = await self._answer(arm, request, found)
                if request.method not in SAFE:
                    answer = replace(answer, body=form_of(answer.body))
                if differs := disagreement(answer, expected, changes):
                    name = shown(request.method, request.path)
                    options = "leave a member of JSON out with --ignore NAME, or load them all the same with --compare 0"
                    raise ScenarioFailedError(f"{arm} answers {name} with {differs}; no arm is timed until they agree; {options}")
        if changes:
            shown_paths = [path_text(path) for path in changes[:SHOWN_PATHS]]
            rest = [f"{len(changes) - SHOWN_PATHS} more"] if len(changes) > SHOWN_PATHS else []
            found.changes.setdefault(first.group, ", ".join(shown_paths + rest))
        found.compared += 1

    def _request(self, arm: str) -> TargetRequest:
        return filled(self.plan.arms[arm].requests[self.index], self.values)

    async def _answer(self, arm: str, request: TargetRequest, found: Contact) -> ComparedAnswer:
        client, target = self.clients[arm], self.plan.arms[arm]
        encoded = client.encode(request.method, request.path, request.headers, request.body)
        try:
            return answer_of(await client.send(encoded, self.timeout_s), self.ignored)
        except OSError as error:
            message = _unreachable(target, str(error), shown(request.method, request.path))
            if found.compared:
                raise ScenarioFailedError(f"{arm}: {message}") from None
            raise UsageError(message) from None


def _unreachable(arm: HttpArm, reason: str, request: str = "") -> str:
    before = f" to {request}" if request else ""
    return f"{arm.url}: no answer{before}: {reason}; start the server, or check its address {arm.host}:{arm.port}"
