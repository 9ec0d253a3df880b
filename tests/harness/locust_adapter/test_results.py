"""The web UI: scenarios and options to choose, and the last run's verdicts."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.results.store import read_run

pytestmark = pytest.mark.slow


def test_a_run_from_the_page_ends_with_its_verdicts_on_it(
    command: Callable[..., list[str]], folder: Path, port: str, tmp_path: Path
) -> None:
    """A scenario, a seed and a rate are chosen in the form; after the run the tab has ratios and the report is a click away."""
    (folder / "more_adding.py").write_text((folder / "adding.py").read_text().replace("class Adding", "class More"))
    words = command("--class-picker", "--web-host", "127.0.0.1", "--web-port", port)
    child = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        page = answer(url)
        arguments = json.loads(re.findall(r"window.templateArgs = (.*)", page)[0])
        assert "MoreAdding" in arguments["available_user_classes"]
        assert {"size", "engine", "arm", "rate", "rtt", "seed"} <= set(arguments["extra_options"])
        assert arguments["extra_options"]["arm"]["choices"] == ["all", "baseline", "proposed", "optimised"]
        assert arguments["extended_tabs"] == [{"title": "Verdicts", "key": "verdicts"}]
        assert "./verdicts" in [file["href"] for file in arguments["extended_csv_files"]]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{url}/verdicts", timeout=10).close()
        form = {"user_count": 9, "spawn_rate": 9, "user_classes": "MoreAdding", "size": "tiny", "seed": "3", "rate": "50"}
        with urllib.request.urlopen(f"{url}/swarm", urllib.parse.urlencode(form).encode(), timeout=60) as started:
            assert b'"success":true' in started.read().replace(b" ", b"")
        deadline = time.monotonic() + 60
        while "optimised" not in answer(f"{url}/stats/requests") and time.monotonic() < deadline:
            time.sleep(0.3)
        with urllib.request.urlopen(f"{url}/stop", b"", timeout=60):
            pass
        assert "<html" in answer(f"{url}/verdicts")
        time.sleep(2.1)  # Locust keeps this answer for two seconds
        (shown,) = json.loads(answer(f"{url}/stats/requests"))["extended_stats"]
        record = read_run(tmp_path / "run")
        (only,) = record.scenarios
        assert (only.name, record.settings.seed) == ("more_adding", 3)
        assert only.load is not None
        assert only.load.models == ["open"]
        assert len(shown["data"]) >= len(only.load.ratios)
    finally:
        time.sleep(0.5)  # a signal in the middle of answering a request would be told as that request's failure
        child.send_signal(signal.SIGINT)
        said = child.communicate(timeout=30)[0]
    assert "Traceback" not in said, said


def answer(url: str) -> str:
    """Return what the web UI says, waiting for it to come up."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as found:
                return str(found.read().decode())
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
