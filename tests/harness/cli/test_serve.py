"""`harness serve`: what it prints, how it is stopped and what it refuses."""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from harness.cli import serve
from harness.errors import UsageError

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60.0
"""How long a test waits for what should come soon; it only bounds a failure."""


def harness_serve(*words: str) -> int:
    """Run the command as the roof does."""
    parser = argparse.ArgumentParser()
    serve.arguments(parser)
    return serve.run(parser.parse_args(words))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--arm", "fast"], "--arm 'fast': no level named 'fast'; known: baseline, proposed, optimised"),
        (["--arm", "baseline,speed=optimised"], "no switch named 'speed'"),
        (["--engine", "turso"], "does not run on 'turso'; known: sqlite, postgres"),
        (["--size", "vast"], "no size named 'vast'"),
        (["--seed", "x"], "seed 'x'"),
        (["--port", "70000"], "port '70000' is not a whole number up to 65535"),
        (["--port", "http"], "port 'http'"),
        (["--arm", "baseline", "--slow-log", "slow.jsonl"], "monitoring=baseline keeps no log; add monitoring=optimised to --arm"),
        (["--slow-log", "no/such/slow.jsonl"], "there is no folder no/such"),
        (["--slow-log", "slow.jsonl", "--slow-ms", "soon"], "--slow-ms 'soon' is not a number"),
    ],
)
def test_wrong_use_is_one_line(words: list[str], says: str) -> None:
    """Before any row is made, the message names the thing and what there is."""
    with pytest.raises(UsageError, match=says) as refused:
        harness_serve(*words)
    assert "\n" not in str(refused.value)
    assert refused.value.code == 2


def test_a_taken_port_is_one_line_and_exit_code_2() -> None:
    """As a person sees it."""
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        port = str(somebody.getsockname()[1])
        words = [sys.executable, "-m", "harness", "serve", "--arm", "baseline", "--port", port]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 2
    assert done.stderr == f"harness: port {port} cannot be used: Address already in use; name another, or none for a free one\n"
    assert done.stdout == ""


@pytest.mark.parametrize("missing", ["uvicorn", "fastapi", "faker"])
def test_a_stranger_is_told_what_to_install(missing: str) -> None:
    """Without a package of the trial the command is one line that names it."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None; from harness.cli import main; sys.exit(main(['serve', '--arm', 'baseline']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.stderr == f"harness: {missing} is not installed; install the extra `trial` of this project\n"
    assert done.returncode == 2


@pytest.mark.slow
def test_it_serves_until_ctrl_c() -> None:
    """It prints the address and two commands whose ids exist, stops at SIGINT with exit code 0, and nothing answers afterwards."""
    words = [sys.executable, "-m", "harness", "serve", "--arm", "baseline,loading=optimised"]
    serving = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert serving.stdout is not None
        said = ""
        ends = time.monotonic() + PATIENCE_S
        while "Ctrl-C" not in said and time.monotonic() < ends:
            line = serving.stdout.readline()
            assert line, said
            said += line
        assert said.startswith("the prompt service, baseline,loading=optimised, on sqlite, size tiny: http://127.0.0.1:")
        addresses = re.findall(r"curl '?(http[^'\s]+)", said)
        assert len(addresses) == 2
        for address in addresses:
            with urllib.request.urlopen(address, timeout=10) as answer:
                assert b'"id"' in answer.read()
        os.killpg(serving.pid, signal.SIGINT)
        rest, _ = serving.communicate(timeout=PATIENCE_S)
    finally:
        serving.kill()
        serving.wait()
    assert (rest, serving.returncode) == ("stopped\n", 0)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(addresses[0], timeout=10)
