"""Locust's FastHttpUser under the same closed model, in its own process: `bench_locust JOB` writes JSON.

It is Locust as people use it, with its runner and its statistics; only the times are our own: Locust rounds to milliseconds.
"""

from __future__ import annotations

import sys

import gevent
import msgspec
from locust import FastHttpUser, task
from locust.env import Environment

from harness.runtime.clock import MonotonicClock
from tools.load_generator.bench_drivers import HOST, WARM_UP_S, DriverJob, Window


def main() -> None:
    """Measure the job that the command line gives as JSON."""
    job = msgspec.json.decode(sys.argv[1], type=DriverJob)
    window, now_ns = Window(job.server), MonotonicClock().now_ns

    class Asker(FastHttpUser):
        """Asks again as soon as it is answered."""

        host = f"http://{HOST}:{job.port}"

        @task
        def ask(self) -> None:
            """Send a request and read its answer."""
            begun_ns = now_ns()
            response = self.client.get("/")
            window.took_ns.append(now_ns() - begun_ns)
            if response.status_code != 200:  # noqa: PLR2004 - what the echo answers
                raise ConnectionError(f"the echo answered {response.status_code}")

    runner = Environment(user_classes=[Asker]).create_local_runner()
    runner.start(job.users, spawn_rate=job.users)
    gevent.sleep(WARM_UP_S + 1.0)  # Locust takes up to a second to start its users
    window.open()
    gevent.sleep(job.seconds)
    measured = window.close()
    runner.quit()
    sys.stdout.buffer.write(msgspec.json.encode(measured))


if __name__ == "__main__":
    main()
