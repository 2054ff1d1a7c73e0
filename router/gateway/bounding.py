"""How large a body may be that Django reads: it writes one to disk whole before a view, or a sign-in, is looked at."""

import json
from collections.abc import Awaitable, Callable, Mapping

from router.gateway.http import Incoming, Message, Receive, Reply, Scope, Send
from router.metrics import ERROR_REPLIES
from router.wire import MAX_BODY_BYTES, WireError
from router.wires.ollama import OLLAMA_ERRORS
from router.wires.openai import OPENAI_ERRORS
from router.wires.surface import ErrorShape

_MEBIBYTE = 1024 * 1024
_DIGITS = 15
_AROUND_A_FILE = _MEBIBYTE  # what a form sends besides its file
_SHAPES: Mapping[str, ErrorShape] = {"/v1/": OPENAI_ERRORS, "/api/": OLLAMA_ERRORS}

Django = Callable[[Scope, Receive, Send], Awaitable[None]]


class BodyTooLarge(Exception):
    """More came than the address takes."""


async def bounded(django: Django, scope: Scope, receive: Receive, send: Send, *, pages_mb: Mapping[str, int]) -> None:
    """Let Django answer a request, unless its body is larger than its address takes: that is refused with 413.

    `pages_mb` has the paths of pages that take files, each with the largest file in MB. A body that says how large it
    is is not read at all; one that does not is read as far as it may go.
    """
    incoming = Incoming(scope, receive)
    most = most_bytes(str(scope["path"]), pages_mb)
    declared = incoming.header("content-length")
    if declared.isdecimal() and (len(declared) > _DIGITS or int(declared) > most):
        await _refuse(incoming, Reply(send), most)
        return
    came, reply = 0, Reply(send)

    async def counted() -> Message:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        if came > most:
            raise BodyTooLarge
        return message

    async def told(message: Message) -> None:
        reply.has_begun = True
        await send(message)

    try:
        await django(scope, counted, told)
    except BodyTooLarge:
        if not reply.has_begun:
            await _refuse(incoming, reply, most)


def most_bytes(path: str, pages_mb: Mapping[str, int]) -> int:
    """Return how large a body an address takes, in bytes."""
    return pages_mb[path] * _MEBIBYTE + _AROUND_A_FILE if path in pages_mb else MAX_BODY_BYTES


async def _refuse(incoming: Incoming, reply: Reply, most: int) -> None:
    path = str(incoming.scope["path"])
    error = WireError(f"The body is larger than {most} bytes.", status=413)
    for prefix, shape in _SHAPES.items():
        if path.startswith(prefix):
            ERROR_REPLIES.labels(shape.label, "413").inc()
            body, kind = json.dumps(shape.error(error)), shape.content_type
            break
    else:
        body = f"What was sent is larger than {most // _MEBIBYTE} MB, which is all that this address takes.\n"
        kind = "text/plain; charset=utf-8"
    await reply.whole(413, {"Content-Type": kind, "Connection": "close"}, body.encode())
