"""The ASGI application without a server: its lifespan, and one request at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from django.http import HttpResponse

Application = Callable[[Any, Any, Any], Awaitable[None]]


@asynccontextmanager
async def living(application: Application) -> AsyncIterator[None]:
    """Start and shut down what the application keeps for this event loop."""
    orders: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    done: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    life = asyncio.ensure_future(application({"type": "lifespan"}, orders.get, done.put))  # type: ignore[arg-type]
    await orders.put({"type": "lifespan.startup"})
    await done.get()
    try:
        yield
    finally:
        await orders.put({"type": "lifespan.shutdown"})
        await done.get()
        await life


async def requested(
    application: Application, method: str, path: str, body: bytes, headers: dict[str, str]
) -> HttpResponse:
    """Send a request from this machine; return the response whole."""
    sent: list[MutableMapping[str, Any]] = []
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()  # no disconnect comes: the client waits for the end
    await incoming.put({"type": "http.request", "body": body, "more_body": False})

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    raw = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **headers}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in raw.items()],
    }  # fmt: skip
    await application(scope, incoming.get, send)
    start, *parts = sent
    content = b"".join(part.get("body", b"") for part in parts)
    # to HEAD a server sends no body, whatever the application gives it
    response = HttpResponse(b"" if method == "HEAD" else content, status=start["status"])
    del response["Content-Type"]
    for name, value in start["headers"]:
        response[name.decode()] = value.decode("latin-1")
    return response
