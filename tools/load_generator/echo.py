"""A raw ASGI echo on uvicorn, uvloop and httptools: it responds with 200 and the request's body, or `HELLO` without one."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tools.servers import listening

HELLO = b"x" * 100
"""A body of the size of a small JSON document."""

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
    """Serve on a free loopback port."""
    import uvicorn  # noqa: PLC0415 - only this process needs a server

    headers = {"server_header": False, "date_header": False}
    quiet: dict[str, Any] = {"lifespan": "off", "ws": "none", "log_level": "warning", "access_log": False, **headers}
    with listening() as (listener, _):
        uvicorn.Server(uvicorn.Config(app, loop="uvloop", http="httptools", **quiet)).run(sockets=[listener])


if __name__ == "__main__":
    main()
