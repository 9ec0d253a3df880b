"""Servers on free ports of this machine, in threads, whose responses a test sets."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

Respond = Callable[[str, str, bytes], tuple[int, bytes]]
"""(method, path, body) → status and body."""


@dataclass
class LocalServer:
    """A server that keeps connections alive, and the requests that it got."""

    respond: Respond
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    """Method, path, headers by lower-case name, and body."""

    def __post_init__(self) -> None:
        ours = self

        class _Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                ours.requests.append((self.command, self.path, headers, body))
                status, sent = ours.respond(self.command, self.path, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else sent)

            do_GET = do_POST = do_HEAD = do_DELETE = _answer  # noqa: N815 - names of the library

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        """The URL without a path."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    @property
    def paths(self) -> list[str]:
        """Method and path of each request."""
        return [f"{method} {path}" for method, path, _, _ in self.requests]

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[[Respond], LocalServer]]:
    """Return a function that starts a server, which is stopped after the test."""
    started: list[LocalServer] = []

    def start(respond: Respond) -> LocalServer:
        started.append(LocalServer(respond))
        return started[-1]

    yield start
    for server in started:
        server.close()
