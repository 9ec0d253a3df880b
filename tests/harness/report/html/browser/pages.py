"""Pages to open in a browser, by name: each kind of page, and runs in which something is missing or hostile."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from harness.gate.result_files import side_by_side
from harness.importers import own_run
from harness.importers.reading import Reading, raw_timing
from harness.language import ENGLISH, using
from harness.report import html
from harness.report.html import gated
from harness.report.html import history as history_page
from harness.results.gate import GateResult, GateVerdict
from harness.results.history import FigureKind, History, HistoryLine
from harness.results.run import (
    Ablation,
    Gain,
    GainSum,
    Interaction,
    Priority,
    PromiseVerdict,
    Review,
    Run,
    RunWarning,
    ScenarioResult,
    ScenarioStatus,
    SwitchGain,
    Verdict,
)
from harness.results.store import write_run, write_samples
from tests.harness.report import gates, histories
from tests.harness.report.conftest import HOSTILE, MakeResult, MakeRun, samples, timings

LONG = HOSTILE + "\u202e\u2066rtl \x1b[31m\x00::error::" + "y" * 10_000
"""Markup, direction marks, a colour of a terminal, a workflow command, and a word as long as a page."""

TITLES = (
    "Independent queries at the same time",
    "Bulk writes",
    "Redis cache in front of the database",
    "Composite indexes",
    "N+1 queries removed",
    "Connection pools",
    "Transactions",
    "Streaming export",
    "Monitoring",
    "Edge in every region",
    "All optimisations together",
)
"""The titles of a full run's scenarios."""

PLACES = (("sqlite", 0.0), ("postgres", 0.0), ("postgres", 5.0), ("turso", 0.0))
ENGINES = ("cockroachdb", "mariadb", "mysql", "postgres", "sqlite", "turso")
PART = "part of a full run"
"""The page for tests of what is on every page of a run: a full one takes three times as long to open."""
LONG_ARM = "optimised by an engineer with more time, memory, indexes and connections than the review had"
FILES = tuple(f"tests/test_prompts.py::test_that_the_list_of_a_user_is_quick[{name}-{n}]" for name in "abc" for n in range(25))


@dataclass(frozen=True)
class Records:
    """The hand-made records that pages are made of; see `tests.harness.report.conftest`."""

    make_run: MakeRun
    make_result: MakeResult
    failed: ScenarioResult
    hostile: ScenarioResult
    loaded: ScenarioResult
    histograms: Path
    """A load run's folder with the samples of `loaded`."""


def scenario(records: Records, place: int, **changes: object) -> ScenarioResult:
    """Return the result of a scenario with a title and promises of its own."""
    made = records.make_result(name=f"scenario_{place}", title=TITLES[place], **changes)
    letter = chr(ord("A") + place)
    return replace(made, verdicts=[replace(v, promise=f"{letter}{v.promise[1:]}") for v in made.verdicts])


def review() -> Review:
    """Return a review that ranks the optimisations of a full run."""
    letters = [chr(ord("A") + place) for place in range(len(TITLES))]
    ranked = [
        Priority(title, "P1", "high", "1 day", "5–10×", [f"{letter}1"]) for letter, title in zip(letters, TITLES, strict=True)
    ]
    return Review("The review", dict(zip(letters, TITLES, strict=True)), {f"{x}1": "queries 5–10× faster" for x in letters}, ranked)


def full(records: Records) -> Run:
    """Return a run of all scenarios at one place; three of them have samples, so that the rest is drawn quickly."""
    first = [scenario(records, place) for place in range(3)]
    rest = [scenario(records, place, samples_file=None) for place in range(3, len(TITLES))]
    return records.make_run(*first, *rest, review=review())


def no_database(records: Records) -> Run:
    """Return a run of a scenario on two engines, one without a database, and one that ran nowhere."""
    verdicts = [Verdict("N1", "faster", "optimised", PromiseVerdict.NOT_MEASURED, "no server", "×", promised_low=3.0)]
    absent = scenario(records, 2, status=ScenarioStatus.NOT_RUN, error="no server", verdicts=verdicts, latencies=[], ratios=[])
    there = [scenario(records, 0, engine=engine) for engine in ("sqlite", "turso")]
    return records.make_run(*there, scenario(records, 1, engine=""), absent)


def several_places(records: Records) -> Run:
    """Return a run of two scenarios on several engines and RTTs, of which one is not meaningful everywhere."""
    wanted = [(3, place) for place in PLACES] + [(0, place) for place in PLACES[:2]]
    found = [scenario(records, number, engine=engine, rtt_ms=rtt) for number, (engine, rtt) in wanted]
    unknown = replace(
        found[0].verdicts[0], value=None, low=None, high=None, verdict=PromiseVerdict.NOT_MEASURED, sentence="x" * 150
    )
    found[0] = replace(found[0], verdicts=[unknown, *found[0].verdicts[1:]])
    reason = "the service is in the process: there is no network to lengthen"
    skipped = replace(scenario(records, 8), status=ScenarioStatus.NOT_RUN, error=reason, verdicts=[])
    run = records.make_run(*found, skipped, review=review())
    return replace(run, settings=replace(run.settings, engines=["sqlite", "postgres", "turso"], rtts_ms=[0.0, 5.0]))


def many_places(records: Records) -> Run:
    """Return a run of six engines at two RTTs that decides nothing: interrupted, with wide intervals and long names of arms.

    At one place every scenario failed, and one scenario was not run at half of them.
    """
    found = []
    for engine in ENGINES:
        for rtt in (0.0, 25.0):
            for number in (3, 0):
                made = scenario(records, number, engine=engine, rtt_ms=rtt, status=ScenarioStatus.INTERRUPTED, samples_file=None)
                wide = [replace(v, low=v.value / 30, high=v.value * 30) if v.unit == "×" and v.value else v for v in made.verdicts]
                found.append(replace(made, verdicts=[replace(v, verdict=PromiseVerdict.INCONCLUSIVE) for v in wide]))
            if rtt:
                found.append(
                    replace(scenario(records, 2), engine=engine, rtt_ms=rtt, status=ScenarioStatus.NOT_RUN, error="no network")
                )
    failed = [replace(records.failed, name=x.name, engine=x.engine, rtt_ms=x.rtt_ms) for x in found[:2]]
    run = records.make_run(*failed, *found[2:], review=review(), interrupted=True, finished_at=None)
    settings = replace(run.settings, engines=list(ENGINES), rtts_ms=[0.0, 25.0])
    return renamed(replace(run, settings=settings), "optimised", LONG_ARM, whole=True)


def load(records: Records) -> Run:
    """Return a run under load without a search of capacities."""
    assert records.loaded.load is not None
    return records.make_run(replace(records.loaded, load=replace(records.loaded.load, capacities=[])), kind="load")


def capacity(records: Records) -> Run:
    """Return a run that searched capacities as well."""
    return records.make_run(records.loaded, kind="load")


def several_loads(records: Records) -> Run:
    """Return a run of scenarios under load: one invalid, one whose arms fail, one that failed, one with hostile long names."""
    assert records.loaded.load is not None
    under = replace(records.loaded.load, capacities=[])
    failing = [replace(x, failing=LONG, errors=750, error_messages={LONG: 700, f"::error::{HOSTILE}": 50}) for x in under.arms]
    named = records.make_run(replace(records.loaded, name=LONG, load=under))
    others = [
        replace(records.loaded, name="invalid", load=replace(under, invalid=LONG)),
        replace(records.loaded, name="failing", load=replace(under, arms=failing)),
        replace(records.failed, name="failed", error=LONG),
    ]
    return records.make_run(
        *renamed(renamed(named, "list", LONG, whole=True), "optimised", LONG_ARM, whole=True).scenarios, *others, kind="load"
    )


def ablation(records: Records) -> Run:
    """Return a run of switches with gains, without, and that depend on others."""
    none, twice = Gain(1.01, 0.97, 1.05, [1.0, 1.02], p_corrected=0.8), Gain(2.0, 1.9, 2.1, [1.95, 2.05], p_corrected=0.001)
    switches = [
        SwitchGain("caching", "answers from memory", none, twice, twice, Interaction.NEEDS_OTHERS, 1, 1),
        SwitchGain("indexes", LONG, none, none, none, Interaction.ADDS_UP, 2, 3),
        SwitchGain("pools", "a larger pool", twice, none, none, Interaction.INCONCLUSIVE),
    ]
    found = Ablation("mix", 30, switches, total=twice, product=none, surplus=twice, together=GainSum.MORE)
    return records.make_run(records.make_result(verdicts=[], ablation=[found]))


def _file(name: str, factor: float, *names: str) -> Reading:
    rows = tuple(
        raw_timing(x, [factor**n * 1e6 * (1 + i / 1e4) for i in range(30)]) for n, x in zip((1, -1, 0) * 99, names, strict=False)
    )
    return Reading(name, "tool", "a file", rows, digest=name, warnings=(RunWarning(LONG, LONG, LONG),))


def comparison(_: Records) -> Run:
    """Return a comparison of two files with more benchmarks than are drawn, whose names are long and differ at their ends."""
    return side_by_side(_file("before.json", 2, LONG, *FILES), _file(f"{LONG}.json", 1, LONG, *FILES)).run


def one_file(_: Records) -> Run:
    """Return the run of a result file of another tool."""
    return own_run.of_file(_file("one.json", 1, LONG, *FILES[:5]))


def history(_: Records) -> History:
    """Return a history with steps, hostile names and a line of another machine."""
    stepped = histories.figure(4e6, 4e6, 12e6, 12e6, steps=(histories.STEP,), group=LONG)
    varying = [histories.figure(1, 2, 1, 2, group=f"group {n}") for n in range(20)]
    split = replace(varying[0], lines=(*varying[0].lines, HistoryLine(1, varying[1].lines[0].points)))
    return histories.history(stepped, split, *varying, histories.figure(3, 3, 3, 3, kind=FigureKind.WORK))


def hostile(records: Records) -> Run:
    """Return a run in which every text is markup, and claims are formulas to a spreadsheet."""
    formulas = scenario(records, 3)
    formulas = replace(formulas, verdicts=[replace(v, text=f"=1+1 {v.text}") for v in formulas.verdicts])
    return records.make_run(
        records.hostile, formulas, name=HOSTILE, command=HOSTILE, environment={HOSTILE: HOSTILE}, commit=HOSTILE
    )


def hostile_and_long(records: Records) -> Run:
    """Return a run in which every text is markup, of 10,000 characters, with control characters and direction marks."""
    return renamed(hostile(records), HOSTILE, LONG)


def hostile_places(records: Records) -> Run:
    """Return the same at several places."""
    found = [replace(records.hostile, engine=engine, rtt_ms=rtt) for engine, rtt in PLACES]
    return renamed(records.make_run(*found, name=HOSTILE, command=HOSTILE, commit=HOSTILE), HOSTILE, LONG)


def renamed(run: Run, old: str, new: str, *, whole: bool = False) -> Run:
    """Return a run with another text in place of one, or of a part of one unless it has to be `whole`."""
    body, before, after = (msgspec.json.encode(each) for each in (run, old, new))
    found = body.replace(before, after) if whole else body.replace(before[1:-1], after[1:-1])
    return msgspec.json.decode(found, type=Run)


def one_sample(records: Records) -> Run:
    """Return a run whose budget ended after the first pair."""
    latencies, ratios = timings(samples(processes=1, pairs=1))
    return records.make_run(scenario(records, 3, latencies=latencies, ratios=ratios, pairs=1, processes=1))


def nulls(records: Records) -> Run:
    """Return a run that ended before anything was known: every optional figure is missing."""
    made = scenario(records, 3)
    empty = [replace(x, percentiles_ns=dict.fromkeys(x.percentiles_ns), intervals_ns={}) for x in made.latencies]
    unknown = [replace(r, low=None, high=None, processes=[]) for r in made.ratios]
    verdicts = [
        replace(v, value=None, low=None, high=None, verdict=PromiseVerdict.NOT_MEASURED, sentence="the group was not timed")
        for v in made.verdicts
    ]
    result = replace(made, latencies=empty, ratios=unknown, verdicts=verdicts, memory=[], growth=[], samples_file=None)
    return records.make_run(result, finished_at=None, commit=None, environment={})


def verdicts_of(verdict: PromiseVerdict) -> Callable[[Records], Run]:
    """Return a maker of a run in which every promise has the same verdict."""

    def make(records: Records) -> Run:
        made = scenario(records, 3)
        return records.make_run(replace(made, verdicts=[replace(v, verdict=verdict) for v in made.verdicts]))

    return make


def all_failed(records: Records) -> Run:
    """Return a run in which every scenario failed, one of them with a long error."""
    other = replace(records.failed, name="bulk", title="Bulk writes", error=f"RuntimeError: {LONG}\n" * 3)
    return records.make_run(records.failed, other)


MAKERS: dict[str, Callable[[Records], Run | History | GateResult]] = {
    "full": full,
    PART: lambda records: records.make_run(*full(records).scenarios[:3], review=review()),
    "several places": several_places,
    "many places": many_places,
    "no database": no_database,
    "one scenario": lambda records: records.make_run(scenario(records, 3)),
    "no scenario": lambda records: records.make_run(finished_at=None, interrupted=True, environment={}),
    "all failed": all_failed,
    "one sample": one_sample,
    "nulls": nulls,
    "all withheld": verdicts_of(PromiseVerdict.WITHHELD),
    "unknown verdict": verdicts_of(PromiseVerdict("disproved & <b>denied</b>")),
    "hostile": hostile,
    "hostile and long": hostile_and_long,
    "hostile places": hostile_places,
    "load": load,
    "several loads": several_loads,
    "no load": lambda records: records.make_run(kind="load", finished_at=None, interrupted=True, environment={}),
    "capacity": capacity,
    "ablation": ablation,
    "comparison": comparison,
    "one file": one_file,
    "history": history,
    "gate": lambda _: gates.result(),
    "hostile gate": lambda _: gates.hostile(gates.HOSTILE + LONG),
    "equal gate": lambda _: gates.result(GateVerdict.EQUIVALENT, [gates.row("equal")]),
}
"""What each page shows."""
TRANSLATED = tuple(f"{name}, in Japanese" for name in ("capacity", "ablation", "history"))
"""Pages whose fixed texts are in another language as well."""
PAGES = (*(name for name in MAKERS if name != PART), *TRANSLATED)
"""The pages to examine; nothing in a part of a full run is new."""


def written(name: str, records: Records, folder: Path) -> Path:
    """Write a page with its run and its samples beside it, as the commands do, and return its path."""
    name, _, translated = name.partition(", ")
    with using("ja" if translated else ENGLISH):
        return _written(MAKERS[name](records), records, folder)


def _written(made: Run | History | GateResult, records: Records, folder: Path) -> Path:
    if isinstance(made, GateResult):
        return gated.write(made, folder / "gate.html")
    if isinstance(made, History):
        return history_page.write(made, folder)
    write_run(made, folder)
    if any(result.load for result in made.scenarios):
        shutil.copytree(records.histograms / "samples", folder / "samples")
    else:
        write_samples(samples(), folder / "samples" / "indexes.csv")
    return html.write(made, folder)
