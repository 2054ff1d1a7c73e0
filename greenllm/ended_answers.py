"""What Django's pages hear of a client once the whole answer is on its way: nothing more."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]  # Any: as ASGI has it
Served = Callable[..., Awaitable[None]]  # as ASGI has it


def without_late_leave(served: Served) -> Served:
    """Serve pages so that none hears of a client that leaves after the last piece.

    A server tells so at the end of each answer. Django notes it as an error whose traceback holds the request, the
    answer and everything between in a ring, hundreds of objects that stay until a collection of all.
    """

    async def serve(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        is_whole = False

        async def tell(message: Message) -> None:
            nonlocal is_whole
            is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        async def hear() -> Message:
            message = await receive()
            if is_whole and message["type"] == "http.disconnect":
                await asyncio.get_running_loop().create_future()  # until Django, which has ended, gives it up
            return message

        await served(scope, hear, tell)

    return serve
