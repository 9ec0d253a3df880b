"""How Locust rounds: what a bucket of its response times may stand for (locust.stats.bucket_response_time, Locust 2)."""

from __future__ import annotations

from harness.results.run import RunWarning

TOOL = "Locust"
LOSES = (
    RunWarning(
        "what Locust rounds",
        "response times are rounded to whole milliseconds, above 100 ms to two digits, and medians and percentiles with them",
        "run the scenario with `harness load`, which keeps nanoseconds",
    ),
    RunWarning(
        "what Locust mixes",
        "times of failed requests are among the others, and a user who waits for a slow answer asks for nothing meanwhile",
        "run the scenario with `harness load`, which keeps errors apart and counts from when a request was due",
    ),
)
_STEPS_MS = ((100.0, 1), (1_000.0, 10), (10_000.0, 100), (float("inf"), 1_000))


def rounding_ms(value_ms: float) -> float:
    """Return how far a time may lie from the bucket it was put into; 0 where no bucket of Locust's own has this value."""
    step = next(step for limit, step in _STEPS_MS if value_ms < limit)
    return step / 2 if value_ms % step == 0 else 0.0


def failed(errors: dict[str, int]) -> tuple[RunWarning, ...]:
    """Return the warning that failed requests raise; `errors` maps names to how many failed."""
    found = [f"{number:,} × {name}" for name, number in errors.items() if number]
    return (
        (RunWarning("failed requests", f"failed: {', '.join(found)}", "mend them: their times are among the others"),)
        if found
        else ()
    )
