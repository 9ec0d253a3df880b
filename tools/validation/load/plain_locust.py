"""Locust as its documentation has it: users on FastHttpUser, each with a constant throughput. A locustfile.

`CONFORMANCE_PER_S` is how often a user asks, `CONFORMANCE_SEEN` the file that Locust's own percentiles are written to at the end.
Locust's events are untyped.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant_throughput, events, task

QUANTILES = {"50": 0.50, "90": 0.90, "95": 0.95, "99": 0.99, "99.9": 0.999}


class Asker(FastHttpUser):
    """Asks as often as told, unless it still waits for an answer."""

    wait_time = constant_throughput(float(os.environ["CONFORMANCE_PER_S"]))

    @task
    def ask(self) -> None:
        """Send a request and read its answer."""
        self.client.get("/")


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def write(environment: Any, **_: object) -> None:
    """Write what Locust's table shows, before it is cut to whole milliseconds."""
    total = environment.stats.total
    at = {label: total.get_response_time_percentile(q) for label, q in QUANTILES.items()}
    seen = {"operations": total.num_requests, "failed": total.num_failures, "percentiles_ms": at}
    Path(os.environ["CONFORMANCE_SEEN"]).write_text(json.dumps(seen), encoding="utf-8")
