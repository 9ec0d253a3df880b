"""The web UI: choice of scenarios and options, and the last run's verdicts."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.results.store import read_run

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.slow


def test_a_killed_report_is_a_failure() -> None:
    """Its exit code counts, and a signal as a failure; in another process, because importing Locust patches it."""
    program = """
from pathlib import Path
from types import SimpleNamespace
from harness.locust_adapter import results
for code in (0, -9, 3):
    results.subprocess = SimpleNamespace(run=lambda *_, **__: SimpleNamespace(returncode=code), DEVNULL=None)
    print(results.write_report(Path()), end=" ")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "0 1 3 "


def test_a_run_from_the_web_ui_shows_its_verdicts(
    command: Callable[..., list[str]], folder: Path, port: str, tmp_path: Path
) -> None:
    """The form has scenarios and options; after the run the tab has ratios, and the report is linked."""
    (folder / "more_adding.py").write_text((folder / "adding.py").read_text().replace("class Adding", "class More"))
    arguments = command("--class-picker", "--web-host", "127.0.0.1", "--web-port", port)
    child = subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        page = page_text(url)
        template = json.loads(re.findall(r"window.templateArgs = (.*)", page)[0])
        assert "MoreAdding" in template["available_user_classes"]
        assert {"size", "engine", "arm", "rate", "rtt", "seed"} <= set(template["extra_options"])
        assert template["extra_options"]["arm"]["choices"] == ["all", "baseline", "proposed", "optimised"]
        assert template["extended_tabs"] == [{"title": "Verdicts", "key": "verdicts"}]
        assert "./verdicts" in [file["href"] for file in template["extended_csv_files"]]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{url}/verdicts", timeout=10).close()
        form = {"user_count": 9, "spawn_rate": 9, "user_classes": "MoreAdding", "size": "tiny", "seed": "3", "rate": "50"}
        with urllib.request.urlopen(f"{url}/swarm", urllib.parse.urlencode(form).encode(), timeout=60) as started:
            assert b'"success":true' in started.read().replace(b" ", b"")
        deadline = time.monotonic() + 120
        while "optimised" not in page_text(f"{url}/stats/requests") and time.monotonic() < deadline:
            time.sleep(0.3)
        with urllib.request.urlopen(f"{url}/stop", b"", timeout=60):
            pass
        assert "<html" in page_text(f"{url}/verdicts")
        time.sleep(2.1)  # Locust keeps this answer for two seconds
        (shown,) = json.loads(page_text(f"{url}/stats/requests"))["extended_stats"]
        record = read_run(tmp_path / "run")
        (only,) = record.scenarios
        assert (only.name, record.settings.seed) == ("more_adding", 3)
        assert only.load is not None
        assert only.load.models == ["open"]
        assert len(shown["data"]) >= len(only.load.ratios)
    finally:
        time.sleep(0.5)  # a signal during a request would appear as that request's failure
        child.send_signal(signal.SIGINT)
        output = child.communicate(timeout=60)[0]
    assert "Traceback" not in output, output


def page_text(url: str) -> str:
    """Return a page of the web UI, waiting for its start."""
    deadline = time.monotonic() + 100
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
