"""The OpenAI wire by way of the `openai` package, and what its servers add to it: read strictly, or not at all."""

import base64
import binascii
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from secrets import token_hex
from typing import Self

import httpx
import openai
from openai import Omit, Stream
from pydantic import BaseModel, ValidationInfo, field_validator

from benchmarks.inference.base import ChatMessage, Generation, GenerationRequest, ParameterValue, TextChunk
from benchmarks.inference.demands import ToolCall, ToolCallPiece
from benchmarks.inference.margins import TOP_LOGPROBS
from benchmarks.inference.openai_exchange import OpenAIExchange
from benchmarks.inference.openai_thinking import ThinkingSplitter
from benchmarks.units import NANOSECONDS_PER_MILLISECOND

_BYTES_PER_NUMBER = 4

Fields = Mapping[str, ParameterValue | list[str]]


class CalledFunction(BaseModel):
    """A piece of the function that is called."""

    name: str | None = None
    arguments: str | None = None


class CallPart(BaseModel):
    """A piece of a call of a tool."""

    index: int = 0
    id: str | None = None
    function: CalledFunction = CalledFunction()


class Delta(BaseModel):
    """A piece of an answer; reasoning has two names in the field."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[CallPart] | None = None


class LikelyToken(BaseModel):
    """A token that could have come at a place."""

    logprob: float | None = None


class TokenPlace(BaseModel):
    """The likeliest tokens at one place of the answer."""

    top_logprobs: list[LikelyToken] | None = None


class Likelihoods(BaseModel):
    """The places that an event tells of."""

    content: list[TokenPlace] | None = None


class Choice(BaseModel):
    """One of the answers, of which we ask for one."""

    delta: Delta
    finish_reason: str | None = None
    logprobs: Likelihoods | None = None


class Usage(BaseModel):
    """The counts of tokens."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Timings(BaseModel):
    """How long llama.cpp took, in milliseconds."""

    prompt_ms: float | None = None
    predicted_ms: float | None = None


class RoutedPart(BaseModel):
    """What a GreenLLM router adds to its last event: the model that it chose, and the id of the request."""

    model: str | None = None
    request_id: str | None = None


class Chunk(BaseModel):
    """One event of a streamed answer."""

    choices: list[Choice]
    usage: Usage | None = None
    timings: Timings | None = None
    greenllm: RoutedPart | None = None


class EmbeddedText(BaseModel):
    """The vector of one text, as numbers or as base64 of little-endian 32-bit floats."""

    index: int | None = None
    embedding: list[float]

    @field_validator("embedding", mode="before")
    @classmethod
    def decode(cls, value: object, _info: ValidationInfo) -> object:
        """Read base64; a server that does not know it sends numbers, which pass."""
        if not isinstance(value, str):
            return value
        try:
            packed = base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise ValueError("the vector is no base64") from error
        if len(packed) % _BYTES_PER_NUMBER:
            raise ValueError("the vector is cut")
        return list(struct.unpack(f"<{len(packed) // _BYTES_PER_NUMBER}f", packed))


class EmbeddingAnswer(BaseModel):
    """What `/v1/embeddings` says."""

    data: list[EmbeddedText]
    usage: Usage | None = None

    def vectors(self) -> list[list[float]]:
        """Give the vectors in the order of the texts."""
        placed = enumerate(self.data)
        return [
            item.embedding
            for _, item in sorted(placed, key=lambda one: one[0] if one[1].index is None else one[1].index)
        ]


class OpenAIConnection:
    """The package's client for one request to one server, at any path below its root.

    Organisation, project and key of the environment are meant for OpenAI itself and are not sent along.
    """

    def __init__(self, root_url: str, *, http: httpx.Client, key_headers: Mapping[str, str]) -> None:
        self._root_url = root_url
        self._client = openai.OpenAI(
            base_url=f"{root_url}/v1",
            api_key="unused",
            max_retries=0,
            http_client=http,  # type: ignore[arg-type]  # it takes httpx as well as httpx2, in which it is typed
        )
        unsent = {name: Omit() for name in ("Authorization", "OpenAI-Organization", "OpenAI-Project")}
        self._headers: dict[str, str | Omit] = {**unsent, **key_headers}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()

    def ask(self, path: str) -> httpx.Response:
        """Get what stands at a path."""
        return self._client.get(self._root_url + path, cast_to=httpx.Response, options={"headers": self._headers})

    def tell(self, path: str, body: Mapping[str, object]) -> httpx.Response:
        """Post a body to a path."""
        return self._client.post(
            self._root_url + path, cast_to=httpx.Response, body=body, options={"headers": self._headers}
        )

    def chat(self, request: GenerationRequest, fields: Fields) -> Iterator[Chunk]:
        """Stream an answer with its counts in the last event.

        Raises `ValueError` for an event that is none of the wire.
        """
        body = chat_body(request, fields)
        events = self._client.post(
            f"{self._root_url}/v1/chat/completions",
            cast_to=object,
            body=body,
            options={"headers": self._headers},
            stream=True,
            stream_cls=Stream[object],
        )
        for event in events:
            yield Chunk.model_validate(event)


def chat_body(request: GenerationRequest, fields: Fields) -> dict[str, object]:
    """Give the body of `/v1/chat/completions` that streams an answer with its counts in the last event."""
    return {
        "model": request.model,
        "messages": [_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        **request.demands.on_openai(),
        **({"logprobs": True} if TOP_LOGPROBS in fields else {}),
        **fields,
    }


def _message(message: ChatMessage) -> dict[str, object]:
    fields: dict[str, object] = {"role": message.role, "content": message.content}
    if message.images:
        text = [{"type": "text", "text": message.content}] if message.content else []
        pictures = [{"type": "image_url", "image_url": {"url": image.url}} for image in message.images]
        fields["content"] = [*text, *pictures]
    if message.tool_calls:
        fields["content"] = message.content or None
        fields["tool_calls"] = [call.on_openai() for call in message.tool_calls]
    if message.tool_call_id:
        fields["tool_call_id"] = message.tool_call_id
    return fields


class AnswerReader:
    """Puts an answer together from its events."""

    def __init__(self, exchange: OpenAIExchange) -> None:
        self._exchange = exchange
        self._splitter = ThinkingSplitter()
        self._usage = Usage()
        self._timings = Timings()
        self._routed = RoutedPart()
        self._calls: dict[int, ToolCall] = {}
        self.done_reason: str | None = None

    @property
    def prompt_token_count(self) -> int | None:
        """Give how many tokens the server says it read."""
        return self._usage.prompt_tokens

    def texts(self, chunk: Chunk) -> Iterator[TextChunk]:
        """Give the pieces of text and thinking of one event, where no tool was offered."""
        return (piece for piece in self.take(chunk) if isinstance(piece, TextChunk))

    def take(self, chunk: Chunk) -> Iterator[TextChunk | ToolCallPiece]:
        """Give the pieces of text, thinking and calls of one event."""
        self._usage = chunk.usage or self._usage
        self._timings = chunk.timings or self._timings
        self._routed = chunk.greenllm or self._routed
        for choice in chunk.choices[:1]:
            self.done_reason = choice.finish_reason or self.done_reason
            self._note_margins(choice)
            if thought := choice.delta.reasoning_content or choice.delta.reasoning:
                yield self._noted(TextChunk(thought, is_thinking=True))
            if content := choice.delta.content:
                self._exchange.budget.note_token()
                yield from map(self._noted, self._splitter.take(content))
            yield from map(self._called, choice.delta.tool_calls or ())

    def rest(self) -> Iterator[TextChunk]:
        """Give the pieces that were held back, once the answer is at its end."""
        yield from map(self._noted, self._splitter.rest())

    def generation(self) -> Generation:
        """Make the whole answer; what the server did not report stays None."""
        return Generation(
            text=self._exchange.text,
            thinking=self._exchange.thinking,
            prompt_token_count=self._usage.prompt_tokens,
            output_token_count=self._usage.completion_tokens,
            total_duration_ns=None,
            load_duration_ns=None,
            prompt_eval_duration_ns=_nanoseconds(self._timings.prompt_ms),
            eval_duration_ns=_nanoseconds(self._timings.predicted_ms),
            time_to_first_token_ns=self._exchange.budget.time_to_first_token_ns,
            done_reason=self.done_reason,
            answered_by=self._routed.model,
            gateway_request_id=self._routed.request_id,
            wire_byte_count=self._exchange.budget.byte_count,
            tool_calls=tuple(self._calls.values()),
            mean_margin_nats=self._exchange.margins.mean_nats,
        )

    def _note_margins(self, choice: Choice) -> None:
        """Note how sure the model was; what it only thinks is not the answer."""
        is_thought = (choice.delta.reasoning_content or choice.delta.reasoning) and not choice.delta.content
        if choice.logprobs is not None and not is_thought:
            places = choice.logprobs.content or ()
            self._exchange.margins.take([one.logprob for one in place.top_logprobs or ()] for place in places)

    def _called(self, part: CallPart) -> ToolCallPiece:
        self._exchange.budget.note_token()
        arguments = part.function.arguments or ""
        known = self._calls.get(part.index)
        if known is not None:
            self._calls[part.index] = replace(known, arguments=known.arguments + arguments)
            return ToolCallPiece(part.index, "", "", arguments)
        if not part.function.name:
            raise ValueError("a call of a tool without a name")
        made = ToolCall(part.id or f"call_{token_hex(4)}", part.function.name, arguments)
        self._calls[part.index] = made
        return ToolCallPiece(part.index, made.id, made.name, arguments)

    def _noted(self, chunk: TextChunk) -> TextChunk:
        self._exchange.budget.note_token()
        (self._exchange.thinking_parts if chunk.is_thinking else self._exchange.text_parts).append(chunk.text)
        return chunk


def _nanoseconds(duration_ms: float | None) -> int | None:
    return None if duration_ms is None else round(duration_ms * NANOSECONDS_PER_MILLISECOND)
