"""Scenarios as cards: one per scenario, whatever a run holds."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report import cards as report_cards
from harness.report.blocks import Paragraph, Table
from harness.report.cards import PERCENTILES, Card, CardItem, cards, command, engine_settings, spread
from harness.results.run import (
    AA_CONTROL,
    ArmResult,
    Finding,
    Memory,
    PercentileRatio,
    PromiseVerdict,
    Ratio,
    Run,
    RunKind,
    RunWarning,
    ScenarioResult,
    ScenarioStatus,
    Statement,
    Verdict,
    WorkCount,
)

MakeRun = Callable[..., Run]
MakeResult = Callable[..., ScenarioResult]


def items(card: Card, head: str) -> list[CardItem]:
    """Return the unfolded texts about a subject; none if the card does not have it."""
    return [item for fact in card.facts if fact.head == head for item in fact.items]


def texts(card: Card, head: str) -> list[str]:
    """Return them with what they are about."""
    return [f"{item.lead}: {item.text}" if item.lead else item.text for item in items(card, head)]


def folded(card: Card, head: str) -> list[CardItem]:
    """Return the folded ones."""
    return [item for fact in card.facts if fact.head == head for item in fact.more]


def test_a_scenario_has_one_card_at_all_places(make_run: MakeRun, make_result: MakeResult) -> None:
    """Each engine and RTT is a part of it, in the run's order; what could not be run is named with the reason."""
    skipped = make_result(engine="turso", status=ScenarioStatus.NOT_RUN, error="no server", verdicts=[])
    results = [make_result(engine="postgres"), make_result(engine="postgres", rtt_ms=5.0), make_result(), skipped]
    (card,) = cards(make_run(*results))
    assert [place.label for place in card.places] == ["postgres, RTT 0 ms", "sqlite, RTT 0 ms"]
    assert card.others is not None
    assert [place.label for place in card.others.places] == ["postgres, RTT 0 ms", "postgres, RTT 5 ms", "sqlite, RTT 0 ms"]
    assert card.anchor == card.places[0].located.anchor
    assert card.sentence == "Not decided at all 3 places."
    assert card.status is None
    assert [(item.lead, item.text) for item in items(card, "Not run")] == [("turso", "no server")]


def test_a_scenario_that_was_run_nowhere_has_no_card(make_run: MakeRun, make_result: MakeResult) -> None:
    """It is named elsewhere on the page, with the reason."""
    assert cards(make_run(make_result(status=ScenarioStatus.NOT_RUN, error="no server"))) == []
    assert cards(make_run()) == []


def test_what_is_the_same_everywhere_is_said_once(make_run: MakeRun, make_result: MakeResult) -> None:
    """Texts that differ have their places; those of all places have none."""
    other = [Finding("proposed", "the index is never used", holds=False, evidence="the plan searches")]
    results = [make_result(), make_result(engine="postgres", findings=other, warnings=[])]
    (card,) = cards(make_run(*results))
    assert [(item.status and item.status.name, item.where) for item in items(card, "Found")] == [
        ("observed", "sqlite"),
        ("not observed", "postgres"),
    ]
    assert [item.where for item in items(card, "Warning")] == ["sqlite"]
    assert {item.where for item in items(card, "To do")} == {""}
    assert {item.where for item in items(card, "Promises")} == {""}


def gain(verdict: str, low: float, value: float, high: float, arm: str = "optimised") -> Verdict:
    """Return a verdict on a promise of five to ten times."""
    known = PromiseVerdict(verdict)
    return Verdict("I1", "faster", arm, known, "", "×", value=value, low=low, high=high, promised_low=5.0, promised_high=10.0)


def test_different_places_have_different_actions(make_run: MakeRun, make_result: MakeResult) -> None:
    """The sentence counts the places of each, in the order of the actions."""
    fast, slow = [gain("confirmed", 6, 8, 9)], [gain("refuted", 0.8, 0.9, 0.95, arm) for arm in ("proposed", "optimised")]
    places = [make_result(verdicts=fast), make_result(engine="postgres", verdicts=slow), make_result(rtt_ms=5.0, verdicts=fast)]
    (card,) = cards(make_run(*places))
    assert card.sentence == "Do it optimised at 2, leave it at 1 of 3 places."
    assert [place.gains for place in card.places] == [
        "optimised 8× [6, 9]",
        "proposed 0.90× [0.80, 0.95]; optimised 0.90× [0.80, 0.95]",
    ]


def test_the_sentence_has_the_verdicts_words(make_run: MakeRun, make_result: MakeResult) -> None:
    """A gain has its interval, what was promised, and the verdict on it; failed checks are counted."""
    check = Verdict("I6", "works", "proposed", PromiseVerdict.REFUTED, "", "works", value=0.5, promised_low=1.0)
    found = [gain("fell short", 1.9, 2, 2.1, "proposed"), gain("confirmed", 6, 8, 9), check]
    (card,) = cards(make_run(make_result(verdicts=found)))
    assert card.status is not None
    assert card.status.name == "do it optimised"
    assert re.sub(r" \[[^]]*\]", "", card.sentence) == (
        "proposed 2× (promised 5–10×: fell short), 1 check failed; optimised 8× (promised 5–10×: confirmed)."
    )
    several = [gain("confirmed", 6, 8, 9), replace(gain("missed", 0.9, 1.5, 3), promise="I2"), replace(check, promise="I3")]
    (card,) = cards(make_run(make_result(verdicts=several)))
    assert "over 2 promises (1 confirmed, 1 missed)" in card.sentence


@pytest.mark.parametrize("verdict", [*PromiseVerdict, PromiseVerdict("astounding")])
def test_the_sentence_is_as_strong_as_the_verdict(make_run: MakeRun, make_result: MakeResult, verdict: PromiseVerdict) -> None:
    """Whatever the verdict on a gain is, also one of a newer version, its own word is in the sentence."""
    only = Verdict("I1", "faster", "optimised", verdict, "", "×", value=2.0, low=1.5, high=2.5, promised_low=5.0)
    (card,) = cards(make_run(make_result(verdicts=[only])))
    assert str(verdict) in card.sentence


def test_a_quick_run_is_preliminary(make_run: MakeRun, make_result: MakeResult) -> None:
    """Its sentence says so before any figure, and its command repeats a quick run."""
    run = make_run(make_result())
    (card,) = cards(replace(run, settings=replace(run.settings, quick=True, size="tiny")))
    assert card.sentence.startswith("Preliminary, from a quick run: ")
    assert items(card, "Data")[-1].code == "harness run indexes --engine sqlite --quick --seed 1"


def test_a_scenario_that_failed_has_its_error(make_run: MakeRun, failed_result: ScenarioResult) -> None:
    """In full, without a table and without a sentence about results."""
    (card,) = cards(make_run(failed_result))
    (place,) = card.places
    assert (place.stopped, place.table, card.sentence) == ("This scenario failed", None, "")
    assert place.error == failed_result.error
    assert place.details == ()
    assert card.status is not None
    assert card.status.name == "not decided"


def test_an_interrupted_scenario_keeps_what_it_measured(make_run: MakeRun, make_result: MakeResult) -> None:
    """Its table is there, and that it was interrupted."""
    (card,) = cards(make_run(make_result(status=ScenarioStatus.INTERRUPTED, error=None)))
    assert card.places[0].stopped == "This scenario was interrupted"
    assert card.places[0].table is not None


def test_a_result_without_anything_is_a_card(make_run: MakeRun, failed_result: ScenarioResult) -> None:
    """No arms, times, counts, statements, data or settings: there is a title, and nothing is stated."""
    bare = replace(failed_result, status=ScenarioStatus.OK, error=None, title="", doc="", file="")
    (card,) = cards(make_run(bare))
    assert (card.title, card.sentence) == ("caching", "Not decided: no arm was measured.")
    assert [fact.head for fact in card.facts] == ["Data"]
    assert card.statements == ()


def test_promises_are_counted_by_outcome(make_run: MakeRun, make_result: MakeResult) -> None:
    """Kept, missed and not judged add up to all of an arm; a verdict of a newer version is not judged."""
    found = [
        Verdict("I1", "", "optimised", PromiseVerdict(verdict), "", "×")
        for verdict in ("exceeded", "confirmed", "fell short", "missed", "refuted", "withheld", "measured", "astounding")
    ]
    (card,) = cards(make_run(make_result(verdicts=found)))
    assert texts(card, "Promises") == ["8 promises on optimised: 2 kept, 3 missed, 3 not judged"]
    assert items(card, "Promises")[0].link == "promises"
    (card,) = cards(make_run(make_result(verdicts=found[:1])))
    assert texts(card, "Promises") == ["1 promise on optimised: 1 kept"]
    assert items(cards(make_run(make_result(verdicts=[])))[0], "Promises") == []


def test_the_price_is_memory_disk_and_time(make_run: MakeRun, make_result: MakeResult) -> None:
    """With units, before and after; a verdict on a cost is named without its remark in brackets."""
    counts = [WorkCount(arm, "", "index_mb", size) for arm, size in (("baseline", 47.2), ("optimised", 63.6))]
    cost = Verdict(
        "I7",
        "slower inserts (a cost)",
        "optimised",
        PromiseVerdict.MEASURED,
        "",
        "time",
        value=1.2,
        low=1.1,
        high=1.3,
        part="insert",
    )
    (card,) = cards(make_run(make_result(work_counts=counts, verdicts=[cost])))
    assert [text for text in texts(card, "Price") if "limited" not in text] == [
        "memory, user's prompts: an operation adds 60.0 MB on baseline, optimised 4.00 MB (93.3 % less)",
        "disk, index: 47.2 MB on baseline, optimised 63.6 MB (+34.7 %)",
        "slower inserts: optimised +20 % time [+10.0, +30] %",
    ]


def test_an_operation_that_died_at_a_limit_was_killed(make_run: MakeRun, make_result: MakeResult) -> None:
    """The limit is named in MB, and no zero is shown for what was not measured."""
    died = Memory("baseline", "export", 0, 0, 0.0, [], limit_bytes=64_000_000, error="out of memory")
    lived = Memory("optimised", "export", 80_000_000, 90_000_000, 0.5, [], limit_bytes=64_000_000)
    unmeasured = Memory("more", "export", 0, 0, 0.0, [], limit_bytes=64_000_000, not_measured="refused")
    (card,) = cards(make_run(make_result(memory=[died, replace(died, arm="proposed"), lived, unmeasured])))
    price = texts(card, "Price")
    assert "limited memory, export: baseline, proposed killed at 64 MB; optimised completed within 64 MB" in price
    assert not any(" 0 MB" in text for text in price)


def test_slower_groups_are_part_of_the_price(make_run: MakeRun, make_result: MakeResult) -> None:
    """Those whose whole interval is below 1: by name, or the number of them where they are many."""
    groups = {f"g{number}": "" for number in range(5)}
    few = [Ratio("optimised", group, 0.5, 0.4, 0.6, [0.5], 9) for group in list(groups)[:2]]
    many = [Ratio("proposed", group, 0.5, 0.4, 0.6, [0.5], 9) for group in groups]
    control = Ratio(AA_CONTROL, "g0", 0.5, 0.4, 0.6, [0.5], 9)
    (card,) = cards(make_run(make_result(groups=groups, ratios=[*few, *many, control], memory=[], verdicts=[])))
    assert texts(card, "Price") == ["slower by the whole interval: proposed in 5 of 5 groups; optimised in g0, g1"]


def test_why_has_the_counts_and_the_plan_that_differ(make_run: MakeRun, make_result: MakeResult) -> None:
    """Groups with the same changes share a text; equal counts are summed up; the plan's steps are marked."""
    counts = [
        WorkCount(arm, group, metric, value)
        for group in ("a", "b")
        for metric, values in (("statements", (51.0, 2.0, 2.0)), ("rows", (50.0, 50.0, 50.0)), ("steps", (9.0, 5.0, 1.0)))
        for arm, value in zip(("baseline", "proposed", "optimised"), values, strict=True)
    ]
    (card,) = cards(make_run(make_result(work_counts=counts, groups={"a": "", "b": ""})))
    assert texts(card, "Why")[:2] == [
        "a, b: statements 51 → 2; steps 9 → 5 (proposed), 1 (optimised)",
        "others: 2 counts are equal on all arms.",
    ]
    assert items(card, "Why")[2].code == "− SCAN prompts  + SEARCH prompts USING INDEX ix (user_id=?)"  # noqa: RUF001 - the mark


def test_an_error_is_told_once_without_our_own_names(make_run: MakeRun, make_result: MakeResult) -> None:
    """Groups that one error keeps from running share it, and the name of an exception of this package is left out."""
    error = "NotMeasurableError: one connection is shared"
    arms = [ArmResult("baseline", ""), ArmResult("proposed", "as written", {"a": error, "b": error}, as_written=True)]
    (card,) = cards(make_run(make_result(arms=arms)))
    found = [text for text in texts(card, "To do") if "shared" in text]
    assert found == ["proposed cannot run a, b: one connection is shared"]


def test_findings_begin_with_what_was_observed(make_run: MakeRun, make_result: MakeResult) -> None:
    """The first few are unfolded; a single further one is not worth folding."""
    found = [Finding("proposed", f"finding {number}", holds=number > 1, evidence="") for number in range(7)]
    (card,) = cards(make_run(make_result(findings=found)))
    assert [item.text for item in items(card, "Found")] == ["finding 2", "finding 3", "finding 4"]
    assert [item.text for item in folded(card, "Found")] == ["finding 5", "finding 6", "finding 0", "finding 1"]
    (card,) = cards(make_run(make_result(findings=found[2:6])))
    assert (len(items(card, "Found")), folded(card, "Found")) == (4, [])


def test_warnings_of_a_kind_share_its_remedy(make_run: MakeRun, make_result: MakeResult) -> None:
    """The first messages are unfolded and the others counted and folded."""
    found = [RunWarning("slower tail", f"message {number}", "look") for number in range(4)]
    (card,) = cards(make_run(make_result(warnings=found)))
    (item,) = items(card, "Warning")
    assert item.text == "message 0; message 1; 2 more of this kind"
    assert item.detail == "Remedy: look."
    assert [further.text for further in folded(card, "Warning")] == ["message 2", "message 3"]


@pytest.mark.parametrize(
    ("file", "link"),
    [
        ("samples/indexes.csv", "samples/indexes.csv"),
        ("../secrets.csv", ""),
        ("javascript:alert(1)", ""),
        ("samples/../x.csv", ""),
        ("/etc/passwd", ""),
    ],
)
def test_only_samples_beside_the_page_are_linked(make_run: MakeRun, make_result: MakeResult, file: str, link: str) -> None:
    """Any other file is named."""
    (card,) = cards(make_run(make_result(samples_file=file)))
    (item,) = [item for item in items(card, "Data") if item.code == file]
    assert item.link == link


def test_the_command_repeats_the_scenario_alone(make_run: MakeRun, make_result: MakeResult) -> None:
    """With the engines and RTTs that it was run at, and the options of the run that are not the default."""
    run = make_run(command="harness run all --scenarios 'my scenarios' --out /tmp/x")
    run = replace(run, settings=replace(run.settings, size="large", seed=7))
    results = [make_result(), make_result(engine="postgres", rtt_ms=2.5)]
    expected = "harness run indexes --engine sqlite,postgres --rtt 0,2.5 --size large --seed 7 --scenarios 'my scenarios'"
    assert command(run, results) == expected
    assert command(run, [make_result(engine="")]) == "harness run indexes --size large --seed 7 --scenarios 'my scenarios'"
    first = "harness run indexes --size large --seed 7 --scenarios 'my scenarios'"
    assert command(run, [make_result(engine="postgres")]) == first  # the scenario's first one, which was not named
    named = replace(run, command=f"{run.command} --engine=sqlite")
    assert command(named, [make_result()]) == first.replace("--size", "--engine sqlite --size")
    hostile = replace(run, command="harness 'run")
    assert command(hostile, [make_result(name="a; rm -rf /")]) == "harness run 'a; rm -rf /' --size large --seed 7"


def test_the_command_of_an_ablation_is_its_own(make_run: MakeRun, make_result: MakeResult) -> None:
    """Its arms are the switches, which `harness run` does not have; also where no gain was measured."""
    arms = [ArmResult(name, "") for name in ("baseline", "only index", "only cache", "all")]
    run = make_run(command="harness ablate indexes")
    assert command(run, [make_result(arms=arms)]) == "harness ablate indexes --seed 1"


def test_a_run_under_load_has_blocks_and_no_pairs(make_run: MakeRun, load_result: ScenarioResult) -> None:
    """Its card has the load in place of the table, no advice, and no command that would measure pairs."""
    (card,) = cards(make_run(load_result, kind=RunKind.LOAD))
    (place,) = card.places
    assert place.table is None
    assert place.blocks
    assert (card.status, card.sentence) == (None, "")
    assert not any(item.lead == "repeat" for item in items(card, "Data"))
    assert any("90 blocks in 3 processes" in item.text for item in items(card, "Data"))


def test_percentile_ratios_have_the_ends_of_the_processes(make_result: MakeResult) -> None:
    """An arm without pairs has a dash there."""
    result = make_result(
        percentile_ratios=[PercentileRatio(arm, "g", "95", 90, 2.0, 1.8, 2.2) for arm in ("proposed", "optimised")],
        ratios=[Ratio("optimised", "g", 2.0, 1.9, 2.1, [1.5, 2.5], 9)],
    )
    table = spread(result)
    assert table is not None
    assert table.head[-1] == "lowest … highest process"
    assert [row[-1].text for row in table.rows] == ["–", "1.50× … 2.50×"]
    assert spread(replace(result, percentile_ratios=[])) is None


def test_hostile_texts_have_no_control_characters(make_run: MakeRun, make_result: MakeResult) -> None:
    """Names, descriptions, findings, warnings and settings are on one line, escaped."""
    bad = "<b>\u202e\x1b[31m\n::error::"
    result = make_result(
        title=bad,
        file=bad,
        arms=[ArmResult("baseline", bad), ArmResult(bad, bad, {bad: bad})],
        findings=[Finding(bad, bad, holds=True, evidence=bad)],
        warnings=[RunWarning(bad, bad, bad)],
        statements=[Statement(bad, bad, bad, 1, [bad], uses_index=False, scans_table=True)],
        work_counts=[WorkCount(arm, bad, bad, value) for arm, value in (("baseline", 1.0), (bad, 2.0))],
        dataset={bad: bad},
        samples_file=bad,
        verdicts=[Verdict(bad, bad, bad, PromiseVerdict.CONFIRMED, bad, "time", value=2.0, promised_low=1.0)],
    )
    (card,) = cards(make_run(result, command=bad))
    found = [text for fact in card.facts for x in (*fact.items, *fact.more) for text in (x.text, x.lead, x.detail, x.code)]
    found += [card.title, card.sentence, *(text for pair in card.settings for text in pair)]
    assert not [text for text in found if not text.isprintable()]
    assert all(c.isprintable() or c == "\n" for view in card.statements for c in view.sql)


def test_a_table_of_another_place_is_not_repeated(make_run: MakeRun, make_result: MakeResult) -> None:
    """A place whose work counts are those of an earlier one names it; each has its percentiles."""
    (card,) = cards(make_run(make_result(), make_result(rtt_ms=1.0)))
    first, second = (dict(place.details) for place in card.places)
    work = "Work counts, growth, memory"
    assert [type(block).__name__ for block in first[work]] == ["Table", "Table", "Table"]
    (sentence,) = second[work]
    assert isinstance(sentence, Paragraph)
    assert sentence.text == "The tables are the same as at sqlite, RTT 0 ms."
    assert PERCENTILES in first
    assert PERCENTILES in second
    changed = [make_result(), make_result(engine="postgres", work_counts=[])]
    (card,) = cards(make_run(*changed))
    *_, note = dict(card.places[1].details)[work]
    assert isinstance(note, Paragraph)


def test_settings_that_all_scenarios_share_are_on_no_card(make_run: MakeRun, make_result: MakeResult) -> None:
    """They are of the engine; a card has those that differ, and that of a single scenario has all."""
    results = [make_result(name=name, engine_settings={"journal": "wal", "execution": name}) for name in ("one", "two")]
    run = make_run(*results)
    assert engine_settings(run) == {"sqlite": {"journal": "wal"}}
    assert [dict(card.settings).get("execution") for card in cards(run)] == ["one", "two"]
    assert not any("journal" in dict(card.settings) for card in cards(run))
    alone = make_run(results[0])
    assert engine_settings(alone) == {}
    assert dict(cards(alone)[0].settings)["journal"] == "wal"


@given(st.lists(st.sampled_from(list(PromiseVerdict)), max_size=12))
def test_outcomes_add_up(verdicts: list[PromiseVerdict]) -> None:
    """Whatever the verdicts, their number is the sum of the outcomes."""
    result = ScenarioResult("a", "A", "", "", "sqlite", 0.0, ScenarioStatus.OK)
    result = replace(result, verdicts=[Verdict("I", "", "optimised", verdict, "", "×") for verdict in verdicts])
    found = list(report_cards._promises(result))
    assert bool(found) == bool(verdicts)
    numbers = [int(word) for item in found for word in item.text.partition(": ")[2].split() if word.isdigit()]
    assert sum(numbers) == len(verdicts)


@pytest.mark.parametrize(
    ("repository", "commit", "code", "address"),
    [
        ("https://github.com/a/b", "3f9a1c2", "s/x y.py:6", "https://github.com/a/b/blob/3f9a1c2/s/x%20y.py#L6"),
        ("https://gitlab.com/a/b", "3f9a1c2", "s/x.py:6", "https://gitlab.com/a/b/-/blob/3f9a1c2/s/x.py#L6"),
        ("", "3f9a1c2", "s/x.py:6", ""),
        ("https://github.com/a/b", None, "s/x.py:6", ""),
        ("https://github.com/a/b", "3f9a1c2", "", ""),
        ("javascript:alert(1)", "3f9a1c2", "s/x.py:6", ""),
        ('https://github.com/"onclick=', "3f9a1c2", "s/x.py:6", ""),
        ("https://github.com/a/b", "3f9a1c2", "s/x.py:six", ""),
    ],
)
def test_an_arm_links_to_its_code(
    make_run: MakeRun, make_result: MakeResult, repository: str, commit: str | None, code: str, address: str
) -> None:
    """At the commit, where the repository shows it; elsewhere the place is text, and without one the file's name stands below."""
    result = make_result()
    arms = [replace(arm, code=code) for arm in result.arms]
    (card,) = cards(replace(make_run(replace(result, arms=arms)), repository=repository, commit=commit))
    found = items(card, "To do")
    assert [item.link for item in found if item.lead != "code of all arms"][: len(arms)] == [address] * len(arms)
    assert {item.code for item in found[: len(arms)]} == {code}
    assert (found[-1].lead == "code of all arms") == (not code)


def test_the_ddl_of_an_arm_is_on_its_card(make_run: MakeRun, make_result: MakeResult) -> None:
    """What the baseline has too is left out; arms with the same statement share a line; many statements are folded."""
    common, index = "CREATE TABLE shared (id INTEGER)", "CREATE INDEX by_user\n  ON prompts (user_id)"
    result = make_result()
    changes = {"baseline": [common], "proposed": [common, index], "optimised": [index, "ANALYZE"]}
    arms = [replace(arm, changes=changes[arm.name]) for arm in result.arms]
    (card,) = cards(make_run(replace(result, arms=arms)))
    assert [(item.lead, item.code) for item in items(card, "To do")][-2:] == [
        ("proposed, optimised", "CREATE INDEX by_user ON prompts (user_id)"),
        ("optimised", "ANALYZE"),
    ]
    many = [
        replace(arm, changes=[f"CREATE INDEX i{n} ON t (c{n})" for n in range(5)]) for arm in result.arms if arm.name != "baseline"
    ]
    (card,) = cards(make_run(replace(result, arms=many)))
    (fact,) = [fact for fact in card.facts if fact.head == "To do"]
    assert [item.code for item in fact.more] == ["CREATE INDEX i3 ON t (c3)", "CREATE INDEX i4 ON t (c4)"]


def test_of_many_places_the_first_of_each_engine_has_a_part(make_run: MakeRun, make_result: MakeResult) -> None:
    """A table has all of them, a column each, so that no place is without figures."""
    places = [make_result(engine=engine, rtt_ms=rtt) for engine in ("postgres", "sqlite") for rtt in (0.0, 1.0, 5.0)]
    (card,) = cards(make_run(*places))
    assert [place.label for place in card.places] == ["postgres, RTT 0 ms", "sqlite, RTT 0 ms"]
    assert card.others is not None
    assert [bool(place.anchor) for place in card.others.places] == [False, True, True, False, True, True]
    assert {len(row) for _, _, row in card.others.rows} == {6}
    first, second = (dict(place.details)[PERCENTILES] for place in card.places)
    assert any(isinstance(block, Table) for block in first)
    (note,) = second
    assert isinstance(note, Paragraph)
    assert "harness report RUN --format markdown --all" in note.text
    (few,) = cards(make_run(*places[:2]))
    assert (len(few.places), few.others) == (2, None)
