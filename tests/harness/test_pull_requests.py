"""Comments of a job: a server of each kind, one comment that is replaced, and refusals in one line."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from harness.cli import main
from harness.errors import UsageError
from harness.pull_requests import MOST, PAGE, of_job

Refused = Callable[[Sequence[str], str], None]
TOKEN = "t0ken"


@dataclass
class Forge:
    """A server with the comments of one request of GitHub or GitLab."""

    address: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    paths: list[str] = field(default_factory=list)
    code: int = 0
    """The status of every answer, if it is not 0."""

    def environment(self, kind: str) -> dict[str, str]:
        """Return the variables of a job about request 7."""
        if kind == "gitlab":
            ids = {"CI_PROJECT_ID": "9", "CI_MERGE_REQUEST_PROJECT_ID": "5", "CI_MERGE_REQUEST_IID": "7"}
            return {"CI_API_V4_URL": f"{self.address}/api/v4", "GITLAB_TOKEN": TOKEN, **ids}
        names = {"GITHUB_REPOSITORY": "some/project", "GITHUB_REF": "refs/pull/7/merge"}
        return {"GITHUB_API_URL": self.address, "GITHUB_TOKEN": TOKEN, **names}


@pytest.fixture
def forge() -> Iterator[Forge]:
    """Run a server that keeps comments."""
    state = Forge()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, found: object) -> None:
            self.send_response(state.code or 200)
            if state.code == 301:
                self.send_header("Location", f"{state.address}/elsewhere")
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def do_GET(self) -> None:
            state.tokens.add(self.headers.get("Authorization") or self.headers["PRIVATE-TOKEN"])
            state.paths.append(self.path)
            query = {name: int(values[0]) for name, values in parse_qs(urlsplit(self.path).query).items()}
            start = (query.get("page", 1) - 1) * query.get("per_page", 30)
            self._answer(state.comments[start : start + query.get("per_page", 30)])

        def _change(self) -> None:
            state.paths.append(self.path)
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
            number = self.path.rpartition("/")[2]
            if self.command == "POST":
                state.comments.append({"id": len(state.comments) + 1, "body": body})
                self._answer(state.comments[-1])
            else:
                (found,) = (comment for comment in state.comments if str(comment["id"]) == number)
                found["body"] = body
                self._answer(found)

        def do_POST(self) -> None:
            self._change()

        def do_PATCH(self) -> None:
            self._change()

        def do_PUT(self) -> None:
            self._change()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[dict[str, str]], None]:
    """Return a function that sets the variables of a job, in an empty folder with a comment to post."""
    for name in ("GITHUB_REF", "GITHUB_TOKEN", "GITHUB_API_URL", "CI_MERGE_REQUEST_IID", "GITLAB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gate.md").write_text("## ✗ first\n")

    def set_all(environment: dict[str, str]) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize(("kind", "noun"), [("github", "pull request 7"), ("gitlab", "merge request 7")])
def test_a_comment_is_posted_once_and_then_replaced(
    forge: Forge, job: Callable[[dict[str, str]], None], kind: str, noun: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The comments of others stay, also on earlier pages, and one of another name is another one."""
    forge.comments = [{"id": n + 1, "body": "I quote: <!-- harness: performance -->"} for n in range(PAGE + 3)]
    job(forge.environment(kind))
    assert main(["comment", "gate.md"]) == 0
    Path("gate.md").write_text("## ✓ second\n")
    assert main(["comment", "gate.md"]) == 0
    assert main(["comment", "gate.md", "--name", "work counts"]) == 0
    assert capsys.readouterr().out == f"commented on {noun}\nreplaced the comment on {noun}\ncommented on {noun}\n"
    assert [comment["body"] for comment in forge.comments[PAGE + 3 :]] == [
        "<!-- harness: performance -->\n## ✓ second\n",
        "<!-- harness: work counts -->\n## ✓ second\n",
    ]
    assert {comment["body"][:7] for comment in forge.comments[: PAGE + 3]} == {"I quote"}
    assert forge.tokens == {TOKEN if kind == "gitlab" else f"Bearer {TOKEN}"}
    root = "/api/v4/projects/5/merge_requests/7/notes" if kind == "gitlab" else "/repos/some/project/issues/"
    assert all(path.startswith(root) for path in forge.paths)


def test_a_job_without_a_request_posts_nothing(job: Callable[[dict[str, str]], None], capsys: pytest.CaptureFixture[str]) -> None:
    """As after a push to the main branch: no token is needed either."""
    job({"GITHUB_REF": "refs/heads/main"})
    assert main(["comment", "gate.md"]) == 0
    assert capsys.readouterr().out == "not a pull request or merge request: no comment\n"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (403, "cannot comment on pull request 7: the token may not write comments; for a pull request from a fork it never may"),
        (404, "the token may not see it"),
        (500, "the server answered 500"),
        (301, "the server answered 301"),
    ],
)
def test_a_refusal_is_one_line(
    forge: Forge, job: Callable[[dict[str, str]], None], refused: Refused, code: int, message: str
) -> None:
    """A redirect is one too: the token is sent to the configured server alone."""
    forge.code = code
    job(forge.environment("github"))
    refused(["comment", "gate.md"], message)
    assert not [path for path in forge.paths if path == "/elsewhere"]


def test_missing_tokens_addresses_and_files_are_named(
    forge: Forge, job: Callable[[dict[str, str]], None], refused: Refused
) -> None:
    """Each message has the next step; a name cannot end the marker."""
    environment = forge.environment("github")
    with pytest.raises(UsageError, match="GITHUB_TOKEN has no token"):
        of_job(environment | {"GITHUB_TOKEN": ""})
    with pytest.raises(UsageError, match="GITHUB_API_URL is 'file:///etc', not an address"):
        of_job(environment | {"GITHUB_API_URL": "file:///etc"})
    job(environment)
    refused(["comment", "nothing.md"], "cannot read nothing.md")
    refused(["comment", "gate.md", "--name=-->"], "is not a valid name")
    Path("gate.md").write_text("x" * MOST)
    refused(["comment", "gate.md"], "at most 65,536 characters")
    job({"GITHUB_API_URL": "http://127.0.0.1:9"})
    Path("gate.md").write_text("x")
    refused(["comment", "gate.md"], "cannot comment on pull request 7: <urlopen error")
    job({"GITHUB_API_URL": "http://127.0.0.1:x"})
    refused(["comment", "gate.md"], "cannot comment on pull request 7: nonnumeric port")
