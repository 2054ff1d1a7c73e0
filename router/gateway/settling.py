"""Keep the client of a stream while a cascade checks answers, before it is known which model answers."""

import asyncio
from collections.abc import Mapping

from router.contract import headers_of_any_answer
from router.gateway.conducting import Conductor
from router.gateway.http import Reply
from router.wire_chunks import PING

# a line of Ollama's names the model, so that nothing can be said there before that is known
_COMMENTS = {"text/event-stream": PING}


async def settle(
    reply: Reply, conductor: Conductor, *, stream_type: str, headers: Mapping[str, str], interval_s: float
) -> None:
    """Return once it is settled which model answers; a client that can be told to wait is told so meanwhile.

    Where that takes longer than `interval_s` the reply begins, without the headers that name the model.
    """
    if conductor.is_settled:
        return
    comment = _COMMENTS.get(stream_type)
    settling = asyncio.ensure_future(conductor.settle())
    try:
        while not (await asyncio.wait({settling}, timeout=interval_s))[0]:
            if comment is None:
                continue
            if not reply.has_begun:
                told = {"Content-Type": stream_type, **headers, **headers_of_any_answer(conductor.decided)}
                await reply.begin(200, told)
            await reply.write(comment)
    finally:
        settling.cancel()  # where the client has left, or does not read
        await asyncio.wait({settling})
    settling.result()
