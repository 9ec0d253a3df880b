"""The names of all warnings, each with its meaning and what to do about it: `harness explain` and docs/verdicts.md print them.

A warning about a part of a run may add it to the name: "not timed in indexes · sqlite".
"""

from enum import StrEnum
from typing import Self

METHOD, LOAD, CI, FILES, HISTORY, ENGINES, SCENARIO = (
    f"docs/{page}.md" for page in ("method", "load", "ci", "files", "history", "engines", "scenario")
)
"""The pages of the documentation that say more."""


class WarningName(StrEnum):
    """The name of a warning: a reason not to trust a figure, or not to compare it."""

    meaning: str
    """What the warning means, in a sentence or two."""
    action: str
    """What to do about it."""
    page: str
    """The page of the documentation that says more."""

    def __new__(cls, name: str, meaning: str, action: str, page: str) -> Self:
        """Return a member whose value is its name, with its texts."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.meaning, member.action, member.page = meaning, action, page
        return member

    # a run of pairs
    INTERRUPTED = (
        "interrupted",
        "The run was stopped before this scenario was finished. What was measured is kept.",
        "Run it again for complete figures.",
        METHOD,
    )
    FEW_PROCESSES = (
        "few processes",
        (
            "The confidence intervals are based on fewer than 5 fresh processes. Processes of the same code differ, and "
            "few of them show little of that."
        ),
        "Run with --processes 5 or more, and without --quick.",
        METHOD,
    )
    FEW_PAIRS = (
        "few pairs",
        "A group of cases was timed in fewer than 10 pairs, so that one disturbed pair changes its ratio.",
        "Increase --budget, or name fewer scenarios.",
        METHOD,
    )
    BUDGET = (
        "budget",
        "The budget ended before every group of cases had a median. The groups without one have no figures of speed.",
        "Run again with the --budget that the warning names, or name fewer scenarios.",
        METHOD,
    )
    SIDE_BY_SIDE = (
        "side by side",
        (
            "Scenarios were timed in parallel, one per core. All arms of a scenario are slowed alike, so that ratios hold "
            "and latencies are a little longer."
        ),
        "For latencies, name one engine and one RTT.",
        METHOD,
    )
    SLOWER_TAIL = (
        "slower tail",
        ("A percentile above the median of an arm is significantly slower than the baseline's, although its median may be faster."),
        "Look at the figure of percentiles; decide by the percentile that your users notice.",
        METHOD,
    )
    CONTROL = (
        "A/A control",
        (
            "Two instances of the baseline consistently differ by more than 5 %. The measurement favours one of them, so "
            "that verdicts on these times are withheld."
        ),
        "Run again on a quieter machine, or with more --processes.",
        METHOD,
    )
    CONTROL_OFF = (
        "A/A control off",
        "The baseline against itself did not measure 1×, by more than 10 %, and its interval excludes 1×.",
        "Read differences of this size there as noise, and run again on a quieter machine.",
        METHOD,
    )
    NOISY_CONTROL = (
        "noisy A/A control",
        (
            "The interval of the baseline against itself is wider than a quarter in both directions: a gain of this size "
            "cannot be shown."
        ),
        "Increase --budget or --processes, or stop other processes.",
        METHOD,
    )
    WORK_COUNTS = (
        "work counts differ between repeats",
        "The same operation did another amount of work when it was repeated, so that its counts cannot decide a gate.",
        ("Look for caches, clocks, random values or background work in the operation; reset() can restore what it changes."),
        CI,
    )
    DRIFT = (
        "machine drifted",
        (
            "A control, such as pure Python work, took longer in the second half of the processes than in the first: the "
            "machine changed its speed. Ratios of pairs cancel that, latencies do not."
        ),
        "Run again on a quieter machine; `harness doctor` measures its noise.",
        METHOD,
    )
    INJECTED = (
        "injected slowdown not detected",
        ("The slowdown that --plant put into the baseline was not found in a group, so that a real one would not be found either."),
        "Increase --budget or --processes.",
        METHOD,
    )
    LEFT_RUNNING = (
        "left running",
        ("Threads, tasks or processes of a scenario still ran after its instance was closed, and may have slowed what came after."),
        "End them where `open` closes the instance.",
        SCENARIO,
    )
    MEMORY = (
        "memory",
        "The memory of some groups was not measured, because the process that measures it failed.",
        "Run this scenario again; the warning has the error.",
        METHOD,
    )
    SNAPSHOT_CACHE = (
        "snapshot cache",
        "The cache of filled databases could not be used as intended. This costs time and no accuracy.",
        "Do what the warning says, such as freeing space on the disk.",
        ENGINES,
    )
    INSTRUCTIONS = (
        "instructions",
        "The machine instructions of an arm could not be counted. All other figures are complete.",
        "Leave --instructions out, or install the valgrind that the message names.",
        METHOD,
    )
    SERVERS = (
        "servers",
        "A server did not stop, or reported an error when it was stopped, after everything had been measured.",
        "Stop what may still run.",
        ENGINES,
    )

    # a load test
    LOAD_CUT_SHORT = (
        "load cut short",
        (
            "The budget of the run did not suffice for the whole load test of a scenario, so that percentiles and "
            "capacities may be missing."
        ),
        "Use the command that the warning names: `harness load` or `harness capacity` take the time they need.",
        LOAD,
    )
    SEARCH_CUT_SHORT = (
        "search cut short",
        ("The budget ended before the capacity was found as precisely as intended. The capacity lies between the levels shown."),
        "Raise it with --budget.",
        LOAD,
    )
    ONE_PROCESS_FOR_BOTH = (
        "one process for both",
        "The load generator and the data layer run in one process, so that each takes CPU time from the other.",
        "Compare arms by their ratios; for rates of the data layer itself, put it behind a server.",
        LOAD,
    )
    ONE_PROCESS = (
        "one process",
        ("The intervals are over the cycles of a single load worker, and show nothing of the differences between processes."),
        "Add --processes 2 or more.",
        LOAD,
    )
    CPU_BOUND_OPERATIONS = (
        "CPU-bound operations",
        (
            "The operations fill the core of the load generator's process, so that response times contain their queueing "
            "for that core."
        ),
        "Compare arms by throughput and latency; a server in another process may sustain more.",
        LOAD,
    )
    CPU_BOUND_USERS = (
        "CPU-bound users",
        "The process of the Locust users fills its core, so that response times contain their queueing for it.",
        "Lower the load, use FastHttpUser, or name a URL instead of the locustfile.",
        LOAD,
    )
    LATE_EVENT_LOOP = (
        "late event loop",
        (
            "The load generator's event loop started operations late, so that response times contain a delay that is not "
            "the server's."
        ),
        "Give the generator a core to itself, or lower the load.",
        LOAD,
    )
    SLOWER_UNDER_LOAD = (
        "slower under load",
        "A percentile of an arm under load is significantly slower than the baseline's.",
        "Look at the percentiles of the arm's group, and at the timeline for the moment when it slows.",
        LOAD,
    )
    FAILED_OPERATIONS = (
        "failed operations",
        "Some operations raised an error, fewer than --errors tolerates. They are in no distribution of times.",
        "Read the error in the warning; --errors sets the tolerance.",
        LOAD,
    )

    # a gate
    THE_BASELINE = ("the baseline", "The run of the baseline is incomplete.", "Measure the baseline again, to its end.", CI)
    THE_CANDIDATE = ("the candidate", "The run of the candidate is incomplete.", "Measure the candidate again, to its end.", CI)
    NOT_COMPARABLE = (
        "not comparable",
        (
            "Baseline and candidate were measured with other data, settings or versions, so that no difference can be "
            "attributed to the code."
        ),
        "Measure both alike, or accept the candidate as the new baseline: harness baseline accept RUN.",
        CI,
    )
    OTHER_SCHEMA = (
        "another schema",
        "The runs were written by versions of the harness whose files differ.",
        "Measure both again with the same version.",
        CI,
    )
    OTHER_KIND = (
        "another kind of run",
        "One run timed pairs and the other put arms under load.",
        "Compare two runs of one command.",
        CI,
    )
    OTHER_SETTINGS = (
        "other settings",
        "The runs or files differ in settings that change times, such as the size of the data.",
        "Measure both with the same settings.",
        CI,
    )
    OTHER_LOAD = (
        "another load",
        "The files were measured under other loads, so that their times are not comparable.",
        "Measure both under the same load.",
        FILES,
    )
    NAMES = (
        "names",
        "Two scenarios of a run have one name, so that it is not known which to compare.",
        "Measure runs in which each scenario has its own name.",
        CI,
    )
    NEW_SCENARIOS = (
        "new scenarios",
        "The candidate has scenarios that the baseline has not. They are not guarded yet.",
        "Accept a baseline that has them.",
        CI,
    )
    NEW = (
        "new",
        "The candidate has arms, groups or counts that the baseline has not. They are not guarded yet.",
        "Accept a baseline that has them.",
        CI,
    )
    THE_SAME_RUN = (
        "the same run",
        "One run was named twice, so that the comparison shows nothing, or a history counts it once.",
        "Name each run once.",
        CI,
    )
    OTHER_MACHINE = (
        "another machine or version",
        (
            "The files were measured on other machines, or with other versions of Python, the engine or libraries. Times "
            "are not comparable."
        ),
        "Measure both on the same machine, with the same versions.",
        CI,
    )
    OTHER_TOLERANCES = (
        "other tolerances",
        (
            "The candidate states other tolerances than the baseline of a commit. That commit's decide, so that a change is not "
            "judged by what it states itself."
        ),
        "Merge the tolerances, and accept a new baseline there, or accept the regression with a reason.",
        CI,
    )
    UNSTEADY_COUNTS = (
        "unsteady counts",
        "Work counts that did not repeat exactly changed, which may be chance.",
        "Set a tolerance in the scenario or in [tool.harness.gate.tolerances].",
        CI,
    )
    NOT_GUARDED = (
        "not guarded",
        "No work count guards these operations, so that a slowdown of them does not fail the gate.",
        "Time both versions interleaved: harness gate --against REF.",
        CI,
    )
    ALL_TIMES_SHIFTED = (
        "all times shifted",
        "Nearly all times changed by the same factor: rather the machine than the code.",
        "Time both versions interleaved: harness gate --against REF.",
        CI,
    )
    LARGE_CHANGES = (
        "large changes of stored times",
        "Stored times changed by more than separate runs of the same code usually do. They are shown and not judged.",
        "Time both versions interleaved: harness gate --against REF.",
        CI,
    )
    NOT_TIMED = (
        "not timed",
        "The scenario of this place was not timed in both versions; its work counts were compared.",
        "Compare its work counts, or two runs of `harness run`.",
        CI,
    )
    OLD_VERSION = (
        "old version",
        (
            "git did not check out submodules or files of Git LFS in the old version, so that a benchmark that needs them "
            "fails there."
        ),
        "Compare a benchmark that does not need them, or fetch them first: git lfs fetch --all.",
        CI,
    )
    THE_SUITE = (
        "the suite",
        "The pytest suite ended with an error in the old version, so that there is nothing to compare with.",
        "Run pytest on the old version to see why.",
        CI,
    )
    BENCHMARKS = (
        "benchmarks",
        "Further benchmarks of the old version are missing in the new one.",
        "Restore them, or pass --allow-missing.",
        CI,
    )
    NEW_BENCHMARKS = (
        "new benchmarks",
        "The old version does not have these benchmarks.",
        "Nothing: they are compared from the next version on.",
        CI,
    )

    # result files
    UNPAIRED = (
        "unpaired",
        (
            "The two files come from separate runs. Separate runs of the same code differ, so that smaller differences "
            "are not judged."
        ),
        "Measure both versions interleaved, in one run, to detect smaller differences.",
        FILES,
    )
    IDENTICAL_FILES = ("identical files", "Both files hold the same bytes.", "Name the file of the other run.", FILES)
    REMOVED_BENCHMARKS = (
        "removed benchmarks",
        "The second file lacks benchmarks of the first.",
        "Restore them; a gate passes without them with --allow-missing.",
        FILES,
    )
    ADDED_BENCHMARKS = (
        "added benchmarks",
        "The first file lacks benchmarks of the second.",
        "Measure a baseline that has them.",
        FILES,
    )
    PERHAPS_OTHER_LOAD = (
        "perhaps another load",
        (
            "The throughput of the files differs by so much that they may have been measured under other loads; the files "
            "do not state it."
        ),
        "Check that both runs had the same users, rate and duration.",
        FILES,
    )
    INVALID_LOAD = (
        "invalid load",
        (
            "In one of the files the load generator was the limit, or dropped operations, so that times describe it and "
            "not the server."
        ),
        "Give the load generator more cores, lower the load, or allow more operations in flight.",
        FILES,
    )
    UNREADABLE = (
        "unreadable benchmarks",
        "Some benchmarks of a file have no figures that can be read, and are left out.",
        "Measure them again.",
        FILES,
    )
    LEFT_OUT = (
        "left out",
        "Parts of a file, or files, are not shown: they have no figures that can be compared, or cannot be read.",
        "Record what the warning names, if you need it.",
        FILES,
    )
    EQUAL_NAMES = (
        "equal names",
        ("Several benchmarks of a file have one name, and are told apart by their parameters or their order in the file."),
        "Give each benchmark its own name.",
        FILES,
    )
    NOTHING_MEASURED = (
        "nothing measured",
        "Some benchmarks of a file completed no operation.",
        "Check that the load reached the server.",
        FILES,
    )
    APPROXIMATE = (
        "approximate intervals",
        ("The single values are not in the file: intervals come from their number and standard deviation, and are approximate."),
        "Save the single values as well.",
        FILES,
    )
    ONE_FIGURE = (
        "one figure per benchmark",
        "The file states one time per benchmark, which is shown as median, mean, minimum and maximum alike.",
        "Compare files with the single values where spread and tails matter.",
        FILES,
    )
    UNKNOWN_UNITS = (
        "unknown units",
        "The file does not state whether figures are times, so that they are shown as plain numbers.",
        "Write the file that states it, as the warning says.",
        FILES,
    )
    CUT_SHORT = ("cut short", "The file ends before its run did.", "Let the tool finish.", FILES)
    FAILED = ("failed", "A scenario of a run failed, and has no figures.", "Fix it, and measure again.", FILES)
    PART_OF_A_RUN = ("part of a run", "The run was not finished, so that results may be missing.", "Run it again.", FILES)
    FAILED_REQUESTS = (
        "failed requests",
        "Requests failed. Their times are among the others where the tool does not separate them.",
        "Fix the requests before times are compared.",
        FILES,
    )
    FAILED_CHECKS = (
        "failed thresholds and checks",
        "Thresholds or checks of the tool that wrote the file failed.",
        "Fix what they check before times are compared.",
        FILES,
    )
    FAILED_BENCHMARKS = ("failed benchmarks", "Some benchmarks failed, and have no figures.", "See what the tool printed.", FILES)
    SKIPPED_BENCHMARKS = (
        "skipped benchmarks",
        "Some benchmarks were skipped, and left out.",
        "See what the tool printed.",
        FILES,
    )
    FAILED_COMMANDS = (
        "failed commands",
        "Commands ended with an error, so that their times are not those of their work.",
        "Fix the command, and measure again.",
        FILES,
    )
    UNKNOWN_EXIT_CODES = (
        "unknown exit codes",
        "The file does not state whether commands succeeded.",
        "Measure again with a newer version of hyperfine.",
        FILES,
    )
    DROPPED_ITERATIONS = (
        "dropped iterations",
        "k6 did not start all iterations that were due, so that the load was lower than planned.",
        "Give k6 more VUs (maxVUs), or lower the rate.",
        FILES,
    )
    ASV = (
        "asv's limitations",
        "asv keeps averages of many calls, which show no tail.",
        "Time single calls: `harness run`.",
        FILES,
    )
    CODSPEED = (
        "CodSpeed's limitations",
        "CodSpeed's file lacks what a comparison with intervals needs; the warning says what.",
        "Time single calls: `harness run`.",
        FILES,
    )
    GITHUB_BENCHMARK = (
        "github-action-benchmark's limitations",
        "github-action-benchmark keeps one figure per benchmark of another tool's file.",
        "Compare the files of the tool that measured.",
        FILES,
    )
    HYPERFINE = (
        "hyperfine's limitations",
        "hyperfine times whole processes, their start included.",
        "Time the operation inside the process: `harness run`.",
        FILES,
    )
    K6_SUMMARY = (
        "limitations of k6's summary",
        "k6's summary has percentiles and no single values, so that they have no intervals.",
        "Write the points as well: k6 run --out json=FILE.",
        FILES,
    )
    K6_POINTS = (
        "limitations of k6's points",
        "k6's points do not contain the outcome of thresholds.",
        "Write the summary as well.",
        FILES,
    )
    LOCUST_CSV = (
        "limitations of Locust's CSV",
        "Locust's CSV has rounded percentiles, and nothing about operations that were not completed.",
        "Compare Locust's --json-file instead.",
        FILES,
    )
    LOCUST_ROUNDING = (
        "Locust's rounding",
        "Locust rounds response times, the longer ones to two digits.",
        "Run the scenario with `harness load`, which keeps nanoseconds.",
        FILES,
    )
    LOCUST = (
        "Locust's limitations",
        (
            "Locust's users wait for each response before the next request, so that a slow server is asked less often and "
            "its times look better."
        ),
        "Use the open model: `harness load`.",
        FILES,
    )
    PYPERF = (
        "pyperf's limitations",
        "pyperf keeps averages of many calls, which show no tail.",
        "Time single calls: `harness run`.",
        FILES,
    )
    PYTEST_BENCHMARK = (
        "pytest-benchmark's limitations",
        "pytest-benchmark times all rounds of a benchmark in one process, one benchmark after another.",
        "Use the scenarios of this harness, which are timed in pairs, or `harness gate --against REF -- pytest …`.",
        FILES,
    )

    # a history
    RUN_ORDER = (
        "order of the runs",
        "Runs are in the order of their times, because git does not know their commits here.",
        "Run the command in the repository that was measured.",
        HISTORY,
    )

    # this machine
    BETWEEN_PROCESSES = (
        "between processes",
        "Processes of the same code on the same core differ by so much that a gate of times needs long.",
        "Give time gates a larger --budget, and gate small changes by work counts.",
        METHOD,
    )
    WITHIN_A_PROCESS = (
        "within a process",
        "Times within one process vary by so much that a run needs many pairs.",
        "Give more time with --budget, or stop other processes.",
        METHOD,
    )
    SLOW = ("slow", "Two operations of the check take more than ten seconds.", "Measure on a faster machine.", METHOD)
    MACHINE_DRIFT = (
        "drift",
        "The machine's speed changed during the check.",
        "Measure on a machine whose clock frequency is fixed, or at a quieter time.",
        METHOD,
    )
    STEAL = (
        "steal",
        "The host gave CPU time of this machine to others.",
        "Measure on a machine that is not shared, or at a quieter time.",
        METHOD,
    )
    BUSY = ("busy", "Other processes keep cores of this machine busy.", "Stop other processes.", METHOD)
    NOT_PINNED = (
        "not pinned",
        "Workers cannot be pinned to a core, so that the system moves them between cores.",
        "Use at least two cores.",
        METHOD,
    )
    GOVERNOR = (
        "governor",
        "The frequency governor changes the clock frequency with the load.",
        "Set it to performance: cpupower frequency-set -g performance.",
        METHOD,
    )
    CLOCK = ("clock", "The clock advances in steps that are long for short operations.", "Measure longer operations.", METHOD)
    TIMERS = (
        "timers",
        "Timers are late, so that arrivals of a load test do not follow their plan closely.",
        "Do not rely on small delays of load tests; stop other processes.",
        METHOD,
    )
