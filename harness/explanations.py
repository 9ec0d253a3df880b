"""Explanations of every name that a result may show: verdicts, load states, trust, warnings, controls and exit codes.

`harness explain` prints them, and docs/verdicts.md is made of them. Warnings have theirs in `harness.results.warning_names`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.doctor.verdict import Grade
from harness.results.gate import GateVerdict
from harness.results.load import LoadState
from harness.results.run import AA_CONTROL, PING, PURE_CPU, GainSum, Interaction, PromiseVerdict, ScenarioStatus
from harness.results.warning_names import CI, FILES, LOAD, METHOD, WarningName
from harness.verdicts.advice import Action, Trust, Worth

ADVICE = "docs/advice.md"


@dataclass(frozen=True)
class Explanation:
    """The explanation of one name."""

    meaning: str
    action: str
    """What to do about it."""
    page: str
    """The page of the documentation that says more."""


Texts = Mapping[str, Explanation]
"""Name → its explanation."""

PROMISES: Texts = {
    PromiseVerdict.EXCEEDED: Explanation(
        "The whole 95 % confidence interval is above the promised range.",
        "Nothing: the promise is kept, and the gain is larger than promised.",
        METHOD,
    ),
    PromiseVerdict.CONFIRMED: Explanation(
        "The whole 95 % confidence interval keeps the promise.",
        "Nothing: the promise is kept.",
        METHOD,
    ),
    PromiseVerdict.FELL_SHORT: Explanation(
        "There is a gain worth having, and the whole interval of it is smaller than promised.",
        "Decide whether the smaller gain is worth the change; the row shows both.",
        METHOD,
    ),
    PromiseVerdict.MISSED: Explanation(
        "The whole interval is below the promise, and it is not shown whether there is any gain.",
        "Do not count on the promise; more --budget may show a small gain.",
        METHOD,
    ),
    PromiseVerdict.REFUTED: Explanation(
        "The whole interval excludes a gain worth having, which is one of 5 %.",
        "Leave the change, or look for a case in which it helps and promise that.",
        METHOD,
    ),
    PromiseVerdict.INCONCLUSIVE: Explanation(
        "The interval lies on both sides of the promise: the data do not decide. It never counts as kept.",
        "Increase --budget or --processes, or measure on a quieter machine (`harness doctor`).",
        METHOD,
    ),
    PromiseVerdict.WITHHELD: Explanation(
        "The A/A control failed where this was timed: the baseline differs from itself, so that no time from there is judged.",
        "Run again on a quieter machine, or with more --processes.",
        METHOD,
    ),
    PromiseVerdict.NOT_MEASURED: Explanation(
        "This run could not measure the figure; the sentence beside it says why, such as an engine that does not count it.",
        "Read the reason; another --engine, --rtt or --budget may measure it.",
        METHOD,
    ),
    PromiseVerdict.IMPROVED: Explanation(
        "Of two result files: the second is faster, or fails less, by more than separate runs of the same code differ.",
        "Nothing.",
        FILES,
    ),
    PromiseVerdict.REGRESSED: Explanation(
        "Of two result files: the second is slower, or fails more, by more than separate runs of the same code differ.",
        "Find the cause, and time both versions interleaved: harness gate --against REF.",
        FILES,
    ),
    PromiseVerdict.EQUAL: Explanation("Of two result files: no difference beyond the drift of separate runs.", "Nothing.", FILES),
    PromiseVerdict.NOT_COMPARABLE: Explanation(
        "Of two result files: they were measured under another load, or all operations of both failed.",
        "Measure both alike.",
        FILES,
    ),
    PromiseVerdict.MEASURED: Explanation(
        "Measured, nothing promised: a figure that you should know, such as a cost.", "Decide whether you can afford it.", METHOD
    ),
}
GATES: Texts = {
    GateVerdict.REGRESSED: Explanation(
        "The candidate does more work than the baseline, is slower beyond the margin, or fails more. The gate exits with 1.",
        "Find the cause in the named arm and group. If the change is intended, accept the candidate: harness baseline accept RUN.",
        CI,
    ),
    GateVerdict.NOT_COMPARABLE: Explanation(
        "Parts are missing, renamed, or were measured with other data, settings or versions. The gate exits with 4.",
        "Measure both alike, or accept the candidate as the new baseline: harness baseline accept RUN.",
        CI,
    ),
    GateVerdict.INCONCLUSIVE: Explanation(
        "A figure had to be decided and could not be, so that the gate does not pass. It exits with 3.",
        "Increase --budget, allow a larger --margin, or gate by work counts.",
        CI,
    ),
    GateVerdict.IMPROVED: Explanation("The candidate is better beyond the tolerance. The gate passes.", "Nothing.", CI),
    GateVerdict.EQUIVALENT: Explanation(
        "The whole interval of the paired time is within the margin. The gate passes.", "Nothing.", CI
    ),
    GateVerdict.EQUAL: Explanation("The work count is the same, exactly or within its tolerance. The gate passes.", "Nothing.", CI),
    GateVerdict.NOT_JUDGED: Explanation(
        "Such a figure cannot decide, as a stored time cannot; others do.",
        "To judge times, measure both versions interleaved: harness gate --against REF.",
        CI,
    ),
}
STATUSES: Texts = {
    ScenarioStatus.OK: Explanation("The scenario was measured to its end.", "Nothing.", METHOD),
    ScenarioStatus.FAILED: Explanation(
        "The arms disagree, the scenario raised an error, or a worker stopped. Other scenarios are measured. The run exits with 1.",
        "Read the error, which has the line of the scenario; --traceback prints all of it.",
        "docs/scenario.md",
    ),
    ScenarioStatus.INTERRUPTED: Explanation(
        "The run was stopped before the scenario was finished. What was measured is kept.", "Run it again.", METHOD
    ),
    ScenarioStatus.NOT_RUN: Explanation(
        "The scenario does not apply to this engine or RTT, or cannot run here; the reason is beside it.",
        "Read the reason, such as a server to install or a package to add.",
        "docs/engines.md",
    ),
}
ACTIONS: Texts = {
    Action.DO: Explanation(
        "The arm as written is worth doing; without one, an optimised arm is. Its gain excludes none, and every check passes.",
        "Do it.",
        ADVICE,
    ),
    Action.OPTIMISED: Explanation(
        "Only an optimised arm is worth doing, and not the advice as written.",
        "Do what the optimised arm does; the catch says why not as written.",
        ADVICE,
    ),
    Action.LEAVE: Explanation(
        "No arm is worth doing: a check fails, or the interval excludes a gain of a quarter.", "Leave it.", ADVICE
    ),
    Action.UNDECIDED: Explanation(
        "The data do not decide: verdicts are inconclusive, withheld or missing, the run was a quick one, or the scenario failed.",
        "Read the reason; run without --quick and with more --budget.",
        ADVICE,
    ),
}
WORTHS: Texts = {
    Worth.YES: Explanation(
        "The whole interval of the arm's gain is a gain, it runs in every group, and it passes every check.", "Do it.", ADVICE
    ),
    Worth.NO: Explanation(
        "The arm fails a check, cannot run in a group, or its interval excludes a gain of a quarter.", "Leave it.", ADVICE
    ),
    Worth.OPEN: Explanation("The data do not decide about the arm.", "Read the reason; give more --budget.", ADVICE),
}
TRUSTS: Texts = {
    Trust.NOT_RUN: Explanation(
        "The scenario does not apply to this engine or RTT, or cannot run here.", "Read the reason, which is beside it.", ADVICE
    ),
    Trust.FAILED: Explanation("The scenario failed.", "Fix the error, and run it again.", ADVICE),
    Trust.QUICK: Explanation("The run was a quick one: little data, few pairs, few processes.", "Run without --quick.", ADVICE),
    Trust.INTERRUPTED: Explanation("The run was stopped before the scenario was finished.", "Run it again.", ADVICE),
    Trust.CONTROL_FAILED: Explanation(
        "An A/A control failed, so that verdicts are withheld.", "Run again on a quieter machine.", ADVICE
    ),
    Trust.NOT_TIMED: Explanation("There are no paired times.", "Increase --budget, and --processes above 0.", ADVICE),
    Trust.FEW_PROCESSES: Explanation("Fewer than 5 fresh processes.", "Run with --processes 5 or more.", ADVICE),
    Trust.FEW_PAIRS: Explanation("Fewer than 10 pairs in a group of cases.", "Increase --budget.", ADVICE),
    Trust.NO_CONTROL: Explanation(
        "A group has no A/A control with an interval.", "Increase --budget; a slow group never has one.", ADVICE
    ),
    Trust.CONTROL_OFF: Explanation(
        "The A/A control's interval excludes 1×, and the control is beyond 1.10×.", "Run again on a quieter machine.", ADVICE
    ),
    Trust.NOISY_CONTROL: Explanation(
        "The A/A control's interval is wider than a quarter in both directions.", "Increase --budget or --processes.", ADVICE
    ),
    Trust.WIDE: Explanation(
        "The interval of the gain is wider than a quarter in both directions, or there is none.",
        "Increase --budget or --processes.",
        ADVICE,
    ),
    Trust.EXACT: Explanation("Every figure is an exact count, which repeats to the digit.", "Nothing.", ADVICE),
    Trust.SOLID: Explanation("No reason against the figures was found.", "Nothing.", ADVICE),
}
LOAD_STATES: Texts = {
    LoadState.SUSTAINED: Explanation(
        "The arm completes the operations as they arrive, or meets the SLO at this level.", "Compare its percentiles.", LOAD
    ),
    LoadState.SATURATED: Explanation(
        "The arm cannot sustain the load: operations pile up, so that its times would only show the length of the run.",
        "Lower the load until all arms sustain it, or find each arm's limit: harness capacity.",
        LOAD,
    ),
    LoadState.NOT_SUSTAINED: Explanation(
        "Some arms of the scenario are saturated, so that they have no times.",
        "Lower the load, or find each arm's limit: harness capacity.",
        LOAD,
    ),
    LoadState.FAILS: Explanation(
        "More operations of the arm fail than --errors tolerates. Failed operations are not fast answers, so it is not compared.",
        "Read the error messages and fix them, or lower the load.",
        LOAD,
    ),
    LoadState.FAILED: Explanation(
        "The scenario or the level failed: operations raised errors, or the objective was missed.",
        "Read the reason beside it.",
        LOAD,
    ),
    LoadState.INVALID: Explanation(
        "The load generator was the limit, not an arm: no conclusion is valid. The command exits with 3.",
        "Lower the load, give the generator more cores, or add --processes.",
        "docs/sizing.md",
    ),
    LoadState.UNDECIDED: Explanation(
        "The generator was the limit at this level of the search, or there were too few operations.",
        "Search longer, or give the generator more cores.",
        LOAD,
    ),
}
FINDINGS: Texts = {
    "observed": Explanation(
        "The fault that the finding names shows in the arm; the evidence is beside it.",
        "Read it before you follow the advice as written.",
        "docs/scenario.md",
    ),
    "not observed": Explanation("The fault does not show here; the reason is beside it.", "Nothing.", "docs/scenario.md"),
}
CONTROLS: Texts = {
    AA_CONTROL: Explanation(
        "A second instance of the baseline, timed in the same pairs as every arm. It has to measure 1×: what it measures instead is"
        " noise. One that consistently differs from 1× by more than 5 % fails, and verdicts on times from there are withheld.",
        "If it fails or is wide, run again on a quieter machine, or with more --budget and --processes.",
        METHOD,
    ),
    PURE_CPU: Explanation(
        "A fixed piece of Python that is timed between pairs. If it slows during a process, the machine did.",
        "`harness doctor` measures this machine's noise.",
        METHOD,
    ),
    PING: Explanation(
        "The cheapest round trip to the server, timed between pairs. If it slows during a process, the server or the network did.",
        "Run again while nothing else uses the server.",
        METHOD,
    ),
}
SWITCHES: Texts = {
    Interaction.ADDS_UP: Explanation("The switch gains as much last as alone.", "Judge it by its gain alone.", METHOD),
    Interaction.NEEDS_OTHERS: Explanation(
        "The switch gains more last than alone: it needs others.", "Turn it on together with the others.", METHOD
    ),
    Interaction.REDUNDANT: Explanation(
        "The switch gains less last than alone: others already bring its gain.", "Leave it where the others are on.", METHOD
    ),
    Interaction.INCONCLUSIVE: Explanation(
        "The data do not show whether the switch gains more, less or as much last as alone.", "Increase --budget.", METHOD
    ),
}
SUMS: Texts = {
    GainSum.AS_PRODUCT: Explanation("All switches together gain as much as the product of their gains.", "Nothing.", METHOD),
    GainSum.MORE: Explanation("Together the switches gain more than the product: they help each other.", "Turn on all.", METHOD),
    GainSum.LESS: Explanation(
        "Together the switches gain less than the product: they bring the same gain twice.",
        "Look for the switches that others make redundant.",
        METHOD,
    ),
    GainSum.INCONCLUSIVE: Explanation("The data do not show how the gains combine.", "Increase --budget.", METHOD),
}
GRADES: Texts = {
    Grade.GOOD: Explanation("Changes of a few percent are detected within a minute.", "Nothing.", METHOD),
    Grade.USABLE: Explanation(
        "Only larger changes are detected, or after a longer time.",
        "Give time gates a larger --budget, and gate small changes by work counts.",
        METHOD,
    ),
    Grade.POOR: Explanation("Only work counts are reliable on this machine.", "Gate by work counts, or measure elsewhere.", METHOD),
}
EXIT_CODES: Texts = {
    "0": Explanation("Pass: nothing regressed and nothing failed.", "Nothing.", CI),
    "1": Explanation(
        "A regression, or a failure of what is measured: arms that disagree, errors beyond the tolerance, a scenario that raised.",
        "Read the line that names it; the report has the details.",
        CI,
    ),
    "2": Explanation(
        "A usage error: an unknown name or option, input that cannot be read, or output that cannot be written.",
        "The message says what to write instead.",
        CI,
    ),
    "3": Explanation(
        "Inconclusive or interrupted: the data do not decide, nothing could be measured, a load test is invalid, or the run was"
        " stopped. What was measured is stored, with a report.",
        "Give more --budget, lower the load, or run it again; the last line says what was missing.",
        CI,
    ),
    "4": Explanation(
        "Not comparable: baseline and candidate differ in scenarios, data, settings or versions.",
        "Measure both alike, or accept a new baseline: harness baseline accept RUN.",
        CI,
    ),
    "70": Explanation(
        "An internal error: a bug of the harness, never of your code.",
        "Report it with the file that the message names.",
        CI,
    ),
}

KINDS: Mapping[str, Texts] = {
    "exit code": EXIT_CODES,
    "verdict on a promise": PROMISES,
    "verdict of a gate": GATES,
    "status of a scenario": STATUSES,
    "what to do": ACTIONS,
    "whether an arm is worth it": WORTHS,
    "trust": TRUSTS,
    "state under load": LOAD_STATES,
    "finding": FINDINGS,
    "control": CONTROLS,
    "gain of a switch": SWITCHES,
    "gain of all switches": SUMS,
    "grade of a machine": GRADES,
    "warning": {name: Explanation(name.meaning, name.action, name.page) for name in WarningName},
}
"""Kind → name → explanation: everything that can be explained."""


def names() -> list[str]:
    """Return every name, each once."""
    return list(dict.fromkeys(str(name) for texts in KINDS.values() for name in texts))


def find(asked: str) -> list[tuple[str, str, Explanation]]:
    """Return (kind, name, explanation) of each meaning of a name; none if it is unknown.

    Case does not matter, hyphens and underscores stand for blanks, and a warning may have its place behind its name.

    Example:
        >>> [(kind, name) for kind, name, _ in find("few_pairs")]
        [('trust', 'few pairs'), ('warning', 'few pairs')]
    """
    wanted = _plain(asked).removeprefix("exit code ").removeprefix("exit ")
    known = {_plain(name): name for name in names()}
    begun = [plain for plain in known if wanted == plain or wanted.startswith((f"{plain} ", f"{plain}, "))]
    if not begun:
        return []
    name = known[max(begun, key=len)]
    return [(kind, name, texts[name]) for kind, texts in KINDS.items() if name in texts]


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
