"""The review's eighth recommendation: streaming and cursor pagination instead of whole lists."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
from fixtures.store import SMALL_CACHE, PromptScenario, dataset
from fixtures.streaming import LOSES_ROWS, PAGE, CursorFaults, Position, deep_page, export, live_prompts
from harness import Arm, Case, Group, Promise, Setting, SqlInstance
from harness.verdicts.measures import WORK, growth, memory_cut, shown, speedup, survives, times_as_long, verified
from harness.verdicts.promise import at_most, cut, measured, times, works
from service import streaming
from service.migrations import composite_indexes

USERS = 4
LIMIT_BYTES = 64_000_000
EXPORT_ALL, WALK = "all users' prompts as a CSV file", "all pages of a busy user's prompts, one after another"
CONSTANT_MEMORY = "constant memory (an exponent of at most 0.2)"
DEEP_PAGE, NO_ROW_LOST = "time of a deep page, compared with the first page", "no row lost or repeated"
WALKS = {"baseline": streaming.walk_by_offset, "optimised": streaming.walk_by_key}


class Streaming(CursorFaults, PromptScenario[SqlInstance]):
    """Rows as a stream instead of whole lists.

    An export of prompts as CSV, and pages of a user's prompts. The baseline loads the whole list, and pages by OFFSET. The review
    pages the export by OFFSET too, clears the session between pages, and still assembles the whole text before it returns it; its
    cursor is created_at alone. Optimised: each page is found by key, written and released; the cursor is (created_at, id), with an
    index for it.
    """

    arms = {
        "baseline": "the whole list; pages by OFFSET",
        "proposed": Arm("OFFSET pages joined in one text; a cursor on created_at alone", as_written=True),
        "optimised": "pages by key, written one by one; a cursor on (created_at, id) with its index",
    }
    groups = (
        Group("export_all", EXPORT_ALL, slow=True, uncounted=True, growth=(1 / 8, 1 / 2), load=False),
        Group("export_user", "one busy user's prompts as a CSV file", secondary=True),
        Group("first_page", f"the first page of {PAGE} of a busy user's prompts"),
        Group("deep_page", f"a page of {PAGE} far down the same list"),
        Group("walk", WALK, secondary=True, load=False, skip={"proposed": "it loses rows that tie in created_at"}),
    )
    promises = (
        Promise("M1", "70 % less memory for a large read", cut(0.7), memory_cut("export_all")),
        Promise("M2", "no out-of-memory", works(), survives("export_all")),
        Promise("M3", CONSTANT_MEMORY, at_most(0.2, "exponent"), growth("peak_memory", "export_all"), part="memory"),
        Promise("M3", "unlimited data: total work", measured("exponent"), growth(WORK, "export_all"), part="work counts"),
        Promise("M3", "an export takes no longer", times(1), speedup("export_all"), part="time of the export"),
        Promise("M4", DEEP_PAGE, measured("×"), times_as_long("deep_page", "first_page"), part="deep page"),
        Promise("M4", "a deep page is faster than by OFFSET", times(1), speedup("deep_page"), part="deep page, speed"),
        Promise("M4", NO_ROW_LOST, works(), shown(LOSES_ROWS), part="rows", arms=("proposed",)),
        Promise("M4", NO_ROW_LOST, works(), verified("walk"), part="rows", arms=("optimised",)),
    )
    tables = ("prompts",)
    migrations = {"optimised": composite_indexes.upgrade_keyset}
    connections = SMALL_CACHE
    reusable = True

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return exports, and pages of the busiest users' lists where no tie makes the review's cursor wrong."""
        rows = dataset(setting)
        users = datasets.heavy_users(rows, USERS)
        lists = live_prompts(rows, users)
        found = [Case("export_all", "export all", None)]
        for rank, user in enumerate(users, start=1):
            found += [
                Case("export_user", f"export user {rank}", user),
                Case("first_page", f"first page of user {rank}", Position(user, 0, None, "")),
                Case("deep_page", f"deep page of user {rank}", deep_page(user, lists[user])),
                Case("walk", f"walk of user {rank}", user),
            ]
        return found

    async def run(self, instance: SqlInstance, case: Case) -> Any:
        """Export to a file, or fetch a page, or all pages."""
        if case.group.startswith("export"):
            return await export(instance, case.args)
        async with instance.sessions() as session:
            if case.group == "walk":
                return await WALKS[instance.arm](session, case.args, PAGE)
            user_id, offset, created_at, prompt_id = case.args
            if instance.arm == "proposed":
                return (await streaming.page_by_time(session, user_id, created_at, PAGE)).rows
            if instance.arm == "optimised":
                cursor = streaming.encode_cursor(created_at, prompt_id) if created_at else None
                return (await streaming.page_by_key(session, user_id, cursor, PAGE)).rows
            return (await streaming.page_by_offset(session, user_id, offset, PAGE)).rows

    def normalise(self, case: Case, answer: Any) -> Any:
        """Compare exports and pages as sets of rows: the review's order leaves ties to the plan."""
        if case.group.startswith("export"):
            with answer.file.open(newline="", encoding="utf-8") as file:
                return Counter(map(tuple, csv.reader(file)))
        return answer if case.group == "walk" else sorted(answer)

    async def reset(self, _instance: SqlInstance, case: Case, answer: Any) -> None:
        """Remove the file."""
        if case.group.startswith("export"):
            answer.file.unlink(missing_ok=True)

    def memory_limits_bytes(self, setting: Setting) -> Mapping[str, int]:
        """Return a limit that a whole list exceeds, except at the smallest size."""
        return {} if setting.size == "tiny" else {"export_all": LIMIT_BYTES}

    def rows(self, case: Case, answer: Any) -> int | None:
        """Return the rows of an export."""
        return answer.rows if case.group.startswith("export") else None
