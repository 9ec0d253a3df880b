"""The examples: applications that know nothing of this project, with a scenario each."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from harness.bench.verify import verify
from harness.bench.work_counts import count
from harness.discovery import load
from harness.scenario import Setting

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.glob("*/bench/*.py"))
STATEMENTS = {
    "order_totals": {"baseline": 50, "eager": 2, "grouped": 1},
    "overdue_loans": {"baseline": 1, "optimised": 1},
    "frequent_words": {},
}


def test_there_are_three_examples() -> None:
    """Each is listed in the page of the examples."""
    page = (EXAMPLES / "README.md").read_text()
    assert {file.stem for file in FILES} == STATEMENTS.keys()
    assert all(f"| `{file.parents[1].name}` |" in page for file in FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_is_verified_and_counted(file: Path, tmp_path: Path) -> None:
    """All arms agree, and send the statements that they promise."""
    loaded = load(file)
    scenario, setting = loaded.scenario, Setting(tmp_path, tmp_path, size="tiny")
    scenario.prepare(setting)
    cases = scenario.cases(setting)
    assert cases == scenario.cases(setting)

    async def check() -> dict[str, float]:
        async with AsyncExitStack() as stack:
            instances: dict[str, Any] = {arm: await stack.enter_async_context(scenario.open(arm, setting)) for arm in scenario.arms}
            assert (await verify(scenario, instances, cases)).cases == len(cases)
            counted = [c for arm, i in instances.items() for c in await count(scenario, arm, i, cases[0], 1.0)]
            assert all(c.repeats_exactly for c in counted)
            return {c.arm: c.value for c in counted if c.metric == "statements"}

    assert asyncio.run(check()) == STATEMENTS[file.stem]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_is_short(file: Path) -> None:
    """A scenario of a foreign application takes one import line of the harness, and about fifty lines with its docstrings."""
    lines = file.read_text().splitlines()
    assert len(lines) <= 55
    assert len([line for line in lines if line.startswith(("from harness", "import harness"))]) == 1
