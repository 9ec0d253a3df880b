"""Statements and plans, each once."""

import unicodedata
from collections.abc import Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.report.plans import LEFT, MOST_CHARACTERS, MOST_LINES, NEW, bare, changes, cut, names, statements, where
from harness.results.run import ScenarioResult, Statement

SQL = "SELECT id FROM orders WHERE user_id = ?"
SCAN, SORT = "SCAN orders", "USE TEMP B-TREE FOR ORDER BY"
SEARCH = "SEARCH orders USING INDEX ix (user_id=?)"


def sent(arm: str, *plan: str, group: str = "list", sql: str = SQL, count: int = 1) -> Statement:
    """Return a statement of an arm with its plan."""
    return Statement(arm, group, sql, count, list(plan), uses_index=False, scans_table=False)


def test_arms_with_the_same_plan_share_it(make_result: Callable[..., ScenarioResult]) -> None:
    """A statement is there once, with a plan per different one, and marks what the others lack."""
    found = [sent("baseline", SCAN, SORT), sent("proposed", SCAN, SORT), sent("optimised", SEARCH, SORT)]
    (made,) = statements([("here", make_result(statements=found, groups={"list": ""}))])
    assert made.sql == SQL
    assert made.uses == ("list: 1× on all arms",)
    assert [plan.label for plan in made.plans] == ["baseline, proposed", "optimised"]
    assert [(line.mark, line.text) for line in made.plans[0].lines] == [(LEFT, SCAN), ("", SORT)]
    assert [(line.mark, line.text) for line in made.plans[1].lines] == [(NEW, SEARCH), ("", SORT)]


def test_uses_have_counts_and_groups(make_result: Callable[..., ScenarioResult]) -> None:
    """Groups with the same counts share a line; arms that do not send it are not in it."""
    found = [sent("baseline", group=group, count=51) for group in ("list", "detail")]
    found += [sent("optimised", group="list", count=1)]
    (made,) = statements([("here", make_result(statements=found, groups={"list": "", "detail": ""}))])
    assert made.uses == ("list: baseline 51×, optimised 1×", "detail: baseline 51×")
    assert made.plans == ()


def test_places_are_named_where_they_differ(make_result: Callable[..., ScenarioResult]) -> None:
    """A plan of one place alone has its name; a statement of all places has none."""
    groups = {"list": ""}
    here = make_result(statements=[sent("baseline", SCAN)], groups=groups)
    there = make_result(statements=[sent("baseline", SEARCH)], groups=groups)
    (made,) = statements([("sqlite, RTT 0 ms", here), ("turso, RTT 0 ms", there)])
    assert [plan.label for plan in made.plans] == ["baseline · sqlite", "baseline · turso"]
    assert all(line.mark == "" for plan in made.plans for line in plan.lines)
    assert made.uses == ("list: baseline 1×",)


def test_estimates_make_no_other_plan(make_result: Callable[..., ScenarioResult]) -> None:
    """Costs and positions in the tree differ where the steps are the same."""
    found = [
        sent("baseline", "  ->  Sort  (cost=1.00..2.00 rows=3 width=4)"),
        sent("optimised", "Sort  (cost=9.00..9.50 rows=3 width=4)"),
    ]
    result = make_result(statements=found, groups={"list": ""})
    (made,) = statements([("here", result)])
    assert len(made.plans) == 1
    assert changes(result, "optimised") == {}
    assert bare("Seq Scan on orders  (cost=0.00..1.00 rows=1 width=1)") == "Seq Scan on orders"


def test_changes_are_steps_before_conditions(make_result: Callable[..., ScenarioResult]) -> None:
    """The differing steps are named, groups with the same ones together; a differing condition only where no step differs."""
    found = [
        *(sent("baseline", SCAN, "Filter: a", group=group) for group in ("list", "detail")),
        *(sent("optimised", SEARCH, "Filter: b", group=group) for group in ("list", "detail")),
        sent("baseline", "Filter: a", sql="other"),
        sent("optimised", "Filter: b", sql="other"),
    ]
    made = changes(make_result(statements=found), "optimised")
    assert made == {((SCAN,), (SEARCH,)): ["list", "detail"], (("Filter: a",), ("Filter: b",)): ["list"]}
    assert changes(make_result(statements=found), "proposed") == {}


def test_hostile_texts_are_cut(make_result: Callable[..., ScenarioResult]) -> None:
    """Long statements and plans end with what was left out; control characters are escaped, line breaks kept."""
    found = [sent("baseline", *(f"SCAN t{number}" for number in range(1_000)), sql="SELECT\n\x1b[31m" + "x" * 10_000)]
    (made,) = statements([("here", make_result(statements=found))])
    assert "\n" in made.sql
    assert "\x1b" not in made.sql
    assert made.sql.endswith("more characters)")
    assert cut("SELECT\t1\n\tFROM t\u202e\u2028\r") == "SELECT  1\n    FROM t\\u202e\\u2028\\r"
    assert len(made.plans[0].lines) == MOST_LINES + 1
    assert made.plans[0].lines[-1].text == "… 940 more lines"


def test_an_unknown_group_or_arm_comes_last(make_result: Callable[..., ScenarioResult]) -> None:
    """A record of a newer version can name what the scenario does not list."""
    found = [sent("other", sql="B", group="elsewhere"), sent("baseline", sql="A", group="list")]
    assert [made.sql for made in statements([("here", make_result(statements=found, groups={"list": ""}))])] == ["A", "B"]


def test_no_statement_is_no_view(make_result: Callable[..., ScenarioResult]) -> None:
    """A scenario without a database has none."""
    assert statements([("here", replace(make_result(), statements=[]))]) == []


def test_places_of_an_engine_are_the_engine() -> None:
    """All RTTs of an engine are named by the engine, some of them each."""
    every = ["postgres, RTT 0 ms", "postgres, RTT 5 ms", "sqlite, RTT 0 ms"]
    assert where(every[:2], every) == "postgres"
    assert where(every[1:], every) == "postgres, RTT 5 ms; sqlite"


@given(st.lists(st.text(max_size=60), min_size=1, max_size=9))
def test_names_in_a_sentence_are_few_and_short(found: list[str]) -> None:
    """At most four are named, and the number of the others."""
    text = names(found)
    more = len(set(found)) - 4
    assert text.endswith(f" and {more} more") == (more > 0)
    assert "\n" not in text


@given(st.text())
def test_a_short_text_is_kept_but_for_control_characters(text: str) -> None:
    """Printable texts are unchanged, and no text has a character that a terminal obeys but line breaks."""
    made = cut(text)
    assert made == text or not text.replace("\n", "").isprintable()
    assert all(unicodedata.category(c) not in {"Cc", "Cf", "Zl", "Zp"} for c in made.replace("\n", ""))
    assert len(cut("x" * (MOST_CHARACTERS + 1))) < MOST_CHARACTERS + 40
