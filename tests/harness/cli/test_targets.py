"""`harness load` on servers that run already: the whole command in a separate process, and every usage error before any contact."""

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from harness.cli import main
from harness.results.load import ALL
from harness.results.store import read_run

ROOT = Path(__file__).parents[3]
QUICK = ["--duration", "400ms", "--block", "400ms", "--warm-up", "0", "--processes", "1", "--rate", "50", "--drain", "5s"]


@pytest.fixture
def url() -> Iterator[str]:
    """Return the URL of a server that answers every GET with its path, or 404 below /none."""

    class _Paths(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = json.dumps({"path": self.path.partition("?")[0]}).encode()
            self.send_response(404 if self.path.startswith("/none") else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Paths)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def harness_load(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a separate process, in a folder."""
    command = [sys.executable, "-m", "harness", "load", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_two_urls_are_two_arms(url: str, tmp_path: Path) -> None:
    """Their answers are compared, both get the same values, and nothing that is stored or printed has a secret."""
    words = [
        f"{url}/items/{{id}}?api_key=hush",
        f"{url}/items/{{id}}",
        "--values",
        "id=1..50",
        "--header",
        "Authorization: Bearer hush",
    ]
    done = harness_load(tmp_path, *words, *QUICK, "--out", "run")
    run = read_run(tmp_path / "run")
    (result,) = run.scenarios
    assert result.load is not None
    assert done.returncode == (3 if result.load.invalid or result.load.unsustained else 0), done.stderr
    assert "harness: the answers to 2 requests were compared and agree" in done.stderr
    assert (result.name, result.engine, list(result.groups)) == ("items_id", "http", ["GET /items/{id}"])
    assert [(arm.name, arm.description) for arm in result.arms] == [
        ("baseline", f"{url}/items/{{id}}?api_key=***"),
        ("candidate", f"{url}/items/{{id}}"),
    ]
    counts = {arm.arm: arm.operations for arm in result.load.arms if arm.group == ALL}
    assert counts == {"baseline": 20, "candidate": 20}
    assert {name for tick in result.load.ticks for name in tick.cpu_percent} <= {"generator", "server"}
    stored = [file.read_text() for file in (tmp_path / "run").rglob("*") if file.is_file()]
    assert not any("hush" in text for text in [*stored, done.stdout, done.stderr])
    assert run.command.endswith("--out run")
    assert not result.warnings or "one process for both" not in {warning.name for warning in result.warnings}


@pytest.mark.slow
def test_failed_responses_fail_the_run(url: str, tmp_path: Path) -> None:
    """A status of 400 or above is a failure by its name; without comparing, that is found under load."""
    (tmp_path / "requests.txt").write_text("/items/1\n/none/1\n")
    done = harness_load(tmp_path, "requests.txt", url, *QUICK, "--compare", "0", "--out", "run")
    assert done.returncode == 1, done.stderr
    (result,) = read_run(tmp_path / "run").scenarios
    assert str(result.error).startswith("baseline: 10 of 20 operations failed (50 %): FailedStatusError: 404 Not Found (10)")


@pytest.mark.slow
def test_a_document_of_an_api(url: str, tmp_path: Path) -> None:
    """The used and the unused operations are counted on standard error and in the record."""
    parameter = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
    paths = {"/items/{id}": {"get": {"parameters": [parameter]}, "delete": {}}, "/none": {"get": {}}}
    (tmp_path / "api.json").write_text(json.dumps({"openapi": "3.1.0", "paths": paths}))
    done = harness_load(tmp_path, "api.json", url, *QUICK, "--out", "run")
    note = "1 of 3 operations used; not used: 1 with method DELETE; 1 answered 404 Not Found when tried"
    assert note in done.stderr
    (result,) = read_run(tmp_path / "run").scenarios
    assert note in result.doc
    assert list(result.groups) == ["GET /items/{id}"]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("locust") is None, reason="Locust is not installed")
def test_a_locustfile(url: str, tmp_path: Path) -> None:
    """Its tasks are put under load with their weights, named after their requests; a remark says that its wait time is not used."""
    text = "from locust import HttpUser, constant, task\nclass U(HttpUser):\n    wait_time = constant(60)\n"
    text += "    @task(3)\n    def a(self): self.client.get('/a/1', name='/a/[id]')\n"
    text += "    @task\n    def b(self): self.client.get('/b')\n"
    (tmp_path / "locustfile.py").write_text(text)
    done = harness_load(tmp_path, "locustfile.py", url, *QUICK, "--out", "run")
    (result,) = read_run(tmp_path / "run").scenarios
    assert result.load is not None
    assert done.returncode == (3 if result.load.invalid or result.load.unsustained else 0), done.stderr
    assert "wait_time of U is not used" in done.stderr
    counts = {arm.group: arm.operations for arm in result.load.arms}
    assert counts[ALL] == 20
    assert counts["GET /a/[id]"] > counts["GET /b"] > 0
    assert result.engine == "locust"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["http://192.0.2.1/x"],
            "192.0.2.1 is not this machine; to use another machine with its owner's consent, add --allow-remote",
        ),
        (["http://127.0.0.1:1/", "http://192.0.2.1/x"], "192.0.2.1 is not this machine"),
        (["http://127.0.0.1:1/"], "the server refuses connections; start the server, or check its address 127.0.0.1:1"),
        (["https://127.0.0.1/"], "https is not supported"),
        (["localhost:8000/items"], "localhost:8000/items has no scheme; write http://localhost:8000/items"),
        (["http://127.0.0.1:1/{id}"], "{id} has no values; add --values id=1..1000"),
        (["http://127.0.0.1:1/{id}", "--values", "user=1"], "{id} has no values"),
        (["missing.har", "http://127.0.0.1:1/"], "no file 'missing.har'; name a file of requests"),
        (["empty.har"], "is a HAR file without requests"),
        (["half.json"], "is not valid JSON"),
        (["tests/toys/adding.py", "--header", "a: b"], "--header is for URLs and files of requests; leave it out for scenario"),
        (["tests/toys/adding.py", "--compare", "0"], "--compare is for URLs and files of requests"),
        (["tests/toys/adding.py", "http://127.0.0.1:1/"], "follows scenario"),
    ],
)
def test_usage_errors(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is one line with the next step and exit code 2, and no folder is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.har").write_text('{"log": {"entries": []}}')
    (tmp_path / "half.json").write_text('{"openapi": "3.1.0", "paths": {')
    assert main(["load", *(str(ROOT / word) if word.startswith("tests/") else word for word in words)]) == 2
    found = capsys.readouterr().err
    assert message in found
    assert found.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_servers_that_answer_differently_are_not_timed(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The place of the difference is named, with exit code 1 and no folder; a member that is ignored does not count."""
    monkeypatch.chdir(tmp_path)
    words = ["load", f"{url}/a", f"{url}/b"]
    assert main(words) == 1
    assert "candidate answers GET /b with a body that differs at ['path']: '/b' instead of '/a'" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    assert main([*words, "--ignore", "path", *QUICK]) in {0, 3}
