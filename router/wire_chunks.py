"""The bytes of a streamed chat completion on the OpenAI wire: server-sent events, a JSON chunk each. Pure.

Source: the public OpenAI OpenAPI document; comments between events are ignored by every client.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.inference.base import Generation, TextChunk
from benchmarks.inference.demands import ToolCallPiece
from router.wire import WireError, chat_completion, completion_id, finish_reason, told_fingerprint, usage

PING = b": ping\n\n"
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class ChunkWriter:
    """Writes the events of one answer; `greenllm` is our own part (choice and carbon), on the last chunk."""

    request_id: str
    created: int
    model: str
    is_usage_included: bool
    greenllm: Mapping[str, Any]
    gco2e: float | None = None
    fingerprint: str = ""

    def first(self) -> bytes:
        """Return the chunk that names the role."""
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, piece: TextChunk | ToolCallPiece) -> bytes:
        """Return a piece of the answer, of the call of a tool, or of the reasoning before it, which stays apart."""
        if isinstance(piece, ToolCallPiece):
            return self._chunk({"tool_calls": [piece.delta]})
        return self._chunk({"reasoning_content" if piece.is_thinking else "content": piece.text})

    def last(self, generation: Generation) -> bytes:
        """Return all that follows the text: why it ended, the usage where it was asked for, and the end."""
        ending = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish_reason(generation)}
        own = {"greenllm": dict(self.greenllm)} if self.greenllm else {}
        if not self.is_usage_included:
            return self._event(choices=[ending], **own) + DONE
        return (
            self._event(choices=[ending], usage=None)
            + self._event(choices=[], usage=usage(generation, self.gco2e), **own)
            + DONE
        )

    def whole(self, generation: Generation) -> dict[str, Any]:
        """Return the body of an answer that is not streamed."""
        return chat_completion(
            request_id=self.request_id,
            created=self.created,
            model=self.model,
            generation=generation,
            greenllm=self.greenllm,
            gco2e=self.gco2e,
            fingerprint=self.fingerprint,
        )

    def ping(self) -> bytes:
        """Return what keeps the connection while the model is silent."""
        return PING

    def _chunk(self, delta: Mapping[str, object]) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        return self._event(choices=[choice], **({"usage": None} if self.is_usage_included else {}))

    def _event(self, **fields: Any) -> bytes:
        head = {"id": completion_id(self.request_id), "object": "chat.completion.chunk", "created": self.created}
        return event({**head, "model": self.model, **told_fingerprint(self.fingerprint), **fields})


def event(record: Mapping[str, Any]) -> bytes:
    """Return one server-sent event; JSON in ASCII, so that no line break of a text ends it early."""
    return b"data: " + json.dumps(record).encode() + b"\n\n"


def failure(error: WireError) -> bytes:
    """Return the event that tells of a failure in the middle; clients raise from it, and nothing follows."""
    return event(error.as_json())
