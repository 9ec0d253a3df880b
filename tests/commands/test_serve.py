"""`harness serve`: output, shutdown, and refused command lines."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60.0
"""Limit for what should happen soon; it only bounds a failure."""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--arm", "fast"], "--arm: 'fast': unknown level 'fast'; choose from baseline, proposed, optimised"),
        (["--arm", "baseline,speed=optimised"], "unknown switch 'speed'"),
        (["--engine", "turso"], "unknown engine 'turso'; choose from postgres, sqlite"),
        (["--size", "vast"], "unknown size 'vast'; choose from tiny, small, medium, large"),
        (["--seed", "x"], "--seed: 'x' is not a whole number from 0 to"),
        (["--seed", "-1"], "--seed: '-1' is not a whole number from 0 to"),
        (["--port", "70000"], "--port: '70000' is not a port from 0 to 65535; 0 means a free port"),
        (["--port", "http"], "--port: 'http'"),
        (
            ["--arm", "baseline", "--slow-log", "slow.jsonl"],
            "monitoring=baseline keeps no slow-query log; add monitoring=optimised",
        ),
        (["--slow-log", "no/such/slow.jsonl"], "folder no/such does not exist"),
        (["--slow-log", "slow.jsonl", "--slow-ms", "soon"], "--slow-ms: 'soon' is not a number"),
    ],
)
def test_a_usage_error_is_one_line(refused: Callable[..., None], words: list[str], message: str) -> None:
    """Before any row is generated, the message names the value and the valid ones."""
    refused(["serve", *words], message)


def test_a_port_in_use_is_one_line_and_exit_code_2() -> None:
    """The real command reports the port and the next step, without a traceback."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        words = [sys.executable, "-m", "harness", "serve", "--arm", "baseline", "--port", port]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert done.returncode == 2
    assert done.stderr == f"harness: port {port} cannot be used: Address already in use; name another, or none for a free one\n"
    assert done.stdout == ""


@pytest.mark.parametrize("missing", ["uvicorn", "fastapi", "faker"])
def test_a_missing_package_is_one_line_with_the_command_to_install_it(missing: str) -> None:
    """Without a package of the trial the command names it and the file of requirements that contains it."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None; from harness.cli import main; sys.exit(main(['serve', '--arm', 'baseline']))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert done.stderr == f"harness: {missing} is not installed; install what the trial needs: pip install -r requirements.lock\n"
    assert done.returncode == 2


@pytest.mark.slow
def test_it_serves_until_ctrl_c() -> None:
    """It prints the address and two commands whose ids exist; SIGINT ends it as interrupted, and it then refuses connections."""
    words = [sys.executable, "-m", "harness", "serve", "--arm", "baseline,loading=optimised"]
    serving = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert serving.stdout is not None
        printed = ""
        ends = time.monotonic() + TIMEOUT_S
        while "Ctrl-C" not in printed and time.monotonic() < ends:
            line = serving.stdout.readline()
            assert line, printed
            printed += line
        assert printed.startswith("prompt service, baseline,loading=optimised, on sqlite, size tiny: http://127.0.0.1:")
        addresses = re.findall(r"curl '?(http[^'\s]+)", printed)
        assert len(addresses) == 2
        for address in addresses:
            with urllib.request.urlopen(address, timeout=10) as answer:
                assert b'"id"' in answer.read()
        os.killpg(serving.pid, signal.SIGINT)
        rest, _ = serving.communicate(timeout=TIMEOUT_S)
    finally:
        serving.kill()
        serving.wait()
    assert (rest, serving.returncode) == ("stopped\n", 3)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(addresses[0], timeout=10)
