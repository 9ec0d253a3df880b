"""A Prometheus that reads an application's metrics for as long as it is entered."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import NotMeasurableError
from harness.servers.guard import Command, guarded

PATH_VARIABLE = "HARNESS_PROMETHEUS"
"""Names the program, where it is not on PATH."""

_HOST = "127.0.0.1"
_ANSWER_S = 5.0


@contextmanager
def server(folder: Path, target: str, *, every_s: float = 0.2) -> Iterator[str]:
    """Start a Prometheus that reads `http://TARGET/metrics` every so many seconds, and yield its URL. Its log is kept in `folder`.

    Raises:
        NotMeasurableError: there is no program to start.
        UsageError: it does not start.
    """
    program = program_path("prometheus", os.environ.get(PATH_VARIABLE))
    own = Path(tempfile.mkdtemp(prefix="harness-prometheus-"))
    config = own / "prometheus.yml"
    every = f"{round(every_s * 1000)}ms"
    # JSON is YAML as well.
    scrape = {"job_name": "service", "scrape_interval": every, "scrape_timeout": every, "static_configs": [{"targets": [target]}]}
    config.write_text(json.dumps({"scrape_configs": [scrape]}))
    with socket.socket() as taken:
        taken.bind((_HOST, 0))
        port = taken.getsockname()[1]
    words = [program, f"--config.file={config}", f"--storage.tsdb.path={own / 'data'}", f"--web.listen-address={_HOST}:{port}"]
    url = f"http://{_HOST}:{port}"
    with guarded(Command("Prometheus", words, folder / "prometheus.log", remove=own), lambda: _is_ready(url)):
        yield url


def program_path(name: str, given: str | None = None) -> str:
    """Return the path of one of Prometheus's programs.

    Raises:
        NotMeasurableError: it is not on PATH, and none is given.
    """
    found = shutil.which(given or name)
    if found is None:
        raise NotMeasurableError(f"there is no {given or name} on PATH, and no {PATH_VARIABLE}; install Prometheus")
    return found


def ask(url: str, expression: str) -> list[Any]:
    """Return Prometheus's answer to an expression: a list of series, each with its "metric" labels and its "value".

    Raises:
        OSError: it does not answer, or refuses the expression.
    """
    asked = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{url}/api/v1/query?{asked}", timeout=_ANSWER_S) as answer:  # noqa: S310 - loopback, our own server
        found: list[Any] = json.load(answer)["data"]["result"]
    return found


def ask_until(url: str, expression: str, *, patience_s: float = 10.0) -> list[Any]:
    """Ask again and again until there is an answer, since the first readings take a moment; return an empty one in the end."""
    ends_s = time.monotonic() + patience_s
    while not (found := ask(url, expression)) and time.monotonic() < ends_s:
        time.sleep(0.1)
    return found


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=1) as answer:  # noqa: S310 - loopback, our own server
            return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's own number for "all is well"
    except OSError:
        return False
