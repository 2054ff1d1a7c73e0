"""A streamed answer on the OpenAI wire without its transport."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from benchmarks.inference.base import ChatPiece
from benchmarks.inference.chatting import ChatWire
from benchmarks.inference.errors import InferenceError
from benchmarks.inference.openai_exchange import OpenAIExchange
from benchmarks.inference.openai_wire import AnswerReader, Chunk

_DONE = b"[DONE]"
_LONGEST_REASON = 2000


@dataclass(slots=True)
class OpenAIChat(ChatWire):
    """Reads the server-sent events of `/v1/chat/completions`; each of these servers sends one line of data an event."""

    path: ClassVar[str] = "/v1/chat/completions"

    exchange: OpenAIExchange
    reader: AnswerReader = field(init=False)

    def __post_init__(self) -> None:
        self.reader = AnswerReader(self.exchange)

    def refusal(self, status: int, body: bytes) -> InferenceError:
        """Tell what an answer with an error's status means."""
        text = body.decode(errors="replace")
        try:
            told: object = json.loads(text)
        except ValueError:
            return self.exchange.refusal(text[:_LONGEST_REASON], status)
        return self.exchange.refusal(_words(told) or text[:_LONGEST_REASON], status)

    def _read(self, line: bytes) -> Iterator[ChatPiece]:
        name, _, value = line.partition(b":")
        if name != b"data":
            if name not in {b"", b"event", b"id", b"retry"}:
                raise ValueError("no line of server-sent events")
            return
        value = value.strip()
        if value.startswith(_DONE):
            yield from self._end()
            return
        record = json.loads(value)
        if isinstance(record, Mapping) and record.get("error"):
            raise self.exchange.refusal(_words(record) or "an error without words", None)
        yield from self.reader.take(Chunk.model_validate(record))

    def _end(self) -> Iterator[ChatPiece]:
        if self.reader.done_reason is None:
            return
        yield from self.reader.rest()
        self._require_whole_prompt(self.reader.prompt_token_count)
        self.is_finished = True
        yield self.reader.generation()


def _words(told: object) -> str:
    """Give the server's own words: servers put them into `message`, `detail`, or the error is a text itself."""
    if isinstance(told, Mapping):
        told = told.get("error", told)
    if isinstance(told, Mapping):
        told = told.get("message") or told.get("detail")
    return told if isinstance(told, str) else ""
