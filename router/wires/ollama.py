"""What the Ollama wire answers: lines of JSON, bodies and errors. Pure.

Source: `docs/api.md` and `api/types.go` of Ollama. Durations are nanoseconds and left out where nobody reported them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.inference.base import Embeddings, Generation, TextChunk
from benchmarks.inference.demands import ToolCallPiece
from router.wire import ChatRequest
from router.wires import ollama_requests
from router.wires.fields import WireError
from router.wires.surface import AnswerWriter, Opening

# the release whose wire this is: clients ask before they use what an older one had not
SPOKEN_VERSION = "0.17.4"
LOADED = "load"  # why an answer ended that was only to load the model
_DONE_REASONS = ("length", LOADED)


class OllamaErrors:
    """Errors with Ollama's one field."""

    label = "ollama"
    content_type = "application/json; charset=utf-8"
    duration_header = ""

    def error(self, error: WireError) -> dict[str, Any]:
        """Return the body of a refusal; some clients look for Ollama's own words for a model that is not there."""
        return {"error": f"model '{error.about}' not found" if error.about else str(error)}


OLLAMA_ERRORS = OllamaErrors()


class _OllamaSurface:
    errors = OLLAMA_ERRORS
    stream_type = "application/x-ndjson"

    def failure(self, error: WireError) -> bytes:
        """Return the line that tells of a failure."""
        return line(OLLAMA_ERRORS.error(error))


class OllamaChatSurface(_OllamaSurface):
    """`/api/chat`."""

    def parse(self, body: bytes) -> ChatRequest:
        """Read a request; see `ollama_requests.parse_chat`."""
        return ollama_requests.parse_chat(body)

    def writer(self, opening: Opening, _asked: ChatRequest, /) -> AnswerWriter:
        """Return what writes messages."""
        return MessageWriter(opening)


class OllamaGenerateSurface(_OllamaSurface):
    """`/api/generate`."""

    def parse(self, body: bytes) -> ChatRequest:
        """Read a request; see `ollama_requests.parse_generate`."""
        return ollama_requests.parse_generate(body)

    def writer(self, opening: Opening, _asked: ChatRequest, /) -> AnswerWriter:
        """Return what writes responses."""
        return ResponseWriter(opening)


@dataclass(frozen=True)
class LineWriter:
    """Writes the lines of one answer; where the text stands in a line is told by `_text`."""

    opening: Opening

    def first(self) -> bytes:
        """Return nothing: the first line is that of the first piece."""
        return b""

    def piece(self, piece: TextChunk | ToolCallPiece) -> bytes:
        """Return the line of a piece; the calls of tools follow whole, before the last line."""
        if isinstance(piece, ToolCallPiece):
            return b""
        text, thinking = ("", piece.text) if piece.is_thinking else (piece.text, None)
        return line({**self._head(), **self._text(text, thinking), "done": False})

    def last(self, generation: Generation) -> bytes:
        """Return the line with the calls of tools, where there are some, and that with the figures."""
        calls = b""
        if generation.tool_calls:
            calls = line({**self._head(), **self._called(self._text("", None), generation), "done": False})
        return calls + line({**self._head(), **self._text("", None), **self._end(generation)})

    def ping(self) -> bytes:
        """Return a line without text: the clients would stumble over one that is empty."""
        return line({**self._head(), **self._text("", None), "done": False})

    def whole(self, generation: Generation) -> dict[str, Any]:
        """Return the body of an answer that is not streamed."""
        text = self._text(generation.text, generation.thinking or None)
        return {**self._head(), **self._called(text, generation), **self._end(generation)}

    def _called(self, text: dict[str, Any], generation: Generation) -> dict[str, Any]:
        """Return a text with the calls of tools, which only a message can have."""
        if not generation.tool_calls or "message" not in text:
            return text
        try:
            calls = [call.on_ollama(index) for index, call in enumerate(generation.tool_calls)]
        except ValueError as error:
            raise WireError(
                f"The model called a tool with arguments that are no object of JSON ({error}).",
                status=502,
                kind="server_error",
                code="upstream_error",
            ) from error
        return {"message": {**text["message"], "tool_calls": calls}}

    def _text(self, text: str, thinking: str | None) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        return {"message": message if thinking is None else {**message, "thinking": thinking}}

    def _head(self) -> dict[str, Any]:
        return {"model": self.opening.model, "created_at": self.opening.created_at}

    def _end(self, generation: Generation) -> dict[str, Any]:
        own = {"greenllm": dict(self.opening.greenllm)} if self.opening.greenllm else {}
        return {"done": True, "done_reason": _done_reason(generation), **_figures(generation), **own}


@dataclass(frozen=True)
class MessageWriter(LineWriter):
    """Writes the answer of `/api/chat`, whose text is a message."""


@dataclass(frozen=True)
class ResponseWriter(LineWriter):
    """Writes the answer of `/api/generate`."""

    def _text(self, text: str, thinking: str | None) -> dict[str, Any]:
        return {"response": text} if thinking is None else {"response": text, "thinking": thinking}


def line(record: Mapping[str, Any]) -> bytes:
    """Return one line of a stream; JSON in ASCII, so that no line break of a text ends it early."""
    return json.dumps(record).encode() + b"\n"


def embedded(model: str, found: Embeddings | None) -> dict[str, Any]:
    """Return the body of `/api/embed`; None where no text was there to embed."""
    if found is None:
        return {"model": model, "embeddings": []}
    figures = {
        "total_duration": found.duration_ns,
        "load_duration": found.load_duration_ns,
        "prompt_eval_count": found.prompt_token_count,
    }
    return {"model": model, "embeddings": found.vectors, **{name: one for name, one in figures.items() if one}}


def embedded_once(found: Embeddings | None) -> dict[str, Any]:
    """Return the body of the older `/api/embeddings`, which has one vector."""
    return {"embedding": found.vectors[0] if found else []}


def _done_reason(generation: Generation) -> str:
    reason = generation.done_reason or ""
    return reason if reason in _DONE_REASONS else "stop"


def _figures(generation: Generation) -> dict[str, int]:
    figures = {
        "total_duration": generation.total_duration_ns,
        "load_duration": generation.load_duration_ns,
        "prompt_eval_count": generation.prompt_token_count,
        "prompt_eval_duration": generation.prompt_eval_duration_ns,
        "eval_count": generation.output_token_count,
        "eval_duration": generation.eval_duration_ns,
    }
    return {name: figure for name, figure in figures.items() if figure}


OLLAMA_CHAT = OllamaChatSurface()
OLLAMA_GENERATE = OllamaGenerateSurface()
