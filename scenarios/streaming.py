"""The review's eighth recommendation: streaming and cursor pagination in place of whole lists."""

from __future__ import annotations

import asyncio
import csv
import itertools
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import datasets
from fixtures.store import ENGINES, SMALL_CACHE, Store, dataset, open_store, prepare
from harness.probes.ping import ping
from harness.probes.plans import plans
from harness.probes.statements import Statements
from harness.probes.work import work
from harness.results.run import Statement
from harness.scenario import Arm, Case, Group, Prepared, Probe, Scenario, Server, Setting, demonstrates
from harness.servers.lifecycle import servers
from harness.verdicts.measures import WORK, growth, memory_cut, shown, speedup, survives, times_as_long, verified
from harness.verdicts.promise import Promise, at_most, cut, measured, times, works
from service import streaming
from service.migrations import keyset_index

TABLES = ("prompts",)
PAGE = 50
SHORT_PAGES = (10, 5, 3, 2)
"""Pages so short that ties fall on their edges even in the smallest data set."""
USERS = 4
LIMIT_BYTES = 64_000_000
CONSTANT = "constant memory (an exponent of at most 0.2)"
LOSES_ROWS = "the cursor on created_at alone loses the rows that tie with a page's last one"

EXPORTS = {
    "baseline": streaming.export_baseline,
    "proposed": streaming.export_proposed,
    "optimised": streaming.export_optimised,
}
WALKS = {"baseline": streaming.walk_by_offset, "optimised": streaming.walk_by_key}


class Position(NamedTuple):
    """A place in a user's list, in the terms of every technique: rows before it, and the last of them."""

    user_id: str
    offset: int
    created_at: datetime | None
    prompt_id: str


class Exported(NamedTuple):
    """An export as a file; rows without the header."""

    file: Path
    rows: int


class Streaming(Scenario[Store]):
    """Rows as a stream in place of whole lists.

    An export of prompts as CSV, and pages of a user's prompts. The baseline loads the whole list, and pages by OFFSET. The review
    pages the export by OFFSET too, empties the session between pages, and still assembles the whole text before it returns it;
    its cursor is created_at alone. Done right: each page is found by key, written and forgotten, the cursor is (created_at, id),
    and there is an index for it.
    """

    arms = {
        "baseline": "the whole list; pages by OFFSET",
        "proposed": Arm("OFFSET pages joined in one text; a cursor on created_at alone", as_written=True),
        "optimised": "pages by key, written one by one; a cursor on (created_at, id) with its index",
    }
    groups = (
        Group(
            "export_all",
            "everybody's prompts as a CSV file",
            slow=True,
            uncounted=True,
            memory=True,
            growth=(1 / 8, 1 / 2),
            load=False,
        ),
        Group("export_user", "one busy user's prompts as a CSV file", secondary=True),
        Group("first_page", f"the first page of {PAGE} of a busy user's prompts", memory_warm_up=True),
        Group("deep_page", f"a page of {PAGE} far down the same list"),
        Group(
            "walk",
            "all pages of a busy user's prompts, one after another",
            secondary=True,
            load=False,
            skip={"proposed": "it loses rows that tie in created_at"},
        ),
    )
    engines = ENGINES
    promises = (
        Promise("M1", "70 % less memory for a large read", cut(0.7), memory_cut("export_all")),
        Promise("M2", "no out-of-memory", works(), survives("export_all")),
        Promise(
            "M3",
            "constant memory (an exponent of at most 0.2)",
            at_most(0.2, "exponent"),
            growth("peak_memory", "export_all"),
            part="memory",
        ),
        Promise("M3", "unlimited data: total work", measured("exponent"), growth(WORK, "export_all"), part="exact work"),
        Promise("M3", "an export takes no longer", times(1), speedup("export_all"), part="time of the export"),
        Promise("M4", "a deep page against the first", measured("×"), times_as_long("deep_page", "first_page"), part="deep page"),
        Promise("M4", "a deep page is quicker than by OFFSET", times(1), speedup("deep_page"), part="deep page, speed"),
        Promise("M4", "no row lost or repeated", works(), shown(LOSES_ROWS), part="rows", arms=("proposed",)),
        Promise("M4", "no row lost or repeated", works(), verified("walk"), part="rows", arms=("optimised",)),
    )

    def servers(self, setting: Setting) -> AbstractContextManager[Mapping[str, Server]]:
        """Start the engine, where it is a server."""
        return servers(setting)

    def prepare(self, setting: Setting) -> Prepared:
        """Load prompts; the optimised arm has the index that its pages need."""
        return asyncio.run(prepare(setting, TABLES, {"optimised": keyset_index.upgrade}))

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return exports, and pages of the busiest users' lists where no tie makes the review's cursor wrong."""
        rows = dataset(setting)
        users = datasets.heavy_users(rows, USERS)
        lists = _live_prompts(rows, users)
        found = [Case("export_all", "export all", None)]
        for rank, user in enumerate(users, start=1):
            found += [
                Case("export_user", f"export user {rank}", user),
                Case("first_page", f"first page of user {rank}", Position(user, 0, None, "")),
                Case("deep_page", f"deep page of user {rank}", _deep(user, lists[user])),
                Case("walk", f"walk of user {rank}", user),
            ]
        return found

    def open(self, arm: str, setting: Setting) -> AbstractAsyncContextManager[Store]:
        """Open the arm's own copy."""
        return open_store(setting, arm, SMALL_CACHE, restored=True)

    async def run(self, instance: Store, case: Case) -> Any:
        """Export to a file, or fetch a page, or all pages."""
        if case.group.startswith("export"):
            return await _export(instance, case.args)
        async with instance.sessions() as session:
            if case.group == "walk":
                return await WALKS[instance.arm](session, case.args, PAGE)
            place: Position = case.args
            if instance.arm == "proposed":
                return (await streaming.page_by_time(session, place.user_id, place.created_at, PAGE)).rows
            if instance.arm == "optimised":
                cursor = streaming.encode_cursor(place.created_at, place.prompt_id) if place.created_at else None
                return (await streaming.page_by_key(session, place.user_id, cursor, PAGE)).rows
            return (await streaming.page_by_offset(session, place.user_id, place.offset, PAGE)).rows

    def normalise(self, case: Case, answer: Any) -> Any:
        """Compare exports and pages as sets of rows: the review's order leaves ties to the plan."""
        if case.group.startswith("export"):
            with answer.file.open(newline="", encoding="utf-8") as file:
                return Counter(map(tuple, csv.reader(file)))
        return answer if case.group == "walk" else sorted(answer)

    async def reset(self, instance: Store, case: Case, answer: Any) -> None:
        """Remove the file."""
        del instance
        if case.group.startswith("export"):
            answer.file.unlink(missing_ok=True)

    def memory_limits_bytes(self, setting: Setting) -> Mapping[str, int]:
        """Return a limit that a whole list of the size breaks; the smallest size fits any."""
        return {} if setting.size == "tiny" else {"export_all": LIMIT_BYTES}

    def rows(self, case: Case, answer: Any) -> int | None:
        """Return the rows of an export."""
        return answer.rows if case.group.startswith("export") else None

    async def ping(self, instance: Store) -> int:
        """Ask the database for nothing."""
        return await ping(instance.engine)

    def probes(self, instance: Store) -> Sequence[Probe]:
        """Count statements, rows and the engine's work."""
        return work(instance.engine)

    async def statements(self, instance: Store, case: Case) -> Sequence[Statement]:
        """Return the statements and their plans."""
        async with Statements(instance.engine) as sent:
            answer = await self.run(instance, case)
        await self.reset(instance, case, answer)
        return await plans(instance.engine, sent.sent(), arm=instance.arm, group=case.group)

    @demonstrates(LOSES_ROWS)
    async def loses_rows(self, instance: Store, cases: Sequence[Case]) -> str:
        """Walk all pages of a busy user by the review's cursor, and by key."""
        async with instance.sessions() as session:
            users = [case.args for case in cases if case.group == "walk"]
            for length, user in itertools.product(SHORT_PAGES, users):
                seen = await streaming.walk_by_time(session, user, length)
                there = await streaming.walk_by_key(session, user, length)
                lost = set(there) - set(seen)
                if lost:
                    return f"{len(lost)} of a user's {len(there)} prompts are on no page, in pages of {length}"
        raise AssertionError(f"every prompt of {USERS} users was seen")


async def _export(instance: Store, user_id: str | None) -> Exported:
    """Write an export's pieces to a file, as a download would be written to its socket."""
    path = instance.setting.folder / f"export-{instance.arm}-{uuid.uuid4().hex}.csv"
    lines = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        async for piece in EXPORTS[instance.arm](instance.sessions, user_id):
            file.write(piece)
            lines += piece.count("\r\n")
    return Exported(path, lines - 1)


def _live_prompts(rows: datasets.Dataset, users: Sequence[str]) -> dict[str, list[tuple[datetime, str]]]:
    """Return each user's live prompts as (created_at, id), newest first, from the data set itself."""
    found: dict[str, list[tuple[datetime, str]]] = {user: [] for user in users}
    for row in datasets.rows(rows, "prompts"):
        if row["user_id"] in found and row["deleted_at"] is None:
            found[row["user_id"]].append((row["created_at"], row["id"]))
    return {user: sorted(prompts, reverse=True) for user, prompts in found.items()}


def _deep(user: str, prompts: Sequence[tuple[datetime, str]]) -> Position:
    """Return the last whole page that begins and ends without a tie, or the first page where the list is too short for one."""
    for offset in range(len(prompts) - PAGE, 0, -1):
        edges = [prompts[i][0] for i in (offset - 1, offset, offset + PAGE - 1, offset + PAGE) if i < len(prompts)]
        if len(set(edges)) == len(edges):
            return Position(user, offset, *prompts[offset - 1])
    return Position(user, 0, None, "")
