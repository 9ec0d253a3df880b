"""Warnings of a load test: what response times contain besides the arms' own work, and percentiles at which an arm is slower."""

import math
from itertools import chain

from harness.load.checks import MAX_CPU_PERCENT, blocks_by_arm, core_usage, cpu_bound, late_starts
from harness.load.sampler import USERS
from harness.load.totals import Blocks
from harness.results.load import ALL, LoadResult, Phase
from harness.results.run import RunWarning
from harness.results.warning_names import WarningName
from harness.verdicts import tails


def shared_process_warning(remedy: str) -> RunWarning:
    """Return the warning that the load generator and the data layer run in one process."""
    message = "the load generator and the data layer share a process, so that each takes CPU time from the other"
    return RunWarning(WarningName.ONE_PROCESS_FOR_BOTH, message, remedy)


def _cpu_bound_warning(load: LoadResult, blocks: Blocks) -> list[RunWarning]:
    """Return the warning that the operations of some arms fill the core of the process in which they run."""
    found = cpu_bound(chain(*blocks.values()))
    if load.invalid or not found:
        return []
    users = max((block.users for block in chain(*blocks.values())), default=0)
    queueing = f"with {users} users response time contains" if users > 1 else "response time contains"
    bound = f"operations are CPU-bound in the load generator's process: {queueing} their queueing for that core"
    message = f"{bound}; {'; '.join(found.values())}"
    remedy = "compare arms by throughput and latency; a gain is rather understated; a server in another process may sustain more"
    return [RunWarning(WarningName.CPU_BOUND_OPERATIONS, message, remedy)]


def _late_warnings(blocks: Blocks) -> list[RunWarning]:
    """Return a warning per arm whose response times in the closed model contain delays of the generator's event loop."""
    warnings = []
    for arm, of_arm in blocks_by_arm(chain(*blocks.values())).items():
        is_remote_users = all(b.users and b.targets for b in of_arm)
        if is_remote_users and core_usage(of_arm)[0] <= MAX_CPU_PERCENT and (late := late_starts(of_arm)):
            message = f"with {arm} the load generator's event loop started {late}"
            remedy = "give the generator a core to itself; operations with much CPU time in its process delay it too"
            warnings.append(RunWarning(WarningName.LATE_EVENT_LOOP, message, remedy))
    return warnings


def _slower_warnings(load: LoadResult) -> list[RunWarning]:
    """Return a warning per arm and group with a percentile that is significantly slower than the baseline's: the worst one."""
    found = tails.slower(
        (r for r in load.ratios if r.group != ALL), {(a.arm, a.group): a.response.percentiles_ns for a in load.arms}
    )
    return [
        RunWarning(WarningName.SLOWER_UNDER_LOAD, f"{arm}, {group}: {text}", tails.REMEDY) for (arm, group), text in found.items()
    ]


def _users_warnings(load: LoadResult) -> list[RunWarning]:
    """Return a warning per arm with which the process of Locust users filled its core."""
    warnings = []
    for arm in dict.fromkeys(tick.arm for tick in load.ticks):
        used = [t.cpu_percent[USERS] for t in load.ticks if t.arm == arm and t.phase == Phase.MEASURED and USERS in t.cpu_percent]
        if used and math.fsum(used) / len(used) > MAX_CPU_PERCENT:
            share = math.fsum(used) / len(used)
            queueing = "response time contains their queueing for it"
            message = f"with {arm} the process of the Locust users used {share:.0f} % of a core: {queueing}"
            remedy = "lower the load, use FastHttpUser, or name a URL instead of the locustfile"
            warnings.append(RunWarning(WarningName.CPU_BOUND_USERS, message, remedy))
    return warnings


def load_warnings(load: LoadResult, blocks: Blocks) -> list[RunWarning]:
    """Return the warnings of one scenario."""
    warnings = [
        RunWarning(
            WarningName.FAILED_OPERATIONS, f"{a.arm}: {count} × {message}{where}", "they are within the tolerance; see --errors"
        )
        for a in load.arms
        if a.group == ALL and not a.failing
        for messages, where in ((a.error_messages, ""), (a.warm_up_errors, " in the warm-up"))
        for message, count in messages.items()
    ]
    warnings += [*_cpu_bound_warning(load, blocks), *_late_warnings(blocks), *_slower_warnings(load), *_users_warnings(load)]
    if blocks and not any(block.targets for block in chain(*blocks.values())):
        warnings.append(shared_process_warning("read ratios; a rate is not the data layer's own"))
    return warnings


def one_process_warnings(blocks: Blocks, sharing: int) -> list[RunWarning]:
    """Return the warning of a single load worker; `sharing` is the number of load workers that shared each block."""
    if not len(blocks) == sharing == 1:
        return []
    message = "intervals are over the cycles of a single load worker"
    return [RunWarning(WarningName.ONE_PROCESS, message, "add --processes 2 or more")]
