"""Send an answer while it is made: an async body over the thread that makes it."""

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections
from django.http import StreamingHttpResponse

from router.piping import Pipe

Item = TypeVar("Item")

PING_INTERVAL_S = 15.0


class StreamBody(Generic[Item]):
    """The bytes of one answer as they come, with a ping in long silence; a client that goes away ends the answer.

    `written` makes bytes of an item, `failed` of an error in the middle, after which nothing follows.
    """

    def __init__(
        self,
        pipe: Pipe[Item],
        *,
        head: bytes,
        written: Callable[[Item], bytes],
        failed: Callable[[Exception], bytes],
        ping: bytes,
        ping_interval_s: float,
    ) -> None:
        self._pipe = pipe
        self._head = head
        self._written = written
        self._failed = failed
        self._ping = ping
        self._ping_interval_s = ping_interval_s
        # where the client leaves between the view and the first byte, nobody iterates and nobody closes
        weakref.finalize(self, pipe.leave)

    def close(self) -> None:
        """End the answer; Django calls it with the response's end."""
        self._pipe.leave()

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        try:
            await _release_connections()
            yield self._head
            while True:
                item = await read_within(self._pipe, self._ping_interval_s)
                yield self._ping if item is None else self._written(item)
        except StopAsyncIteration:
            return
        except Exception as error:  # noqa: BLE001  the outer edge: the status has left, so the stream tells
            yield self._failed(error)
        finally:
            self._pipe.leave()


async def read_within(pipe: Pipe[Item], patience_s: float) -> Item | None:
    """Return the next item, or None where none comes in time."""
    try:
        async with asyncio.timeout(patience_s) as limit:
            return await pipe.read()
    except TimeoutError:
        if limit.expired():
            return None
        raise


def stream_response(body: StreamBody[Item], *, content_type: str) -> StreamingHttpResponse:
    """Return the response that sends a body; nothing on the way shall keep or gather it."""
    response = StreamingHttpResponse(body, content_type=content_type)
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"
    return response


async def _release_connections() -> None:
    """Close what the request's own thread holds: middleware and sessions may have used the database."""
    await sync_to_async(connections.close_all)()
