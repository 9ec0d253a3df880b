"""One operation of a scenario, counted or timed: shared by the worker of a run and by the worker of `harness gate --against`.

Standard library only and loadable by path, because the gate's worker runs with another tree's `harness`, which may be an older
version.
"""

import hashlib
import os
import pickle
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any


class UnpicklableCaseError(ValueError):
    """A case whose `args` cannot be passed to another process; the message names the case, the part and the remedy."""


def cached_cases(file: Path, make: Callable[[], Iterable[Any]]) -> list[Any]:
    """Return a scenario's cases, made once per run and cached in `file`, since every worker process needs them.

    Raises UnpicklableCaseError if a case cannot be pickled, or not be read again.
    """
    if file.exists():
        return list(pickle.loads(file.read_bytes()))  # noqa: S301 - written by this run, in its own folder
    cases = list(make())
    try:
        pickled = pickle.dumps(cases)
        read_again = pickle.loads(pickled)  # noqa: S301 - made in the line above
    except Exception as error:
        raise UnpicklableCaseError(_unpicklable(cases, error)) from error
    partial = file.with_suffix(f".{os.getpid()}")
    partial.write_bytes(pickled)
    partial.rename(file)
    return list(read_again)


def _unpicklable(cases: Iterable[Any], error: Exception) -> str:
    """Return the message for cases that cannot be pickled: the first of them, with the part of its args that is why."""
    for case in cases:
        try:
            pickle.loads(pickle.dumps(case))  # noqa: S301 - made here
        except Exception as its_error:  # noqa: BLE001 - pickling runs methods of the user's objects
            part = _unpicklable_part(case.args) or f"{type(its_error).__name__}: {its_error}"
            built = "the function" if " at line " in part else "the object"
            return f"case {case.name!r}: its args cannot be pickled ({part}); pass plain data and build {built} in run()"
    return f"its cases cannot be pickled ({type(error).__name__}: {error}); pass plain data as their args"


def _unpicklable_part(args: Any, depth: int = 4) -> str:
    """Return the innermost part that cannot be pickled, such as "a lambda at line 16"; empty if no part is the reason."""
    try:
        pickle.loads(pickle.dumps(args))  # noqa: S301 - made here
    except Exception:  # noqa: BLE001 - see above
        parts = args.values() if isinstance(args, dict) else args if isinstance(args, list | tuple | set | frozenset) else ()
        parts = parts or (vars(args).values() if hasattr(args, "__dict__") and not hasattr(args, "__code__") else ())
        found = next(filter(None, (_unpicklable_part(part, depth - 1) for part in parts)), "") if depth else ""
        code = getattr(args, "__code__", None)
        if code is not None:
            what = "a lambda" if code.co_name == "<lambda>" else f"the local function {code.co_name}"
            return f"{what} at line {code.co_firstlineno}"
        return found or f"an object of {type(args).__name__}"
    return ""


def first_of_each_group(cases: Sequence[Any], count: int = 1) -> list[Any]:
    """Return the first `count` cases of each group, in their order."""
    taken, first = Counter[str](), []
    for case in cases:
        taken[case.group] += 1
        if taken[case.group] <= count:
            first.append(case)
    return first


async def run_counted(
    scenario: Any, instance: Any, case: Any, probes: Sequence[Any] = (), inspect: Callable[[Any], Any] | None = None
) -> tuple[dict[str, float], Any]:
    """Run one operation under probes and reset what it wrote.

    Return the counts by metric, and what `inspect` returned for the answer.
    """
    async with AsyncExitStack() as stack:
        for probe in probes:
            await stack.enter_async_context(probe)
        answer = await scenario.run(instance, case)
    counts = {metric: value for probe in probes for metric, value in probe.counts().items()}
    inspected = None if inspect is None else inspect(answer)
    await scenario.reset(instance, case, answer)
    return counts, inspected


def repeated_counts(first: Mapping[str, float], second: Mapping[str, float]) -> list[tuple[str, float, bool]]:
    """Return (metric, value, whether the second run counted the same) for each count of the first run."""
    return [(metric, value, second.get(metric) == value) for metric, value in first.items()]


async def run_timed(
    scenario: Any, instance: Any, case: Any, now_ns: Callable[[], int] = time.perf_counter_ns, slowdown: float = 0.0
) -> tuple[int, int]:
    """Time one operation, then reset what it wrote; neither the reset nor reading the answer is timed.

    `slowdown` is a share of the operation's time to add to it by busy waiting. Returns the nanoseconds that count, which are the
    operation's self-reported ones if it has any (at least 1), and those that passed.
    """
    run = scenario.run
    start = now_ns()
    answer = await run(instance, case)
    end = now_ns()
    if slowdown:
        until = end + round(slowdown * (end - start))
        while end < until:
            end = now_ns()
    self_reported_ns = scenario.self_reported_ns(case, answer)
    await scenario.reset(instance, case, answer)
    passed_ns = end - start
    return passed_ns if self_reported_ns is None else max(1, round(self_reported_ns * (1 + slowdown))), passed_ns


def digest(answer: Any) -> str | None:
    """Return a digest of an answer's representation; None if it contains an address, which differs between processes."""
    text = repr(answer)
    return None if " at 0x" in text else hashlib.sha256(text.encode()).hexdigest()
