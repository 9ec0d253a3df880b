"""A locustfile as in Locust's documentation: users on FastHttpUser, each with a constant throughput.

`VALIDATION_PER_S` is the rate of a user, `VALIDATION_RESULT` the file to which Locust's percentiles are written at the end.
"""

import json
import os
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant_throughput, events, task

QUANTILES = {"50": 0.50, "90": 0.90, "95": 0.95, "99": 0.99, "99.9": 0.999}


class ConstantUser(FastHttpUser):
    """Sends requests at a constant rate, unless it still waits for a response."""

    wait_time = constant_throughput(float(os.environ["VALIDATION_PER_S"]))

    @task
    def send(self) -> None:
        """Send a request and read its response."""
        self.client.get("/")


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def write(environment: Any, **_: object) -> None:
    """Write the figures of Locust's table before they are truncated to whole milliseconds."""
    total = environment.stats.total
    at = {label: total.get_response_time_percentile(q) for label, q in QUANTILES.items()}
    result = {"operations": total.num_requests, "failed": total.num_failures, "percentiles_ms": at}
    Path(os.environ["VALIDATION_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
