"""What a supervisor and the engine's process say to each other: one job and then orders in, reports out, a JSON line each."""

from __future__ import annotations

import msgspec

from harness.scenario import Setting


class LoadJob(msgspec.Struct, frozen=True):
    """What the engine runs: scenario files, each with its own setting; blocks last `block_s` seconds."""

    files: list[str]
    settings: list[Setting]
    block_s: float


class Order(msgspec.Struct, frozen=True):
    """How many virtual users there are from now on; None ends the run after the current block."""

    users: int | None


class Block(msgspec.Struct, frozen=True):
    """All users ran one arm of one scenario for a while.

    `cycle` numbers the round over all arms, `position` the arm's place in it. `latencies_ns` maps a group of cases to its
    operations' nanoseconds, `errors` a message to how often it occurred. Errors are never among the latencies.
    """

    scenario: str
    arm: str
    cycle: int
    position: int
    users: int
    duration_ns: int
    latencies_ns: dict[str, list[int]]
    errors: dict[str, int]


class Report(msgspec.Struct, frozen=True):
    """One line from the engine: ready to take users, one block, or the end with its reason."""

    ready: bool = False
    block: Block | None = None
    failed: str | None = None
