"""Locust's FastHttpUser in the same closed model, in a separate process: `bench_locust JOB` writes JSON.

It is Locust with its usual runner; only the times are measured here, because Locust rounds to milliseconds.
"""

import sys

import gevent
import msgspec
from locust import FastHttpUser, task
from locust.env import Environment

from harness.runtime.clock import MonotonicClock
from tools.load_generator.bench_drivers import WARM_UP_S, DriverJob, Window
from tools.servers import HOST


def main() -> None:
    """Measure the job in the argument, in JSON."""
    job = msgspec.json.decode(sys.argv[1], type=DriverJob)
    window, now_ns = Window(job.server), MonotonicClock().now_ns

    class EchoUser(FastHttpUser):
        """Sends the next request as soon as the last one has completed."""

        host = f"http://{HOST}:{job.port}"

        @task
        def send(self) -> None:
            """Send a request and read its response."""
            begun_ns = now_ns()
            response = self.client.get("/")
            window.took_ns.append(now_ns() - begun_ns)
            if response.status_code != 200:  # noqa: PLR2004 - the echo's status
                raise ConnectionError(f"the echo responded with {response.status_code}")

    runner = Environment(user_classes=[EchoUser]).create_local_runner()
    runner.start(job.users, spawn_rate=job.users)
    gevent.sleep(WARM_UP_S + 1.0)  # Locust takes up to a second to start its users
    window.open()
    gevent.sleep(job.seconds)
    measured = window.close()
    runner.quit()
    sys.stdout.buffer.write(msgspec.json.encode(measured))


if __name__ == "__main__":
    main()
