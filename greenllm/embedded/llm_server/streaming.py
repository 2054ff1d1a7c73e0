"""Send an answer line by line as it is made."""

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from greenllm.embedded.llm_server.desk import ClientGoneError
from greenllm.embedded.llm_server.orders import JsonObject
from greenllm.embedded.llm_server.refusals import RequestRefusedError

logger = logging.getLogger(__name__)


def encode_line(content: JsonObject) -> bytes:
    """Write one line of newline-delimited JSON."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"


class LineStream(Response):
    """A response of newline-delimited JSON whose lines are sent at once.

    Starlette's own streaming response watches the connection too; here the lines' maker does, because it must
    also notice before the first line.
    """

    media_type = "application/x-ndjson"

    def __init__(self, first: bytes, others: AsyncGenerator[bytes]) -> None:
        self.status_code = 200
        self.background = None
        self._first = first
        self._others = others
        self.init_headers()
        # A streamed body has no length.
        del self.headers["content-length"]

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        async with aclosing(self._others) as others:
            await send(start)
            await _send_part(send, self._first)
            try:
                async for line in others:
                    await _send_part(send, line)
            except ClientGoneError:
                return
            except RequestRefusedError as error:
                # The status is sent already; Ollama reports later trouble as a line of its own.
                logger.warning("generation failed after its first token: %s", error)
                await _send_part(send, encode_line({"error": str(error)}))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_part(send: Send, part: bytes) -> None:
    await send({"type": "http.response.body", "body": part, "more_body": True})
