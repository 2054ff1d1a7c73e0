"""The two surfaces of the OpenAI wire that generate: chat completions, and the older completions. Pure.

Source: the public OpenAI OpenAPI document. A completion's prompt is taken as one message of a user, because the
models of a federation are chat models with templates of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.inference.base import ChatMessage, Generation, TextChunk
from benchmarks.inference.demands import ToolCallPiece
from router.wire import (
    ChatRequest,
    finish_reason,
    parse_chat_request,
    read_parameters,
    read_request_wish,
    reads_usage,
    told_fingerprint,
    usage,
)
from router.wire_chunks import DONE, PING, ChunkWriter, event, failure
from router.wires.fields import WireError, read_cache, read_flag, read_model, read_object, read_texts, refuse_unless
from router.wires.surface import AnswerWriter, Opening

_REFUSED_OF_COMPLETIONS: dict[str, tuple[Any, ...]] = {
    "n": (None, 1),
    "best_of": (None, 1),
    "echo": (None, False),
    "logprobs": (None,),
    "logit_bias": (None, {}),
    "suffix": (None, ""),
}


class OpenAIErrors:
    """Errors with OpenAI's four fields."""

    label = "openai"
    content_type = "application/json"
    duration_header = "openai-processing-ms"

    def error(self, error: WireError) -> dict[str, Any]:
        """Return the body of a refusal."""
        return error.as_json()


OPENAI_ERRORS = OpenAIErrors()


class ChatSurface:
    """`/v1/chat/completions`."""

    errors = OPENAI_ERRORS
    stream_type = "text/event-stream"

    def parse(self, body: bytes) -> ChatRequest:
        """Read a request; see `parse_chat_request`."""
        return parse_chat_request(body)

    def writer(self, opening: Opening, asked: ChatRequest, /) -> AnswerWriter:
        """Return what writes chunks."""
        return ChunkWriter(
            request_id=opening.request_id,
            created=opening.created,
            model=opening.model,
            is_usage_included=asked.is_usage_included,
            greenllm=opening.greenllm,
            gco2e=opening.gco2e,
            fingerprint=opening.fingerprint,
        )

    def failure(self, error: WireError) -> bytes:
        """Return the event that tells of a failure."""
        return failure(error)


class CompletionSurface:
    """`/v1/completions`."""

    errors = OPENAI_ERRORS
    stream_type = "text/event-stream"

    def parse(self, body: bytes) -> ChatRequest:
        """Read a request: the fields of a chat completion, but `prompt` for `messages`."""
        record = read_object(body)
        refuse_unless(record, _REFUSED_OF_COMPLETIONS)
        model = read_model(record.get("model"), "/v1/models")
        prompts = read_texts(record.get("prompt"), "prompt")
        if len(prompts) > 1:
            raise WireError(
                "'prompt' has several texts, which is not supported here; send one request for each.",
                code="unsupported_parameter",
                param="prompt",
            )
        if not prompts[0].strip():
            raise WireError("The prompt is empty: give 'prompt' some text.", param="prompt")
        is_streamed = read_flag(record.get("stream"), "stream")
        return ChatRequest(
            model,
            (ChatMessage("user", prompts[0]),),
            read_parameters(record),
            is_streamed=is_streamed,
            is_usage_included=reads_usage(record.get("stream_options")) and is_streamed,
            wish=read_request_wish(record.get("greenllm")),
            cache=read_cache(record.get("cache")),
            prompt_field="prompt",
        )

    def writer(self, opening: Opening, asked: ChatRequest, /) -> AnswerWriter:
        """Return what writes text completions."""
        return CompletionWriter(opening, is_usage_included=asked.is_usage_included)

    def failure(self, error: WireError) -> bytes:
        """Return the event that tells of a failure."""
        return failure(error)


@dataclass(frozen=True)
class CompletionWriter:
    """Writes one text completion; reasoning has no place in it and is left out."""

    opening: Opening
    is_usage_included: bool

    def first(self) -> bytes:
        """Return nothing: there is no role to name."""
        return b""

    def piece(self, piece: TextChunk | ToolCallPiece) -> bytes:
        """Return a piece of the text."""
        return PING if isinstance(piece, ToolCallPiece) or piece.is_thinking else self._chunk(piece.text)

    def last(self, generation: Generation) -> bytes:
        """Return why it ended, the usage where it was asked for, and the end."""
        own = self._own()
        if not self.is_usage_included:
            return self._chunk("", finish_reason(generation), **own) + DONE
        counted = {**self._head(), "choices": [], "usage": usage(generation, self.opening.gco2e), **own}
        return self._chunk("", finish_reason(generation)) + event(counted) + DONE

    def ping(self) -> bytes:
        """Return what keeps the connection while the model is silent."""
        return PING

    def whole(self, generation: Generation) -> dict[str, Any]:
        """Return the body of a completion that is not streamed."""
        return {
            **self._head(),
            "choices": [_choice(generation.text, finish_reason(generation))],
            "usage": usage(generation, self.opening.gco2e),
            **self._own(),
        }

    def _head(self) -> dict[str, Any]:
        return {
            "id": f"cmpl-{self.opening.request_id.removeprefix('req_')}",
            "object": "text_completion",
            "created": self.opening.created,
            "model": self.opening.model,
            **told_fingerprint(self.opening.fingerprint),
        }

    def _own(self) -> Mapping[str, Any]:
        return {"greenllm": dict(self.opening.greenllm)} if self.opening.greenllm else {}

    def _chunk(self, text: str, reason: str | None = None, **fields: Any) -> bytes:
        counted = {"usage": None} if self.is_usage_included else {}
        return event({**self._head(), "choices": [_choice(text, reason)], **counted, **fields})


def _choice(text: str, reason: str | None) -> dict[str, Any]:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}


CHAT = ChatSurface()
COMPLETION = CompletionSurface()
