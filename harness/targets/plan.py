"""The plan of a load on a target: what a user named, in the form that load workers read from a file.

The file may hold secrets, such as an Authorization header. It is in a temporary folder that only the user can read, and is removed
at the end of the run; what is stored and printed is redacted.
"""

from pathlib import Path

import msgspec

from harness.discovery import TARGET_SUFFIX
from harness.errors import UsageError
from harness.text import message_line


class TargetRequest(msgspec.Struct, frozen=True):
    """One request; `{name}` in path, headers and body stands for a value of the plan."""

    group: str
    """The group in whose percentiles it counts."""
    method: str
    path: str
    """Path and query."""
    headers: dict[str, str] = {}
    body: bytes = b""


class HttpArm(msgspec.Struct, frozen=True):
    """One server and the requests that it gets."""

    url: str
    """URL to show, redacted."""
    host: str
    port: int
    requests: list[TargetRequest]
    """Requests, of which those of all arms at the same place stand for each other."""


class HttpPlan(msgspec.Struct, tag=True, frozen=True):
    """Requests to servers that run already."""

    name: str
    """Name of the scenario."""
    title: str
    arms: dict[str, HttpArm]
    values: dict[str, list[str]] = {}
    """Name of a placeholder → its values."""
    notes: list[str] = []
    """Remarks for the user, printed and stored."""


class LocustTask(msgspec.Struct, frozen=True):
    """One task of a user class of a locustfile."""

    user: str
    """Name of the user class."""
    index: int
    """Place of the task among those of the class."""
    group: str
    """The group in whose percentiles it counts."""
    description: str
    weight: float
    """Share of the operations that run it, relative to the others."""


class LocustPlan(msgspec.Struct, tag=True, frozen=True):
    """The users of a locustfile, whose tasks start when the load generator says so."""

    name: str
    title: str
    file: str
    """The locustfile, as `harness.runtime.child.encode_path` writes it."""
    arms: dict[str, str]
    """Arm → the host in place of that of the user classes; empty for theirs."""
    hosts: dict[str, str]
    """Arm → the host that it loads; empty if it is not known."""
    urls: dict[str, str]
    """Arm → URL to show, redacted."""
    tasks: list[LocustTask]
    notes: list[str] = []


TargetPlan = HttpPlan | LocustPlan
_decoder: msgspec.json.Decoder[TargetPlan] = msgspec.json.Decoder(TargetPlan)


def write(plan: TargetPlan, folder: Path) -> Path:
    """Write a plan into a folder and return its file."""
    file = folder / f"{plan.name}{TARGET_SUFFIX}"
    file.write_bytes(msgspec.json.encode(plan))
    return file


def read(file: Path) -> TargetPlan:
    """Read a plan."""
    try:
        return _decoder.decode(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:  # those of msgspec are ValueErrors
        raise UsageError(
            f"{file} is not the plan of a load on a target ({message_line(str(error))}); start the run again"
        ) from error
