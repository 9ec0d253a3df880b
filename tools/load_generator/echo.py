"""A minimal server for load: a raw ASGI echo on uvicorn, uvloop and httptools; run as a module it prints its port.

It responds with 200 and the request's body, or `HELLO` without a body. It ends with its parent process.
"""

import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

HELLO = b"x" * 100
"""A body of the size of a small JSON document."""

_BACKLOG = 2048

Message = MutableMapping[str, Any]


async def app(scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    """Respond to a request with its body."""
    assert scope["type"] == "http"
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    body = body or HELLO
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve on a free loopback port, and write the port to standard output."""
    import uvicorn  # noqa: PLC0415 - only this process needs a server

    from harness.runtime.channel import die_with_parent  # noqa: PLC0415 - so that importing the application imports no engine

    die_with_parent()
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(_BACKLOG)  # before the port is written, so that no connection is refused meanwhile
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
